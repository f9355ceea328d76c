/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_hello_test.h - writes ClientHellos, right and wrong ones, for tests.
 */
#ifndef WL_RELAY_NAME_HELLO_TEST_H
#define WL_RELAY_NAME_HELLO_TEST_H

#include <stdint.h>
#include <string.h>

enum { HELLO_TEST_MAX = 24 << 10 };

struct hello_out {
	uint8_t bytes[HELLO_TEST_MAX];
	size_t len;
};

static inline void hello_put(struct hello_out *o, size_t size, size_t number)
{
	while (size--)
		o->bytes[o->len++] = (uint8_t)(number >> 8 * size);
}

static inline void hello_put_text(struct hello_out *o, const char *text,
				  size_t len)
{
	memcpy(o->bytes + o->len, text, len);
	o->len += len;
}

static inline void hello_put_zeros(struct hello_out *o, size_t len)
{
	memset(o->bytes + o->len, 0, len);
	o->len += len;
}

/* The length of what was put behind `at`, into the `size` bytes before. */
static inline void hello_set_length(struct hello_out *o, size_t at, size_t size)
{
	size_t end = o->len;

	o->len = at - size;
	hello_put(o, size, end - at);
	o->len = end;
}

static inline void hello_put_extension(struct hello_out *o, uint16_t type,
				       size_t len)
{
	hello_put(o, 2, type);
	hello_put(o, 2, len);
	hello_put_zeros(o, len);
}

/* server_name with one entry. */
static inline void hello_put_name(struct hello_out *o, const char *name)
{
	size_t len = strlen(name);

	hello_put(o, 2, 0);
	hello_put(o, 2, len + 5);
	hello_put(o, 2, len + 3);
	hello_put(o, 1, 0);
	hello_put(o, 2, len);
	hello_put_text(o, name, len);
}

/* Up to the extensions' length, of TLS 1.3; hello_end() completes it. */
static inline void hello_begin(struct hello_out *o)
{
	o->len = 0;
	hello_put(o, 1, 1);
	hello_put(o, 3, 0);
	hello_put(o, 2, 0x0303);
	hello_put_zeros(o, 32);
	hello_put(o, 1, 32);
	hello_put_zeros(o, 32);
	hello_put(o, 2, 6);
	hello_put(o, 2, 0x8a8a); /* GREASE, RFC 8701 */
	hello_put(o, 4, 0x13011302);
	hello_put(o, 2, 0x0100);
	hello_put(o, 2, 0);
}

enum { HELLO_EXTENSIONS_AT = 4 + 2 + 32 + 33 + 8 + 2 + 2 };

static inline void hello_end(struct hello_out *o)
{
	hello_set_length(o, HELLO_EXTENSIONS_AT, 2);
	hello_set_length(o, 4, 3);
}

/* As browsers send it with a post-quantum key: about 1800 bytes. */
static inline void hello_make_large(struct hello_out *o, const char *name)
{
	hello_begin(o);
	hello_put_extension(o, 0x4a4a, 0);
	hello_put_extension(o, 0x002b, 7);
	hello_put_extension(o, 0x0033, 1263); /* X25519MLKEM768 and X25519 */
	hello_put_name(o, name);
	hello_put_extension(o, 0xfe0d, 250); /* ECH */
	hello_put_extension(o, 0x000a, 12);
	hello_put_extension(o, 0x000d, 18);
	hello_put_extension(o, 0xbaba, 1);
	hello_put_extension(o, 0x0029, 90);
	hello_end(o);
}

/* In records of at most `most` bytes.  Returns the length. */
static inline size_t hello_cut_records(const uint8_t *hello, size_t len,
				       size_t most, uint8_t *out)
{
	size_t used = 0;

	while (len) {
		size_t now = len < most ? len : most;

		memcpy(out + used, "\x16\x03\x01", 3);
		out[used + 3] = (uint8_t)(now >> 8);
		out[used + 4] = (uint8_t)now;
		memcpy(out + used + 5, hello, now);
		used += 5 + now;
		hello += now;
		len -= now;
	}
	return used;
}

#endif
