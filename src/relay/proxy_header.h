/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_header.h - the PROXY protocol, versions 1 and 2, both directions.
 *
 * Written in front of a server leg (`via proxy-protocol-v1`, `-v2`), and read
 * on a listener of `listen ...; proxy-protocol from ...`, where its presence is
 * required, never guessed (T09, R-PP-2).  Pure: no socket.  Specification: the
 * PROXY protocol, edition 2026-04-27.
 */
#ifndef WL_RELAY_PROXY_HEADER_H
#define WL_RELAY_PROXY_HEADER_H

#include "policy/model.h"

enum {
	PROXY_HEADER_WRITE_MAX = 128,
	/* Longest that is read: TLVs of more are refused. */
	PROXY_HEADER_READ_MAX = 4096,
};

enum proxy_header_result {
	PROXY_HEADER_MORE,  /* nothing is wrong yet */
	PROXY_HEADER_DONE,  /* client and server are those of the flow */
	PROXY_HEADER_LOCAL, /* LOCAL, UNKNOWN, UNSPEC: take the real ends */
	PROXY_HEADER_BAD,   /* also a header of UDP or of a UNIX socket */
};

/* kind: UPSTREAM_PROXY_V1 or _V2; proto UDP: version 2 only.  The length. */
size_t proxy_header_write(enum upstream_kind kind, enum proto proto,
			  const struct addr *client, const struct addr *server,
			  uint8_t out[PROXY_HEADER_WRITE_MAX]);

/* What a TCP connection begins with.  *used with DONE and LOCAL: the header's
 * bytes; what is behind them is data.  A port may be 0, as the text allows.
 * MORE of PROXY_HEADER_READ_MAX bytes is never said. */
enum proxy_header_result proxy_header_read(const uint8_t *bytes, size_t len,
					   size_t *used, struct addr *client,
					   struct addr *server);

#endif
