/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver_child.c - the supervisor's side of the resolver; see
 * resolver_child.h.
 */
#include "daemon/resolver_child.h"

#include "base/log.h"
#include "daemon/outside.h"
#include "daemon/process.h"
#include "daemon/resolver.h"
#include "engine/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_channel(struct resolver_child *r)
{
	if (r->channel_fd >= 0)
		close(r->channel_fd);
	r->channel_fd = -1;
}

/* --- begin --------------------------------------------------------------- */

static void resolve(void *p)
{
	process_resolve(p); /* which closes the other end */
}

static int spawn(struct resolver_child *r)
{
	struct process_resolver p = {
		.config = r->config,
		.board = r->board,
		.mark = r->outside ? 0 : plan_own_mark(r->config),
		.is_strict = r->is_strict,
	};
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	p.channel_fd = ends[0];
	r->pid = outside_fork(r->outside, resolve, &p);
	close(ends[0]);
	r->channel_fd = ends[1];
	if (r->pid > 0)
		return 0;
	r->pid = 0;
	close_channel(r);
	return -EAGAIN; /* of fork(): processes or memory are out */
}

static void lengthen_pause(struct resolver_child *r)
{
	if (!r->pause_ms)
		r->pause_ms = RESOLVER_PAUSE_MS;
	else if (r->pause_ms < RESOLVER_PAUSE_MAX_MS)
		r->pause_ms *= 2;
}

static void begin_later(struct resolver_child *r)
{
	lengthen_pause(r);
	wheel_set(&r->loop->wheel, &r->revive, r->loop->now_ms + r->pause_ms);
}

static void begin(struct resolver_child *r)
{
	int error = spawn(r);

	r->begun_ms = r->loop->now_ms;
	if (!error)
		return;
	begin_later(r);
	log_error("cannot start the resolver: %s; trying again in %u s",
		  strerror(-error), r->pause_ms / 1000);
}

static void revive(struct timer *t, uint64_t now_ms)
{
	struct resolver_child *r =
		(struct resolver_child *)((char *)t -
					  offsetof(struct resolver_child,
						   revive));

	(void)now_ms;
	begin(r);
}

/* --- end ----------------------------------------------------------------- */

/* It holds nothing that it would have to put in order. */
static void end(struct resolver_child *r)
{
	wheel_cancel(&r->loop->wheel, &r->revive);
	close_channel(r); /* that ends it, too, should kill() be forbidden */
	if (r->pid > 0) {
		(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, NULL, 0);
	}
	r->pid = 0;
}

void resolver_child_reap(struct resolver_child *r)
{
	int status;

	if (r->pid <= 0 || waitpid(r->pid, &status, WNOHANG) != r->pid)
		return;
	if (r->loop->now_ms - r->begun_ms >= RESOLVER_YOUNG_MS)
		r->pause_ms = 0;
	begin_later(r);
	if (WIFSIGNALED(status))
		log_error("resolver %d was killed by signal %d (%s); starting "
			  "it again in %u s",
			  (int)r->pid, WTERMSIG(status),
			  strsignal(WTERMSIG(status)), r->pause_ms / 1000);
	else
		log_error("resolver %d ended with status %d; starting it again "
			  "in %u s",
			  (int)r->pid, WEXITSTATUS(status), r->pause_ms / 1000);
	r->pid = 0;
	close_channel(r);
}

/* --- for a configuration ------------------------------------------------- */

static void on_files(void *ctx)
{
	struct resolver_child *r = ctx;

	log_info("/etc/resolv.conf or /etc/hosts has changed: looking names "
		 "up anew");
	end(r);
	begin(r);
}

void resolver_child_init(struct resolver_child *r, struct loop *l)
{
	*r = (struct resolver_child){ .loop = l,
				      .channel_fd = -1,
				      .revive.fn = revive };
	file_watch_init(&r->files, l, on_files, r);
}

void resolver_child_set(struct resolver_child *r, const struct config *c,
			struct board *b)
{
	static const char *const files[] = { "/etc/resolv.conf", "/etc/hosts" };
	struct file_watch_set what = { .paths = files, .count = 2 };

	if (!r->loop)
		return; /* never begun */
	end(r);
	r->config = c && resolver_is_needed(c) ? c : NULL;
	r->board = r->config ? b : NULL;
	r->pause_ms = 0;
	if (!r->config) {
		file_watch_close(&r->files);
		return;
	}
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &what.since);
	begin(r);
	file_watch_begin(&r->files, &what);
}
