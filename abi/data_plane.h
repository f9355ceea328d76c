/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * data_plane.h - what the BPF programs and user space have in common.
 *
 * Keys and values of the maps, and nothing else: only fixed-width kernel
 * types, no pointers, sizes asserted.  bpf/ and src/engine/bpf_* include it;
 * no other file needs to.  Addresses are in network order, an IPv4 address
 * stands in the first four bytes of sixteen; ports are in host order unless
 * the name says otherwise.
 */
#ifndef WL_ABI_DATA_PLANE_H
#define WL_ABI_DATA_PLANE_H

#include <linux/types.h>

enum {
	WL_SELECTIONS_MAX = 1024,
	WL_BITS_WORDS = WL_SELECTIONS_MAX / 64,
	WL_INTERCEPTS_MAX = 64,
	WL_PROTOS = 2,	 /* 0 TCP, 1 UDP */
	WL_FAMILIES = 2, /* 0 IPv4, 1 IPv6 */
	WL_PORTS = 65536,
	/* The "interface" of what this host itself sends: lo's own index. */
	WL_HOST_IFINDEX = 1,
};

/* Which selections a dimension allows: bit i of word i / 64 is selection i. */
struct wl_bits {
	__u64 word[WL_BITS_WORDS];
};

/* What a selection does; the order is that of enum verdict_kind. */
enum wl_action { WL_PASS, WL_RELAY, WL_DELIVER, WL_REJECT, WL_DROP };

/* Value of `selections`, by index. */
struct wl_selection {
	__u32 action;	 /* enum wl_action */
	__u32 intercept; /* for WL_RELAY: which listeners */
	__u8 on_ip[16];	 /* WL_DELIVER: the listener's address; zeros: the
			  * first address of the incoming interface */
	__u16 on_port;	 /* WL_DELIVER; 0: the packet's own */
	__u8 pad[2];
	/* Bit 0: holds for every TCP port, bit 1: for every UDP port.  Then it
	 * decides about a later fragment too, which has no ports. */
	__u32 has_any_port;
};

enum { WL_CGROUPS_MAX = 64 };

/* Value of `cgroups`: what a socket in this cgroup, or below it, may select. */
struct wl_cgroup {
	__u64 id;
	__u32 level; /* 1: a child of the root */
	__u32 pad;
	struct wl_bits bits;
};

/* Key and value of `interfaces`: only interfaces that an intercept names. */
struct wl_interface {
	struct wl_bits bits;
	__u8 primary[WL_FAMILIES][16]; /* zeros: it has none */
};

/* IPv4 addresses of one side as intervals, found by the upper 16 bits. */
enum {
	WL_BUCKETS = 65536,
	WL_LINE_INTERVALS = 16,
};

/* Value of `index4_*`, by ip >> 16: its intervals. */
struct wl_bucket {
	__u32 first, count; /* one at least, the first starts at 0 */
};

/* It reaches to the next one, or to the end of its bucket. */
struct wl_interval {
	__u16 start; /* the address's lower 16 bits, in host order */
	__u16 class;
};

/* Value of `intervals4_*`: a cache line. */
struct wl_line {
	struct wl_interval of[WL_LINE_INTERVALS];
};

/* Key of the longest-prefix tries, both families. */
struct wl_prefix4 {
	__u32 length;
	__u8 ip[4];
};
struct wl_prefix6 {
	__u32 length;
	__u8 ip[16];
};

/* Index into `listeners`, a SOCKMAP. */
static inline __u32 wl_listener_index(__u32 intercept, __u32 proto,
				      __u32 family)
{
	return (intercept * WL_PROTOS + proto) * WL_FAMILIES + family;
}

enum { WL_LISTENERS = WL_INTERCEPTS_MAX * WL_PROTOS * WL_FAMILIES };

/* A flow as its client's packets show it: key of `expected` and `inbound`. */
struct wl_flow {
	__u8 src[16], dst[16];
	__u16 sport, dport; /* network order */
	__u8 proto;	    /* IPPROTO_TCP... */
	__u8 family;	    /* 0 IPv4, 1 IPv6 */
	__u8 pad[2];
};

/* Key of `fragments`: one datagram. */
struct wl_datagram {
	__u8 src[16], dst[16];
	__u32 id; /* network order; 16 bits for IPv4 */
	__u8 proto;
	__u8 pad[3];
};

/* Value of `inbound`: a connection that was begun towards a client. */
struct wl_inbound {
	__u64 seen_ns; /* CLOCK_MONOTONIC */
	__u32 is_answered;
	__u32 pad;
};

/* The counters; counters.def has the table. */
enum wl_counter {
#define X(name, sentence) WL_COUNT_##name,
#include "counters.def"
#undef X
	WL_COUNTERS
};

_Static_assert(sizeof(struct wl_bits) == 128, "shared with the kernel");
_Static_assert(sizeof(struct wl_selection) == 32, "shared with the kernel");
_Static_assert(sizeof(struct wl_cgroup) == 144, "shared with the kernel");
_Static_assert(sizeof(struct wl_interface) == 160, "shared with the kernel");
_Static_assert(sizeof(struct wl_bucket) == 8, "shared with the kernel");
_Static_assert(sizeof(struct wl_line) == 64, "shared with the kernel");
_Static_assert(sizeof(struct wl_flow) == 40, "shared with the kernel");
_Static_assert(sizeof(struct wl_datagram) == 40, "shared with the kernel");
_Static_assert(sizeof(struct wl_inbound) == 16, "shared with the kernel");

#endif
