/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_quic_frames_fuzz.c - any bytes as frames of Initial packets (libFuzzer).
 *
 * The input is frames in the clear, which are sealed here as a client would:
 *
 *	| how length(2) frames | how length(2) frames | ...
 *
 * So whatever the fuzzer changes is a packet that opens.
 */
#include "relay/name_quic_fuzz.h"
#include "relay/quic_seal_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	IS_V2 = 1,
	HAS_OTHER_ID = 2,      /* the server's */
	HAS_OTHER_KEYS = 4,    /* as after a Retry */
	IS_LAST = 8,	       /* of its datagram */
	NUMBER_BYTES = 3 * 16, /* one less */
	IS_FIXED_BIT_CLEAR = 64,
	HAS_TOKEN = 128,

	FRAMES_MAX = 1200,
	DGRAM_MAX = 16 << 10,
	OVERHEAD_MAX = 128, /* of a packet */
};

static const uint8_t first_id[] = { 0x83, 0x94, 0xc8, 0xf0, 0x3e };
static const uint8_t other_id[] = { 0xf0, 0x67 };

struct dgram {
	size_t len;
	uint8_t bytes[DGRAM_MAX];
};

static void add_packet(struct dgram *d, uint8_t how, const uint8_t *frames,
		       size_t len)
{
	uint8_t payload[FRAMES_MAX] = { 0 };
	struct seal_packet p = {
		.version = how & IS_V2 ? QUIC_V2 : QUIC_V1,
		.cid = how & HAS_OTHER_ID ? other_id : first_id,
		.cid_len = how & HAS_OTHER_ID ? sizeof(other_id)
					      : sizeof(first_id),
		.key_cid = how & HAS_OTHER_KEYS ? other_id : first_id,
		.key_cid_len = how & HAS_OTHER_KEYS ? sizeof(other_id)
						    : sizeof(first_id),
		.token_len = how & HAS_TOKEN ? 16 : 0,
		.number_len = 1 + (how & NUMBER_BYTES) / 16,
		.is_fixed_bit_clear = how & IS_FIXED_BIT_CLEAR,
		.payload = payload,
		.payload_len = len > 4 ? len : 4,
	};

	if (d->len + FRAMES_MAX + OVERHEAD_MAX > sizeof(d->bytes))
		return;
	memcpy(payload, frames, len);
	d->len += seal_initial(&p, d->bytes + d->len);
}

static void send_all(struct fuzz_quic *f, struct dgram *d, const uint8_t *data,
		     size_t size)
{
	while (size >= 3 && f->result == NAME_MORE) {
		uint8_t how = data[0];
		size_t len = (size_t)data[1] << 8 | data[2];

		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		if (len > FRAMES_MAX)
			len = FRAMES_MAX;
		add_packet(d, how, data, len);
		data += len;
		size -= len;
		if (size >= 3 && !(how & IS_LAST))
			continue;
		fuzz_hand_in(f, d->bytes, d->len);
		d->len = 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_quic *f = calloc(1, sizeof(*f));
	struct dgram *d = calloc(1, sizeof(*d));

	if (!f || !d)
		abort();
	send_all(f, d, data, size);
	free(d);
	free(f);
	return 0;
}
