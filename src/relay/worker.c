/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c - the life of a worker process; see worker.h.
 */
#include "relay/worker.h"

#include "net/parcel.h"
#include "policy/eval.h"
#include "relay/health.h"
#include "relay/tcp.h"
#include "relay/udp.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	FDS_RESERVE = 96, /* pipes, and what cannot be counted */
	WAKE_MS = 32,	  /* ended flows are told in groups */
	RESUME_MS = 250,
	RESUME_ROOM = 16, /* descriptors free before accepting goes on */
};

/* --- descriptors --------------------------------------------------------- */

bool worker_has_room(const struct worker *w, uint32_t fds)
{
	return w->fds + fds + FDS_RESERVE <= w->args.nofile;
}

static void watch_listeners(struct worker *w)
{
	for (size_t i = 0; i < w->args.listener_count; i++) {
		struct listener *l = &w->listeners[i];

		/* A failure leaves it unwatched; other workers serve. */
		if (l->is.fd >= 0 && l->is.proto == PROTO_TCP)
			(void)loop_add(&w->loop, l->is.fd, EPOLLIN, &l->watch);
	}
}

/* A full channel has a wake-up in it already. */
static void wake_supervisor(struct worker *w)
{
	(void)send(w->args.channel_fd, "r", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void worker_pause(struct worker *w)
{
	if (w->is_paused || w->is_draining)
		return;
	w->is_paused = true;
	atomic_store(&w->args.shared->is_accept_paused, true);
	count(w->args.shared, COUNTER_accept_paused);
	wake_supervisor(w);
	for (size_t i = 0; i < w->args.listener_count; i++)
		if (w->listeners[i].is.proto == PROTO_TCP)
			loop_del(&w->loop, w->listeners[i].is.fd);
	wheel_set(&w->loop.wheel, &w->resume, w->loop.now_ms + RESUME_MS);
}

static void resume(struct worker *w)
{
	if (!w->is_paused || w->is_draining || !worker_has_room(w, RESUME_ROOM))
		return;
	w->is_paused = false;
	atomic_store(&w->args.shared->is_accept_paused, false);
	watch_listeners(w);
}

/* What was short may have been the whole host's, and no flow of ours may be
 * there whose end would tell: look again. */
static void on_resume(struct timer *t, uint64_t now_ms)
{
	struct worker *w =
		(struct worker *)((char *)t - offsetof(struct worker, resume));

	resume(w);
	if (w->is_paused)
		wheel_set(&w->loop.wheel, t, now_ms + RESUME_MS);
}

void worker_use_fds(struct worker *w, int change)
{
	w->fds = (uint32_t)((int)w->fds + change);
	if (change < 0)
		resume(w);
}

/* --- flows --------------------------------------------------------------- */

static uint64_t unix_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail */
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

bool worker_judge(const struct worker *w, struct flow_record *r)
{
	const struct config *c = w->args.config;
	struct flow_facts facts = {
		.intercept = r->intercept,
		.proto = r->proto,
		.src = &r->client,
		.dst = &r->server,
		.is_open = eval_can_sniff(c, r->proto),
	};
	bool is_open;

	r->rule = (uint32_t)eval_flow(c, &facts, &is_open);
	r->upstream = (uint32_t)c->rules[r->rule].upstream;
	return is_open;
}

bool worker_begin_record(struct worker *w, const struct listener *l,
			 const struct addr *client, const struct addr *server,
			 struct flow_record *out)
{
	memset(out, 0, sizeof(*out));
	out->proto = (uint8_t)l->is.proto;
	out->client = *client;
	out->server = *server;
	out->intercept = l->is.intercept;
	out->begun_ms = w->loop.now_ms;
	out->last_ms = w->loop.now_ms;
	out->begun_unix_ms = unix_ms();
	return worker_judge(w, out);
}

static void on_wake(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	wake_supervisor(
		(struct worker *)((char *)t - offsetof(struct worker, wake)));
}

/* Whether flows are logged at all is the supervisor's business; a record in
 * N is what the configuration asks for, and every flow of a `log` rule. */
static bool is_recorded(const struct worker *w, const struct flow_record *r)
{
	const struct config *c = w->args.config;
	uint32_t every = c->log.flows_every;

	if (r->rule < c->rule_count && c->rules[r->rule].is_logged)
		return true;
	return every && w->ended % every == 0;
}

void worker_notice(struct worker *w)
{
	if (!timer_is_set(&w->wake))
		wheel_set(&w->loop.wheel, &w->wake, w->loop.now_ms + WAKE_MS);
}

void worker_end_flow(struct worker *w, const struct flow_record *r)
{
	w->ended++;
	if (is_recorded(w, r) && shared_end(w->args.shared, r))
		worker_notice(w);
}

/* --- draining ------------------------------------------------------------ */

void worker_check_done(struct worker *w)
{
	if (w->is_draining && tcp_is_idle(w->tcp) && udp_is_idle(w->udp))
		loop_stop(&w->loop);
}

static void give_up_listeners(struct worker *w)
{
	for (size_t i = 0; i < w->args.listener_count; i++) {
		struct listener *l = &w->listeners[i];

		if (l->is.fd < 0)
			continue;
		/* The descriptor lives on in the supervisor, and epoll goes
		 * by what is open, not by our number for it. */
		loop_del(&w->loop, l->is.fd);
		close(l->is.fd);
		l->is.fd = -1;
	}
	if (w->args.lock_fd >= 0)
		close(w->args.lock_fd);
	w->args.lock_fd = -1;
}

static void drain(struct worker *w)
{
	if (w->is_draining)
		return;
	w->is_draining = true;
	health_stop(w->health);
	w->health = NULL;
	udp_last_batch(w->udp);
	give_up_listeners(w);
	udp_drain(w->udp);
	worker_check_done(w);
}

static void stop(struct worker *w)
{
	drain(w);
	tcp_end_all(w->tcp, END_SHUTDOWN);
	udp_end_all(w->udp, END_SHUTDOWN);
	loop_stop(&w->loop);
}

static void on_command(struct worker *w, char command, struct parcel *p)
{
	if (command == WORKER_CUT && p->fd_count == 1) {
		cut_line_renew(w, p->fd[0]);
		return;
	}
	parcel_close(p);
	if (command == WORKER_DRAIN) {
		drain(w);
	} else if (command == WORKER_STOP) {
		stop(w);
	} else if (command == WORKER_LOOK) {
		tcp_end_disabled(w->tcp);
		udp_end_disabled(w->udp);
	}
}

static void on_channel(struct loop *l, struct watch *watch, uint32_t events)
{
	struct worker *w =
		(struct worker *)((char *)watch -
				  offsetof(struct worker, channel_watch));
	char byte;
	struct parcel p = { .bytes = &byte, .size = 1 };
	int result = parcel_receive(w->args.channel_fd, &p);

	(void)l;
	(void)events;
	if (result == -EAGAIN)
		return;
	if (result == 1) {
		on_command(w, byte, &p);
		return;
	}
	loop_del(&w->loop, w->args.channel_fd); /* the supervisor is gone */
	if (w->args.is_private)
		stop(w);
	else
		drain(w);
}

/* --- beginning and end --------------------------------------------------- */

int worker_init(struct worker *w, const struct worker_args *args)
{
	int error;

	*w = (struct worker){ .args = *args,
			      .channel_watch = { on_channel },
			      .wake = { .fn = on_wake },
			      .resume = { .fn = on_resume } };
	w->listeners = calloc(args->listener_count + 1, sizeof(*w->listeners));
	if (!w->listeners)
		return -ENOMEM;
	w->fds = (uint32_t)args->listener_count + 8;
	error = loop_open(&w->loop);
	if (!error)
		error = tcp_new(w, &w->tcp);
	if (!error)
		error = udp_new(w, &w->udp);
	if (!error && !args->slot)
		error = health_new(w, &w->health);
	for (size_t i = 0; i < args->listener_count && !error; i++) {
		struct listener *l = &w->listeners[i];

		l->worker = w;
		l->is = args->listeners[i];
		l->watch.fn = l->is.proto == PROTO_TCP ? tcp_on_listener
						       : udp_on_listener;
		error = loop_add(&w->loop, l->is.fd, EPOLLIN, &l->watch);
	}
	if (!error)
		error = loop_add(&w->loop, args->channel_fd, EPOLLIN,
				 &w->channel_watch);
	if (!error)
		error = cut_line_open(w);
	return error;
}

void worker_run(struct worker *w)
{
	loop_run(&w->loop);
}
