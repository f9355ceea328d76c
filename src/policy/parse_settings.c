/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_settings.c - the blocks that only hold values: log, timeouts, limits,
 * sniff, admin; see parse.h.
 */
#include "policy/parse.h"
#include "policy/words.h"

#include <string.h>

static bool parse_flows(struct parser *p, const struct keyword *k,
			void *subject)
{
	static const char *const words[] = { "off", "on", "sampled", NULL };
	struct config *c = subject;
	unsigned choice;

	if (!value_choice(p, "flows", words, &choice))
		return false;
	if (choice < 2) {
		c->log.flows_every = choice;
		return true;
	}
	return value_number(p, "a number: one flow in so many is logged",
			    k->min, k->max, &c->log.flows_every);
}

static bool parse_log_format(struct parser *p, const struct keyword *k,
			     void *subject)
{
	struct config *c = subject;
	unsigned choice;

	(void)k; /* has no more to say */
	if (!value_choice(p, "log format", log_format_words, &choice))
		return false;
	c->log.format =
		choice == LOG_FORMAT_JSON ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
	return true;
}

static bool parse_http(struct parser *p, const struct keyword *k, void *subject)
{
	struct config *c = subject;

	(void)k; /* has no more to say */
	if (!value_addr_port(p, "http", &c->admin_http))
		return false;
	c->has_admin_http = true;
	return true;
}

static bool parse_token(struct parser *p, const struct keyword *k,
			void *subject)
{
	(void)k; /* has no more to say */
	return value_secret(p, &((struct config *)subject)->admin_token);
}

static void close_admin(struct parser *p, void *subject)
{
	struct place http = parse_said(p, "http");
	struct place token = parse_said(p, "token");

	(void)subject; /* its values are judged already */
	if (http.line || token.line)
		(void)report_warning(p->report, http.line ? http : token,
				     "the admin page is not served yet");
}

static void *open_sniff(struct parser *p)
{
	struct sniff *s = &p->config->sniff;

	s->is_tls = s->is_http = s->is_quic = false; /* what is said counts */
	s->at = p->words[0].at;
	return s;
}

static void close_sniff(struct parser *p, void *subject)
{
	const struct sniff *s = subject;
	struct message *m;

	if (s->is_tls || s->is_http || s->is_quic)
		return;
	m = report_error(p->report, s->at,
			 "this block looks for nothing: it needs tls, http or "
			 "quic");
	message_help(m, "without the block, names are looked for in all three "
			"if a rule needs them");
}

static const struct keyword log_keywords[] = {
	{ .name = "level",
	  .parse = field_choice,
	  .choices = log_level_words,
	  .field = offsetof(struct config, log.level) },
	{ .name = "format", .parse = parse_log_format },
	{ .name = "flows", .parse = parse_flows, .min = 1, .max = UINT32_MAX },
	{ .name = NULL },
};

/* min 0: may be nothing. */
static const struct keyword timeouts_keywords[] = {
	{ .name = "connect",
	  .parse = field_duration,
	  .min = 1,
	  .field = offsetof(struct config, timeouts.connect_ms) },
	{ .name = "idle",
	  .parse = field_duration,
	  .min = 1,
	  .field = offsetof(struct config, timeouts.idle_ms) },
	{ .name = "half-closed",
	  .parse = field_duration,
	  .min = 1,
	  .field = offsetof(struct config, timeouts.half_closed_ms) },
	{ .name = "udp",
	  .parse = field_duration,
	  .min = 1,
	  .field = offsetof(struct config, timeouts.udp_ms) },
	{ .name = "dns",
	  .parse = field_duration,
	  .min = 1,
	  .field = offsetof(struct config, timeouts.dns_ms) },
	{ .name = "upstream",
	  .parse = field_duration,
	  .min = 1,
	  .field = offsetof(struct config, timeouts.upstream_ms) },
	{ .name = "drain",
	  .parse = field_duration,
	  .field = offsetof(struct config, timeouts.drain_ms) },
	{ .name = NULL },
};

enum { FLOWS_MAX = 16 * 1024 * 1024, CUT_FLOWS_MAX = 4 * 1024 * 1024 };

static const struct keyword limits_keywords[] = {
	{ .name = "tcp-flows",
	  .parse = field_number,
	  .max = FLOWS_MAX,
	  .field = offsetof(struct config, limits.tcp_flows) },
	{ .name = "udp-flows",
	  .parse = field_number,
	  .min = 1,
	  .max = FLOWS_MAX,
	  .field = offsetof(struct config, limits.udp_flows) },
	{ .name = "udp-per-client",
	  .parse = field_number,
	  .min = 1,
	  .max = FLOWS_MAX,
	  .field = offsetof(struct config, limits.udp_per_client) },
	{ .name = "cut-flows",
	  .parse = field_number,
	  .min = 1,
	  .max = CUT_FLOWS_MAX,
	  .field = offsetof(struct config, limits.cut_flows) },
	{ .name = NULL },
};

static const struct keyword admin_keywords[] = {
	{ .name = "http", .parse = parse_http },
	{ .name = "token", .parse = parse_token },
	{ .name = NULL },
};

static const struct keyword sniff_keywords[] = {
	{ .name = "tls",
	  .parse = field_said,
	  .field = offsetof(struct sniff, is_tls) },
	{ .name = "http",
	  .parse = field_said,
	  .field = offsetof(struct sniff, is_http) },
	{ .name = "quic",
	  .parse = field_said,
	  .field = offsetof(struct sniff, is_quic) },
	{ .name = "wait",
	  .parse = field_duration,
	  .min = 1,
	  .field = offsetof(struct sniff, wait_ms) },
	{ .name = NULL },
};

const struct block log_block = {
	.noun = "log",
	.keywords = log_keywords,
};
const struct block timeouts_block = {
	.noun = "timeouts",
	.keywords = timeouts_keywords,
};
const struct block limits_block = {
	.noun = "limits",
	.keywords = limits_keywords,
};
const struct block sniff_block = {
	.noun = "sniff",
	.keywords = sniff_keywords,
	.open = open_sniff,
	.close = close_sniff,
};
const struct block admin_block = {
	.noun = "admin",
	.keywords = admin_keywords,
	.close = close_admin,
};
