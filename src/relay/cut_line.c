/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_line.c - a worker and the cutter; see cut_line.h.
 */
#include "relay/cut_line.h"

#include "relay/tcp_cut.h"
#include "relay/udp_cut.h"
#include "relay/worker.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWERS_BATCH = 64 };

static const enum counter cause_counters[] = {
	[CUT_CAUSE_NONE] = COUNTER_cut_error,
	[CUT_CAUSE_UNSEEN] = COUNTER_cut_not_seen,
	[CUT_CAUSE_NO_ROUTE] = COUNTER_cut_no_route,
	[CUT_CAUSE_BUSY] = COUNTER_cut_busy,
	[CUT_CAUSE_WINDOW] = COUNTER_cut_window,
	[CUT_CAUSE_ENDING] = COUNTER_cut_ending,
	[CUT_CAUSE_TIMESTAMPS] = COUNTER_cut_timestamps,
	[CUT_CAUSE_URGENT] = COUNTER_cut_urgent,
	[CUT_CAUSE_FAST_OPEN] = COUNTER_cut_fast_open,
	[CUT_CAUSE_SMALL_MSS] = COUNTER_cut_small_mss,
	[CUT_CAUSE_FRAGMENTS] = COUNTER_cut_fragments,
	[CUT_CAUSE_FULL] = COUNTER_cut_full,
	[CUT_CAUSE_TAKEN] = COUNTER_cut_taken,
	[CUT_CAUSE_ERROR] = COUNTER_cut_error,
};
_Static_assert(sizeof(cause_counters) / sizeof(*cause_counters) ==
		       CUT_CAUSE_COUNT,
	       "one counter a cause");

/* --- sending ------------------------------------------------------------- */

/* False: there is no room, or nobody who listens any more. */
static bool send_ask(const struct worker *w, const struct cut_ask *ask,
		     const int *fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)ask, sizeof(*ask) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(2 * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fd, 2 * sizeof(int));
	}
	return w->args.cut_fd >= 0 &&
	       sendmsg(w->args.cut_fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) ==
		       (ssize_t)sizeof(*ask);
}

static bool send_forget(const struct worker *w, const struct cut_name *who)
{
	struct cut_ask ask = { .kind = CUT_FORGET,
			       .proto = who->proto,
			       .slot = who->slot,
			       .name = who->name };

	return send_ask(w, &ask, NULL);
}

static void watch_line(struct worker *w, bool has_more)
{
	/* Fails only for want of memory; the next one does it. */
	(void)loop_mod(&w->loop, w->args.cut_fd,
		       EPOLLIN | (has_more ? (uint32_t)EPOLLOUT : 0),
		       &w->cut.watch);
}

static void flush_forgets(struct worker *w)
{
	struct cut_line *line = &w->cut;

	while (line->forget_count &&
	       send_forget(w, &line->forgets[line->forget_count - 1]))
		line->forget_count--;
	if (!line->forget_count)
		watch_line(w, false);
}

/* What finds no room at all is forgotten when its slot is used again: see
 * cut_wire.h. */
static void forget(struct worker *w, const struct cut_name *who)
{
	struct cut_line *line = &w->cut;

	if (w->args.cut_fd < 0)
		return;
	if (send_forget(w, who))
		return;
	if (line->forget_count < CUT_FORGETS_MAX)
		line->forgets[line->forget_count++] = *who;
	watch_line(w, true);
}

/* --- one flow ------------------------------------------------------------ */

bool cut_line_may(const struct worker *w, const struct flow_record *r)
{
	const struct config *c = w->args.config;

	if (w->args.cut_fd < 0 || w->args.is_private ||
	    c->intercepts[r->intercept].from_host)
		return false;
	switch ((enum rule_cut_through)c->rules[r->rule].cut_through) {
	case RULE_CUT_AS_FILE:
		return c->cut_through != CUT_THROUGH_OFF;
	case RULE_CUT_ON:
		return true;
	case RULE_CUT_OFF:
		break;
	}
	return false;
}

bool cut_line_can(const struct cut_ask *ask)
{
	for (int leg = 0; leg < 2; leg++)
		if (ask->peer[leg].scope || ask->own[leg].scope)
			return false;
	return ask->peer[0].family == ask->peer[1].family;
}

void cut_try_never(struct cut_try *t)
{
	t->stage = CUT_STAYS;
	t->next_ms = CUT_NEVER;
}

static bool send_or_wait(struct worker *w, struct cut_try *t,
			 const struct cut_ask *ask, const int *fd)
{
	/* Names that wait come first: a slot of theirs may be in `ask`. */
	if (!w->cut.forget_count && send_ask(w, ask, fd))
		return true;
	t->next_ms = w->loop.now_ms + CUT_FULL_PAUSE_MS;
	return false;
}

void cut_line_watch(struct worker *w, struct cut_try *t, struct cut_ask *ask)
{
	ask->kind = CUT_WATCH;
	if (!cut_line_can(ask)) {
		cut_try_never(t);
		return;
	}
	if (!send_or_wait(w, t, ask, NULL))
		return;
	t->stage = CUT_WATCHED;
	t->next_ms = w->loop.now_ms + CUT_PAUSE_MS;
}

void cut_line_cut(struct worker *w, struct cut_try *t, struct cut_ask *ask,
		  const int *fd)
{
	ask->kind = CUT_CUT;
	if (!send_or_wait(w, t, ask, fd))
		return;
	t->stage = CUT_ASKED;
	t->was_asked = fd != NULL;
	t->next_ms = CUT_NEVER;
}

void cut_line_stay(struct worker *w, struct cut_try *t, enum cut_cause cause,
		   const struct cut_name *who)
{
	bool is_known = t->stage == CUT_WATCHED || t->stage == CUT_ASKED;

	cut_try_never(t);
	if (!is_known)
		return;
	count(w->args.shared, cause_counters[cause]);
	if (who)
		forget(w, who);
}

void cut_line_note(struct worker *w, struct cut_try *t,
		   const struct cut_answer *a, uint8_t proto)
{
	const struct cut_name who = { a->name, a->slot, proto };

	switch ((enum cut_answer_kind)a->kind) {
	case CUT_DONE:
		t->stage = CUT_GONE;
		t->next_ms = CUT_NEVER;
		return;
	case CUT_NOT_YET:
		if (++t->tries >= CUT_TRIES_MAX) {
			cut_line_stay(w, t, a->cause, &who);
			return;
		}
		t->stage = CUT_WATCHED;
		t->next_ms = w->loop.now_ms + CUT_PAUSE_MS * (t->tries + 1u);
		return;
	case CUT_REFUSED:
		cut_line_stay(w, t, a->cause, NULL);
		return;
	}
}

/* --- receiving ----------------------------------------------------------- */

static bool is_sound(const struct cut_answer *a)
{
	return a->kind >= CUT_DONE && a->kind <= CUT_REFUSED &&
	       a->cause < CUT_CAUSE_COUNT;
}

static void on_answer(struct worker *w, const struct cut_answer *a)
{
	uint32_t first_udp =
		w->args.flow_max - w->args.config->limits.udp_flows;

	if (a->slot < first_udp)
		tcp_cut_on_answer(w->tcp, a);
	else
		udp_cut_on_answer(w->udp, a);
}

void cut_line_lose(struct worker *w)
{
	if (w->args.cut_fd < 0)
		return;
	loop_del(&w->loop, w->args.cut_fd);
	close(w->args.cut_fd);
	w->args.cut_fd = -1;
	w->cut.forget_count = 0;
	tcp_cut_on_lost(w->tcp);
	udp_cut_on_lost(w->udp);
}

static void on_line(struct loop *l, struct watch *watch, uint32_t events)
{
	struct worker *w =
		(struct worker *)((char *)watch - offsetof(struct worker, cut) -
				  offsetof(struct cut_line, watch));
	struct cut_answer a;
	ssize_t len;

	(void)l;
	if (w->args.cut_fd >= 0 && events & EPOLLOUT)
		flush_forgets(w);
	for (int i = 0; i < ANSWERS_BATCH && w->args.cut_fd >= 0; i++) {
		len = recv(w->args.cut_fd, &a, sizeof(a),
			   MSG_DONTWAIT | MSG_TRUNC);
		if (len == (ssize_t)sizeof(a) && is_sound(&a))
			on_answer(w, &a);
		else if (len < 0 && errno == EAGAIN)
			return;
		/* A cutter that ends with words of ours unread resets the
		 * line; its last answers are behind that. */
		else if (len >= 0 || (errno != EINTR && errno != ECONNRESET))
			cut_line_lose(w);
	}
}

int cut_line_open(struct worker *w)
{
	w->cut.watch.fn = on_line;
	if (w->args.cut_fd < 0)
		return 0;
	return loop_add(&w->loop, w->args.cut_fd, EPOLLIN, &w->cut.watch);
}

void cut_line_renew(struct worker *w, int fd)
{
	cut_line_lose(w);
	w->args.cut_fd = fd;
	if (cut_line_open(w) == 0)
		return;
	close(fd); /* for want of memory */
	w->args.cut_fd = -1;
}
