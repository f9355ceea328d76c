/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_quiet.c - small windows, and a hold; see tcp_quiet.h.
 */
#include "relay/tcp_quiet.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/tcp.h>

enum {
	CLAMP_NONE = 1 << 30,  /* what the buffer has room for */
	BUFFER_MOST = 1 << 29, /* what rmem_max allows */
	WINDOW_SMALL = CUT_CLAMP_BYTES + (4 << 10), /* windows are rounded */
	/* Nothing comes in for so long: its windows are of no matter. */
	IDLE_MS = 50,
	PATIENT_TRIES = 4,
};

/* What the socket says; what it cannot say is 0, as if it were well. */
union leg_info {
	struct tcp_info is;
	uint32_t words[64];
};

enum { RCV_WND_WORD = 232 / 4 }; /* tcpi_rcv_wnd, Linux 6.2 */

static void look(const struct move_side *s, union leg_info *out)
{
	socklen_t len = sizeof(*out);

	*out = (union leg_info){ .words = { 0 } };
	(void)getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, out, &len);
}

/* Fails only on a socket that is dead. */
static void set(const struct move_side *s, int level, int option, int value)
{
	(void)setsockopt(s->fd, level, option, &value, sizeof(value));
}

/* --- windows ------------------------------------------------------------- */

/* Said again each time: the kernel may have enlarged its buffer meanwhile. */
static void clamp(struct tcp_flow *f, int way)
{
	set(&f->side[way], IPPROTO_TCP, TCP_WINDOW_CLAMP, CUT_CLAMP_BYTES);
	f->is_clamped[way] = true;
}

/* What was offered beyond the buffer, or is unread beyond it, would be lost and
 * come again: rather wait.  Not for ever: we may be who is slow. */
static bool can_shrink(const struct tcp_flow *f, int way, uint32_t window)
{
	if (window > WINDOW_SMALL)
		return false;
	return !f->side[way].is_readable || f->cut.tries >= PATIENT_TRIES;
}

static void shrink(struct tcp_flow *f, int way)
{
	set(&f->side[way], SOL_SOCKET, SO_RCVBUF, CUT_CLAMP_BYTES);
	f->is_shrunk[way] = true;
}

/* True: little is unread, and little can come. */
static bool prepare_way(struct tcp_flow *f, int way)
{
	union leg_info info;

	if (!tcp_quiet_is_bulk(f, way) || f->is_shrunk[way])
		return true;
	look(&f->side[way], &info);
	if (info.is.tcpi_last_data_recv >= IDLE_MS)
		return true;
	clamp(f, way);
	if (!can_shrink(f, way, info.words[RCV_WND_WORD]))
		return false;
	shrink(f, way);
	return true;
}

bool tcp_quiet_prepare(struct tcp_flow *f)
{
	bool is_client_ready = prepare_way(f, CLIENT);

	return prepare_way(f, SERVER) && is_client_ready;
}

static void widen(struct tcp_flow *f, int way)
{
	if (f->is_clamped[way])
		set(&f->side[way], IPPROTO_TCP, TCP_WINDOW_CLAMP, CLAMP_NONE);
	f->is_clamped[way] = false;
	if (!f->is_shrunk[way])
		return;
	set(&f->side[way], SOL_SOCKET, SO_RCVBUF, BUFFER_MOST);
	set(&f->side[way], SOL_SOCKET, SO_BUF_LOCK, 0);
	f->is_shrunk[way] = false;
}

void tcp_quiet_widen(struct tcp_flow *f)
{
	widen(f, CLIENT);
	widen(f, SERVER);
}

/* --- the moment ---------------------------------------------------------- */

static bool holds_bytes(const struct move_dir *d)
{
	return d->spill || d->pipe_held;
}

static bool has_unsent(const struct move_side *s)
{
	union leg_info info;

	look(s, &info);
	return info.is.tcpi_notsent_bytes;
}

bool tcp_quiet_is_now(const struct tcp_flow *f)
{
	for (int way = 0; way < 2; way++)
		if (holds_bytes(&f->dir[way]) || has_unsent(&f->side[!way]))
			return false;
	return true;
}

/* Tells of all that is there once more.  Fails for no reason that a socket
 * which is watched could have. */
static void watch_anew(struct tcp_flow *f, int side)
{
	(void)loop_mod(&f->tcp->worker->loop, f->side[side].fd, TCP_EVENTS,
		       &f->watch[side]);
}

/* Once for each leg and hold: the event would come again and again.  Not while
 * we have bytes for it: they go faster without. */
static void await_sent(struct tcp_flow *f, int side)
{
	if (f->is_awaited[side] || holds_bytes(&f->dir[!side]) ||
	    !has_unsent(&f->side[side]))
		return;
	f->is_awaited[side] = true;
	set(&f->side[side], IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1);
	watch_anew(f, side);
}

static void set_held(struct tcp_flow *f, bool is_held)
{
	f->is_cut_held = is_held;
	for (int way = 0; way < 2; way++)
		f->dir[way].is_held = is_held;
}

void tcp_quiet_hold(struct tcp_flow *f)
{
	if (!f->is_cut_held) {
		set_held(f, true);
		tcp_flow_arm(f, CUT_HOLD_MS);
	}
	for (int side = 0; side < 2; side++)
		await_sent(f, side);
}

void tcp_quiet_release(struct tcp_flow *f)
{
	if (!f->is_cut_held)
		return;
	set_held(f, false);
	for (int side = 0; side < 2; side++) {
		if (f->is_awaited[side]) /* default */
			set(&f->side[side], IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0);
		f->is_awaited[side] = false;
		watch_anew(f, side);
	}
	tcp_flow_arm(f, tcp_flow_config(f)->timeouts.idle_ms);
}
