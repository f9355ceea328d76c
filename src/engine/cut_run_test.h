/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_run_test.h - the program of cut-through on packets that never were on a
 * wire, beside the model of it.
 *
 *	lan0	10.0.0.1/24, 2001:db8:9::1/64	  10.0.0.2, 2001:db8:9::2
 *	wan0	198.51.100.1/24, 2001:db8:7::1/64 198.51.100.7, 2001:db8:7::7
 *
 * A network namespace that forwards between two interfaces; who is there is
 * known.  An entry is put into the map, a packet through the program by
 * BPF_PROG_TEST_RUN, and what becomes of both is compared with what
 * cut_model_test.h says.  Bytes of checksums are not compared: a sum can be
 * written in two ways; they are verified by their definition.
 */
#ifndef WL_ENGINE_CUT_RUN_TEST_H
#define WL_ENGINE_CUT_RUN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/cut_model_test.h"
#include "net/netns_test.h"
#include "waylay_cut.skel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <time.h>

enum {
	CUT_RUN_MARK = 0x4321,	/* our own */
	CUT_RUN_OTHER = 0x8000, /* of packets that come */
	CUT_RUN_MTU = 1500,
	CUT_RUN_FLOWS = 16,
};

struct cut_run_world {
	struct waylay_cut *programs;
	uint32_t lan, wan; /* interfaces */
	uint64_t counters[WL_CUT_COUNTERS];
};

/* How a frame comes. */
struct cut_run_in {
	struct packet packet;
	bool is_from_wan, is_others, has_vlan, is_raw;
	uint16_t gso_size;
	unsigned padding; /* bytes behind the packet */
};

struct cut_run {
	int retval;
	uint32_t mark;
	uint8_t link[FRAME_LINK];
	struct packet packet;
	uint64_t counted[WL_CUT_COUNTERS];
	uint32_t before_s, after_s;
};

static const uint8_t cut_run_lan_mac[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t cut_run_wan_mac[6] = { 2, 0, 0, 0, 0, 3 };
static const uint8_t cut_run_client_mac[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t cut_run_server_mac[6] = { 2, 0, 0, 0, 0, 7 };

static inline const char *cut_run_name(size_t counter)
{
	static const char *const names[] = {
#define X(name, sentence) #name,
#include "abi/cut_counters.def"
#undef X
	};

	return counter < WL_CUT_COUNTERS ? names[counter] : "nothing";
}

static inline uint32_t cut_run_now(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC_COARSE, &t), 0);
	return (uint32_t)t.tv_sec;
}

/* --- the world ----------------------------------------------------------- */

static inline void cut_run_links(void)
{
	if (system("ip link add lan0 address 02:00:00:00:00:01 type veth "
		   "peer name lan9 &&"
		   "ip link add wan0 address 02:00:00:00:00:03 type veth "
		   "peer name wan9")) {
		print_message("skipped: cannot make veth interfaces\n");
		skip();
	}
	if (system("echo 1 > /proc/sys/net/ipv4/ip_forward &&"
		   "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding &&"
		   "ip addr add 10.0.0.1/24 dev lan0 &&"
		   "ip addr add 2001:db8:9::1/64 dev lan0 nodad &&"
		   "ip addr add 198.51.100.1/24 dev wan0 &&"
		   "ip addr add 2001:db8:7::1/64 dev wan0 nodad &&"
		   "ip link set lan9 up && ip link set wan9 up &&"
		   "ip link set lan0 up && ip link set wan0 up &&"
		   "ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev lan0 &&"
		   "ip neigh add 2001:db8:9::2 lladdr 02:00:00:00:00:02 "
		   "dev lan0 &&"
		   "ip neigh add 198.51.100.7 lladdr 02:00:00:00:00:07 "
		   "dev wan0 &&"
		   "ip neigh add 2001:db8:7::7 lladdr 02:00:00:00:00:07 "
		   "dev wan0"))
		fail_msg("cannot set up the namespace");
}

static inline void cut_run_begin(struct cut_run_world *w)
{
	int error;

	*w = (struct cut_run_world){ .programs = NULL };
	netns_begin();
	if (!netns_has_v6()) {
		print_message("skipped: there is no IPv6\n");
		skip();
	}
	cut_run_links();
	w->lan = if_nametoindex("lan0");
	w->wan = if_nametoindex("wan0");
	w->programs = waylay_cut__open();
	assert_non_null(w->programs);
	w->programs->rodata->own_mark = CUT_RUN_MARK;
	(void)bpf_map__set_max_entries(w->programs->maps.cuts, CUT_RUN_FLOWS);
	error = waylay_cut__load(w->programs);
	if (error == -EPERM || error == -EOPNOTSUPP) {
		print_message("skipped: %s\n", strerror(-error));
		skip();
	}
	if (error)
		fail_msg("the programs do not load: %s", strerror(-error));
}

static inline void cut_run_end(struct cut_run_world *w)
{
	waylay_cut__destroy(w->programs);
	w->programs = NULL;
}

/* --- entries ------------------------------------------------------------- */

static inline void cut_run_put(struct cut_run_world *w, const struct model *m)
{
	int fd = bpf_map__fd(w->programs->maps.cuts);

	assert_int_equal(bpf_map_update_elem(fd, &m->key, &m->cut, BPF_ANY), 0);
}

/* False: it is gone. */
static inline bool cut_run_get(struct cut_run_world *w,
			       const struct wl_cut_key *key, struct wl_cut *out)
{
	int fd = bpf_map__fd(w->programs->maps.cuts);

	return bpf_map_lookup_elem(fd, key, out) == 0;
}

static inline void cut_run_drop(struct cut_run_world *w,
				const struct wl_cut_key *key)
{
	/* it may have gone by itself */
	(void)bpf_map_delete_elem(bpf_map__fd(w->programs->maps.cuts), key);
}

/* --- running ------------------------------------------------------------- */

static inline void cut_run_count(struct cut_run_world *w, struct cut_run *out)
{
	static uint64_t values[256];
	int fd = bpf_map__fd(w->programs->maps.cut_counters);
	int cpus = libbpf_num_possible_cpus();

	assert_in_range(cpus, 1, 256);
	for (uint32_t i = 0; i < WL_CUT_COUNTERS; i++) {
		uint64_t sum = 0;

		assert_int_equal(bpf_map_lookup_elem(fd, &i, values), 0);
		for (int cpu = 0; cpu < cpus; cpu++)
			sum += values[cpu];
		out->counted[i] = sum - w->counters[i];
		w->counters[i] = sum;
	}
}

static inline size_t cut_run_frame(const struct cut_run_in *in,
				   uint8_t bytes[FRAME_LINK + PACKET_MAX + 64])
{
	bool is_v6 = in->packet.len && in->packet.bytes[0] >> 4 == 6;

	memcpy(bytes, in->is_from_wan ? cut_run_wan_mac : cut_run_lan_mac, 6);
	if (in->is_others)
		bytes[5] = 99;
	memcpy(bytes + 6,
	       in->is_from_wan ? cut_run_server_mac : cut_run_client_mac, 6);
	packet_set_16(bytes + 12, is_v6 ? 0x86dd : 0x0800);
	memcpy(bytes + FRAME_LINK, in->packet.bytes, in->packet.len);
	memset(bytes + FRAME_LINK + in->packet.len, 0xee, in->padding);
	return FRAME_LINK + in->packet.len + in->padding;
}

static inline void cut_run(struct cut_run_world *w, const struct cut_run_in *in,
			   struct cut_run *out)
{
	static uint8_t frame[FRAME_LINK + PACKET_MAX + 64], answer[4096];
	size_t len = cut_run_frame(in, frame);
	struct __sk_buff before = { .ifindex =
					    in->is_from_wan ? w->wan : w->lan,
				    .mark = CUT_RUN_OTHER,
				    .gso_size = in->gso_size };
	struct __sk_buff after;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame,
		    .data_size_in = (uint32_t)len, .data_out = answer,
		    .data_size_out = sizeof(answer), .ctx_in = &before,
		    .ctx_size_in = sizeof(before), .ctx_out = &after,
		    .ctx_size_out = sizeof(after), .repeat = 1);
	int error;

	out->before_s = cut_run_now();
	error = bpf_prog_test_run_opts(
		bpf_program__fd(in->is_raw ? w->programs->progs.cut_raw
					   : w->programs->progs.cut_ether),
		&o);
	out->after_s = cut_run_now();
	if (error)
		fail_msg("BPF_PROG_TEST_RUN: %s", strerror(-error));
	out->retval = (int)o.retval;
	out->mark = after.mark;
	assert_in_range(o.data_size_out, FRAME_LINK, sizeof(answer));
	memcpy(out->link, answer, FRAME_LINK);
	out->packet.len = o.data_size_out - FRAME_LINK;
	memcpy(out->packet.bytes, answer + FRAME_LINK, out->packet.len);
	cut_run_count(w, out);
}

/* --- comparing ----------------------------------------------------------- */

/* The one counter that was counted; WL_CUT_COUNTERS: none. */
static inline size_t cut_run_fate(const struct cut_run *r)
{
	size_t fate = WL_CUT_COUNTERS;

	for (size_t i = 0; i < WL_CUT_COUNTERS; i++) {
		if (!r->counted[i])
			continue;
		if (r->counted[i] != 1 || fate != WL_CUT_COUNTERS)
			fail_msg("counted twice: %s", cut_run_name(i));
		fate = i;
	}
	return fate;
}

/* An ICMP error that says how much would go, and quotes the packet. */
static inline const char *cut_run_check_too_big(const struct packet *asked,
						const struct packet *answer,
						uint16_t limit)
{
	struct packet_view v, a;
	const uint8_t *icmp;
	size_t quote;

	if (!packet_look(asked, &v) || !packet_look(answer, &a) ||
	    a.is_v6 != v.is_v6 ||
	    a.proto != (v.is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return "not an ICMP message";
	if (memcmp(a.at.dst, v.at.src, 16) != 0)
		return "not to the sender";
	icmp = answer->bytes + a.transport;
	if (icmp[0] != (v.is_v6 ? 2 : 3) || icmp[1] != (v.is_v6 ? 0 : 4) ||
	    frame_32(icmp + 4) != limit)
		return "not how much would go";
	quote = answer->len - a.transport - 8;
	if (quote < v.transport + 8 || quote > asked->len ||
	    memcmp(icmp + 8, asked->bytes, quote) != 0)
		return "another quote";
	if (*model_ttl((struct packet *)answer) < 32)
		return "it will not go far";
	return packet_check_sums(answer, a.transport, a.proto);
}

/* Sums of what came and of what goes: both right, or wrong by the same, so that
 * what was damaged on its way is not made good. */
static inline const char *cut_run_check_sums(const struct packet *came,
					     const struct packet *goes)
{
	static struct packet a, b;
	struct packet_view v;

	a = *came;
	b = *goes;
	if (!model_trim(&a) || !model_trim(&b) || !packet_look(&a, &v))
		return "not the packet that came";
	if (!v.is_v6 && frame_sum(a.bytes, packet_ip_len(&a), 0) !=
				frame_sum(b.bytes, packet_ip_len(&b), 0))
		return "the sum of the IP header";
	if (v.proto == IPPROTO_UDP && !frame_16(a.bytes + v.transport + 6))
		return frame_16(b.bytes + v.transport + 6)
			       ? "a sum, where there was none"
			       : NULL;
	if (v.proto == IPPROTO_UDP && !frame_16(b.bytes + v.transport + 6))
		return "no sum, where there was one";
	return packet_sum(&a, v.transport, v.proto) ==
			       packet_sum(&b, v.transport, v.proto)
		       ? NULL
		       : "the sum of the transport header";
}

/* Both packets, but for the bytes of their sums. */
static inline bool cut_run_is_same(const struct packet *is,
				   const struct packet *should, bool has_sums)
{
	static struct packet a, b;
	struct packet_view v;
	size_t at;

	if (is->len != should->len)
		return false;
	a = *is;
	b = *should;
	if (has_sums && packet_look(should, &v)) {
		at = v.transport + packet_sum_offset(v.proto);
		packet_set_16(a.bytes + at, 0);
		packet_set_16(b.bytes + at, 0);
		if (!v.is_v6) {
			packet_set_16(a.bytes + 10, 0);
			packet_set_16(b.bytes + 10, 0);
		}
	}
	return memcmp(a.bytes, b.bytes, a.len) == 0;
}

/* While the entry is on the route is asked when the program wants it. */
static inline const char *cut_run_check_way(const struct wl_cut_way *is,
					    const struct wl_cut_way *should,
					    bool is_on, const struct cut_run *r)
{
	uint8_t marks = (uint8_t) ~(is_on ? WL_CUT_ROUTED : 0);

	if (memcmp(is, should, offsetof(struct wl_cut_way, marks)) != 0)
		return "what only user space writes";
	if ((is->marks & marks) != (should->marks & marks))
		return "marks";
	if (is->ack != should->ack)
		return "the highest acknowledgement";
	if (is->marks & WL_CUT_FIN && is->fin != should->fin)
		return "the number of FIN";
	if (is->marks & WL_CUT_HAS_TSVAL && is->tsval != should->tsval)
		return "TSval";
	if (is->bytes != should->bytes)
		return "bytes";
	if (is->seen_s != should->seen_s && is->seen_s != r->before_s &&
	    is->seen_s != r->after_s)
		return "when it was seen";
	return NULL;
}

static inline int cut_run_retval(enum model_fate fate)
{
	switch (fate) {
	case MODEL_SENT:
	case MODEL_ANSWERED:
		return TC_ACT_REDIRECT;
	case MODEL_DROPPED:
		return TC_ACT_SHOT;
	case MODEL_PASSED:
	case MODEL_TO_KERNEL:
		break;
	}
	return TC_ACT_UNSPEC;
}

/* What differs between the program and the model; NULL: nothing. */
static inline const char *cut_run_check(const struct cut_run_in *in,
					const struct cut_run *r,
					const struct model_out *o)
{
	static struct packet padded;
	size_t counter = cut_run_fate(r);
	bool is_changed;

	if (counter != (o->counter < 0 ? WL_CUT_COUNTERS : (size_t)o->counter))
		return "the counter";
	if (r->retval != cut_run_retval(o->fate))
		return "the return value";
	if (o->fate == MODEL_ANSWERED)
		return cut_run_check_too_big(&in->packet, &r->packet, o->limit);
	if (o->fate == MODEL_DROPPED)
		return NULL;
	if (r->mark != (o->is_marked ? (uint32_t)CUT_RUN_MARK : CUT_RUN_OTHER))
		return "the mark";
	padded = in->packet;
	memset(padded.bytes + padded.len, 0xee, in->padding);
	padded.len += in->padding;
	memcpy(padded.bytes, o->packet.bytes, o->packet.len);
	is_changed =
		o->fate != MODEL_PASSED || o->counter == WL_CUT_COUNT_to_socket;
	if (!cut_run_is_same(&r->packet, &padded, is_changed))
		return "a byte";
	return is_changed ? cut_run_check_sums(&in->packet, &r->packet) : NULL;
}

#endif
