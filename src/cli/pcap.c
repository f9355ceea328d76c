/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap.c - write a capture file; see pcap.h.
 */
#include "cli/pcap.h"

#include <errno.h>

struct file_head {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t reserved[2];
	uint32_t snaplen;
	uint32_t linktype;
};
_Static_assert(sizeof(struct file_head) == 24, "pcap-savefile(5)");

struct frame_head {
	uint32_t seconds, microseconds;
	uint32_t len, wire_bytes;
};
_Static_assert(sizeof(struct frame_head) == 16, "pcap-savefile(5)");

static int put(FILE *out, const void *bytes, size_t len)
{
	errno = 0;
	if (fwrite(bytes, 1, len, out) == len)
		return 0;
	return errno ? -errno : -EIO;
}

int pcap_write_head(FILE *out)
{
	static const struct file_head head = {
		.magic = 0xa1b2c3d4,
		.major = 2,
		.minor = 4,
		.snaplen = PCAP_SNAPLEN,
		.linktype = 1, /* LINKTYPE_ETHERNET */
	};

	return put(out, &head, sizeof(head));
}

int pcap_write_frame(FILE *out, const struct pcap_frame *f)
{
	struct frame_head head = {
		.seconds = f->seconds,
		.microseconds = f->microseconds,
		.len = f->len < PCAP_SNAPLEN ? f->len : PCAP_SNAPLEN,
		.wire_bytes = f->wire_bytes,
	};
	int error = put(out, &head, sizeof(head));

	return error ? error : put(out, f->bytes, head.len);
}
