/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap.h - write a capture file of Ethernet frames, as tcpdump(8) reads it.
 *
 * The classic format (pcap-savefile(5)), in this host's byte order, with
 * microseconds.  Nothing is read.
 */
#ifndef WL_CLI_PCAP_H
#define WL_CLI_PCAP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PCAP_SNAPLEN = 262144 };

struct pcap_frame {
	uint32_t seconds, microseconds; /* since 1970 */
	const uint8_t *bytes;
	uint32_t len;	     /* bytes that are there */
	uint32_t wire_bytes; /* that it had */
};

/* 0 or -errno. */
int pcap_write_head(FILE *out);
int pcap_write_frame(FILE *out, const struct pcap_frame *f);

#endif
