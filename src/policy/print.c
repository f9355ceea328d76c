/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print.c - a configuration as canonical text; see policy.h.
 *
 * Writes statements in a fixed order and leaves out what is default; format.c
 * then aligns them.  Sets are printed as they were written (terms), ports as
 * what they came to.  Long lists are cut into several lines and, where the
 * language lets them repeat, into several statements.
 */
#include "policy/format.h"
#include "policy/policy.h"
#include "policy/words.h"

#include <stdio.h>
#include <string.h>

enum {
	LINE_COLUMNS = 72,	/* a list goes on in the next line then */
	STATEMENT_ITEMS = 1000, /* and in the next statement then */
};

/* A comma separated list on its way out. */
struct items {
	struct str *out;
	const char *again; /* what begins the next statement; NULL: go on */
	size_t count;
	size_t line; /* where the line begins in out->text */
};

static void next_item(struct items *i)
{
	bool is_full = i->again && i->count && i->count % STATEMENT_ITEMS == 0;
	bool is_wide = i->out->len - i->line > LINE_COLUMNS;

	if (is_full)
		str_addf(i->out, "\n%s ", i->again);
	else if (i->count)
		str_add(i->out, is_wide ? ",\n" : ", ");
	else
		str_add(i->out, " ");
	if (is_full || is_wide)
		i->line = i->out->len;
	i->count++;
}

/* `head` begins the statement; it can be repeated if `can_repeat`. */
static struct items begin_items(struct str *out, const char *head,
				bool can_repeat)
{
	struct items i = { .out = out, .line = out->len };

	str_add(out, head);
	if (can_repeat)
		i.again = head;
	return i;
}

/* In quotes if it could be read as anything but one bare word. */
static void print_word(const char *word, struct str *out)
{
	if (!word[strspn(word, "abcdefghijklmnopqrstuvwxyz"
			       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "0123456789_.:*@+/$\\-")]) {
		str_add(out, word);
		return;
	}
	str_add(out, "\"");
	for (; *word; word++) {
		if (*word == '"' || *word == '\\')
			str_add(out, "\\");
		str_addn(out, word, 1);
	}
	str_add(out, "\"");
}

/* --- values -------------------------------------------------------------- */

static void print_prefix(const struct prefix *p, struct str *out)
{
	char buf[ADDR_TEXT_MAX];

	str_add(out, prefix_format(p, buf));
}

static void print_ports(const char *head, const struct port_set *s,
			bool can_repeat, struct str *out)
{
	struct items items = begin_items(out, head, can_repeat);

	if (s->count == 1 && s->ranges[0].first == 1 &&
	    s->ranges[0].last == UINT16_MAX) {
		str_add(out, " any");
		return;
	}
	for (size_t i = 0; i < s->count; i++) {
		const struct port_range *r = &s->ranges[i];

		next_item(&items);
		str_addf(out, "%u", r->first);
		if (r->last != r->first)
			str_addf(out, "-%u", r->last);
	}
}

static void print_nets(const struct config *c, const char *head,
		       const struct net_expr *e, bool can_repeat,
		       struct str *out)
{
	struct items items = begin_items(out, head, can_repeat);

	for (size_t i = 0; i < e->count; i++) {
		const struct net_term *term = &e->terms[i];

		next_item(&items);
		switch (term->kind) {
		case NET_TERM_PREFIX:
			print_prefix(&term->prefix, out);
			break;
		case NET_TERM_PRIVATE:
			str_add(out, "private");
			break;
		case NET_TERM_LIST:
			str_add(out, c->lists[term->list].name);
			break;
		}
	}
}

/* --- settings ------------------------------------------------------------ */

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

static void print_settings(const struct config *c, struct str *out)
{
	static const struct config zero;
	struct config standard = zero;

	config_set_defaults(&standard);
	if (c->engine != standard.engine)
		str_addf(out, "engine %s\n", engine_words[c->engine]);
	if (c->on_failure != standard.on_failure)
		str_addf(out, "on-failure %s\n",
			 on_failure_words[c->on_failure]);
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
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].value == rows[i].standard)
			continue;
		open_lazily(&b);
		str_addf(out, "%s %u\n", rows[i].name, rows[i].value);
	}
	close_lazily(&b);
}

/* --- blocks -------------------------------------------------------------- */

static void print_list(const struct list *l, struct str *out)
{
	struct items items;

	str_addf(out, "\nlist %s {\n", l->name);
	if (l->count) {
		items = begin_items(out, "net", true);
		for (size_t i = 0; i < l->count; i++) {
			next_item(&items);
			print_prefix(&l->nets[i], out);
		}
		str_add(out, "\n");
	}
	str_add(out, "}\n");
}

static void print_words(const char *head, const char *const *words,
			size_t count, bool can_repeat, struct str *out)
{
	struct items items = begin_items(out, head, can_repeat);

	for (size_t i = 0; i < count; i++) {
		next_item(&items);
		print_word(words[i], out);
	}
	str_add(out, "\n");
}

static void print_excepts(const struct config *c, const struct intercept *i,
			  struct str *out)
{
	if (i->except_src.count) {
		print_nets(c, "except src", &i->except_src, true, out);
		str_add(out, "\n");
	}
	if (i->except_dst.count) {
		print_nets(c, "except dst", &i->except_dst, true, out);
		str_add(out, "\n");
	}
	if (i->except_port.count) {
		print_ports("except port", &i->except_port, true, out);
		str_add(out, "\n");
	}
	if (i->except_user_count)
		print_words("except user", i->except_users,
			    i->except_user_count, true, out);
	if (i->except_cgroup_count)
		print_words("except cgroup", i->except_cgroups,
			    i->except_cgroup_count, true, out);
}

char *deliver_format(const struct addr *deliver, char *buf)
{
	if (deliver->family)
		return addr_format(deliver, buf);
	(void)snprintf(buf, ADDR_TEXT_MAX, "*:%u", deliver->port); /* fits */
	return buf;
}

static void print_intercept(const struct config *c, const struct intercept *i,
			    struct str *out)
{
	char buf[ADDR_TEXT_MAX];

	str_addf(out, "\nintercept %s {\n", i->name);
	if (i->from_host)
		str_add(out, "from host\n");
	else
		print_words("from", i->ifnames, i->ifname_count, false, out);
	for (size_t proto = 0; proto < PROTO_COUNT; proto++) {
		if (!i->ports[proto].count)
			continue;
		print_ports(proto_words[proto], &i->ports[proto], false, out);
		str_add(out, "\n");
	}
	print_excepts(c, i, out);
	if (i->has_deliver)
		str_addf(out, "deliver %s\n", deliver_format(&i->deliver, buf));
	if (i->require_listener)
		str_add(out, "require-listener yes\n");
	str_add(out, "}\n");
}

static void print_upstream(const struct upstream *u, struct str *out)
{
	bool is_proxy =
		u->kind == UPSTREAM_PROXY_V1 || u->kind == UPSTREAM_PROXY_V2;
	enum upstream_source standard = is_proxy ? SOURCE_SELF : SOURCE_CLIENT;
	char buf[ADDR_TEXT_MAX];

	str_addf(out, "\nupstream %s {\nvia %s", u->name, via_words[u->kind]);
	if (is_proxy)
		str_addf(out, " %s", addr_format(&u->to, buf));
	str_add(out, "\n");
	if (u->source != standard)
		str_addf(out, "source %s\n", source_words[u->source]);
	if (u->has_to && !is_proxy)
		str_addf(out, "to %s\n",
			 u->to.port ? addr_format(&u->to, buf)
				    : addr_format_ip(&u->to, buf));
	str_add(out, "}\n");
}

static void print_conditions(const struct config *c, const struct rule *r,
			     struct str *out)
{
	const char *blank = "";
	bool is_list =
		r->dst.count == 1 && r->dst.terms[0].kind == NET_TERM_LIST;

	if (r->has_intercept) {
		str_addf(out, "intercept %s", c->intercepts[r->intercept].name);
		blank = " ";
	}
	for (size_t proto = 0; proto < PROTO_COUNT; proto++) {
		if (r->protos != 1u << proto)
			continue;
		str_addf(out, "%s%s", blank, proto_words[proto]);
		blank = " ";
	}
	if (r->src.count) {
		str_add(out, blank);
		print_nets(c, "src", &r->src, false, out);
		blank = " ";
	}
	if (r->dst.count) {
		str_add(out, blank);
		print_nets(c, is_list ? "list" : "dst", &r->dst, false, out);
		blank = " ";
	}
	if (r->has_ports) {
		str_add(out, blank);
		print_ports("port", &r->ports, false, out);
	}
}

static void print_rules(const struct config *c, struct str *out)
{
	size_t count = c->rule_count;

	if (count && !c->rules[count - 1].at.line)
		count--; /* nobody wrote that default */
	if (!count)
		return;
	str_add(out, "\nrules {\n");
	for (size_t i = 0; i < count; i++) {
		const struct rule *r = &c->rules[i];

		if (r->is_default)
			str_add(out, "default");
		else
			print_conditions(c, r, out);
		str_addf(out, " -> %s%s\n", c->upstreams[r->upstream].name,
			 r->is_logged ? " log" : "");
	}
	str_add(out, "}\n");
}

static void print_plain(const struct config *c, struct str *out)
{
	char buf[ADDR_TEXT_MAX];

	print_settings(c, out);
	print_log(&c->log, out);
	print_timeouts(&c->timeouts, out);
	print_limits(&c->limits, out);
	if (c->has_admin_http)
		str_addf(out, "\nadmin {\nhttp %s\n}\n",
			 addr_format(&c->admin_http, buf));
	for (size_t i = 0; i < c->list_count; i++)
		print_list(&c->lists[i], out);
	for (size_t i = 0; i < c->intercept_count; i++)
		print_intercept(c, &c->intercepts[i], out);
	for (size_t i = UPSTREAM_BUILTIN_COUNT; i < c->upstream_count; i++)
		print_upstream(&c->upstreams[i], out);
	print_rules(c, out);
}

void config_print(const struct config *c, struct str *out)
{
	struct str plain = { 0 };

	print_plain(c, &plain);
	if (!str_ok(&plain) ||
	    format_layout(str_get(&plain), plain.len, out) < 0)
		out->is_failed = true;
	str_done(&plain);
}
