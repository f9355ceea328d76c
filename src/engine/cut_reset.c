/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_reset.c - end flows that have no socket; see cut.h.
 *
 * An end takes a RST if its number is exactly that of the next byte it waits
 * for (RFC 5961).  What the program knows is the last acknowledgement that it
 * saw, and more may be on the way to the end.  So a flow is ended like this:
 *
 *	1. The entry is put back to WATCH: nothing is rewritten any more, but
 *	   acknowledgements are still learnt.
 *	2. RST goes to both ends with what they acknowledged last.  It is behind
 *	   everything that the program has sent on, so nothing overtakes it.
 *	3. An end that has got more than it had acknowledged answers with an
 *	   acknowledgement (a challenge), which is learnt: so RST is sent again,
 *	   until the answer to the first one must have come.
 *	4. The entry is dropped.
 *
 * A flow on which nothing moves has nothing on the way: for it all four are
 * one.  The other orders are worse.  RST first, and packets that are sent on
 * behind it meet a closed end, or make the number stale before it arrives.
 * Entry out first, and the challenge is not seen: it goes to the other end,
 * which does not know the number, and an end that only waits stays for ever.
 *
 * What packets of the ends meet from 1 on is what any packet without a flow
 * meets: where an engine intercepts, a listener, whose kernel answers RST with
 * the number that they acknowledge, which is right for them too; else they are
 * forwarded as they are, to an end that has been told to forget.
 */
#include "engine/bpf_hook.h"
#include "engine/cut_priv.h"
#include "net/packet.h"
#include "net/sock.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	/* What is on the way arrives within that, or never. */
	ON_THE_WAY_S = 2,
	SEND_WAIT_MS = 10,
	ROUNDS_MAX = (ON_THE_WAY_S + 1) * 1000 / CUT_END_AGAIN_MS,
};

/* --- RST ----------------------------------------------------------------- */

/* What cannot be sent is lost, as it may be anywhere on its way. */
static void send_reset(const int raw_fd[FAMILY_COUNT], const struct addr *from,
		       const struct addr *to, uint32_t seq)
{
	int fd = raw_fd[to->family == AF_INET6 ? FAMILY_V6 : FAMILY_V4];
	struct pollfd writable = { .fd = fd, .events = POLLOUT };
	struct sockaddr_storage ss;
	struct packet_head segment;
	struct addr ip = *to;
	socklen_t len;

	ip.port = 0; /* raw(7): it would be a protocol */
	len = addr_to_sockaddr(&ip, &ss);
	packet_tcp_reset(from, to, seq, &segment);
	if (sendto(fd, segment.bytes, segment.len, MSG_DONTWAIT,
		   (struct sockaddr *)&ss, len) < 0 &&
	    (errno == EAGAIN || errno == ENOBUFS) &&
	    poll(&writable, 1, SEND_WAIT_MS) == 1)
		(void)sendto(fd, segment.bytes, segment.len, MSG_DONTWAIT,
			     (struct sockaddr *)&ss, len);
}

/* Each end hears it from the other end of its own leg. */
static void reset_ends(const int raw_fd[FAMILY_COUNT],
		       const struct wl_cut_key *key, const struct wl_cut *value)
{
	bool is_readdressed = value->shape & WL_CUT_READDRESSED;
	bool is_low = value->shape & WL_CUT_LOW;
	struct addr low, high;

	cut_ends(key, &low, &high);
	if (!is_readdressed) {
		send_reset(raw_fd, &high, &low, value->way[0].ack);
		send_reset(raw_fd, &low, &high, value->way[1].ack);
	} else {
		send_reset(raw_fd, is_low ? &high : &low, is_low ? &low : &high,
			   value->only.ack);
	}
}

/* --- one entry ----------------------------------------------------------- */

static bool is_cut(const struct wl_cut *value)
{
	return value->state == WL_CUT_ON || value->shape & WL_CUT_ENDING;
}

static bool is_quiet(const struct wl_cut *value, uint32_t now_s)
{
	bool is_readdressed = value->shape & WL_CUT_READDRESSED;

	return now_s - value->way[0].seen_s >= ON_THE_WAY_S &&
	       (is_readdressed || now_s - value->way[1].seen_s >= ON_THE_WAY_S);
}

/* What is learnt between the look and this is lost, and so is its RST: the
 * next round's is right. */
static int stop(const struct cut_table *t, const struct wl_cut_key *key,
		struct wl_cut *value, uint32_t now_s)
{
	value->state = WL_CUT_WATCH;
	value->shape |= WL_CUT_ENDING;
	value->begun_s = now_s; /* of its end */
	return bpf_map_update_elem(t->flows_fd, key, value, BPF_EXIST);
}

static int drop(const struct cut_table *t, const struct wl_cut_key *key)
{
	int error = cut_table_drop(t, key);

	return error == -ENOENT ? 0 : error; /* gone is gone */
}

/* 0: it is gone.  1: to be called again. */
static int end_entry(const struct cut_table *t, const int raw_fd[FAMILY_COUNT],
		     const struct wl_cut_key *key, struct wl_cut *value)
{
	bool was_ending = value->shape & WL_CUT_ENDING;
	uint32_t now_s = cut_now_s();
	bool is_last = is_quiet(value, now_s);
	int error = 0;

	if (key->proto != IPPROTO_TCP || !is_cut(value))
		return drop(t, key);
	if (was_ending)
		is_last = now_s - value->begun_s >= ON_THE_WAY_S;
	else
		error = stop(t, key, value, now_s);
	if (error)
		return error == -ENOENT ? 0 : error;
	reset_ends(raw_fd, key, value);
	return is_last ? drop(t, key) : 1;
}

int cut_end_flow(const struct cut_table *t, const int raw_fd[FAMILY_COUNT],
		 const struct wl_cut_key *key)
{
	struct wl_cut_key other;
	struct wl_cut value;
	int error = cut_table_get(t, key, &value), first;

	if (error)
		return error;
	first = end_entry(t, raw_fd, key, &value);
	if (first < 0 || !(value.shape & WL_CUT_READDRESSED))
		return first;
	cut_other_key(key, &value.to, &other);
	error = cut_table_get(t, &other, &value);
	if (error)
		return error == -ENOENT ? first : error;
	error = end_entry(t, raw_fd, &other, &value);
	return error ? error : first;
}

/* --- all of them --------------------------------------------------------- */

struct ending {
	const struct cut_table *table;
	int raw_fd[FAMILY_COUNT];
	struct cut_walk walk;
	uint32_t count; /* of flows */
	uint32_t left;	/* entries that are not gone */
};

/* Where there is no IPv6 there are no flows of it. */
static int open_senders(struct ending *n, uint32_t own_mark, struct err *e)
{
	struct err none;

	n->raw_fd[FAMILY_V6] = sock_raw_sender(AF_INET6, own_mark, &none);
	n->raw_fd[FAMILY_V4] = sock_raw_sender(AF_INET, own_mark, e);
	return n->raw_fd[FAMILY_V4] < 0 ? n->raw_fd[FAMILY_V4] : 0;
}

static void close_senders(const struct ending *n)
{
	for (int f = 0; f < FAMILY_COUNT; f++)
		if (n->raw_fd[f] >= 0)
			close(n->raw_fd[f]);
}

static int end_piece(struct ending *n)
{
	for (uint32_t i = 0; i < n->walk.count; i++) {
		struct wl_cut *value = &n->walk.values[i];
		bool is_new = value->state == WL_CUT_ON &&
			      !(value->shape & WL_CUT_SERVER_LEG);
		int left =
			end_entry(n->table, n->raw_fd, &n->walk.keys[i], value);

		if (left < 0)
			return left;
		n->count += is_new;
		n->left += (uint32_t)left;
	}
	return 0;
}

static int end_round(struct ending *n)
{
	int error;

	n->left = 0;
	n->walk.is_begun = false;
	do {
		error = cut_table_walk(n->table, &n->walk);
		if (!error)
			error = end_piece(n);
	} while (!error && n->walk.is_begun);
	return error;
}

static int end_rounds(struct ending *n)
{
	static const struct timespec pause = { .tv_nsec = CUT_END_AGAIN_MS *
							  1000000 };
	int error = end_round(n);

	for (int i = 0; i < ROUNDS_MAX && n->left && !error; i++) {
		(void)nanosleep(&pause, NULL); /* shorter is as good */
		error = end_round(n);
	}
	return error;
}

int cut_end_all(const struct cut_table *t, uint32_t own_mark, uint32_t *count,
		struct err *e)
{
	struct ending *n = malloc(sizeof(*n));
	int error;

	if (!n)
		return err_set(e, ENOMEM, "no memory to end flows");
	*n = (struct ending){ .table = t };
	error = open_senders(n, own_mark, e);
	if (!error) {
		error = end_rounds(n);
		if (error)
			(void)err_errno(e, -error,
					"cannot end the flows that are cut "
					"through");
	}
	if (!error)
		*count = n->count;
	close_senders(n);
	free(n);
	return error;
}

/* --- taking away --------------------------------------------------------- */

static void detach_pinned(void *ctx, const char *name)
{
	int fd = bpf_hook_of_pin(name) > 0 ? bpf_pin_get(ctx, name) : -1;

	if (fd < 0)
		return;
	(void)bpf_link_detach(fd); /* its interface may have gone */
	close(fd);
}

int cut_remove(uint32_t own_mark, uint32_t *count, struct err *e)
{
	struct bpf_pins pins = { .owner = BPF_PIN_CUT };
	struct cut_table t = { .counters_fd = -1, .change_fd = -1 };
	uint32_t ended = 0;
	int error = 0;

	if (bpf_pins_find(&pins) == 0) {
		t.flows_fd = bpf_pin_get(&pins, cut_flows_pin);
		if (t.flows_fd >= 0 && cut_is_ours(t.flows_fd))
			error = cut_end_all(&t, own_mark, &ended, e);
		if (t.flows_fd >= 0)
			close(t.flows_fd);
		if (!error) {
			bpf_pins_each(&pins, detach_pinned, &pins);
			error = bpf_pins_remove(&pins, e);
		}
	}
	if (!error)
		*count = ended;
	return error;
}
