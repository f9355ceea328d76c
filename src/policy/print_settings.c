/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print_settings.c - what is said once: settings and the blocks of values; see
 * print.h.
 */
#include "policy/print.h"
#include "policy/words.h"

/* A block that is opened by its first statement. */
struct lazy_block {
	struct str *out;
	const char *name;
	bool is_open;
};

static void open_lazily(struct lazy_block *b)
{
	if (!b->is_open)
		str_addf(b->out, "\n%s {\n", b->name);
	b->is_open = true;
}

static void close_lazily(const struct lazy_block *b)
{
	if (b->is_open)
		str_add(b->out, "}\n");
}

static void print_plain(const struct config *c, struct str *out)
{
	static const struct config zero;
	struct config standard = zero;

	config_set_defaults(&standard);
	if (c->engine != standard.engine)
		str_addf(out, "engine %s\n", engine_words[c->engine]);
	if (c->on_failure != standard.on_failure)
		str_addf(out, "on-failure %s\n",
			 on_failure_words[c->on_failure]);
	if (c->cut_through != standard.cut_through)
		str_addf(out, "cut-through %s\n",
			 cut_through_words[c->cut_through]);
	if (c->mark != standard.mark || c->mask != standard.mask)
		str_addf(out, "mark 0x%x/0x%x\n", c->mark, c->mask);
	if (c->table != standard.table)
		str_addf(out, "table %u\n", c->table);
	if (c->workers != standard.workers)
		str_addf(out, "workers %u\n", c->workers);
	if (c->port != standard.port)
		str_addf(out, "port %u\n", c->port);
}

static void print_log(const struct log_conf *log, struct str *out)
{
	struct lazy_block b = { .out = out, .name = "log" };

	if (log->level != LOG_LEVEL_INFO) {
		open_lazily(&b);
		str_addf(out, "level %s\n", log_level_words[log->level]);
	}
	if (log->format != LOG_FORMAT_TEXT) {
		open_lazily(&b);
		str_addf(out, "format %s\n", log_format_words[log->format]);
	}
	if (log->flows_every != 1) {
		open_lazily(&b);
		if (log->flows_every)
			str_addf(out, "flows sampled %u\n", log->flows_every);
		else
			str_add(out, "flows off\n");
	}
	close_lazily(&b);
}

static void print_timeouts(const struct timeouts *t, struct str *out)
{
	struct lazy_block b = { .out = out, .name = "timeouts" };
	struct config standard = { .engine = ENGINE_AUTO };
	const struct timeouts *s = &standard.timeouts;
	char buf[DURATION_TEXT_MAX];

	config_set_defaults(&standard);
	const struct {
		const char *name;
		uint32_t ms, standard_ms;
	} rows[] = {
		{ "connect", t->connect_ms, s->connect_ms },
		{ "idle", t->idle_ms, s->idle_ms },
		{ "half-closed", t->half_closed_ms, t->idle_ms },
		{ "udp", t->udp_ms, s->udp_ms },
		{ "dns", t->dns_ms, s->dns_ms },
		{ "upstream", t->upstream_ms, s->upstream_ms },
		{ "drain", t->drain_ms, s->drain_ms },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].ms == rows[i].standard_ms)
			continue;
		open_lazily(&b);
		str_addf(out, "%s %s\n", rows[i].name,
			 duration_format(rows[i].ms, buf));
	}
	close_lazily(&b);
}

static void print_limits(const struct limits *l, struct str *out)
{
	struct lazy_block b = { .out = out, .name = "limits" };
	struct config standard = { .engine = ENGINE_AUTO };
	const struct limits *s = &standard.limits;

	config_set_defaults(&standard);
	const struct {
		const char *name;
		uint32_t value, standard;
	} rows[] = {
		{ "tcp-flows", l->tcp_flows, s->tcp_flows },
		{ "udp-flows", l->udp_flows, s->udp_flows },
		{ "udp-per-client", l->udp_per_client, s->udp_per_client },
		{ "cut-flows", l->cut_flows, s->cut_flows },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].value == rows[i].standard)
			continue;
		open_lazily(&b);
		str_addf(out, "%s %u\n", rows[i].name, rows[i].value);
	}
	close_lazily(&b);
}

static void print_sniff(const struct sniff *s, struct str *out)
{
	struct config standard = { .engine = ENGINE_AUTO };
	char buf[DURATION_TEXT_MAX];

	config_set_defaults(&standard);
	if (s->is_tls && s->is_http && s->is_quic &&
	    s->wait_ms == standard.sniff.wait_ms)
		return;
	str_addf(out, "\nsniff {\n%s%s%s", s->is_tls ? "tls\n" : "",
		 s->is_http ? "http\n" : "", s->is_quic ? "quic\n" : "");
	if (s->wait_ms != standard.sniff.wait_ms)
		str_addf(out, "wait %s\n", duration_format(s->wait_ms, buf));
	str_add(out, "}\n");
}

static void print_admin(const struct config *c, struct str *out)
{
	struct lazy_block b = { .out = out, .name = "admin" };
	char buf[ADDR_TEXT_MAX];

	if (c->has_admin_http) {
		open_lazily(&b);
		str_addf(out, "http %s\n", addr_format(&c->admin_http, buf));
	}
	if (c->admin_token.from != SECRET_NONE) {
		open_lazily(&b);
		str_add(out, "token ");
		print_secret(&c->admin_token, out);
		str_add(out, "\n");
	}
	close_lazily(&b);
}

void print_settings(const struct config *c, struct str *out)
{
	print_plain(c, out);
	print_log(&c->log, out);
	print_timeouts(&c->timeouts, out);
	print_limits(&c->limits, out);
	print_sniff(&c->sniff, out);
	print_admin(c, out);
}
