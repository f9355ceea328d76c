/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_quic_pieces_fuzz.c - one ClientHello in any pieces (libFuzzer).
 *
 * Four bytes of input are a piece: offset, length, and whether its datagram is
 * sent then.  Pieces may come in any order, twice and overlapping (R-QUIC-3).
 * A map with a byte for each byte of the hello is the naive reader: the name
 * is found with the last byte, and given up with too many gaps.
 */
#include "relay/name_hello_test.h"
#include "relay/name_quic_fuzz.h"
#include "relay/quic_seal_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECE_BYTES = 4, FRAMES_MAX = 4000, FRAME_HEADER_MAX = 9 };

static const char host[] = "www.example.org";
static const uint8_t cid[] = { 0x83, 0x94, 0xc8, 0xf0, 0x3e };

struct client {
	struct fuzz_quic f;
	struct hello_out hello;
	bool is_sent[HELLO_TEST_MAX];
	bool is_torn; /* there were too many pieces at some time */
	size_t dgrams;
	size_t frames_len;
	uint8_t frames[FRAMES_MAX];
};

/* --- what has to come of it ---------------------------------------------- */

static size_t count_pieces(const struct client *c)
{
	size_t count = 0;

	for (size_t i = 0; i < c->hello.len; i++)
		count += c->is_sent[i] && (!i || !c->is_sent[i - 1]);
	return count;
}

static enum name_result expected(const struct client *c)
{
	if (c->is_torn)
		return NAME_NONE;
	if (!memchr(c->is_sent, false, c->hello.len))
		return NAME_FOUND;
	return c->dgrams == QUIC_DGRAMS_MAX ? NAME_NONE : NAME_MORE;
}

/* --- the client ---------------------------------------------------------- */

static void send_frames(struct client *c)
{
	uint8_t dgram[FRAMES_MAX + 64];
	struct seal_packet p = { .version = QUIC_V1,
				 .cid = cid,
				 .cid_len = sizeof(cid),
				 .number = (uint32_t)c->dgrams,
				 .number_len = 1,
				 .payload = c->frames,
				 .payload_len = c->frames_len };

	if (c->f.result != NAME_MORE || c->frames_len < 4)
		return;
	fuzz_hand_in(&c->f, dgram, seal_initial(&p, dgram));
	c->dgrams++;
	c->frames_len = 0;
	if (c->f.result != expected(c))
		abort();
	if (c->f.result == NAME_FOUND && strcmp(c->f.name, host) != 0)
		abort();
}

static void add_piece(struct client *c, size_t offset, size_t len)
{
	uint8_t *at = c->frames + c->frames_len;

	*at++ = 0x06;
	at = seal_varint(at, offset);
	at = seal_varint(at, len);
	memcpy(at, c->hello.bytes + offset, len);
	c->frames_len = (size_t)(at + len - c->frames);
	memset(c->is_sent + offset, true, len);
	if (count_pieces(c) > QUIC_RANGES_MAX)
		c->is_torn = true;
}

static void take_piece(struct client *c, const uint8_t *piece)
{
	size_t offset = ((size_t)piece[0] << 8 | piece[1]) % c->hello.len;
	size_t len = piece[2];

	if (len > c->hello.len - offset)
		len = c->hello.len - offset;
	if (c->frames_len + FRAME_HEADER_MAX + len > sizeof(c->frames))
		send_frames(c);
	if (c->f.result != NAME_MORE)
		return;
	add_piece(c, offset, len);
	if (piece[3] & 1)
		send_frames(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	hello_begin(&c->hello);
	hello_put_name(&c->hello, host);
	hello_end(&c->hello);
	for (; size >= PIECE_BYTES; size -= PIECE_BYTES, data += PIECE_BYTES)
		take_piece(c, data);
	send_frames(c);
	free(c);
	return 0;
}
