/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name.h - the server's name, from the first bytes of a flow.
 *
 * TLS: the server_name of a ClientHello, over any number of records.  HTTP/1:
 * the Host, or the authority of an absolute target.  QUIC 1 and 2: the
 * ClientHello in the CRYPTO frames of Initial packets, over several datagrams
 * (name_quic.h).  Only read, never changed, never decrypted beyond what QUIC
 * lets everybody read.
 *
 * The bytes are hostile: no allocation, no recursion, every length checked.
 * A name is given as domain_normalise() makes it, so what is no proper name
 * (an address literal, a control byte) is none.  With ECH it is the outer one.
 */
#ifndef WL_RELAY_NAME_H
#define WL_RELAY_NAME_H

#include "policy/model.h"

enum {
	NAME_STREAM_MAX = 16 << 10, /* of a stream; longer beginnings: none */
	NAME_HELLO_MAX = 16 << 10,  /* of a ClientHello put together */
};

enum name_result {
	NAME_MORE,  /* a valid beginning; more bytes may tell */
	NAME_FOUND, /* `out` is set */
	NAME_NONE,  /* there is none, whatever comes */
};

enum name_kind {
	NAME_KIND_NONE,
	NAME_KIND_TLS,
	NAME_KIND_HTTP,
	NAME_KIND_QUIC
};

/* From the beginning of a stream, as far as `what` allows; all of it is handed
 * in each time.  *kind is set with FOUND only, as `out`. */
enum name_result name_of_stream(const struct sniff *what, const uint8_t *bytes,
				size_t len, char out[HOST_TEXT_MAX],
				enum name_kind *kind);

/* The parts of it, without its limit. */
enum name_result name_tls(const uint8_t *bytes, size_t len,
			  char out[HOST_TEXT_MAX]);
enum name_result name_http(const uint8_t *bytes, size_t len,
			   char out[HOST_TEXT_MAX]);
/* A ClientHello without its records: handshake type and length come first. */
enum name_result name_hello(const uint8_t *bytes, size_t len,
			    char out[HOST_TEXT_MAX]);

const char *name_kind_name(enum name_kind kind); /* "tls"; "-" for none */

#endif
