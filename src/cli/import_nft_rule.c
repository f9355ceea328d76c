/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_nft_rule.c - one rule of nft, from left to right; see import_nft.h.
 *
 * A word that is neither an action nor a condition makes the rule one whose
 * conditions we do not know.
 */
#include "cli/import_nft.h"

#include <string.h>

/* --- actions ------------------------------------------------------------- */

static void read_accept(struct nft_reader *r)
{
	if (r->rule->action != ACTION_TAKE)
		r->rule->action = ACTION_ACCEPT;
}

static void read_drop(struct nft_reader *r)
{
	nft_skip_statement(r->l); /* reject with ... */
	r->rule->action = ACTION_DROP;
}

static void read_return(struct nft_reader *r)
{
	if (r->rule->action != ACTION_TAKE)
		r->rule->action = ACTION_RETURN;
}

static void read_to_chain(struct nft_reader *r, enum import_action action)
{
	if (r->l->token != NFT_WORD)
		return;
	r->rule->to = nft_chain(r->l->im, r->table, r->l->word);
	if (r->rule->to)
		r->rule->action = action;
	nft_next(r->l);
}

static void read_jump(struct nft_reader *r)
{
	read_to_chain(r, ACTION_JUMP);
}

static void read_goto(struct nft_reader *r)
{
	read_to_chain(r, ACTION_GOTO);
}

/* ":50080", "127.0.0.1:50080", "[::1]:50080", "127.0.0.1" */
static bool parse_listener(const char *text, struct addr *out)
{
	struct addr a = { .family = 0 };
	uint32_t port;

	if (strchr(text, '%'))
		return false;
	if (*text == ':' && text[1] != ':') {
		if (!import_number(text + 1, &port) || port > 65535)
			return false;
		a.port = (uint16_t)port;
	} else if (addr_parse(text, &a) < 0 && addr_parse_ip(text, &a) < 0) {
		return false;
	}
	*out = a;
	return true;
}

/* tproxy [ip|ip6] to ... */
static void read_tproxy(struct nft_reader *r)
{
	struct import_rule *rule = r->rule;

	if (nft_take(r->l, "ip"))
		rule->match.families &= 1 << FAMILY_V4;
	else if (nft_take(r->l, "ip6"))
		rule->match.families &= 1 << FAMILY_V6;
	(void)nft_take(r->l, "to");
	rule->action = ACTION_TAKE;
	rule->is_open = !rule->sets_mark;
	if (r->l->token != NFT_WORD ||
	    !parse_listener(r->l->word, &rule->deliver))
		nft_unknown(r, "this listener of tproxy");
	else if (rule->deliver.family)
		rule->match.families &= rule->deliver.family == AF_INET
						? 1 << FAMILY_V4
						: 1 << FAMILY_V6;
	if (r->l->token == NFT_WORD)
		nft_next(r->l);
}

static void read_redirect(struct nft_reader *r)
{
	nft_skip_statement(r->l);
	r->rule->action = ACTION_REDIRECT;
}

static void read_dnat(struct nft_reader *r)
{
	bool is_here = false;

	for (; r->l->token == NFT_WORD; nft_next(r->l))
		is_here |= strncmp(r->l->word, "127.", 4) == 0 ||
			   strncmp(r->l->word, "[::1]", 5) == 0 ||
			   strcmp(r->l->word, "::1") == 0;
	r->rule->action = is_here ? ACTION_REDIRECT : ACTION_DROP;
}

static void read_xt(struct nft_reader *r)
{
	bool is_target = nft_take(r->l, "target");

	if (is_target && nft_is(r->l, "TPROXY"))
		r->rule->action = ACTION_TAKE;
	import_match_unknown(&r->rule->match,
			     "nft cannot print this rule of iptables: give the "
			     "output of iptables-save");
	nft_skip_statement(r->l);
}

/* What says nothing about which packets are meant. */
static void skip_counter(struct nft_reader *r)
{
	if (nft_take(r->l, "name") && r->l->token == NFT_WORD)
		nft_next(r->l);
	while (nft_is(r->l, "packets") || nft_is(r->l, "bytes")) {
		nft_next(r->l);
		if (r->l->token == NFT_WORD)
			nft_next(r->l);
	}
}

static void skip_log(struct nft_reader *r)
{
	static const char *const options[] = { "prefix",  "level",
					       "flags",	  "group",
					       "snaplen", "queue-threshold" };

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]);) {
		if (!nft_take(r->l, options[i])) {
			i++;
			continue;
		}
		if (r->l->token == NFT_WORD)
			nft_next(r->l);
		i = 0;
	}
}

static void skip_word(struct nft_reader *r)
{
	if (r->l->token == NFT_WORD)
		nft_next(r->l);
}

static void skip_nothing(struct nft_reader *r)
{
	(void)r; /* the word alone says it */
}

/* --- the table ----------------------------------------------------------- */

static const struct {
	const char *word;
	void (*read)(struct nft_reader *r);
} actions[] = {
	{ "accept", read_accept },
	{ "drop", read_drop },
	{ "reject", read_drop },
	{ "return", read_return },
	{ "continue", skip_nothing },
	{ "jump", read_jump },
	{ "goto", read_goto },
	{ "tproxy", read_tproxy },
	{ "redirect", read_redirect },
	{ "dnat", read_dnat },
	{ "xt", read_xt },
	{ "counter", skip_counter },
	{ "log", skip_log },
	{ "comment", skip_word },
};

static bool read_action(struct nft_reader *r, const char *word)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].word, word) != 0)
			continue;
		actions[i].read(r);
		return true;
	}
	return false;
}

static void read_statement(struct nft_reader *r)
{
	struct nft_lexer *l = r->l;
	const char *word = l->word;

	if (l->token == NFT_OPEN) {
		nft_skip_block(l);
		return;
	}
	if (l->token != NFT_WORD) {
		nft_next(l);
		return;
	}
	nft_next(l);
	if (!read_action(r, word) && !nft_read_match(r, word))
		nft_unknown(r, word);
}

/* TPROXY's mark is that of routing, also where it is set before. */
static void note_mark(struct nft_reader *r)
{
	struct import_fwmark m = { .at = r->rule->at,
				   .mask = UINT32_MAX,
				   .value = r->rule->mark_value };

	if (r->rule->action != ACTION_TAKE || !r->rule->sets_mark)
		return;
	import_add_mark(r->l->im, &r->l->im->target_marks, &m);
	r->rule->sets_mark = false;
}

void nft_read_rule(struct nft_lexer *l, const struct nft_table *t,
		   struct import_chain *c, size_t place)
{
	struct import_rule *rule = import_alloc(l->im, sizeof(*rule));
	struct nft_reader r = { l, t, rule, c };

	if (!rule) {
		nft_skip_statement(l);
		return;
	}
	rule->at.first = l->token_line;
	rule->text = "";
	rule->match.families = t->families;
	rule->match.protos = PROTOS_ALL;
	while (l->token != NFT_NEWLINE && l->token != NFT_CLOSE &&
	       l->token != NFT_END)
		read_statement(&r);
	rule->at = nft_span(l, rule->at.first);
	note_mark(&r);
	import_add_rule(l->im, c, rule, place);
}
