/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_nft_match.c - conditions of nft; see import_nft.h.
 *
 * A condition is a word, perhaps with a second one (ip daddr), then the
 * operand.  Marks are here as well, since setting one begins like asking for
 * one.
 */
#include "cli/import_nft.h"

#include <stdio.h>
#include <string.h>

void nft_unknown(struct nft_reader *r, const char *what)
{
	import_match_unknown(&r->rule->match,
			     import_keepf(r->l->im,
					  "waylay has no condition like "
					  "\"%.60s\"",
					  what));
}

/* --- operands ------------------------------------------------------------ */

/* "a", "a,b", "{ a, b }", "@name" */
static struct import_values *read_values(struct nft_reader *r)
{
	struct nft_lexer *l = r->l;
	struct import_values *v;

	if (l->token == NFT_WORD && *l->word == '@') {
		v = nft_set(l->im, r->table, l->word + 1);
		nft_next(l);
		return v;
	}
	v = import_values_new(l->im);
	if (!v)
		return NULL;
	if (l->token == NFT_OPEN) {
		nft_read_elements(l, v);
		return v;
	}
	while (l->token == NFT_WORD) {
		v->is_unread |= *l->word == '$';
		import_values_add(l->im, v, l->word, l->token_line);
		nft_next(l);
		if (l->token != NFT_COMMA)
			break;
		nft_next(l);
	}
	return v;
}

/* vmap { VALUE : VERDICT, ... }: where it leads is known, for what is not. */
static void read_verdict_map(struct nft_reader *r)
{
	struct nft_lexer *l = r->l;

	nft_unknown(r, "vmap");
	r->rule->action = ACTION_ACCEPT;
	if (l->token != NFT_OPEN) {
		(void)read_values(r); /* a map by name */
		return;
	}
	for (; l->token != NFT_CLOSE && l->token != NFT_END; nft_next(l)) {
		struct import_rule *jump;

		if (!nft_take(l, "jump") && !nft_take(l, "goto"))
			continue;
		jump = import_alloc(l->im, sizeof(*jump));
		if (!jump || l->token != NFT_WORD)
			return;
		*jump = *r->rule;
		jump->action = ACTION_JUMP;
		jump->at = nft_span(l, r->rule->at.first);
		jump->to = nft_chain(l->im, r->table, l->word);
		if (jump->to)
			import_add_rule(l->im, r->chain, jump, 0);
	}
	if (l->token == NFT_CLOSE)
		nft_next(l);
}

/* The same behind != or ==; NULL if it is anything else. */
static struct import_values *read_operand(struct nft_reader *r,
					  bool *is_negated)
{
	static const char *const others[] = { "<",   ">",  "<=", ">=",	"&",
					      "and", "or", "|",	 "set", "." };
	struct nft_lexer *l = r->l;

	*is_negated = nft_take(l, "!=");
	if (!*is_negated)
		(void)(nft_take(l, "==") || nft_take(l, "eq"));
	if (nft_take(l, "vmap")) {
		read_verdict_map(r);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (nft_is(l, others[i])) {
			nft_unknown(r, others[i]);
			return NULL;
		}
	}
	if (l->token != NFT_WORD && l->token != NFT_OPEN) {
		nft_unknown(r, "no value");
		return NULL;
	}
	return read_values(r);
}

static void add_values(struct nft_reader *r, enum import_dim dim)
{
	bool is_negated;
	struct import_values *v = read_operand(r, &is_negated);

	if (v)
		import_match_add(r->l->im, &r->rule->match, dim, is_negated, v);
}

static bool holds(const struct import_values *v, const char *text)
{
	for (size_t i = 0; i < v->count; i++) {
		if (strcmp(v->elements[i].text, text) == 0)
			return true;
	}
	return false;
}

/* --- protocols and families ---------------------------------------------- */

static void restrict_bits(struct nft_reader *r, uint8_t *bits, uint8_t all,
			  const char *const *words)
{
	bool is_negated;
	struct import_values *v = read_operand(r, &is_negated);
	uint8_t found = 0;

	if (!v)
		return;
	if (v->name || v->is_unread)
		nft_unknown(r, "a set of protocols");
	for (size_t i = 0; words[i]; i++) {
		if (holds(v, words[i]))
			found |= (uint8_t)(1 << i % 2);
	}
	*bits &= is_negated ? (uint8_t)(all & ~found) : found;
}

static void read_l4proto(struct nft_reader *r)
{
	static const char *const words[] = {
		[0] = "tcp", [1] = "udp", [2] = "6", [3] = "17", [4] = NULL,
	};

	_Static_assert(PROTO_TCP == 0 && PROTO_UDP == 1, "order of words");
	restrict_bits(r, &r->rule->match.protos, PROTOS_ALL, words);
}

static void read_nfproto(struct nft_reader *r)
{
	static const char *const words[] = { "ipv4", "ipv6", "ip", "ip6",
					     "2",    "10",   NULL };

	_Static_assert(FAMILY_V4 == 0 && FAMILY_V6 == 1, "order of words");
	restrict_bits(r, &r->rule->match.families, FAMILIES_ALL, words);
}

/* --- headers ------------------------------------------------------------- */

/* A field that waylay has not, and its operand. */
static void skip_unknown(struct nft_reader *r, const char *header,
			 const char *field)
{
	char text[128];
	bool is_negated;

	(void)snprintf(text, sizeof(text), "%.40s %.60s", header, field);
	nft_unknown(r, text);
	if (r->l->token == NFT_WORD || r->l->token == NFT_OPEN)
		(void)read_operand(r, &is_negated);
}

static void read_unknown_field(struct nft_reader *r, const char *header)
{
	const char *field = r->l->token == NFT_WORD ? r->l->word : "";

	if (*field)
		nft_next(r->l);
	skip_unknown(r, header, field);
}

static void read_ip_header(struct nft_reader *r, const char *name,
			   uint8_t family)
{
	r->rule->match.families &= family;
	if (nft_take(r->l, "saddr"))
		add_values(r, DIM_SRC);
	else if (nft_take(r->l, "daddr"))
		add_values(r, DIM_DST);
	else if (nft_take(r->l, "protocol") || nft_take(r->l, "nexthdr"))
		read_l4proto(r);
	else
		read_unknown_field(r, name);
}

static void read_ip(struct nft_reader *r)
{
	read_ip_header(r, "ip", 1 << FAMILY_V4);
}

static void read_ip6(struct nft_reader *r)
{
	read_ip_header(r, "ip6", 1 << FAMILY_V6);
}

/* "syn / fin,syn,rst,ack", "& (fin | syn | rst | ack) == syn", "syn": what has
 * only SYN begins a flow. */
static void read_tcp_flags(struct nft_reader *r)
{
	struct nft_lexer *l = r->l;
	struct import_match *m = &r->rule->match;
	bool is_masked = nft_is(l, "&") || nft_is(l, "and"), is_negated;
	struct import_values *v;

	while (is_masked && l->token == NFT_WORD && !nft_is(l, "==") &&
	       !nft_is(l, "!="))
		nft_next(l);
	v = read_operand(r, &is_negated);
	if (nft_take(l, "/"))
		(void)read_values(r); /* which flags are looked at */
	if (v && v->count == 1 && holds(v, "syn"))
		m->is_self |= is_negated;
	else
		nft_unknown(r, "tcp flags");
}

static void read_transport(struct nft_reader *r, const char *name,
			   uint8_t protos)
{
	r->rule->match.protos &= protos;
	if (nft_take(r->l, "dport"))
		add_values(r, DIM_PORT);
	else if (protos == 1 << PROTO_TCP && nft_take(r->l, "flags"))
		read_tcp_flags(r);
	else
		read_unknown_field(r, name);
}

static void read_tcp(struct nft_reader *r)
{
	read_transport(r, "tcp", 1 << PROTO_TCP);
}

static void read_udp(struct nft_reader *r)
{
	read_transport(r, "udp", 1 << PROTO_UDP);
}

static void read_th(struct nft_reader *r)
{
	read_transport(r, "th", PROTOS_ALL);
}

/* --- marks --------------------------------------------------------------- */

/* "0x1", "mark and 0xfffffffe or 0x1"; a connmark is bookkeeping. */
static void read_mark_value(struct nft_reader *r)
{
	struct nft_lexer *l = r->l;
	struct import_rule *rule = r->rule;
	uint32_t mask = UINT32_MAX, value = 0, number;
	bool is_read = false;
	char sign = '\0';

	if (nft_take(l, "ct")) {
		(void)nft_take(l, "mark");
		rule->is_bookkeeping = true;
		return;
	}
	if (nft_take(l, "meta") || nft_is(l, "mark")) {
		(void)nft_take(l, "mark");
		mask = 0;
		if (l->token != NFT_WORD)
			return;
	}
	for (; l->token == NFT_WORD; nft_next(l)) {
		if (import_number(l->word, &number)) {
			is_read = true;
			if (sign == '&')
				mask |= ~number;
			else if (sign == '|')
				mask |= number;
			value = sign == '&' ? value & number : value | number;
			sign = '\0';
		} else if (nft_is(l, "and") || nft_is(l, "&")) {
			sign = '&';
		} else if (nft_is(l, "or") || nft_is(l, "|") ||
			   nft_is(l, "xor") || nft_is(l, "^")) {
			sign = '|';
		} else if (!nft_is(l, "(") && !nft_is(l, ")")) {
			break;
		}
	}
	rule->sets_mark = is_read;
	rule->mark_mask = mask;
	rule->mark_value = value;
}

static void read_mark(struct nft_reader *r)
{
	struct import_match *m = &r->rule->match;
	uint32_t mask = UINT32_MAX;
	struct import_values *v;

	if (nft_take(r->l, "set")) {
		read_mark_value(r);
		return;
	}
	if (nft_take(r->l, "and") || nft_take(r->l, "&")) {
		if (r->l->token != NFT_WORD ||
		    !import_number(r->l->word, &mask))
			nft_unknown(r, "this mark");
		if (r->l->token == NFT_WORD)
			nft_next(r->l);
	}
	v = read_operand(r, &m->is_mark_negated);
	if (!v || m->has_mark || v->count != 1 || v->name ||
	    !import_number(v->elements[0].text, &m->mark)) {
		nft_unknown(r, "this mark");
		return;
	}
	m->has_mark = true;
	m->mask = mask;
}

/* --- what waylay leaves alone -------------------------------------------- */

static void read_ct(struct nft_reader *r)
{
	struct import_match *m = &r->rule->match;
	bool is_negated;
	struct import_values *v;

	if (nft_take(r->l, "state")) {
		v = read_operand(r, &is_negated);
		m->is_self |= v && holds(v, "new") == is_negated;
	} else if (nft_take(r->l, "direction")) {
		v = read_operand(r, &is_negated);
		m->is_self |= v && holds(v, "reply") != is_negated;
	} else if (nft_take(r->l, "mark")) {
		if (nft_take(r->l, "set")) {
			struct import_rule before = *r->rule;

			read_mark_value(r);
			r->rule->sets_mark = before.sets_mark;
			r->rule->mark_mask = before.mark_mask;
			r->rule->mark_value = before.mark_value;
			r->rule->is_bookkeeping = true;
			return;
		}
		v = read_operand(r, &is_negated); /* new flows have none */
		m->is_self |= v && !is_negated;
	} else {
		read_unknown_field(r, "ct");
	}
}

static void read_socket(struct nft_reader *r)
{
	struct import_match *m = &r->rule->match;
	bool is_negated;
	struct import_values *v;

	if (nft_take(r->l, "transparent")) {
		v = read_operand(r, &is_negated);
		if (v && holds(v, "1") != is_negated)
			m->is_self = m->is_socket = true;
	} else if (nft_take(r->l, "wildcard")) {
		(void)read_operand(r, &is_negated); /* with transparent 1 */
	} else if (nft_take(r->l, "cgroupv2")) {
		if (nft_take(r->l, "level") && r->l->token == NFT_WORD)
			nft_next(r->l);
		add_values(r, DIM_CGROUP);
	} else {
		read_unknown_field(r, "socket");
	}
}

/* fib daddr [. iif] type local */
static void read_fib(struct nft_reader *r)
{
	bool is_dst = nft_is(r->l, "daddr"), is_negated;
	struct import_values *v;

	while (r->l->token == NFT_WORD && !nft_is(r->l, "type") &&
	       !nft_is(r->l, "oif") && !nft_is(r->l, "oifname"))
		nft_next(r->l);
	if (!is_dst || !nft_take(r->l, "type")) {
		read_unknown_field(r, "fib");
		return;
	}
	v = read_operand(r, &is_negated);
	r->rule->match.is_self |= v && holds(v, "unicast") == is_negated;
}

/* --- interfaces and owners ----------------------------------------------- */

static void read_iifname(struct nft_reader *r)
{
	add_values(r, DIM_IFNAME);
}

static void read_oifname(struct nft_reader *r)
{
	add_values(r, DIM_OUT_IFNAME);
}

static void read_skuid(struct nft_reader *r)
{
	add_values(r, DIM_USER);
}

static void read_meta(struct nft_reader *r); /* by the table below */

/* --- the tables ---------------------------------------------------------- */

struct condition {
	const char *word;
	void (*read)(struct nft_reader *r);
};

static const struct condition metas[] = {
	{ "l4proto", read_l4proto },  { "nfproto", read_nfproto },
	{ "protocol", read_nfproto }, { "mark", read_mark },
	{ "iifname", read_iifname },  { "iif", read_iifname },
	{ "oifname", read_oifname },  { "oif", read_oifname },
	{ "skuid", read_skuid },      { NULL, NULL },
};

static const struct condition headers[] = {
	{ "ip", read_ip },	   { "ip6", read_ip6 },
	{ "tcp", read_tcp },	   { "udp", read_udp },
	{ "th", read_th },	   { "ct", read_ct },
	{ "socket", read_socket }, { "fib", read_fib },
	{ "meta", read_meta },	   { NULL, NULL },
};

static bool read_one(struct nft_reader *r, const struct condition *c,
		     const char *word)
{
	while (c->word && strcmp(c->word, word) != 0)
		c++;
	if (c->read)
		c->read(r);
	return c->read;
}

static void read_meta(struct nft_reader *r)
{
	const char *word = r->l->token == NFT_WORD ? r->l->word : "";

	if (*word)
		nft_next(r->l);
	if (!read_one(r, metas, word))
		skip_unknown(r, "meta", word);
}

bool nft_read_match(struct nft_reader *r, const char *word)
{
	return read_one(r, headers, word) || read_one(r, metas, word);
}
