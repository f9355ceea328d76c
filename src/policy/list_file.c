/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_file.c - a list's file, line by line; see list_file.h.
 *
 * A line is cut into words; the first one says what it is.  A million lines
 * must be read in a blink, so nothing is allocated and nothing is read twice.
 */
#include "policy/list_file.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum {
	WORD_MAX = HOST_TEXT_MAX + 2, /* "*." and a name, and a NUL */
	SHOWN_MAX = 64,		      /* of a wrong word, in a message */
};

struct reader {
	const char *next, *end; /* what is left of the line */
	size_t line;
	const struct list_sink *sink;
	struct err *e;
};

/* A part of the line, without a NUL. */
struct word {
	const char *text;
	size_t len;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* False: nothing but a comment is left. */
static bool next_word(struct reader *r, struct word *out)
{
	while (r->next < r->end && is_blank(*r->next))
		r->next++;
	out->text = r->next;
	while (r->next < r->end && !is_blank(*r->next) && *r->next != '#')
		r->next++;
	out->len = (size_t)(r->next - out->text);
	return out->len;
}

/* --- what is wrong ------------------------------------------------------- */

/* What may be shown on a terminal. */
static char *show(const struct word *w, char out[SHOWN_MAX])
{
	size_t len = w->len < SHOWN_MAX ? w->len : SHOWN_MAX - 1;

	for (size_t i = 0; i < len; i++)
		out[i] =
			(char)(w->text[i] > ' ' && w->text[i] < 127 ? w->text[i]
								    : '?');
	out[len] = '\0';
	return out;
}

static int fail(const struct reader *r, const struct word *w, const char *why)
{
	char shown[SHOWN_MAX];

	return err_set(r->e, EINVAL, "line %zu: \"%s\" %s", r->line,
		       show(w, shown), why);
}

/* --- lines --------------------------------------------------------------- */

static bool copy(const struct word *w, char out[WORD_MAX])
{
	if (w->len >= WORD_MAX || memchr(w->text, '\0', w->len))
		return false;
	memcpy(out, w->text, w->len);
	out[w->len] = '\0';
	return true;
}

/* An address, also one with an interface behind it, as hosts files have. */
static bool is_address(const struct word *w)
{
	const char *scope = memchr(w->text, '%', w->len);
	size_t len = scope ? (size_t)(scope - w->text) : w->len;
	char text[WORD_MAX];
	struct addr a;

	return copy(&(struct word){ w->text, len }, text) &&
	       addr_parse_ip(text, &a) == 0;
}

/* The names behind an address; `w` is the first of them. */
static int read_hosts(struct reader *r, struct word *w)
{
	char name[HOST_TEXT_MAX];
	int rc = 0;

	do {
		if (is_address(w))
			continue;
		if (!domain_normalise(w->text, w->len, name))
			return fail(r, w, "is not a name");
		rc = r->sink->name(r->sink->ctx, name);
	} while (!rc && next_word(r, w));
	return rc;
}

/* 1: it is no network. */
static int read_net(struct reader *r, const struct word *w)
{
	char text[WORD_MAX];
	struct prefix net;
	int rc;

	if (!copy(w, text))
		return 1;
	rc = prefix_parse(text, &net);
	if (rc == -ERANGE)
		return fail(r, w, "has bits set behind its length");
	return rc ? 1 : r->sink->net(r->sink->ctx, &net);
}

static int read_entry(struct reader *r, const struct word *w)
{
	char pattern[HOST_TEXT_MAX];
	int rc = 1;

	/* Only what begins so can be a network. */
	if (memchr(w->text, ':', w->len) ||
	    (w->text[0] >= '0' && w->text[0] <= '9'))
		rc = read_net(r, w);
	if (rc <= 0)
		return rc;
	if (!domain_pattern(w->text, w->len, pattern))
		return fail(r, w, "is neither a name nor a network");
	return r->sink->name(r->sink->ctx, pattern);
}

static int read_line(struct reader *r)
{
	struct word first, second;

	if (!next_word(r, &first))
		return 0;
	if (!next_word(r, &second))
		return read_entry(r, &first);
	if (is_address(&first))
		return read_hosts(r, &second);
	return fail(r, &second, "is one word too many; a line holds one entry");
}

int list_file_parse(const char *text, size_t len, const struct list_sink *sink,
		    struct err *e)
{
	const char *end = text + len;
	struct reader r = { .sink = sink, .e = e };

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		int rc;

		r.next = text;
		r.end = newline ? newline : end;
		r.line++;
		rc = read_line(&r);
		if (rc)
			return rc;
		text = newline ? newline + 1 : end;
	}
	return 0;
}
