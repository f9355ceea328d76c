/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cut.h - what cut-through has in common with user space.
 *
 * A flow that is cut through is an entry of the map `cuts`: its packets are
 * rewritten where they come in and leave at once, without a socket.  The words:
 *
 *	end	one of the two hosts that a connection joins
 *	way	the packets that one end sends
 *	leg	one of the two connections of a relayed flow
 *
 * Legs of a spoofed flow have the same addresses and ports: such a flow is one
 * entry, and both of its ways are in it.  Legs that differ (own source, another
 * port, a proxy) are an entry each, which has only the way that comes from the
 * leg's far end, and to what its packets are readdressed.
 *
 * Why one addition is all that a sequence number needs: byte n of a stream has
 * number a + n on one leg and b + n on the other, for ever, whoever sends it.
 *
 * Only fixed-width kernel types, sizes asserted.  Addresses and ports are in
 * network order, an IPv4 address stands in the first four of sixteen bytes,
 * the others are zero.  bpf/cut*.h and src/engine/cut*.c include this file.
 */
#ifndef WL_ABI_CUT_H
#define WL_ABI_CUT_H

#include <linux/types.h>

/* The ends of a connection in an order of their own, so that the packets of
 * both find one entry: wl_cut_is_low(). */
struct wl_cut_key {
	__u8 low[16], high[16];
	__u16 low_port, high_port;
	__u8 proto;  /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 family; /* 0 IPv4, 1 IPv6 */
	__u8 pad[2];
};

/* Is (a, a_port) the low end, (b, b_port) the high one?  Addresses as four
 * numbers as they lie in memory; any order would do that is the same here and
 * in the kernel. */
static inline int wl_cut_is_low(const __u32 a[4], __u16 a_port,
				const __u32 b[4], __u16 b_port)
{
	if (a[0] != b[0])
		return a[0] < b[0];
	if (a[1] != b[1])
		return a[1] < b[1];
	if (a[2] != b[2])
		return a[2] < b[2];
	if (a[3] != b[3])
		return a[3] < b[3];
	return a_port < b_port;
}

/* What the program has learnt about a way: bits of wl_cut_way.marks, which
 * only the program writes. */
enum {
	WL_CUT_SEEN = 1,      /* a packet came */
	WL_CUT_ROUTED = 2,    /* there is a way out for it */
	WL_CUT_HAS_TSVAL = 4, /* tsval is known */
	WL_CUT_URGENT = 8,    /* urgent data came */
	WL_CUT_FIN = 16,      /* FIN came; `fin` is the number behind it */
	WL_CUT_RESET = 32,    /* RST came, and nobody objected */
	WL_CUT_ODD = 64,      /* a fragment came, or options beyond reading */
	/* readdressed: WL_CUT_RESET of the other leg's way is taken back if
	 * anything comes on this one */
	WL_CUT_OBJECTS = 128,
};

/* How it is rewritten: bits of wl_cut_way.how; set before the entry is on. */
enum {
	WL_CUT_TIMESTAMPS = 1, /* both legs have them: ts_add, echo_add */
	WL_CUT_NO_SACK = 2,    /* the far end did not agree to SACK */
	WL_CUT_NO_ECN = 4,     /* the far end did not agree to ECN */
	/* The upper half: by what this end scales its window.  `shift` is that
	 * less what the far end scales it by. */
	WL_CUT_SCALE_SHIFT = 4,
};

/*
 * While a way is draining, acknowledgements are sent on that are at most so far
 * beyond the edge.  An end throws away what comes with an acknowledgement that
 * is older than the largest window it was ever offered (RFC 5961, 5.2), and our
 * socket, which may have to send its bytes again to that end, knows no other
 * than the one at the edge.
 */
enum { WL_CUT_AHEAD_MAX = 16384 };

/*
 * A way.  "Arriving" numbers are those of the leg on which the packets come.
 * Written by user space only through `cut_change`, field by field; by the
 * program: from `ack` on.
 */
struct wl_cut_way {
	__u32 seq_add, ack_add; /* to sequence, acknowledgement and SACK */
	__u32 ts_add, echo_add; /* to TSval and TSecr */
	/* While is_draining: the socket of the leg on which this way comes
	 * still has bytes that are not acknowledged, all below this number
	 * (arriving acknowledgement numbers). */
	__u32 edge;
	__u16 size_max; /* largest IP packet that the far end takes (its MSS
			 * and headers); 0: no limit but the route's */
	__u8 is_draining;
	__s8 shift; /* of the window: left if > 0, right if < 0 */
	__u8 how;   /* WL_CUT_TIMESTAMPS... */
	/* learnt */
	__u8 marks;    /* WL_CUT_SEEN... */
	__u16 mtu;     /* of the route */
	__u32 ifindex; /* the way out; 0: not known */
	__u32 route_s; /* when that was asked; seconds of CLOCK_MONOTONIC */
	/* link addresses; zeros: the kernel must ask; `to` all ones, `from`
	 * zeros: the way out has none */
	__u8 to[6], from[6];
	__u32 seen_s;	     /* last packet; seconds of CLOCK_MONOTONIC */
	__u32 ack;	     /* highest acknowledgement, arriving */
	__u32 fin;	     /* arriving */
	__u32 tsval;	     /* last one, arriving; not kept up when it is on */
	__u64 bytes;	     /* of IP packets that were sent on */
};

/* Source and destination of packets that are sent on. */
struct wl_cut_tuple {
	__u8 src[16], dst[16];
	__u16 sport, dport;
};

enum wl_cut_state {
	WL_CUT_WATCH = 1, /* only learns: do packets of both ends come here? */
	WL_CUT_ON,	  /* rewrites and sends on */
};

/* Bits of wl_cut.shape. */
enum {
	WL_CUT_READDRESSED = 1, /* one way, way[0], and `to` */
	/* Equal legs: the client is the low end.  Readdressed: the end whose
	 * packets these are is the low one. */
	WL_CUT_LOW = 2,
	WL_CUT_SERVER_LEG = 4, /* readdressed: it is the server's packets */
	WL_CUT_ENDING = 8, /* WATCH again: RST has been sent to its ends */
};

/* Value of `cuts`. */
struct wl_cut {
	union {
		struct wl_cut_way way[2]; /* of the low end, of the high one */
		struct {
			struct wl_cut_way only;
			struct wl_cut_tuple to;
		};
	};
	__u32 begun_s; /* CLOCK_MONOTONIC */
	/* Indexes of the configuration that decided; for people. */
	__u16 intercept, rule, upstream;
	__u8 state; /* enum wl_cut_state */
	__u8 shape; /* WL_CUT_READDRESSED... */
	__u8 pad[4];
};

enum wl_cut_op {
	/* Take seq_add .. how of way[] and put the entry on, by one store. */
	WL_CUT_OP_START = 1,
	/* way[which].edge, while it is draining: bytes were added. */
	WL_CUT_OP_EDGE,
	/* way[which] is drained: its socket sees nothing any more. */
	WL_CUT_OP_SETTLE,
};

/* Context of the program `cut_change` (SEC("syscall")): it changes an entry in
 * place, beside the program that writes there too.  Returns 0 or -ENOENT. */
struct wl_cut_change {
	struct wl_cut_key key;
	struct wl_cut_way way[2];
	__u32 op;    /* enum wl_cut_op */
	__u32 which; /* 0, 1 */
	__s32 result;
	__u32 pad;
};

/* Counters of the map `cut_counters`; cut_counters.def has the table. */
enum wl_cut_counter {
#define X(name, sentence) WL_CUT_COUNT_##name,
#include "cut_counters.def"
#undef X
	WL_CUT_COUNTERS
};

_Static_assert(sizeof(struct wl_cut_key) == 40, "shared with the kernel");
_Static_assert(sizeof(struct wl_cut_way) == 72, "shared with the kernel");
_Static_assert(sizeof(struct wl_cut_tuple) == 36, "shared with the kernel");
/* With its key and the map's own 48 bytes below 256. */
_Static_assert(sizeof(struct wl_cut) == 160, "shared with the kernel");

#endif
