/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_nft.c - tables, chains, sets and commands; see import_nft.h.
 */
#include "cli/import_nft.h"

#include <stdio.h>
#include <string.h>

enum { KEY_MAX = 256 };

/* --- names --------------------------------------------------------------- */

struct import_chain *nft_chain(struct import *im, const struct nft_table *t,
			       const char *name)
{
	char key[KEY_MAX];

	(void)snprintf(key, sizeof(key), "n %.8s %.100s %.100s", /* may cut */
		       t->family, t->name, name);
	return import_chain(im, key);
}

struct import_values *nft_set(struct import *im, const struct nft_table *t,
			      const char *name)
{
	char key[KEY_MAX];

	(void)snprintf(key, sizeof(key), "n %.8s %.100s %.100s", /* may cut */
		       t->family, t->name, name);
	return import_set(im, key, name);
}

static const struct {
	const char *name;
	uint8_t families;
} families[] = {
	{ "ip", 1 << FAMILY_V4 }, { "ip6", 1 << FAMILY_V6 },
	{ "inet", FAMILIES_ALL }, { "arp", 0 },
	{ "bridge", 0 },	  { "netdev", 0 },
};

static void read_family(struct nft_lexer *l, struct nft_table *t)
{
	t->family = "ip";
	t->families = 1 << FAMILY_V4;
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		if (!nft_take(l, families[i].name))
			continue;
		t->family = families[i].name;
		t->families = families[i].families;
		return;
	}
}

/* The word at hand, taken; "" if there is none. */
static const char *take_name(struct nft_lexer *l)
{
	const char *name = l->word;

	if (l->token != NFT_WORD)
		return "";
	nft_next(l);
	return name;
}

/* --- chains -------------------------------------------------------------- */

static const struct {
	const char *name;
	long priority;
} priorities[] = {
	{ "raw", -300 }, { "mangle", -150 }, { "dstnat", -100 },
	{ "filter", 0 }, { "security", 50 }, { "srcnat", 100 },
};

/* "-150", "mangle", "filter + 10" */
static long read_priority(struct nft_lexer *l)
{
	long sign = 1, value = 0;
	uint32_t number;

	for (; l->token == NFT_WORD; nft_next(l)) {
		const char *word = l->word;

		for (size_t i = 0;
		     i < sizeof(priorities) / sizeof(priorities[0]); i++) {
			if (strcmp(priorities[i].name, word) == 0)
				value = priorities[i].priority;
		}
		if (*word == '-')
			sign = -1;
		if (import_number(word + (*word == '-' || *word == '+'),
				  &number) &&
		    number < 100000)
			value += sign * (long)number;
	}
	return value;
}

/* type filter hook prerouting priority mangle; policy accept; */
static void read_hook(struct nft_lexer *l, const struct nft_table *t,
		      struct import_chain *c)
{
	while (l->token == NFT_WORD) {
		c->is_nat |= nft_is(l, "nat");
		if (nft_take(l, "hook")) {
			if (t->families && nft_is(l, "prerouting"))
				c->hook = HOOK_PREROUTING;
			else if (t->families && nft_is(l, "output"))
				c->hook = HOOK_OUTPUT;
		}
		if (nft_take(l, "priority"))
			c->priority = read_priority(l);
		else if (l->token == NFT_WORD)
			nft_next(l);
	}
}

static void read_chain_body(struct nft_lexer *l, const struct nft_table *t,
			    struct import_chain *c)
{
	nft_next(l); /* { */
	for (;;) {
		nft_skip_newlines(l);
		if (l->token == NFT_CLOSE || l->token == NFT_END)
			break;
		if (nft_is(l, "type")) {
			uint32_t line = l->token_line;

			read_hook(l, t, c);
			import_declare(l->im, c, nft_span(l, line));
		} else if (nft_is(l, "policy") || nft_is(l, "comment") ||
			   nft_is(l, "devices") || nft_is(l, "flags")) {
			nft_skip_statement(l);
		} else {
			nft_read_rule(l, t, c, 0);
		}
		if (l->token == NFT_OPEN)
			nft_skip_block(l);
	}
	nft_next(l);
}

/* NAME [{ ... }], the line of which is `first` */
static void read_chain(struct nft_lexer *l, const struct nft_table *t,
		       uint32_t first)
{
	struct import_chain *c = nft_chain(l->im, t, take_name(l));

	if (!c)
		return;
	import_declare(l->im, c, nft_span(l, first));
	if (l->token == NFT_OPEN)
		read_chain_body(l, t, c);
}

/* --- sets ---------------------------------------------------------------- */

/* A pair of types cannot be read. */
static void read_set_type(struct nft_lexer *l, struct import_values *set)
{
	for (; l->token == NFT_WORD; nft_next(l))
		set->is_unread |= nft_is(l, ".") || nft_is(l, ":");
}

static void read_set_body(struct nft_lexer *l, struct import_values *set)
{
	nft_next(l); /* { */
	for (;;) {
		nft_skip_newlines(l);
		if (l->token == NFT_CLOSE || l->token == NFT_END)
			break;
		if (nft_is(l, "type") || nft_is(l, "typeof")) {
			read_set_type(l, set);
		} else if (nft_take(l, "elements")) {
			(void)nft_take(l, "=");
			nft_skip_newlines(l);
			if (l->token == NFT_OPEN)
				nft_read_elements(l, set);
		} else {
			nft_skip_statement(l);
		}
		if (l->token != NFT_NEWLINE && l->token != NFT_CLOSE)
			nft_skip_statement(l);
	}
	nft_next(l);
}

static void read_set(struct nft_lexer *l, const struct nft_table *t,
		     uint32_t first)
{
	struct import_values *set = nft_set(l->im, t, take_name(l));

	if (!set)
		return;
	if (l->token == NFT_OPEN)
		read_set_body(l, set);
	set->is_defined = true;
	set->at = nft_span(l, first);
}

static void read_elements(struct nft_lexer *l, const struct nft_table *t)
{
	struct import_values *set = nft_set(l->im, t, take_name(l));

	if (set && l->token == NFT_OPEN)
		nft_read_elements(l, set);
}

/* --- tables -------------------------------------------------------------- */

static void read_table_body(struct nft_lexer *l, const struct nft_table *t)
{
	nft_next(l); /* { */
	for (;;) {
		uint32_t line;

		nft_skip_newlines(l);
		if (l->token == NFT_CLOSE || l->token == NFT_END)
			break;
		line = l->token_line;
		if (nft_take(l, "chain"))
			read_chain(l, t, line);
		else if (nft_take(l, "set"))
			read_set(l, t, line);
		else if (l->token == NFT_OPEN)
			nft_skip_block(l);
		else if (l->token == NFT_WORD)
			nft_skip_statement(l);
		else
			nft_next(l);
	}
	nft_next(l);
}

static void read_table(struct nft_lexer *l)
{
	struct nft_table t;

	read_family(l, &t);
	t.name = take_name(l);
	if (l->token == NFT_OPEN)
		read_table_body(l, &t);
}

/* --- commands ------------------------------------------------------------ */

/* [index|position|handle N] rule */
static void add_rule(struct nft_lexer *l, const struct nft_table *t,
		     size_t place)
{
	struct import_chain *c = nft_chain(l->im, t, take_name(l));

	if (!c)
		return;
	if (nft_is(l, "index") || nft_is(l, "position") ||
	    nft_is(l, "handle")) {
		import_refuse(l->im, nft_span(l, l->token_line),
			      "a rule at a place: give the result (nft list "
			      "ruleset)");
		nft_skip_statement(l);
		return;
	}
	nft_read_rule(l, t, c, place);
}

static void add(struct nft_lexer *l, size_t place)
{
	struct nft_table t;
	uint32_t line = l->token_line;

	if (nft_take(l, "table")) {
		read_table(l);
		return;
	}
	if (nft_take(l, "chain")) {
		read_family(l, &t);
		t.name = take_name(l);
		read_chain(l, &t, line);
	} else if (nft_take(l, "rule")) {
		read_family(l, &t);
		t.name = take_name(l);
		add_rule(l, &t, place);
	} else if (nft_take(l, "set")) {
		read_family(l, &t);
		t.name = take_name(l);
		read_set(l, &t, line);
	} else if (nft_take(l, "element")) {
		read_family(l, &t);
		t.name = take_name(l);
		read_elements(l, &t);
	}
}

/* Rules that hold no more: of all, of a table, of a chain. */
static void flush(struct nft_lexer *l)
{
	struct nft_table t;
	char key[KEY_MAX];
	size_t len;

	if (nft_take(l, "ruleset")) {
		(void)snprintf(key, sizeof(key), "n ");
	} else if (nft_take(l, "table")) {
		read_family(l, &t);
		(void)snprintf(key, sizeof(key), "n %.8s %.100s ", /* may cut */
			       t.family, take_name(l));
	} else if (nft_take(l, "chain")) {
		read_family(l, &t);
		t.name = take_name(l);
		(void)snprintf(key, sizeof(key), "n %.8s %.100s %.100s",
			       t.family, t.name, take_name(l)); /* may cut */
	} else {
		return;
	}
	len = strlen(key);
	for (struct import_chain *c = l->im->chains; c; c = c->next) {
		if (strncmp(c->key, key, len) == 0 &&
		    (key[len - 1] == ' ' || !c->key[len]))
			import_remove_rules(c, NULL);
	}
}

static void read_command(struct nft_lexer *l)
{
	if (nft_take(l, "table"))
		read_table(l);
	else if (nft_take(l, "add") || nft_take(l, "create"))
		add(l, 0);
	else if (nft_take(l, "insert"))
		add(l, 1);
	else if (nft_take(l, "flush") || nft_take(l, "delete"))
		flush(l);
	else if (nft_is(l, "include"))
		import_refuse(l->im, nft_span(l, l->token_line),
			      "the file that it reads is not looked at: give "
			      "it as well");
	nft_skip_statement(l);
	if (l->token == NFT_CLOSE)
		nft_next(l);
}

void import_nft_command(struct import *im, const char *text,
			struct import_span at)
{
	struct nft_lexer l = { .im = im,
			       .at = text,
			       .line = at.first,
			       .end = text + strlen(text),
			       .is_one_command = true,
			       .command_last = at.last };

	nft_start(&l);
	while (l.token != NFT_END) {
		nft_skip_newlines(&l);
		read_command(&l);
	}
}

/* --- where nft begins ---------------------------------------------------- */

static bool is_noun(const char *word)
{
	static const char *const nouns[] = {
		"table",   "chain",	"rule",	   "set",    "map",
		"element", "flowtable", "ruleset", "counter"
	};

	for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++) {
		if (strcmp(nouns[i], word) == 0)
			return true;
	}
	return false;
}

static bool is_command(struct nft_lexer *l)
{
	static const char *const verbs[] = { "add",   "create", "insert",
					     "flush", "delete", "destroy" };

	nft_start(l);
	if (nft_is(l, "table") || nft_is(l, "include"))
		return true;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (nft_take(l, verbs[i]))
			return l->token == NFT_WORD && is_noun(l->word);
	}
	return false;
}

uint32_t import_nft_lines(struct import *im, uint32_t at, uint32_t end)
{
	const struct import_line *first = &im->lines[at];
	const struct import_line *last = &im->lines[end - 1];
	struct nft_lexer l = { .im = im,
			       .at = first->text,
			       .line = at,
			       .end = first->text + first->len };

	if (!is_command(&l))
		return at;
	l.at = first->text;
	l.end = last->text + last->len;
	l.line = at;
	nft_start(&l);
	/* up to a newline, not a semicolon, outside of all blocks */
	while (l.token != NFT_END &&
	       (l.token != NFT_NEWLINE || l.line == l.token_line)) {
		if (l.token == NFT_NEWLINE)
			nft_next(&l);
		else
			read_command(&l);
	}
	return l.token_line + 1;
}
