/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.c - waylayd, the process with the privileges; see supervisor.h.
 */
#include "daemon/supervisor.h"

#include "base/log.h"
#include "daemon/delivery.h"
#include "daemon/load.h"
#include "daemon/outside.h"
#include "daemon/privilege.h"
#include "daemon/report.h"
#include "engine/files.h"
#include "engine/instance.h"
#include "net/sock.h"
#include "net/sockdiag.h"
#include "policy/policy.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void look_at_links(void *ctx)
{
	struct supervisor *s = ctx;

	links_look(&s->links, &s->guard.ask);
	installed_follow_links(&s->now);
	cut_keeper_follow_links(&s->cut);
}

/* --- installing ---------------------------------------------------------- */

static void add_place(const struct intercept *it, struct str *out)
{
	char text[ADDR_TEXT_MAX];

	if (it->has_listen) {
		str_addf(out, ", intercept %s at %s", it->name,
			 addr_format(&it->listen, text));
		return;
	}
	str_addf(out, ", intercept %s from", it->name);
	for (size_t n = 0; n < it->ifname_count; n++)
		str_addf(out, n ? ", %s" : " %s", it->ifnames[n]);
	if (it->from_host)
		str_add(out, " host");
}

static void log_ready(const struct supervisor *s)
{
	const struct config *c = s->now.plan.config;
	struct str text = { 0 };

	for (size_t i = 0; i < c->intercept_count; i++)
		add_place(&c->intercepts[i], &text);
	log_info("ready: engine %s, %u workers%s", s->now.engine->name,
		 crew_slots(c), str_get(&text));
	str_done(&text);
}

static int try_config(struct supervisor *s, const struct config *c,
		      struct installed *next, struct err *e)
{
	int error = delivery_check(c, e);
	struct plan plan;

	if (!error)
		error = listeners_open(&s->listeners, c, crew_slots(c), e);
	if (error < 0)
		return error;
	listeners_plan(&s->listeners, c, &plan);
	plan.is_private = s->options.is_private;
	return installed_try(&s->now, &s->guard.ask, &plan, next, e);
}

/* Bring configuration c (taken) into force.  The older one, if any, goes on
 * when this fails. */
static int bring_up(struct supervisor *s, struct config *c, struct err *e)
{
	uint32_t generation = (uint32_t)s->crew.generations + 1;
	struct installed next = { 0 };
	int error = try_config(s, c, &next, e);

	if (!error)
		error = cut_keeper_try(&s->cut, c, generation, e);
	if (error < 0)
		config_free(c);
	else /* both generations accept until the older one drains */
		error = crew_start(&s->crew, c, e);
	if (error < 0) {
		listeners_roll_back(&s->listeners);
		installed_undo(&s->now, &next, &s->guard.ask);
		return error == -EINVAL ? -EIO : error; /* it is for messages */
	}
	cut_keeper_hold(&s->cut, c, generation);
	listeners_commit(&s->listeners, c);
	installed_keep(&s->now, &next, &s->guard.ask);
	s->links = (struct links){ .config = c };
	log_setup((enum log_priority)c->log.level,
		  c->log.format == LOG_FORMAT_JSON);
	look_at_links(s);
	guard_set(&s->guard, &s->now);
	resolver_child_set(&s->resolver, c, s->crew.current->board);
	if (list_watch_begin(&s->lists, c, &s->read_at) < 0)
		log_warning("no memory to watch the files of lists");
	return 0;
}

/* --- reload -------------------------------------------------------------- */

/* The text's warnings or errors are appended to `text`; see load.h. */
static int read_config(struct supervisor *s, struct config **out,
		       struct str *text, struct err *e)
{
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &s->read_at);
	return load_config(s->options.config_file, &files_system, out, text, e);
}

static int check_change(const struct config *old, const struct config *new,
			struct err *e)
{
	if (old->mark != new->mark || old->mask != new->mask ||
	    old->table != new->table)
		return err_set(e, EBUSY,
			       "`mark` and `table` cannot be changed by a "
			       "reload: running flows depend on them; restart "
			       "waylayd");
	return 0;
}

int supervisor_reload(struct supervisor *s, struct str *text)
{
	struct err e = { 0 };
	struct config *c = NULL;
	int error;

	if (s->is_ending) {
		str_add(text, "waylayd is ending");
		return -EBUSY;
	}
	error = read_config(s, &c, text, &e);
	if (error == -EINVAL) /* text holds the messages */
		return error;
	if (!error) {
		error = check_change(s->now.plan.config, c, &e);
		if (error < 0)
			config_free(c);
	}
	if (!error)
		error = bring_up(s, c, &e);
	if (error < 0) {
		str_add(text, e.text);
		return error;
	}
	log_info("reloaded: generation %llu",
		 (unsigned long long)s->crew.generations);
	return 0;
}

/* By a signal, or because a list has changed: nobody waits for an answer. */
static void reload_unasked(struct supervisor *s)
{
	struct str text = { 0 };

	if (supervisor_reload(s, &text) < 0)
		log_error("reload refused, the old configuration stays in "
			  "force: %s",
			  str_get(&text));
	else if (text.len)
		log_warning("%s", str_get(&text));
	str_done(&text);
}

static void on_lists(void *ctx)
{
	struct supervisor *s = ctx;

	if (s->is_ending)
		return;
	log_info("a file of a list has changed: reloading");
	reload_unasked(s);
}

/* --- the end ------------------------------------------------------------- */

static void end_now(struct supervisor *s)
{
	loop_stop(&s->loop);
}

static void on_drain_end(struct timer *t, uint64_t now_ms)
{
	struct supervisor *s =
		(struct supervisor *)((char *)t -
				      offsetof(struct supervisor, drain_end));

	(void)now_ms;
	end_now(s);
}

/* Workers go with their last flow; flows that are cut have none. */
static void end_if_drained(void *ctx)
{
	struct supervisor *s = ctx;

	if (s->is_ending && crew_is_empty(&s->crew) &&
	    !cut_keeper_has_flows(&s->cut))
		end_now(s);
}

/* The first time with a drain time: give up the listeners, so that new flows
 * are dealt with as on-failure says, and let running flows end. */
static void end_soon(struct supervisor *s)
{
	uint32_t drain_ms = s->now.plan.config->timeouts.drain_ms;

	if (s->is_ending || !drain_ms) {
		end_now(s);
		return;
	}
	s->is_ending = true;
	log_info("ending: running flows have %u ms", drain_ms);
	installed_end_listening(&s->now);
	resolver_child_set(&s->resolver, NULL, NULL);
	crew_drain_all(&s->crew);
	listeners_close(&s->listeners);
	s->drain_end.fn = on_drain_end;
	wheel_set(&s->loop.wheel, &s->drain_end, s->loop.now_ms + drain_ms);
}

static void on_signal(struct loop *l, struct watch *w, uint32_t events)
{
	struct supervisor *s =
		(struct supervisor *)((char *)w - offsetof(struct supervisor,
							   signal_watch));
	struct signalfd_siginfo info;

	(void)l;
	(void)events;
	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			resolver_child_reap(&s->resolver);
			cut_keeper_reap(&s->cut);
			crew_reap(&s->crew);
			end_if_drained(s);
			break;
		case SIGHUP:
			reload_unasked(s);
			break;
		case SIGTERM:
		case SIGINT:
			end_soon(s);
			break;
		}
	}
}

/* --- beginning ----------------------------------------------------------- */

static int open_signals(struct supervisor *s, struct err *e)
{
	static const int signals[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT };
	sigset_t set;
	int error;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		(void)sigaddset(&set, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return err_errno(e, errno, "cannot receive signals");
	s->signal_watch.fn = on_signal;
	error = loop_add(&s->loop, s->signal_fd, EPOLLIN, &s->signal_watch);
	return error < 0 ? err_errno(e, -error, "cannot watch signals") : 0;
}

static void raise_nofile(void)
{
	struct rlimit r;

	/* What cannot be raised is used as it is: see crew.c. */
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void on_record(void *ctx, const struct config *c,
		      const struct flow_record *r)
{
	struct supervisor *s = ctx;

	history_add(&s->history, c, r, true);
}

static void on_cut_record(void *ctx, const struct flow_record *r)
{
	struct supervisor *s = ctx;

	history_add(&s->history, crew_config(&s->crew), r, true);
}

static void on_cutter(void *ctx)
{
	struct supervisor *s = ctx;

	crew_reconnect(&s->crew);
}

static void init_cut(struct supervisor *s)
{
	const struct cut_keeper_args args = {
		.loop = &s->loop,
		.raw_fd = s->crew.raw_fd,
		.repairs = &s->guard.repairs,
		.is_private = s->options.is_private,
		.is_strict = s->options.is_strict,
		.on_record = on_cut_record,
		.on_begun = on_cutter,
		.on_end = end_if_drained,
		.ctx = s,
	};

	cut_keeper_init(&s->cut, &args);
	s->crew.cut = &s->cut;
}

static int open_raw(struct supervisor *s, uint32_t mark, struct err *e)
{
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		s->crew.raw_fd[f] = -1;
		if (!s->listeners.has_family[f])
			continue;
		s->crew.raw_fd[f] = sock_raw_sender(plan_family(f), mark, e);
		if (s->crew.raw_fd[f] < 0)
			return s->crew.raw_fd[f];
	}
	return 0;
}

/* Everything before the configuration comes into force. */
static int prepare(struct supervisor *s, const struct config *c, struct err *e)
{
	int error = privilege_check(e);

	if (!error) {
		s->lock_fd = instance_lock(e);
		error = s->lock_fd < 0 ? s->lock_fd : 0;
	}
	if (error < 0)
		return error;
	raise_nofile();
	error = loop_open(&s->loop);
	if (error < 0)
		return err_errno(e, -error, "cannot open an event loop");
	if (history_init(&s->history) < 0)
		return err_set(e, ENOMEM, "no memory");
	error = open_signals(s, e);
	if (!error)
		error = listeners_init(&s->listeners, e);
	if (!error)
		error = open_raw(s, plan_own_mark(c), e);
	if (!error)
		error = guard_open(&s->guard, &s->loop, look_at_links, s, e);
	s->begun_ms = s->loop.now_ms;
	init_cut(s);
	file_watch_init(&s->lists, &s->loop, on_lists, s);
	resolver_child_init(&s->resolver, &s->loop);
	s->resolver.outside = s->outside;
	s->resolver.is_strict = s->options.is_strict;
	s->crew.loop = &s->loop;
	s->crew.listeners = &s->listeners;
	s->crew.on_record = on_record;
	s->crew.ctx = s;
	s->crew.lock_fd = s->lock_fd;
	s->crew.outside = s->outside;
	s->crew.is_strict = s->options.is_strict;
	s->crew.is_private = s->options.is_private;
	return error;
}

static int open_control(struct supervisor *s, struct err *e)
{
	int error;

	if (s->options.is_private)
		return 0;
	error = control_server_open(&s->control, &s->loop, s->options.run_dir,
				    report_answer, s, e);
	s->has_control = error == 0;
	return error;
}

/* Where the kernel cannot do it, reuse of a finished connection's ports is
 * delayed for a minute: see sockdiag.h.  Nothing else depends on it. */
static void end_time_wait(uint32_t own_mark, uint32_t mask)
{
	struct err e = { 0 };
	int count = sockdiag_end_time_wait(own_mark, mask, &e);

	if (count < 0)
		log_debug("%s", e.text);
	else
		log_debug("ended %d sockets in TIME_WAIT", count);
}

static void shut_down(struct supervisor *s)
{
	const struct config *c = s->now.plan.config; /* gone with the crew */
	uint32_t own_mark = c ? plan_own_mark(c) : 0, mask = c ? c->mask : 0;

	if (s->has_control)
		control_server_close(&s->control);
	s->links.config = NULL;
	guard_set(&s->guard, NULL);
	file_watch_close(&s->lists);
	resolver_child_set(&s->resolver, NULL, NULL);
	cut_keeper_end(&s->cut);
	installed_remove(&s->now, &s->guard.ask);
	crew_stop_all(&s->crew);
	crew_wait(&s->crew);
	crew_done(&s->crew);
	if (mask)
		end_time_wait(own_mark, mask);
	guard_close(&s->guard);
	listeners_close(&s->listeners);
	history_done(&s->history);
}

int supervisor_run(const struct supervisor_options *o, struct err *e)
{
	static struct supervisor s; /* large; there is one */
	struct str messages = { 0 };
	struct config *c = NULL;
	int error;

	s = (struct supervisor){ .options = *o,
				 .signal_fd = -1,
				 .lock_fd = -1 };
	error = read_config(&s, &c, &messages, e);
	if (messages.len)
		(void)!write(STDERR_FILENO, messages.text, messages.len);
	str_done(&messages);
	if (error < 0)
		return error;
	log_setup((enum log_priority)c->log.level,
		  c->log.format == LOG_FORMAT_JSON);
	if (o->is_private) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		error = outside_leave(o->private_netns, &s.outside, e);
	}
	if (!error)
		error = prepare(&s, c, e);
	if (error < 0) {
		config_free(c);
		return error;
	}
	error = bring_up(&s, c, e);
	if (!error)
		error = open_control(&s, e);
	if (!error) {
		log_ready(&s);
		loop_run(&s.loop);
		log_info("ending");
	}
	shut_down(&s);
	return error;
}

int supervisor_cleanup(struct err *e)
{
	struct nl nl;
	int error = privilege_check(e), lock;

	if (error < 0)
		return error;
	lock = instance_lock(e);
	if (lock < 0)
		return lock;
	error = nl_open(&nl, NETLINK_ROUTE, 0);
	if (error < 0)
		return err_errno(e, -error, "cannot open netlink");
	error = installed_clean(&nl, e);
	if (!error)
		error = cut_keeper_clean(e);
	nl_close(&nl);
	close(lock);
	return error;
}
