/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_run_test.h - the BPF programs on frames that never were on a wire.
 *
 * A world has interfaces, addresses and listeners; a configuration is loaded
 * into it as a generation, and frames are put through a program by
 * BPF_PROG_TEST_RUN.  The kernel refuses bpf_sk_assign() there, so what is
 * taken is noted in `expected`, where it can be read.
 *
 *	eth0	first addresses 192.0.2.1 and 2001:db8:1::1
 *	eth1	none
 *	eth22	192.0.2.1 only
 *	wlan0	as eth0
 *
 * That is what the programs are told; the kernel knows nothing of it.
 */
#ifndef WL_ENGINE_BPF_RUN_TEST_H
#define WL_ENGINE_BPF_RUN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/bpf_frame_test.h"
#include "engine/bpf_load.h"
#include "engine/random_config_test.h"
#include "net/netns_test.h"
#include "net/sock.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

enum {
	RUN_LINKS = 4,
	RUN_LISTENERS = 4, /* intercepts at most */
	RUN_DELIVERY = 6,
	RUN_OTHER_MARK = 0x40000, /* in no mask that is drawn */
};

static const char *const run_links[RUN_LINKS] = { "eth0", "eth1", "eth22",
						  "wlan0" };
/* Where other programs listen, which `deliver` names. */
static const char *const run_delivery[RUN_DELIVERY] = {
	"127.0.0.1:7",	     "[::1]:7",	  "192.0.2.1:8",
	"[2001:db8:1::1]:8", "0.0.0.0:8", "[::]:8",
};
/* This host's own; they meet the addresses of random_config_test.h. */
static const char *const run_locals[] = {
	"10.1.1.1/32",
	"138.128.0.0/16",
	"2001:db8::1/128",
	"2001:db8:ffff::/48",
};
enum { RUN_LOCALS = sizeof(run_locals) / sizeof(run_locals[0]) };

/* Each packet is judged by itself. */
static const struct bpf_options run_usual = { .may_not_know = true };

struct run_world {
	uint32_t ifindex[RUN_LINKS];
	struct prefix locals[RUN_LOCALS];
	int delivery[RUN_DELIVERY][PROTO_COUNT];
	struct plan plan;
	struct bpf_tables *tables;
	struct bpf_generation *g;
	uint64_t counters[WL_COUNTERS]; /* at the last look */
};

/* What became of a frame. */
struct run {
	int retval; /* TC_ACT_... */
	uint32_t mark;
	struct frame frame;
	uint64_t counted[WL_COUNTERS]; /* by this frame alone */
};

static inline const char *run_counter_name(size_t counter)
{
	static const char *const names[] = {
#define X(name, sentence) #name,
#include "abi/counters.def"
#undef X
	};

	return names[counter];
}

static inline bool run_is_note(size_t counter)
{
	return strncmp(run_counter_name(counter), "noted_", 6) == 0;
}

/* --- the world ----------------------------------------------------------- */

/* Pairs, since every kernel that matters has veth. */
static inline void run_add_links(void)
{
	if (system("ip link add eth0 address 02:00:00:00:00:01 type veth "
		   "peer name eth1 address 02:00:00:00:00:01 &&"
		   "ip link add eth22 address 02:00:00:00:00:01 type veth "
		   "peer name wlan0 address 02:00:00:00:00:01")) {
		print_message("skipped: cannot make veth interfaces\n");
		skip();
	}
}

static inline void run_world_begin(struct run_world *w)
{
	*w = (struct run_world){ .plan = { .is_private = true } };
	memset(w->plan.fds, -1, sizeof(w->plan.fds));
	memset(w->delivery, -1, sizeof(w->delivery));
	netns_begin();
	run_add_links();
	for (int i = 0; i < RUN_LINKS; i++)
		w->ifindex[i] = if_nametoindex(run_links[i]);
	for (int i = 0; i < RUN_LOCALS; i++)
		assert_int_equal(prefix_parse(run_locals[i], &w->locals[i]), 0);
	w->plan.has_family[FAMILY_V4] = w->plan.has_family[FAMILY_V6] = true;
}

static inline bool run_is_local(const struct run_world *w, const struct addr *a)
{
	for (int i = 0; i < RUN_LOCALS; i++)
		if (prefix_contains(&w->locals[i], a))
			return true;
	return false;
}

/* --- listeners ----------------------------------------------------------- */

static inline int run_listen(struct addr at, enum proto proto)
{
	struct err e = { .code = 0 };
	int fd = proto == PROTO_TCP ? sock_listen_tcp(&at, 0x2000, &e)
				    : sock_listen_udp(&at, 0x2000, &e);

	if (fd < 0)
		fail_msg("%s", e.text);
	return fd;
}

static inline void run_listeners_open(struct run_world *w)
{
	static const char *const own[FAMILY_COUNT] = { "127.0.0.1", "::1" };
	struct addr at;

	for (int proto = 0; proto < PROTO_COUNT; proto++) {
		for (int i = 0; i < RUN_DELIVERY; i++) {
			assert_int_equal(addr_parse(run_delivery[i], &at), 0);
			w->delivery[i][proto] = run_listen(at, proto);
		}
		for (int i = 0; i < RUN_LISTENERS * FAMILY_COUNT; i++) {
			assert_int_equal(addr_parse_ip(own[i % 2], &at), 0);
			w->plan.fds[i / 2][proto][i % 2] =
				run_listen(at, proto);
		}
	}
}

static inline void run_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A listener that is closed leaves the map by itself. */
static inline void run_listeners_close(struct run_world *w)
{
	for (int proto = 0; proto < PROTO_COUNT; proto++) {
		for (int i = 0; i < RUN_DELIVERY; i++)
			run_close(&w->delivery[i][proto]);
		for (int i = 0; i < RUN_LISTENERS * FAMILY_COUNT; i++)
			run_close(&w->plan.fds[i / 2][proto][i % 2]);
	}
}

/* --- generations --------------------------------------------------------- */

static inline void run_tell_link(struct run_world *w, int i)
{
	static const uint8_t first4[4] = { 192, 0, 2, 1 };
	static const uint8_t first6[16] = {
		0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1
	};
	struct wl_interface value = { .primary = { { 0 } } };
	struct err e;

	if (!bpf_tables_link(w->tables, run_links[i], &value.bits))
		return;
	if (i != 1)
		memcpy(value.primary[FAMILY_V4], first4, sizeof(first4));
	if (i != 1 && i != 2)
		memcpy(value.primary[FAMILY_V6], first6, sizeof(first6));
	assert_int_equal(
		bpf_generation_set_link(w->g, w->ifindex[i], &value, &e), 0);
}

static inline void run_unload(struct run_world *w)
{
	bpf_generation_free(w->g);
	bpf_tables_free(w->tables);
	w->g = NULL;
	w->tables = NULL;
}

/* All maps are new. */
static inline void run_load(struct run_world *w, const struct config *c,
			    const struct bpf_options *options)
{
	int kept[BPF_KEPT_COUNT];
	struct err e;

	run_unload(w);
	memset(kept, -1, sizeof(kept));
	memset(w->counters, 0, sizeof(w->counters));
	w->plan.config = c;
	w->tables = bpf_tables_new(c, &e);
	if (!w->tables)
		fail_msg("%s", e.text);
	w->g = bpf_generation_load(w->tables, &w->plan, kept, options, &e);
	if (!w->g && (e.code == EPERM || e.code == EOPNOTSUPP)) {
		print_message("skipped: %s\n", e.text);
		skip();
	}
	if (!w->g)
		fail_msg("%s", e.text);
	for (int i = 0; i < RUN_LINKS; i++)
		run_tell_link(w, i);
	for (int i = 0; i < RUN_LOCALS; i++)
		assert_int_equal(
			bpf_generation_add_local(w->g, &w->locals[i], &e), 0);
}

static inline void run_world_end(struct run_world *w)
{
	run_listeners_close(w);
	run_unload(w);
}

/* --- running ------------------------------------------------------------- */

/* What was counted since the last look; one call for all counters. */
static inline void run_count(struct run_world *w, uint64_t out[WL_COUNTERS])
{
	static uint64_t values[WL_COUNTERS][256];
	uint32_t keys[WL_COUNTERS], at, count = WL_COUNTERS;
	int cpus = libbpf_num_possible_cpus();
	const uint64_t *value = values[0];
	int fd = bpf_generation_kept(w->g, BPF_KEPT_COUNTERS);

	assert_in_range(cpus, 1, 256);
	(void)bpf_map_lookup_batch(fd, NULL, &at, keys, values, &count, NULL);
	assert_int_equal(count, WL_COUNTERS);
	for (size_t i = 0; i < WL_COUNTERS; i++) {
		uint64_t sum = 0;

		for (int cpu = 0; cpu < cpus; cpu++)
			sum += *value++;
		out[keys[i]] = sum - w->counters[keys[i]];
		w->counters[keys[i]] = sum;
	}
}

static inline void run_frame(struct run_world *w, enum bpf_entry entry,
			     uint32_t ifindex, uint32_t mark,
			     const struct frame *in, struct run *out)
{
	struct __sk_buff before = { .ifindex = ifindex, .mark = mark };
	struct __sk_buff after;
	LIBBPF_OPTS(
		bpf_test_run_opts, o, .data_in = in->bytes,
		.data_size_in = (uint32_t)in->len, .data_out = out->frame.bytes,
		.data_size_out = sizeof(out->frame.bytes), .ctx_in = &before,
		.ctx_size_in = sizeof(before), .ctx_out = &after,
		.ctx_size_out = sizeof(after), .repeat = 1);
	int error =
		bpf_prog_test_run_opts(bpf_generation_entry(w->g, entry), &o);

	if (error)
		fail_msg("BPF_PROG_TEST_RUN: %s", strerror(-error));
	out->retval = (int)o.retval;
	out->mark = after.mark;
	out->frame.len = o.data_size_out;
	run_count(w, out->counted);
}

/* The one counter that says what became of the packet. */
static inline size_t run_fate(const struct run *r, const char *text)
{
	size_t fate = WL_COUNTERS;

	for (size_t i = 0; i < WL_COUNTERS; i++) {
		if (!r->counted[i] || run_is_note(i))
			continue;
		if (r->counted[i] != 1 || fate != WL_COUNTERS)
			fail_msg("%s\ncounted twice: %s and %s", text,
				 run_counter_name(i),
				 run_counter_name(fate % WL_COUNTERS));
		fate = i;
	}
	if (fate == WL_COUNTERS)
		fail_msg("%s\nnot counted", text);
	return fate;
}

/* The listener that a flow is to have, and forget it; -1: none. */
static inline int run_expected(const struct run_world *w, const struct shape *s)
{
	int fd = bpf_generation_kept(w->g, BPF_KEPT_EXPECTED);
	struct wl_flow key = { .sport = htons(s->src.port),
			       .dport = htons(s->dst.port),
			       .proto = frame_proto(s->proto),
			       .family = s->src.family == AF_INET6 };
	uint32_t index;

	memcpy(key.src, s->src.ip, 16);
	memcpy(key.dst, s->dst.ip, 16);
	if (bpf_map_lookup_elem(fd, &key, &index) < 0)
		return -1;
	assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	return (int)index;
}

#endif
