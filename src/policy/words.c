/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.c - tables of words; see words.h.
 */
#include "policy/words.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

const char *const engine_words[] = {
	[ENGINE_AUTO] = "auto",
	[ENGINE_EBPF] = "ebpf",
	[ENGINE_NFT] = "nft",
	[ENGINE_IPTABLES] = "iptables",
	NULL,
};
static_assert(COUNT(engine_words) == ENGINE_IPTABLES + 2, "all engines");

const char *const on_failure_words[] = {
	[ON_FAILURE_OPEN] = "open",
	[ON_FAILURE_CLOSED] = "closed",
	NULL,
};
static_assert(COUNT(on_failure_words) == ON_FAILURE_CLOSED + 2, "all of them");

const char *const cut_through_words[] = {
	[CUT_THROUGH_AUTO] = "auto",
	[CUT_THROUGH_ON] = "on",
	[CUT_THROUGH_OFF] = "off",
	NULL,
};
static_assert(COUNT(cut_through_words) == CUT_THROUGH_OFF + 2, "all of them");

const char *const log_level_words[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
	NULL,
};
static_assert(COUNT(log_level_words) == LOG_LEVEL_DEBUG + 2, "all levels");

const char *const log_format_words[] = {
	[LOG_FORMAT_TEXT] = "text",
	[LOG_FORMAT_JSON] = "json",
	"journal",
	NULL,
};
static_assert(COUNT(log_format_words) == LOG_FORMAT_JSON + 3, "all formats");

const char *const source_words[] = {
	[SOURCE_CLIENT] = "client",
	[SOURCE_SELF] = "self",
	NULL, /* an address stands for itself */
};
static_assert(COUNT(source_words) == SOURCE_ADDRESS + 1, "all sources");

const char *const via_words[] = {
	[UPSTREAM_DIRECT] = "direct",
	[UPSTREAM_REJECT] = "reject",
	[UPSTREAM_DROP] = "drop",
	[UPSTREAM_PROXY_V1] = "proxy-protocol-v1",
	[UPSTREAM_PROXY_V2] = "proxy-protocol-v2",
	[UPSTREAM_SOCKS5] = "socks5",
	[UPSTREAM_HTTP_CONNECT] = "http-connect",
	NULL, /* a group has a block of its own */
};
static_assert(COUNT(via_words) == UPSTREAM_GROUP + 1, "all upstreams");

const char *const proto_words[] = {
	[PROTO_TCP] = "tcp",
	[PROTO_UDP] = "udp",
	NULL,
};
static_assert(COUNT(proto_words) == PROTO_COUNT + 1, "all protocols");

const char *const pipeline_words[] = {
	[PIPELINE_AUTO] = "auto",
	[PIPELINE_OFF] = "off",
	[PIPELINE_ON] = "on",
	NULL,
};
static_assert(COUNT(pipeline_words) == PIPELINE_ON + 2, "all of them");

const char *const balance_words[] = {
	[BALANCE_FIRST] = "first",
	[BALANCE_ROUND_ROBIN] = "round-robin",
	[BALANCE_LEAST_CONN] = "least-conn",
	[BALANCE_LEAST_LATENCY] = "least-latency",
	[BALANCE_HASH_CLIENT] = "hash",
	NULL,
};
static_assert(COUNT(balance_words) == BALANCE_HASH_CLIENT + 2, "all of them");

const char *const secret_words[] = {
	[SECRET_NONE] = "",
	[SECRET_FILE] = "file",
	[SECRET_CREDENTIAL] = "credential",
	NULL,
};
static_assert(COUNT(secret_words) == SECRET_CREDENTIAL + 2, "all of them");

const struct duration_unit duration_units[] = {
	{ "d", 24 * 60 * 60 * 1000 },
	{ "h", 60 * 60 * 1000 },
	{ "m", 60 * 1000 },
	{ "s", 1000 },
	{ "ms", 1 },
	{ NULL, 0 },
};

char *duration_format(uint32_t ms, char *buf)
{
	size_t len = 0;

	if (!ms) {
		(void)snprintf(buf, DURATION_TEXT_MAX, "0s"); /* fits */
		return buf;
	}
	for (const struct duration_unit *u = duration_units; u->name; u++) {
		if (ms < u->ms)
			continue;
		(void)snprintf(buf + len, DURATION_TEXT_MAX - len, "%u%s",
			       ms / u->ms, u->name); /* fits: 5 short parts */
		len += strlen(buf + len);
		ms %= u->ms;
	}
	return buf;
}

void config_set_defaults(struct config *c)
{
	c->mark = MARK_DEFAULT;
	c->mask = MASK_DEFAULT;
	c->table = 7700;
	c->log.level = LOG_LEVEL_INFO;
	c->log.flows_every = 1;
	c->timeouts.connect_ms = 3 * 60 * 1000;
	c->timeouts.idle_ms = (2 * 60 + 5) * 60 * 1000;
	c->timeouts.udp_ms = 2 * 60 * 1000;
	c->timeouts.dns_ms = 20 * 1000;
	c->timeouts.upstream_ms = 10 * 1000;
	c->sniff.is_tls = c->sniff.is_http = c->sniff.is_quic = true;
	c->sniff.wait_ms = 300;
	c->limits.udp_flows = 4096;
	c->limits.udp_per_client = 512;
	c->limits.cut_flows = 65536;
}

enum upstream_source source_default(enum upstream_kind kind)
{
	switch (kind) {
	case UPSTREAM_PROXY_V1:
	case UPSTREAM_PROXY_V2:
	case UPSTREAM_SOCKS5:
	case UPSTREAM_HTTP_CONNECT:
		return SOURCE_SELF;
	case UPSTREAM_DIRECT:
	case UPSTREAM_REJECT: /* the rest has none; zero, then */
	case UPSTREAM_DROP:
	case UPSTREAM_GROUP:
		break;
	}
	return SOURCE_CLIENT;
}

#define NET4(bits, ...)                                                        \
	{                                                                      \
		.net = { .family = AF_INET, .ip = { __VA_ARGS__ } },           \
		.len = (bits)                                                  \
	}
#define NET6(bits, ...)                                                        \
	{                                                                      \
		.net = { .family = AF_INET6, .ip = { __VA_ARGS__ } },          \
		.len = (bits)                                                  \
	}

size_t private_prefixes(const struct prefix **out)
{
	static const struct prefix nets[] = {
		NET4(8, 10),	      /* RFC 1918 */
		NET4(10, 100, 64),    /* RFC 6598, carriers' NAT */
		NET4(8, 127),	      /* loopback */
		NET4(16, 169, 254),   /* link-local */
		NET4(12, 172, 16),    /* RFC 1918 */
		NET4(16, 192, 168),   /* RFC 1918 */
		NET6(128, [15] = 1),  /* loopback */
		NET6(7, 0xfc),	      /* RFC 4193, unique local */
		NET6(10, 0xfe, 0x80), /* link-local */
	};

	*out = nets;
	return COUNT(nets);
}
