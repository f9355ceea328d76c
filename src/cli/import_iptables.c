/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_iptables.c - one command of iptables; see import_iptables.h.
 *
 * A dump is the same commands, without the program's name.
 */
#include "cli/import_iptables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 192 };

/* What a command does to chains, and where its words are. */
struct operation {
	char letter; /* 0: none was given */
	const char *table, *chain;
	const char *words[512]; /* what is left: the rule */
	size_t count;
};

static const struct {
	const char *name;
	char letter;
} operations[] = {
	{ "-A", 'A' },
	{ "--append", 'A' },
	{ "-I", 'I' },
	{ "--insert", 'I' },
	{ "-D", 'D' },
	{ "--delete", 'D' },
	{ "-R", 'R' },
	{ "--replace", 'R' },
	{ "-N", 'N' },
	{ "--new-chain", 'N' },
	{ "--new", 'N' },
	{ "-F", 'F' },
	{ "--flush", 'F' },
	{ "-X", 'X' },
	{ "--delete-chain", 'X' },
	{ "-P", 'P' },
	{ "--policy", 'P' },
	{ "-C", 'C' },
	{ "--check", 'C' },
	{ "-L", 'L' },
	{ "--list", 'L' },
	{ "-S", 'L' },
	{ "--list-rules", 'L' },
	{ "-Z", 'Z' },
	{ "--zero", 'Z' },
	{ "-E", 'E' },
	{ "--rename-chain", 'E' },
};

static char operation_letter(const char *word)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]);
	     i++) {
		if (strcmp(operations[i].name, word) == 0)
			return operations[i].letter;
	}
	return '\0';
}

/* Options of the program itself, which say nothing about packets. */
static bool is_manner(const char *word)
{
	static const char *const manners[] = {
		"-w",	     "--wait", "-n", "--numeric", "-v",
		"--verbose", "-4",     "-6", "--ipv4",	  "--ipv6"
	};

	for (size_t i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
		if (strcmp(manners[i], word) == 0)
			return true;
	}
	return false;
}

static void read_operation(const struct import_iptables *command,
			   struct operation *out)
{
	out->letter = '\0';
	out->table = command->table;
	out->chain = NULL;
	out->count = 0;
	for (size_t i = 0; i < command->count; i++) {
		const char *word = command->words[i];
		bool has_next = i + 1 < command->count;
		char letter = out->letter ? '\0' : operation_letter(word);

		if (letter) {
			out->letter = letter;
			if (has_next && *command->words[i + 1] != '-')
				out->chain = command->words[++i];
		} else if ((strcmp(word, "-t") == 0 ||
			    strcmp(word, "--table") == 0) &&
			   has_next) {
			out->table = command->words[++i];
		} else if (strncmp(word, "--table=", 8) == 0) {
			out->table = word + 8;
		} else if (is_manner(word)) {
			if (has_next && command->words[i + 1][0] >= '0' &&
			    command->words[i + 1][0] <= '9')
				i++; /* seconds */
		} else {
			out->words[out->count++] = word;
		}
	}
}

/* --- chains -------------------------------------------------------------- */

static struct import_chain *chain_of(struct import *im,
				     const struct import_iptables *command,
				     const char *table, const char *name)
{
	char key[KEY_MAX];
	struct import_chain *c;

	(void)snprintf(key, sizeof(key), "%c %.60s %.100s", /* may cut */
		       command->family == FAMILY_V4 ? '4' : '6', table, name);
	c = import_chain(im, key);
	if (!c)
		return NULL;
	c->is_nat = strcmp(table, "nat") == 0;
	if (strcmp(table, "mangle") != 0)
		return c;
	c->priority = -150;
	if (strcmp(name, "PREROUTING") == 0)
		c->hook = HOOK_PREROUTING;
	else if (strcmp(name, "OUTPUT") == 0)
		c->hook = HOOK_OUTPUT;
	return c;
}

static void flush(struct import *im, const struct import_iptables *command,
		  const struct operation *o)
{
	char key[KEY_MAX];
	struct import_chain *only;

	if (o->chain) {
		only = chain_of(im, command, o->table, o->chain);
		if (only)
			import_remove_rules(only, NULL);
		return;
	}
	(void)snprintf(key, sizeof(key), "%c %.60s ", /* fits */
		       command->family == FAMILY_V4 ? '4' : '6', o->table);
	for (struct import_chain *c = im->chains; c; c = c->next) {
		if (strncmp(c->key, key, strlen(key)) == 0)
			import_remove_rules(c, NULL);
	}
}

/* --- rules --------------------------------------------------------------- */

static const struct {
	const char *name;
	enum import_action action;
} targets[] = {
	{ "ACCEPT", ACTION_ACCEPT }, { "DROP", ACTION_DROP },
	{ "REJECT", ACTION_DROP },   { "RETURN", ACTION_RETURN },
	{ "TPROXY", ACTION_TAKE },   { "REDIRECT", ACTION_REDIRECT },
	{ "MARK", ACTION_NEXT },     { "CONNMARK", ACTION_NEXT },
};

enum { TARGETS = sizeof(targets) / sizeof(targets[0]) };

static bool is_loopback_text(const char *text)
{
	return text && (strncmp(text, "127.", 4) == 0 ||
			strncmp(text, "[::1]", 5) == 0);
}

/* A target with no meaning here is a chain without rules. */
static void set_target(struct import_iptables_rule *r, const char *table)
{
	size_t i = 0;

	if (!r->target)
		return;
	while (i < TARGETS && strcmp(targets[i].name, r->target) != 0)
		i++;
	if (i < TARGETS) {
		r->rule->action = targets[i].action;
		r->rule->is_bookkeeping = strcmp(r->target, "CONNMARK") == 0;
		r->rule->sets_mark &= !r->rule->is_bookkeeping;
		return;
	}
	r->rule->action = r->is_goto ? ACTION_GOTO : ACTION_JUMP;
	if (strcmp(r->target, "DNAT") == 0 && is_loopback_text(r->to_address))
		r->rule->action = ACTION_REDIRECT;
	r->rule->to = chain_of(r->im, r->command, table, r->target);
	if (!r->rule->to)
		r->rule->action = ACTION_NEXT;
}

static const char *join(struct import *im, const char *const *words,
			size_t count)
{
	struct str text = { 0 };
	const char *kept;

	for (size_t i = 0; i < count; i++) {
		str_add(&text, words[i]);
		str_add(&text, "\n");
	}
	im->is_out_of_memory |= !str_ok(&text);
	kept = import_keep(im, str_get(&text), text.len);
	str_done(&text);
	return kept;
}

static struct import_rule *read_rule(struct import *im,
				     const struct import_iptables *command,
				     const struct operation *o, size_t first)
{
	struct import_rule *rule = import_alloc(im, sizeof(*rule));
	struct import_iptables_rule r = { .im = im,
					  .rule = rule,
					  .command = command };
	bool is_negated = false;

	if (!rule)
		return NULL;
	rule->at = command->at;
	rule->match.families = (uint8_t)(1 << command->family);
	rule->match.protos = PROTOS_ALL;
	for (size_t i = first; i < o->count;) {
		if (strcmp(o->words[i], "!") == 0) {
			is_negated = true;
			i++;
			continue;
		}
		i += import_iptables_option(&r, o->words + i, o->count - i,
					    is_negated);
		is_negated = false;
	}
	rule->text = join(im, o->words + first, o->count - first);
	set_target(&r, o->table);
	return rule;
}

/* "-I CHAIN 3 ...": the number, or `otherwise`. */
static size_t read_place(const struct operation *o, size_t otherwise,
			 size_t *first)
{
	uint32_t place;

	*first = 0;
	if (!o->count || !import_number(o->words[0], &place) || !place)
		return otherwise;
	*first = 1;
	return place;
}

static void add_rule(struct import *im, const struct import_iptables *command,
		     const struct operation *o)
{
	struct import_chain *c = chain_of(im, command, o->table, o->chain);
	size_t first = 0, place = 0;
	struct import_rule *rule;

	if (o->letter == 'I')
		place = read_place(o, 1, &first);
	rule = read_rule(im, command, o, first);
	if (c && rule)
		import_add_rule(im, c, rule, place);
}

static void delete_rule(struct import *im,
			const struct import_iptables *command,
			const struct operation *o)
{
	struct import_chain *c = chain_of(im, command, o->table, o->chain);
	size_t first, place = read_place(o, 0, &first);
	const char *text = join(im, o->words, o->count);
	struct import_rule **at;

	if (!c)
		return;
	for (at = &c->rules; *at; at = &(*at)->next) {
		im->searched++;
		if (place ? !--place : strcmp((*at)->text, text) == 0) {
			import_remove_rules(c, at);
			return;
		}
	}
}

/* --- commands ------------------------------------------------------------ */

void import_iptables_chain(struct import *im,
			   const struct import_iptables *command)
{
	struct import_chain *c;

	if (!command->count)
		return;
	c = chain_of(im, command, command->table, command->words[0]);
	if (c)
		import_declare(im, c, command->at);
}

void import_iptables(struct import *im, const struct import_iptables *command)
{
	struct operation o;
	struct import_iptables one;

	if (command->count > sizeof(o.words) / sizeof(o.words[0])) {
		import_refuse(im, command->at, "the command is too long");
		return;
	}
	if (im->searched > IMPORT_SEARCHED_MAX) {
		import_refuse(im, command->at,
			      "too many rules are inserted and deleted: give "
			      "the result (iptables-save)");
		return;
	}
	read_operation(command, &o);
	if (!o.chain) {
		if (o.letter == 'F')
			flush(im, command, &o);
		return;
	}
	switch (o.letter) {
	case 'A':
	case 'I':
		add_rule(im, command, &o);
		return;
	case 'D':
		delete_rule(im, command, &o);
		return;
	case 'F':
		flush(im, command, &o);
		return;
	case 'N':
		one = *command;
		one.table = o.table;
		one.words = &o.chain;
		one.count = 1;
		import_iptables_chain(im, &one);
		return;
	case 'E':
	case 'R':
		if (strcmp(o.table, "mangle") == 0)
			import_refuse(im, command->at,
				      "-E and -R are not read: give the result "
				      "(iptables-save)");
		return;
	}
}
