/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print.c - a configuration as canonical text; see policy.h.
 *
 * Writes statements in a fixed order and leaves out what is default; format.c
 * then aligns them.  Sets are printed as they were written (terms), ports as
 * what they came to.  Long lists are cut into several lines and, where the
 * language lets them repeat, into several statements.  print.h has the parts.
 */
#include "policy/print.h"
#include "policy/format.h"
#include "policy/words.h"

#include <stdio.h>
#include <string.h>

enum {
	LINE_COLUMNS = 72,	/* a list goes on in the next line then */
	STATEMENT_ITEMS = 1000, /* and in the next statement then */
};

void print_items_next(struct print_items *i)
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

struct print_items print_items_begin(struct str *out, const char *head,
				     bool can_repeat)
{
	struct print_items i = { .out = out, .line = out->len };

	str_add(out, head);
	if (can_repeat)
		i.again = head;
	return i;
}

void print_word(const char *word, struct str *out)
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

void print_secret(const struct secret_ref *s, struct str *out)
{
	struct str word = { .len = 0 };

	str_addf(&word, "%s:%s", secret_words[s->from], s->name);
	print_word(str_get(&word), out);
	out->is_failed |= !str_ok(&word);
	str_done(&word);
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
	struct print_items items = print_items_begin(out, head, can_repeat);

	if (s->count == 1 && s->ranges[0].first == 1 &&
	    s->ranges[0].last == UINT16_MAX) {
		str_add(out, " any");
		return;
	}
	for (size_t i = 0; i < s->count; i++) {
		const struct port_range *r = &s->ranges[i];

		print_items_next(&items);
		str_addf(out, "%u", r->first);
		if (r->last != r->first)
			str_addf(out, "-%u", r->last);
	}
}

static void print_nets(const struct config *c, const char *head,
		       const struct net_expr *e, bool can_repeat,
		       struct str *out)
{
	struct print_items items = print_items_begin(out, head, can_repeat);

	for (size_t i = 0; i < e->count; i++) {
		const struct net_term *term = &e->terms[i];

		print_items_next(&items);
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

/* --- blocks -------------------------------------------------------------- */

static void print_domains(const char *head, const struct domain_term *terms,
			  size_t count, bool can_repeat, struct str *out)
{
	struct print_items items = print_items_begin(out, head, can_repeat);

	for (size_t i = 0; i < count; i++) {
		print_items_next(&items);
		print_word(terms[i].text, out);
	}
}

static void print_list(const struct list *l, struct str *out)
{
	struct print_items items;

	str_addf(out, "\nlist %s {\n", l->name);
	if (l->count) {
		items = print_items_begin(out, "net", true);
		for (size_t i = 0; i < l->count; i++) {
			print_items_next(&items);
			print_prefix(&l->nets[i], out);
		}
		str_add(out, "\n");
	}
	if (l->domain_count) {
		print_domains("domain", l->domains, l->domain_count, true, out);
		str_add(out, "\n");
	}
	for (size_t i = 0; i < l->file_count; i++) {
		str_add(out, "file ");
		print_word(l->files[i].path, out);
		str_add(out, "\n");
	}
	if (l->is_reloaded)
		str_add(out, "reload on-change\n");
	str_add(out, "}\n");
}

static void print_words(const char *head, const char *const *words,
			size_t count, bool can_repeat, struct str *out)
{
	struct print_items items = print_items_begin(out, head, can_repeat);

	for (size_t i = 0; i < count; i++) {
		print_items_next(&items);
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

static void print_listen(const struct config *c, const struct intercept *i,
			 struct str *out)
{
	char buf[ADDR_TEXT_MAX];

	str_addf(out, "listen %s\n", addr_format(&i->listen, buf));
	if (i->redirected_from.count)
		print_nets(c, "redirected from", &i->redirected_from, false,
			   out);
	else
		print_nets(c, "proxy-protocol from", &i->proxy_from, false,
			   out);
	str_add(out, "\n");
}

static void print_packets(const struct config *c, const struct intercept *i,
			  struct str *out)
{
	char buf[ADDR_TEXT_MAX];

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
}

static void print_intercept(const struct config *c, const struct intercept *i,
			    struct str *out)
{
	str_addf(out, "\nintercept %s {\n", i->name);
	if (i->has_listen)
		print_listen(c, i, out);
	else
		print_packets(c, i, out);
	str_add(out, "}\n");
}

/* --- rules --------------------------------------------------------------- */

/* A condition is about to be added, behind those that are there. */
static void next_condition(struct str *out, size_t start)
{
	if (out->len > start)
		str_add(out, " ");
}

/* `quic` says udp already. */
static void print_protos(const struct rule *r, size_t start, struct str *out)
{
	for (size_t proto = 0; proto < PROTO_COUNT; proto++) {
		if (r->protos != 1u << proto || r->is_quic)
			continue;
		next_condition(out, start);
		str_add(out, proto_words[proto]);
	}
	if (r->is_quic) {
		next_condition(out, start);
		str_add(out, "quic");
	}
}

static void print_addresses(const struct config *c, const struct rule *r,
			    size_t start, struct str *out)
{
	bool is_list =
		r->dst.count == 1 && r->dst.terms[0].kind == NET_TERM_LIST;

	/* With a name beside it, `list` would be one name too many. */
	if (r->domains.count)
		is_list = false;
	if (r->src.count) {
		next_condition(out, start);
		print_nets(c, "src", &r->src, false, out);
	}
	if (r->dst.count) {
		next_condition(out, start);
		print_nets(c, is_list ? "list" : "dst", &r->dst, false, out);
	}
}

static void print_conditions(const struct config *c, const struct rule *r,
			     struct str *out)
{
	size_t start = out->len;

	if (r->has_intercept)
		str_addf(out, "intercept %s", c->intercepts[r->intercept].name);
	print_protos(r, start, out);
	print_addresses(c, r, start, out);
	if (r->has_ports) {
		next_condition(out, start);
		print_ports("port", &r->ports, false, out);
	}
	if (r->domains.count) {
		next_condition(out, start);
		print_domains("domain", r->domains.terms, r->domains.count,
			      false, out);
	}
}

void config_print_rule(const struct config *c, size_t rule, struct str *out)
{
	static const char *const cut_texts[] = {
		[RULE_CUT_AS_FILE] = "",
		[RULE_CUT_ON] = " cut-through on",
		[RULE_CUT_OFF] = " cut-through off",
	};
	const struct rule *r = &c->rules[rule];

	if (r->is_default)
		str_add(out, "default");
	else
		print_conditions(c, r, out);
	str_addf(out, " -> %s%s%s", c->upstreams[r->upstream].name,
		 r->is_logged ? " log" : "", cut_texts[r->cut_through]);
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
		config_print_rule(c, i, out);
		str_add(out, "\n");
	}
	str_add(out, "}\n");
}

static void print_plain(const struct config *c, struct str *out)
{
	print_settings(c, out);
	for (size_t i = 0; i < c->list_count; i++)
		print_list(&c->lists[i], out);
	for (size_t i = 0; i < c->intercept_count; i++)
		print_intercept(c, &c->intercepts[i], out);
	for (size_t i = UPSTREAM_BUILTIN_COUNT; i < c->upstream_count; i++)
		print_upstream(c, &c->upstreams[i], out);
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
