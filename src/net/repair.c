/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair.c - where a TCP connection stands; see repair.h.
 *
 * In repair mode the owner's send() and recv() fail, and while a queue is
 * chosen for sending (TCP_REPAIR_QUEUE) what an acknowledgement would set free
 * is taken for sent without being sent: so nothing may be unsent, and a queue
 * is chosen only while its number is asked.  Packets are received as always.
 */
#include "net/repair.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	REPAIR_ON = 1,
	REPAIR_OFF_SILENT = -1, /* TCP_REPAIR_OFF_NO_WP */
	STATE_ESTABLISHED = 1,
	OPTION_SYN_DATA = 32, /* TCPI_OPT_SYN_DATA */
	TIMESTAMPS_LEN = 12,
	/* Numbers that change while they are read are read again so often;
	 * a segment of 64 KiB takes longer than one reading. */
	TRIES_MAX = 16,
};

static int get(int fd, int level, int name, void *out, socklen_t len)
{
	return getsockopt(fd, level, name, out, &len) < 0 ? -errno : 0;
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno
								      : 0;
}

static int ask(int fd, unsigned long request, uint32_t *out)
{
	int value;

	if (ioctl(fd, request, &value) < 0)
		return -errno;
	*out = (uint32_t)value;
	return 0;
}

/* --- numbers ------------------------------------------------------------- */

static int queue_number(int fd, int queue, uint32_t *out)
{
	int error, back;

	error = set(fd, SOL_TCP, TCP_REPAIR_QUEUE, queue);
	if (error < 0)
		return error;
	error = get(fd, SOL_TCP, TCP_QUEUE_SEQ, out, sizeof(*out));
	back = set(fd, SOL_TCP, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
	return error ? error : back;
}

/*
 * The kernel tells what has come (rcv_nxt); what has been read is what waits
 * less.  Both belong together when nothing came between.  SIOCINQ does not
 * count a FIN, and stops at urgent data that is not taken in line: the caller
 * looks at `is_established`, and has set SO_OOBINLINE or met no urgent data.
 */
static int look_read(int fd, struct repair_facts *f)
{
	uint32_t come, again;
	int error;

	for (int i = 0; i < TRIES_MAX; i++) {
		error = queue_number(fd, TCP_RECV_QUEUE, &come);
		if (!error)
			error = ask(fd, SIOCINQ, &f->unread);
		if (!error)
			error = queue_number(fd, TCP_RECV_QUEUE, &again);
		if (error < 0)
			return error;
		if (come == again) {
			f->read = come - f->unread;
			return 0;
		}
	}
	return -EAGAIN;
}

struct window_moment {
	uint32_t unacked;
	struct tcp_repair_window window;
};

static int look_window_once(int fd, struct window_moment *out)
{
	int error = ask(fd, SIOCOUTQ, &out->unacked);

	return error ? error
		     : get(fd, SOL_TCP, TCP_REPAIR_WINDOW, &out->window,
			   sizeof(out->window));
}

/* The kernel would offer more than the field of the header holds. */
static uint32_t offered(const struct tcp_repair_window *w, uint8_t shift)
{
	uint32_t most = (uint32_t)UINT16_MAX << shift;

	return w->rcv_wnd < most ? w->rcv_wnd : most;
}

/* Both right edges.  The kernel does not lock the socket for it: two equal
 * answers are one. */
static int look_windows(int fd, struct repair_facts *f)
{
	struct window_moment now, before;
	int error = look_window_once(fd, &before);

	for (int i = 0; i < TRIES_MAX && !error; i++) {
		error = look_window_once(fd, &now);
		if (error)
			break;
		if (!memcmp(&now, &before, sizeof(now))) {
			f->unacked = now.unacked;
			f->own_edge = now.window.rcv_wup +
				      offered(&now.window, f->own_shift);
			f->peer_edge =
				f->written - now.unacked + now.window.snd_wnd;
			return 0;
		}
		before = now;
	}
	return error ? error : -EAGAIN;
}

static int look_in_repair(int fd, struct repair_facts *f)
{
	uint32_t mss;
	int error = queue_number(fd, TCP_SEND_QUEUE, &f->written);

	if (!error)
		error = look_read(fd, f);
	if (!error)
		error = look_windows(fd, f);
	/* in repair mode: mss_clamp, else what a segment may have now */
	if (!error)
		error = get(fd, SOL_TCP, TCP_MAXSEG, &mss, sizeof(mss));
	if (!error)
		f->peer_mss = (uint16_t)mss;
	return error;
}

/* --- options and state --------------------------------------------------- */

/*
 * Out-of-order segments lie in the socket's memory and are not counted as
 * unread.  Where nothing is unread, all memory of the receiving side is
 * theirs.  A segment that comes just now looks the same.
 */
static int look_gap(int fd, struct repair_facts *f)
{
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };
	int error = get(fd, SOL_SOCKET, SO_MEMINFO, memory, sizeof(memory));

	f->has_gap = !f->unread && memory[SK_MEMINFO_RMEM_ALLOC] > 0;
	return error;
}

static int look_options(int fd, struct repair_facts *f)
{
	struct tcp_info i = { .tcpi_state = 0 };
	int error = get(fd, SOL_TCP, TCP_INFO, &i, sizeof(i));
	bool has_scale = i.tcpi_options & TCPI_OPT_WSCALE;

	f->own_shift = has_scale ? i.tcpi_rcv_wscale : 0;
	f->peer_shift = has_scale ? i.tcpi_snd_wscale : 0;
	f->has_timestamps = i.tcpi_options & TCPI_OPT_TIMESTAMPS;
	f->has_sack = i.tcpi_options & TCPI_OPT_SACK;
	f->has_ecn = i.tcpi_options & TCPI_OPT_ECN;
	f->has_fast_open = i.tcpi_options & OPTION_SYN_DATA;
	/* advmss is less by the timestamps, what was announced is not */
	f->own_mss = (uint16_t)(i.tcpi_advmss +
				(f->has_timestamps ? TIMESTAMPS_LEN : 0));
	return error;
}

static int look_state(int fd, struct repair_facts *f)
{
	struct tcp_info i = { .tcpi_state = 0 };
	int error = get(fd, SOL_TCP, TCP_INFO, &i, sizeof(i));

	f->is_established = i.tcpi_state == STATE_ESTABLISHED;
	return error;
}

/* --- the module ---------------------------------------------------------- */

/* Leaving repair mode clears SO_REUSEADDR, and another socket could no longer
 * be bound to the same address and port: it is put back. */
static int look_repairing(int fd, struct repair_facts *f)
{
	int reuse, error, back;

	error = get(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
	if (!error)
		error = set(fd, SOL_TCP, TCP_REPAIR, REPAIR_ON);
	if (error)
		return error;
	error = look_in_repair(fd, f);
	back = set(fd, SOL_TCP, TCP_REPAIR, REPAIR_OFF_SILENT);
	if (!back && reuse)
		back = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return error ? error : back;
}

int repair_look(int fd, struct repair_facts *out)
{
	struct repair_facts f = { .unsent = 0 };
	int error = look_options(fd, &f);

	if (!error)
		error = ask(fd, SIOCOUTQNSD, &f.unsent);
	if (!error && f.unsent)
		error = ask(fd, SIOCOUTQ, &f.unacked);
	else if (!error)
		error = look_repairing(fd, &f);
	if (!error)
		error = look_gap(fd, &f);
	/* The clock late: what was sent until now is not ahead of it.  The
	 * state last: a FIN that the numbers count is seen in it. */
	if (!error)
		error = get(fd, SOL_TCP, TCP_TIMESTAMP, &f.own_ts,
			    sizeof(f.own_ts));
	if (!error)
		error = look_state(fd, &f);
	if (!error)
		*out = f;
	return error;
}

/*
 * window_clamp bounds what is offered newly, and no right edge is ever taken
 * back: the least clamp there is keeps the edge where it stands.  Two things
 * raise the clamp again: a buffer that grows, which one whose size was set does
 * not (SO_RCVBUF tells twice of what is set), and segments larger than any
 * before (tcp_measure_rcv_mss()), which late ones rarely are.
 */
void repair_hold_window(int fd)
{
	int size;

	if (!get(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)))
		(void)set(fd, SOL_SOCKET, SO_RCVBUFFORCE, size / 2);
	(void)set(fd, SOL_TCP, TCP_WINDOW_CLAMP, 1); /* only costs speed */
}

void repair_flush_ack(int fd)
{
	(void)set(fd, SOL_TCP, TCP_QUICKACK, 1); /* only costs time */
}

int repair_close(int fd)
{
	/* Kept on: a socket that others still have open is closed in silence
	 * by the last of them. */
	int error = set(fd, SOL_TCP, TCP_REPAIR, REPAIR_ON);

	if (error)
		return error;
	close(fd);
	return 0;
}
