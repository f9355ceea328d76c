/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew.c - the worker processes; see crew.h.
 */
#include "daemon/crew.h"

#include "base/log.h"
#include "daemon/cut_keeper.h"
#include "daemon/outside.h"
#include "daemon/process.h"
#include "net/parcel.h"
#include "policy/policy.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_WAIT_MS = 3000 };

/* --- members ------------------------------------------------------------- */

static void on_channel(struct loop *l, struct watch *watch, uint32_t events);

struct birth {
	const struct worker_args *args;
	bool is_strict;
};

static void be_worker(void *ctx)
{
	const struct birth *b = ctx;

	process_run(b->args, b->is_strict);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* The worker's end of a channel to the cutter; -1: it cuts no flows. */
static int cut_channel(const struct member *m)
{
	const struct generation *g = m->generation;

	return cut_keeper_connect(m->crew->cut, g->config, (uint32_t)g->number);
}

static int spawn(struct member *m, struct err *e)
{
	struct crew *crew = m->crew;
	const struct config *c = m->generation->config;
	struct worker_args args = {
		.config = c,
		.board = m->generation->board,
		.seed = crew->seed,
		.slot = m->slot,
		.raw_fd = { crew->raw_fd[0], crew->raw_fd[1] },
		.cut_fd = cut_channel(m),
		.lock_fd = crew->lock_fd,
		.is_private = crew->is_private,
		.nofile = crew_nofile(),
		.flow_max = crew_tcp_flow_max(c) + c->limits.udp_flows,
	};
	int pair[2], error = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		error = errno;
		close_if_open(args.cut_fd);
		return err_errno(e, error, "cannot make a worker's channel");
	}
	m->shared = shared_new(args.flow_max);
	args.shared = m->shared;
	args.channel_fd = pair[1];
	args.listeners =
		listeners_of(crew->listeners, c, m->slot, m->generation->slots,
			     &args.listener_count);
	if (!m->shared || !args.listeners)
		error = ENOMEM;
	if (!error) {
		m->pid =
			outside_fork(crew->outside, be_worker,
				     &(struct birth){ &args, crew->is_strict });
		if (m->pid < 0)
			error = errno;
	}
	free((void *)args.listeners);
	close(pair[1]);
	close_if_open(args.cut_fd);
	m->channel_fd = pair[0];
	m->watch.fn = on_channel;
	m->begun_ms = crew->loop->now_ms;
	m->ports_said = 0;
	if (!error)
		error = -loop_add(crew->loop, pair[0], EPOLLIN, &m->watch);
	if (!error)
		return 0;
	if (m->pid > 0) {
		(void)kill(m->pid, SIGKILL);
		(void)waitpid(m->pid, NULL, 0); /* it dies at once */
	}
	close(pair[0]);
	m->channel_fd = -1;
	shared_free(m->shared);
	m->shared = NULL;
	m->pid = 0;
	return err_errno(e, error, "cannot start a worker");
}

static void release_generation(struct generation *g)
{
	if (--g->members || g->is_current)
		return;
	board_free(g->board);
	config_free(g->config);
	free(g);
}

static void free_member(struct deferred *d)
{
	free((char *)d - offsetof(struct member, end));
}

/* The same batch of events may still hold one of the channel: SIGCHLD and the
 * end of the channel come together. */
static void remove_member(struct member *m)
{
	struct member **at = &m->crew->members;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	wheel_cancel(&m->crew->loop->wheel, &m->revive);
	release_generation(m->generation);
	loop_defer(m->crew->loop, &m->end, free_member);
}

void crew_command(const struct member *m, enum worker_command what, int fd)
{
	char byte = (char)what;
	const struct parcel p = {
		.bytes = &byte, .size = 1, .fd = { fd }, .fd_count = fd >= 0
	};

	/* A worker that is gone needs no command. */
	if (m->pid > 0)
		(void)parcel_send(m->channel_fd, &p);
}

void crew_reconnect(struct crew *crew)
{
	for (struct member *m = crew->members; m; m = m->next) {
		int fd = m->pid > 0 ? cut_channel(m) : -1;

		if (fd >= 0)
			crew_command(m, WORKER_CUT, fd);
		close_if_open(fd);
	}
}

static void collect_records(struct member *m)
{
	struct crew *crew = m->crew;
	struct flow_record r;

	for (int i = 0; i < RING_SIZE && shared_next_ended(m->shared, &r); i++)
		crew->on_record(crew->ctx, m->generation->config, &r);
}

static void on_channel(struct loop *l, struct watch *watch, uint32_t events)
{
	struct member *m = (struct member *)((char *)watch -
					     offsetof(struct member, watch));
	char bytes[64];

	(void)events;
	if (m->channel_fd < 0)
		return;
	/* Only a wake-up: what the bytes are does not matter. */
	if (recv(m->channel_fd, bytes, sizeof(bytes), MSG_DONTWAIT) == 0)
		loop_del(l, m->channel_fd); /* it ends; SIGCHLD follows */
	crew_report_member(m);
	collect_records(m);
}

void crew_collect(struct crew *crew)
{
	for (struct member *m = crew->members; m; m = m->next)
		if (m->shared)
			collect_records(m);
}

/* --- death and revival --------------------------------------------------- */

/* Flows that were alive in a worker that died. */
static void report_lost_flows(struct member *m)
{
	struct crew *crew = m->crew;
	uint32_t lost = 0;

	for (uint32_t i = 0; i < m->shared->flow_max; i++) {
		struct flow_record r;

		if (!shared_read(m->shared, i, &r))
			continue;
		r.end = END_WORKER_DIED;
		lost++;
		crew->on_record(crew->ctx, m->generation->config, &r);
	}
	if (lost)
		log_warning("%u flows of worker %d were reset", lost,
			    (int)m->pid);
}

static void revive(struct timer *t, uint64_t now_ms)
{
	struct member *m =
		(struct member *)((char *)t - offsetof(struct member, revive));
	struct err e = { 0 };

	m->restarts++;
	if (spawn(m, &e) == 0) {
		log_info("worker %d started in slot %u", (int)m->pid, m->slot);
		return;
	}
	log_error("%s; trying again in %u ms", e.text, CREW_PAUSE_MAX_MS);
	wheel_set(&m->crew->loop->wheel, t, now_ms + CREW_PAUSE_MAX_MS);
}

static void plan_revival(struct member *m)
{
	struct loop *l = m->crew->loop;
	bool is_young = l->now_ms - m->begun_ms < CREW_YOUNG_MS;

	if (!is_young)
		m->pause_ms = 0;
	else if (!m->pause_ms)
		m->pause_ms = 100;
	else if (m->pause_ms < CREW_PAUSE_MAX_MS / 2)
		m->pause_ms *= 2;
	else
		m->pause_ms = CREW_PAUSE_MAX_MS;
	m->revive.fn = revive;
	if (m->pause_ms)
		wheel_set(&l->wheel, &m->revive, l->now_ms + m->pause_ms);
	else
		revive(&m->revive, l->now_ms);
}

static void bury(struct member *m, int status)
{
	bool is_expected = !m->generation->is_current && WIFEXITED(status) &&
			   !WEXITSTATUS(status);

	collect_records(m);
	if (!is_expected) {
		if (WIFSIGNALED(status))
			log_error("worker %d in slot %u was killed by signal "
				  "%d (%s)",
				  (int)m->pid, m->slot, WTERMSIG(status),
				  strsignal(WTERMSIG(status)));
		else
			log_error("worker %d in slot %u ended with status %d",
				  (int)m->pid, m->slot, WEXITSTATUS(status));
		report_lost_flows(m);
	}
	for (int i = 0; i < COUNTER_COUNT; i++)
		m->crew->dead_counters[i] +=
			atomic_load(&m->shared->counters[i]);
	shared_free(m->shared);
	m->shared = NULL;
	loop_del(m->crew->loop, m->channel_fd);
	close(m->channel_fd);
	m->channel_fd = -1;
	m->pid = 0;
	if (m->generation->is_current)
		plan_revival(m);
	else
		remove_member(m);
}

void crew_reap(struct crew *crew)
{
	struct member *m, *next;
	int status;

	for (m = crew->members; m; m = next) {
		next = m->next;
		if (m->pid > 0 && waitpid(m->pid, &status, WNOHANG) == m->pid)
			bury(m, status);
	}
}

/* --- generations --------------------------------------------------------- */

static void retire(struct crew *crew, struct generation *g)
{
	struct member *m, *next;

	g->is_current = false;
	g->members++; /* keep it while members go */
	for (m = crew->members; m; m = next) {
		next = m->next;
		if (m->generation != g)
			continue;
		if (m->pid > 0)
			crew_command(m, WORKER_DRAIN, -1);
		else
			remove_member(m); /* was waiting to be revived */
	}
	release_generation(g);
}

static int add_member(struct crew *crew, struct generation *g, uint32_t slot,
		      struct err *e)
{
	struct member *m = calloc(1, sizeof(*m));
	int error;

	if (!m)
		return err_set(e, ENOMEM, "no memory for a worker");
	m->crew = crew;
	m->generation = g;
	m->slot = slot;
	m->channel_fd = -1;
	error = spawn(m, e);
	if (error < 0) {
		free(m);
		return error;
	}
	m->next = crew->members;
	crew->members = m;
	g->members++;
	return 0;
}

/* `hash client` gives a client the same member in all workers, and after a
 * reload: one seed for as long as we live. */
static int draw_seed(struct crew *crew)
{
	if (crew->seed)
		return 0;
	return getrandom(&crew->seed, sizeof(crew->seed), 0) < 0 ? -errno : 0;
}

/* Takes c.  With what the current generation knows of its upstreams. */
static struct generation *make_generation(struct crew *crew, struct config *c)
{
	const struct generation *old = crew->current;
	struct generation *g = calloc(1, sizeof(*g));
	struct board *board =
		board_new(c, old ? old->board : NULL, old ? old->config : NULL);

	if (!g || !board || draw_seed(crew) < 0) {
		board_free(board);
		free(g);
		config_free(c);
		return NULL;
	}
	*g = (struct generation){
		.config = c,
		.board = board,
		.number = crew->generations + 1,
		.slots = crew_slots(c),
		.members = 1,
		.is_current = true,
	};
	return g;
}

int crew_start(struct crew *crew, struct config *c, struct err *e)
{
	struct generation *g = make_generation(crew, c), *old = crew->current;
	int error = 0;

	if (!g)
		return err_set(e, ENOMEM, "no memory for a generation");
	for (uint32_t i = 0; i < g->slots && !error; i++)
		error = add_member(crew, g, i, e);
	if (error < 0) {
		for (struct member *m = crew->members; m; m = m->next)
			if (m->generation == g)
				crew_command(m, WORKER_STOP, -1);
		g->is_current = false;
		release_generation(g);
		return error;
	}
	crew->generations = g->number;
	crew->current = g;
	g->members--; /* is_current keeps it now */
	crew_report_begin(crew);
	if (old)
		retire(crew, old);
	return 0;
}

void crew_drain_all(struct crew *crew)
{
	struct generation *old = crew->current;

	if (!old)
		return;
	old->members++; /* for whoever still asks what its records mean */
	crew->last = old;
	crew->current = NULL;
	crew_report_begin(crew);
	retire(crew, old);
}

const struct config *crew_config(const struct crew *crew)
{
	const struct generation *g = crew->current ? crew->current : crew->last;

	return g ? g->config : NULL;
}

void crew_done(struct crew *crew)
{
	if (crew->last)
		release_generation(crew->last);
	crew->last = NULL;
}

void crew_stop_all(struct crew *crew)
{
	crew_drain_all(crew);
	for (struct member *m = crew->members; m; m = m->next)
		crew_command(m, WORKER_STOP, -1);
}

bool crew_is_empty(const struct crew *crew)
{
	return !crew->members;
}

void crew_wait(struct crew *crew)
{
	uint64_t end_ms = clock_ms() + STOP_WAIT_MS;

	while (crew->members) {
		struct member *m = crew->members;
		struct pollfd p = { .fd = m->channel_fd, .events = POLLIN };
		uint64_t now_ms = clock_ms();
		char bytes[64];
		int status;

		/* The channel hangs up when the worker has ended. */
		if (now_ms >= end_ms ||
		    poll(&p, 1, (int)(end_ms - now_ms)) <= 0)
			(void)kill(m->pid, SIGKILL);
		else if (recv(m->channel_fd, bytes, sizeof(bytes),
			      MSG_DONTWAIT) > 0)
			continue;
		if (waitpid(m->pid, &status, 0) == m->pid)
			bury(m, status);
	}
}

void crew_counters(const struct crew *crew, uint64_t out[COUNTER_COUNT])
{
	memcpy(out, crew->dead_counters, sizeof(crew->dead_counters));
	for (const struct member *m = crew->members; m; m = m->next)
		for (int i = 0; i < COUNTER_COUNT && m->shared; i++)
			out[i] += atomic_load(&m->shared->counters[i]);
	cut_keeper_count(crew->cut, out);
}
