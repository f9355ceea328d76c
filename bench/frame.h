/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - packets of flows that nobody has opened, as Ethernet frames.
 *
 * For who sends them past its own kernel (flood.c) and for who puts them into
 * a program (test_run.c).  Which flow: the destinations of a file, in turn,
 * each time from another source port.
 */
#ifndef WL_BENCH_FRAME_H
#define WL_BENCH_FRAME_H

#include "helper.h"

#include <netinet/in.h>
#include <stddef.h>

enum { FRAME_BYTES_MAX = 128 };

enum frame_kind { FRAME_SYN, FRAME_ACK, FRAME_UDP };

struct frame {
	unsigned char bytes[FRAME_BYTES_MAX];
	size_t len;
};

/* All flows of one run. */
struct flows {
	enum frame_kind kind;
	unsigned char link_to[6], link_from[6];
	size_t ip_bytes; /* of an address: 4 or 16 */
	unsigned char src[16];
	unsigned char (*dsts)[16];
	size_t dst_count;
	in_port_t port; /* host order */
	size_t next;
};

/* The words of a command line: syn|ack|udp, the link layer address of the next
 * hop, the source, the destination port, a file with an address a line. */
void flows_init(struct flows *f, char *const words[5]);
enum { FLOWS_WORDS = 5 };

/* The first packet of the next flow (with FRAME_ACK, a later one). */
void flows_next(struct flows *f, struct frame *out);

#endif
