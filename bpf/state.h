/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * state.h - the maps and settings of the programs.
 *
 * A generation is one load of the object with its own tables: what a packet
 * asks belongs to the program that asks, so that a change of configuration is
 * the exchange of the program and no packet sees half of one.  `expected` and
 * `inbound`, `hosted` and the counters know flows, not configurations: they
 * are handed on to the next generation (src/engine/bpf_load.c).
 *
 * Sizes that say 1 are set before the load.
 */
#ifndef WL_BPF_STATE_H
#define WL_BPF_STATE_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi/data_plane.h"

/* --- settings ------------------------------------------------------------ */

const volatile __u32 mark_value = 0;	    /* of packets that stay here */
const volatile __u32 mark_mask = 0;	    /* the bits that are waylay's */
const volatile __u32 words = WL_BITS_WORDS; /* in use, of wl_bits */
const volatile bool has_host = false;	    /* some intercept is `from host` */
const volatile __u32 cgroup_count = 0;
const volatile bool is_closed = false; /* on-failure */
/* The classes of IPv6 addresses that are in no prefix. */
const volatile __u32 src6_outside = 0;
const volatile __u32 dst6_outside = 0;
/* Of later fragments, which have no port: what any port allows. */
const volatile __u32 some_port[WL_PROTOS] = { 0, 0 };
/* INET_FLAGS_TRANSPARENT, a number that only the kernel's BTF knows. */
const volatile __u32 transparent_bit = 64;
/* The socket match's options: without --transparent, with --nowildcard (which
 * lets wildcard sockets match), with --restore-skmark. */
const volatile bool match_any = false;
const volatile bool match_wildcard = false;
const volatile bool restore_mark = false;
/* What makes known flows unforeseeable; 0: none is ever known. */
const volatile __u64 known_secret = 0;
/* For tests: leave every listener to the sk_lookup program. */
const volatile bool may_assign = true;

/* --- tables of this generation ------------------------------------------- */

/* The class of a port: index is protocol, port.  Zero-filled at first. */
__u16 port_class[WL_PROTOS * WL_PORTS];

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wl_bits);
} classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wl_selection);
} selections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps"); /* packets for which each selection decided */

#define PREFIXES(name, key_type)                                               \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);                           \
		__uint(max_entries, 1);                                        \
		__uint(map_flags, BPF_F_NO_PREALLOC);                          \
		__type(key, key_type);                                         \
		__type(value, __u32);                                          \
	} name SEC(".maps")

PREFIXES(src6, struct wl_prefix6); /* to a class */
PREFIXES(dst6, struct wl_prefix6);

/* Of IPv4, see interval.h.  Mapped, since so many elements are filled. */
#define MAPPED_ARRAY(name, entries, value_type)                                \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY);                              \
		__uint(max_entries, entries);                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                             \
		__type(key, __u32);                                            \
		__type(value, value_type);                                     \
	} name SEC(".maps")

MAPPED_ARRAY(index4_src, WL_BUCKETS, struct wl_bucket);
MAPPED_ARRAY(index4_dst, WL_BUCKETS, struct wl_bucket);
MAPPED_ARRAY(intervals4_src, 1, struct wl_line);
MAPPED_ARRAY(intervals4_dst, 1, struct wl_line);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32); /* ifindex */
	__type(value, struct wl_interface);
} interfaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, WL_LISTENERS);
	__type(key, __u32);
	__type(value, __u64);
} listeners SEC(".maps"); /* a listener that closes leaves by itself */

/* Who sends it, for `from host`: what users and cgroups are not excepted from.
 * Users without an exception are not in the table. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32); /* uid */
	__type(value, struct wl_bits);
} users SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WL_CGROUPS_MAX);
	__type(key, __u32);
	__type(value, struct wl_cgroup);
} cgroups SEC(".maps");

/* --- what this host's addresses are -------------------------------------- */

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct wl_prefix4);
	__type(value, __u32);
} local4 SEC(".maps"); /* local, broadcast and anycast routes */

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct wl_prefix6);
	__type(value, __u32);
} local6 SEC(".maps");

/* --- flows, which outlive generations ------------------------------------ */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct wl_flow);
	__type(value, __u32); /* index into listeners */
} expected SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct wl_flow);
	__type(value, struct wl_inbound);
} inbound SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct wl_flow);
	__type(value, __u32); /* the selection that took it */
} hosted SEC(".maps");	      /* begun by this host, and taken */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct wl_datagram);
	__type(value, __u32); /* enum fate, fragment.h */
} fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WL_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(enum wl_counter cause)
{
	__u32 key = cause;
	__u64 *n = bpf_map_lookup_elem(&counters, &key);

	if (n)
		++*n;
}

/* --- verdicts ------------------------------------------------------------ */

enum {
	NEXT = TC_ACT_UNSPEC, /* the next program on the hook, or the kernel */
	DROP = TC_ACT_SHOT,
};

static __always_inline int pass(enum wl_counter cause)
{
	count(cause);
	return NEXT;
}

static __always_inline int drop(enum wl_counter cause)
{
	count(cause);
	return DROP;
}

/* As the TPROXY target and `ip rule fwmark` have it: other bits stay. */
static __noinline int stay(struct __sk_buff *skb, enum wl_counter cause)
{
	if ((skb->mark & mark_mask) != mark_mask) /* else it is the host's */
		skb->mark = (skb->mark & ~mark_mask) ^ mark_value;
	return pass(cause);
}

#endif
