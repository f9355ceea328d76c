/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_rule.c - a word of --allow or --deny as conditions; see exec_rule.h.
 */
#include "cli/exec_rule.h"

#include "net/addr.h"
#include "policy/domains.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { WORD_MAX = 320 };

struct target {
	const char *condition; /* "dst" or "domain" */
	char what[WORD_MAX];   /* as the grammar writes it */
	uint16_t port;	       /* 0: any */
};

/* -EINVAL: neither; -ERANGE: a network with bits behind its length. */
static int parse_what(const char *text, struct target *t)
{
	struct prefix prefix;
	int error;

	if (!strcmp(text, "private")) {
		t->condition = "dst";
		(void)strcpy(t->what, text); /* fits */
		return 0;
	}
	error = prefix_parse(text, &prefix);
	if (error == -ERANGE)
		return error;
	if (!error) {
		t->condition = "dst";
		(void)prefix_format(&prefix, t->what);
		return 0;
	}
	if (!domain_pattern(text, strlen(text), t->what))
		return -EINVAL;
	t->condition = "domain";
	return 0;
}

/* "WHAT:PORT", or "[WHAT]:PORT" for what has colons itself. */
static int parse_with_port(char *text, struct target *t)
{
	char *colon = strrchr(text, ':');

	if (!colon || addr_parse_port(colon + 1, &t->port) < 0)
		return -EINVAL;
	*colon = '\0';
	if (*text == '[' && colon > text + 1 && colon[-1] == ']') {
		colon[-1] = '\0';
		text++;
	} else if (strchr(text, ':')) {
		return -EINVAL;
	}
	return parse_what(text, t);
}

static int parse(const char *word, struct target *t)
{
	char text[WORD_MAX];
	size_t len = strlen(word);
	int error;

	*t = (struct target){ 0 };
	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, word, len + 1);
	error = parse_what(text, t);
	return error == -EINVAL ? parse_with_port(text, t) : error;
}

int exec_rule_write(const char *word, struct str *out, struct err *e)
{
	struct target t;
	int error = parse(word, &t);

	if (error == -ERANGE)
		return err_set(e, EINVAL, "'%s' has bits set behind its length",
			       word);
	if (error < 0)
		return err_set(e, EINVAL,
			       "'%s' is neither a name, nor an address, nor a "
			       "network, with or without :PORT",
			       word);
	str_addf(out, "%s %s", t.condition, t.what);
	if (t.port)
		str_addf(out, " port %u", t.port);
	return 0;
}
