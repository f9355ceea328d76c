/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_hold.h - datagrams that wait until their flow's way is open.
 *
 * A flow whose rule needs a name, or whose proxy has not agreed yet, holds what
 * its client sends, in order.  Nobody can fill memory by that: a flow holds a
 * few datagrams, a worker a few megabytes, and what is more is refused.  The
 * memory is one array of blocks, used only as far as it was ever needed; a
 * datagram takes as many blocks as it is long.
 */
#ifndef WL_RELAY_UDP_HOLD_H
#define WL_RELAY_UDP_HOLD_H

#include "base/pool.h"
#include "net/dgram.h"

enum {
	UDP_HOLD_DGRAMS = 16,	   /* of a flow */
	UDP_HOLD_BYTES = 24 << 10, /* of a flow */
	UDP_HOLD_BLOCK_BYTES = 2 << 10,
	UDP_HOLD_BLOCKS = 4096, /* of a worker: 8 MB */
};

struct udp_hold {	      /* of a flow; zeros: nothing is held */
	uint32_t first, last; /* of its chain of blocks */
	uint32_t bytes;
	uint32_t count; /* datagrams */
};

struct udp_hold_memory { /* of a worker */
	struct pool pool;
	struct udp_hold_block *blocks;
};

int udp_hold_init(struct udp_hold_memory *m, uint32_t blocks); /* or -ENOMEM */
void udp_hold_done(struct udp_hold_memory *m);

/* A copy of d goes behind the others; false: there is no room. */
bool udp_hold_add(struct udp_hold_memory *m, struct udp_hold *h,
		  const struct dgram *d);
/* All that is held, in order, into a batch; nothing is held any more.  Only
 * bytes, len and is_fragmented of the datagrams are set. */
void udp_hold_take(struct udp_hold_memory *m, struct udp_hold *h,
		   struct dgram_batch *out);
void udp_hold_drop(struct udp_hold_memory *m, struct udp_hold *h);

#endif
