/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_drain.c - from ON to closed sockets; see cut_flow.h.
 *
 * Why no byte is lost, doubled or put elsewhere:
 *
 *  1. A byte of an end has either passed the program before the switch, and
 *     then reaches our socket, or it is rewritten.  If it is lost on the way to
 *     the socket its end sends it again, and that is rewritten.  Bytes that the
 *     socket holds behind a gap have not been acknowledged: the end still has
 *     them, and sends them again when the far end does not acknowledge.
 *  2. What the socket holds, in order, it has acknowledged: it is written to
 * the other socket here, whose next number is the one that the byte has by
 *     rewriting too.  A byte that is rewritten as well (sent again by its end,
 *     since our acknowledgement was lost) is the same byte at the same place.
 *  3. What has been written and is not acknowledged, its socket sends again. It
 *     needs the acknowledgements for it, and no end must hear of any that it
 *     has not sent: those below `edge` go to the socket.  So the edge is raised
 *     before a byte is written, by all that was seen waiting: while anything
 *     waits, each acknowledgement is below the edge, and the socket hears of
 *     room for it.
 *  4. Bytes are looked at (MSG_PEEK), written, and only then taken, as many as
 *     were written.  They wait in a socket, never here.
 *  5. A FIN is a byte in all of this: shutdown() writes it.
 *  6. When a grace period has passed since the switch, all that had passed the
 *     program has reached the sockets.  If then nothing waits and all that was
 *     written is acknowledged, the sockets have nothing that anybody needs.
 *     Acknowledged: the socket says so, or the program has seen it with a
 * packet that was rewritten.
 *  7. SETTLE: acknowledgements below the edge, old ones, are rewritten too.
 *     What passed the program before that is a pure acknowledgement, and has
 *     reached the sockets a grace period later: they are closed without a word,
 *     and no packet finds that they have gone.
 *  8. Should bytes come late after all (a queue in user space between program
 *     and socket keeps packets for longer than RCU knows of), they are moved
 *     as before.  After SETTLE the socket hears no acknowledgements and sends
 *     them again and again until the program has seen one: only then it is
 *     closed.
 *
 * A drain has no time-out of its own.  That of the sockets ends it: what is
 * not acknowledged for so long ends the flow, as it would in the relay.  An end
 * that has sent RST, to the other end, answers nothing any more: if the mark
 * of it stands for as long as the ledger would wait, the flow has ended.
 */
#include "daemon/cut_drain.h"

#include "engine/cut.h"
#include "net/repair.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PAUSE_MS = 16, /* between two looks, doubled each time */
	PAUSE_MAX_MS = 512,
	PIECE = 16 << 10,
	ROOM = 4
	       << 20, /* for all that may wait: CUT_UNREAD_MAX and what comes */
	RESET_MS = CUT_RESET_LINGER_S * 1000,
};

static bool has_sockets(const struct cut_flow *f)
{
	return f->state == CUT_FLOW_ON || f->state == CUT_FLOW_SETTLE;
}

static void look_again(struct cut_flow *f, uint32_t pause_ms)
{
	struct loop *l = f->shop->loop;

	wheel_set(&l->wheel, &f->timer, l->now_ms + pause_ms);
}

/* --- the end ------------------------------------------------------------- */

static void become_free(struct deferred *d)
{
	struct cut_flow *f =
		(struct cut_flow *)((char *)d -
				    offsetof(struct cut_flow, later));

	f->state = CUT_FLOW_FREE;
}

static void finish(struct cut_flow *f)
{
	f->state = CUT_FLOW_END;
	wheel_cancel(&f->shop->loop->wheel, &f->timer);
	loop_defer(f->shop->loop, &f->later, become_free);
}

/* The connection ends with RST, whoever else has the socket: a worker that has
 * been told may not have closed its own yet, and close() would do nothing. */
static void reset_socket(struct cut_flow *f, int leg)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	if (f->fd[leg] < 0)
		return;
	loop_del(f->shop->loop, f->fd[leg]);
	(void)connect(f->fd[leg], &none, sizeof(none)); /* it may be closed */
	close(f->fd[leg]);
	f->fd[leg] = -1;
}

/* The sockets' own RST have the numbers that they know, and an end that has got
 * more since does not take them; those by the program's numbers follow. */
static void end_entries(struct cut_flow *f)
{
	const struct cut_ledger_args *a = &f->shop->ledger->args;

	if (cut_end_flow(f->shop->table, a->raw_fd, &f->key[0]) == 1) {
		look_again(f, CUT_END_AGAIN_MS);
		return;
	}
	cut_ledger_end(f->shop->ledger, (uint32_t)f->slot,
		       (enum flow_end)f->why);
	finish(f);
}

void cut_drain_abort(struct cut_flow *f, enum flow_end why)
{
	if (!has_sockets(f))
		return;
	f->state = CUT_FLOW_END;
	f->why = (uint8_t)why;
	f->ticket = 0;
	for (int leg = 0; leg < 2; leg++)
		reset_socket(f, leg);
	end_entries(f);
}

/* A call on the socket of this leg has failed. */
static void fail(struct cut_flow *f, int leg, int error)
{
	bool is_reset = error == ECONNRESET || error == EPIPE;

	if (!is_reset)
		cut_drain_abort(f, END_ERROR);
	else if (leg == CUT_CLIENT)
		cut_drain_abort(f, END_CLIENT_RESET);
	else
		cut_drain_abort(f, END_SERVER_RESET);
}

/* --- late bytes ---------------------------------------------------------- */

enum moved { MOVED_ALL, MOVED_SOME, MOVED_FAILED };

/* So many numbers will be written to the leg: see 3.  After SETTLE the program
 * wants no edge, and f->edge alone says when all is acknowledged. */
static bool promise(struct cut_flow *f, int leg, uint32_t count)
{
	struct wl_cut_change c = { .key = f->key[leg],
				   .op = WL_CUT_OP_EDGE,
				   .which = f->place[leg] };
	uint32_t edge = f->written[leg] + count;

	if ((int32_t)(edge - f->edge[leg]) <= 0)
		return true;
	c.way[c.which].edge = edge;
	if (f->state == CUT_FLOW_ON && cut_table_change(f->shop->table, &c)) {
		cut_drain_abort(f, END_ERROR); /* the entry has gone */
		return false;
	}
	f->edge[leg] = edge;
	return true;
}

static enum moved move_fin(struct cut_flow *f, int from)
{
	int to = !from;

	if (f->has_fin[from])
		return MOVED_ALL;
	if (!promise(f, to, 1))
		return MOVED_FAILED;
	if (shutdown(f->fd[to], SHUT_WR) < 0) {
		fail(f, to, errno);
		return MOVED_FAILED;
	}
	f->written[to]++;
	f->has_fin[from] = true;
	return MOVED_ALL;
}

/* What was written is taken. */
static enum moved take_bytes(struct cut_flow *f, int from, size_t len)
{
	ssize_t taken = recv(f->fd[from], NULL, len, MSG_TRUNC | MSG_DONTWAIT);

	count_add(f->shop->shared, COUNTER_cut_late_bytes, len);
	if (taken == (ssize_t)len)
		return MOVED_ALL;
	/* They were there: nobody else may read here, and somebody did. */
	cut_drain_abort(f, END_ERROR);
	return MOVED_FAILED;
}

static enum moved move_piece(struct cut_flow *f, int from, const void *bytes,
			     size_t len)
{
	int to = !from;
	ssize_t sent;

	if (!promise(f, to, (uint32_t)len))
		return MOVED_FAILED;
	sent = send(f->fd[to], bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno == EAGAIN)
		return MOVED_SOME;
	if (sent < 0) {
		fail(f, to, errno);
		return MOVED_FAILED;
	}
	f->written[to] += (uint32_t)sent;
	return take_bytes(f, from, (size_t)sent);
}

/* All that waits; what an end may have had on its way is the limit of it. */
static enum moved move_late(struct cut_flow *f, int from)
{
	char bytes[PIECE];
	enum moved moved;

	for (;;) {
		ssize_t n = recv(f->fd[from], bytes, sizeof(bytes),
				 MSG_PEEK | MSG_DONTWAIT);

		if (n == 0)
			return move_fin(f, from);
		if (n < 0 && errno == EAGAIN)
			return MOVED_ALL;
		if (n < 0) {
			fail(f, from, errno);
			return MOVED_FAILED;
		}
		moved = move_piece(f, from, bytes, (size_t)n);
		if (moved != MOVED_ALL)
			return moved;
	}
}

static enum moved move_both(struct cut_flow *f)
{
	enum moved client = move_late(f, CUT_CLIENT), server;

	if (client == MOVED_FAILED)
		return client;
	server = move_late(f, CUT_SERVER);
	if (server == MOVED_FAILED)
		return server;
	return client == MOVED_ALL ? server : client;
}

/* --- acknowledged? ------------------------------------------------------- */

static int read_ways(const struct cut_flow *f, struct wl_cut_way out[2])
{
	for (int leg = 0; leg < 2; leg++) {
		struct wl_cut value;
		int error = cut_table_get(f->shop->table, &f->key[leg], &value);

		if (error)
			return error;
		if (value.state != WL_CUT_ON)
			return -ENOENT; /* somebody ends it */
		out[leg] = value.way[f->place[leg]];
	}
	return 0;
}

/*
 * By the socket, or by the program: an acknowledgement at the edge or behind
 * it.  Not further behind it than what has been sent on to that end: another
 * would be a forged one, and end the only socket that has the bytes.
 */
static bool is_acked(const struct cut_flow *f, int leg,
		     const struct wl_cut_way way[2])
{
	uint32_t ahead = way[leg].ack - f->edge[leg];
	int unacked;

	if (ioctl(f->fd[leg], SIOCOUTQ, &unacked) == 0 && unacked == 0)
		return true;
	return (int32_t)ahead >= 0 && ahead <= way[!leg].bytes;
}

static bool is_reset_for_good(struct cut_flow *f,
			      const struct wl_cut_way way[2])
{
	uint64_t now_ms = f->shop->loop->now_ms;

	if (!((way[CUT_CLIENT].marks | way[CUT_SERVER].marks) & WL_CUT_RESET))
		f->reset_at_ms = 0;
	else if (!f->reset_at_ms)
		f->reset_at_ms = now_ms;
	return f->reset_at_ms && now_ms - f->reset_at_ms >= RESET_MS;
}

/* Nothing waits: is everything acknowledged?  False also when the flow has
 * ended. */
static bool is_drained(struct cut_flow *f)
{
	struct wl_cut_way way[2];

	if (read_ways(f, way)) { /* somebody else ends it, or has */
		cut_drain_abort(f, END_ERROR);
		return false;
	}
	if (is_acked(f, CUT_CLIENT, way) && is_acked(f, CUT_SERVER, way))
		return true;
	if (is_reset_for_good(f, way))
		cut_drain_abort(f, way[CUT_CLIENT].marks & WL_CUT_RESET
					   ? END_CLIENT_RESET
					   : END_SERVER_RESET);
	return false;
}

/* --- settling ------------------------------------------------------------ */

/* An acknowledgement of late bytes that the kernel delays would never be sent;
 * their end would send them again for it. */
static void settle(struct cut_flow *f)
{
	for (int leg = 0; leg < 2; leg++)
		repair_flush_ack(f->fd[leg]);
	for (int leg = 0; leg < 2; leg++) {
		struct wl_cut_change c = { .key = f->key[leg],
					   .op = WL_CUT_OP_SETTLE,
					   .which = f->place[leg] };

		if (cut_table_change(f->shop->table, &c)) {
			cut_drain_abort(f, END_ERROR); /* it has gone */
			return;
		}
	}
	f->state = CUT_FLOW_SETTLE;
	f->pause_ms = PAUSE_MS;
	f->ticket = cut_grace_ask(f->shop->grace);
}

/* A socket that cannot be closed in silence is kept, and tried again: RST from
 * it would end what goes on well without it. */
static void close_sockets(struct cut_flow *f)
{
	for (int leg = 0; leg < 2; leg++) {
		if (f->fd[leg] < 0)
			continue;
		loop_del(f->shop->loop, f->fd[leg]);
		if (repair_close(f->fd[leg]) == 0)
			f->fd[leg] = -1;
	}
	if (f->fd[CUT_CLIENT] < 0 && f->fd[CUT_SERVER] < 0)
		finish(f);
}

static void leave_state(struct cut_flow *f)
{
	if (f->state == CUT_FLOW_ON)
		settle(f);
	else
		close_sockets(f);
}

/* Something has happened: as far as it goes.  The ticket was looked at before:
 * what it promises is in the sockets now. */
static void advance(struct cut_flow *f)
{
	bool is_closing = f->fd[CUT_CLIENT] < 0 || f->fd[CUT_SERVER] < 0;

	if (!has_sockets(f))
		return;
	if (is_closing)
		close_sockets(f);
	else if (move_both(f) == MOVED_ALL && !f->ticket && is_drained(f))
		leave_state(f);
	if (has_sockets(f) && !f->ticket && !timer_is_set(&f->timer))
		look_again(f, f->pause_ms);
}

/* --- events -------------------------------------------------------------- */

static void on_client(struct loop *l, struct watch *w, uint32_t events)
{
	(void)l;
	(void)events;
	advance((struct cut_flow *)((char *)w - offsetof(struct cut_flow,
							 watch[CUT_CLIENT])));
}

static void on_server(struct loop *l, struct watch *w, uint32_t events)
{
	(void)l;
	(void)events;
	advance((struct cut_flow *)((char *)w - offsetof(struct cut_flow,
							 watch[CUT_SERVER])));
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct cut_flow *f =
		(struct cut_flow *)((char *)t -
				    offsetof(struct cut_flow, timer));

	(void)now_ms;
	if (f->pause_ms < PAUSE_MAX_MS)
		f->pause_ms = (uint16_t)(2 * f->pause_ms);
	if (f->state == CUT_FLOW_END)
		end_entries(f);
	else
		advance(f);
}

/* Edge-triggered: a drained socket stays ready, and is not told again.  Where
 * the loop cannot take it the timer does, only later. */
static void take_socket(struct cut_flow *f, int leg)
{
	const int one = 1, room = ROOM;

	/* What does not fit would wait, and late bytes had better be sent. */
	(void)setsockopt(f->fd[leg], SOL_SOCKET, SO_SNDBUFFORCE, &room,
			 sizeof(room));
	/* urgent data in its place: else its number would be missing */
	(void)setsockopt(f->fd[leg], SOL_SOCKET, SO_OOBINLINE, &one,
			 sizeof(one));
	repair_hold_window(f->fd[leg]);
	repair_flush_ack(f->fd[leg]);
	f->watch[leg].fn = leg == CUT_CLIENT ? on_client : on_server;
	(void)loop_add(f->shop->loop, f->fd[leg],
		       EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		       &f->watch[leg]);
}

void cut_drain_begin(struct cut_flow *f)
{
	f->state = CUT_FLOW_ON;
	f->pause_ms = PAUSE_MS;
	f->timer.fn = on_timer;
	f->ticket = cut_grace_ask(f->shop->grace);
	for (int leg = 0; leg < 2; leg++)
		take_socket(f, leg);
	advance(f);
}

void cut_drain_on_grace(struct cut_flow *f, uint64_t passed)
{
	if (!has_sockets(f) || !f->ticket || passed < f->ticket)
		return;
	f->ticket = 0;
	advance(f);
}
