/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name.c - which of the readers a stream is for; see name.h.
 *
 * The first byte decides: a handshake record of TLS begins with 22, which no
 * method of HTTP does.
 */
#include "relay/name.h"

enum { TLS_HANDSHAKE = 22 };

static enum name_kind kind_of(const struct sniff *what, uint8_t first)
{
	if (first == TLS_HANDSHAKE)
		return what->is_tls ? NAME_KIND_TLS : NAME_KIND_NONE;
	return what->is_http ? NAME_KIND_HTTP : NAME_KIND_NONE;
}

enum name_result name_of_stream(const struct sniff *what, const uint8_t *bytes,
				size_t len, char out[HOST_TEXT_MAX],
				enum name_kind *kind)
{
	enum name_result r;
	enum name_kind k;

	if (!what->is_tls && !what->is_http)
		return NAME_NONE;
	if (!len)
		return NAME_MORE;
	k = kind_of(what, bytes[0]);
	if (k == NAME_KIND_NONE)
		return NAME_NONE;
	if (len > NAME_STREAM_MAX)
		len = NAME_STREAM_MAX;
	r = k == NAME_KIND_TLS ? name_tls(bytes, len, out)
			       : name_http(bytes, len, out);
	if (r == NAME_MORE && len == NAME_STREAM_MAX)
		return NAME_NONE;
	if (r == NAME_FOUND)
		*kind = k;
	return r;
}

const char *name_kind_name(enum name_kind kind)
{
	switch (kind) {
	case NAME_KIND_NONE:
		break;
	case NAME_KIND_TLS:
		return "tls";
	case NAME_KIND_HTTP:
		return "http";
	case NAME_KIND_QUIC:
		return "quic";
	}
	return "-";
}
