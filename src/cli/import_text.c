/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_text.c - an input is what its lines look like; see import_model.h.
 *
 *	*mangle ... COMMIT	a dump of iptables-save or ip6tables-save
 *	-A, -N, -P ...		the same, or `iptables -t mangle -S`
 *	table inet x { ... }	`nft list ruleset`, or a file for `nft -f`
 *	add rule ...		a file for `nft -f`
 *	anything else		a shell command (import_shell.c)
 *
 * They may follow each other in one input.  Which IP version a dump is for is
 * in its first comment; without one, it is guessed from the addresses.
 */
#include "cli/import_iptables.h"
#include "cli/import_nft.h"
#include "cli/import_shell.h"

#include "base/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { JOINED_LINES_MAX = 64 };

struct reader {
	struct import *im;
	uint32_t at, end;	   /* lines */
	enum import_family family; /* of the dump */
	const char *table;	   /* of the dump; NULL: not in one */
	struct import_words words; /* of the command at hand */
};

static const char *line_end(const struct import_line *l)
{
	return l->text + l->len;
}

static bool contains(const struct import_line *l, const char *text)
{
	return memmem(l->text, l->len, text, strlen(text)) != NULL;
}

/* The line begins, behind blanks, with the text. */
static bool begins(const struct import_line *l, const char *text)
{
	const char *at = l->text;
	size_t len = strlen(text);

	while (at < line_end(l) && (*at == ' ' || *at == '\t'))
		at++;
	return (size_t)(line_end(l) - at) >= len && memcmp(at, text, len) == 0;
}

/* --- lines --------------------------------------------------------------- */

static int add_lines(struct import *im, const char *file, const char *text,
		     const char *end)
{
	uint32_t number = 0;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((newline ? newline : end) - text);
		struct import_line *lines = im->lines;

		if (im->line_count == IMPORT_LINES_MAX)
			return -EFBIG;
		if (im->line_count == im->line_cap) {
			size_t cap = im->line_cap ? 2 * im->line_cap : 256;

			lines = reallocarray(lines, cap, sizeof(*lines));
			if (!lines)
				return -ENOMEM;
			im->lines = lines;
			im->line_cap = cap;
		}
		lines[im->line_count++] = (struct import_line){
			.file = file,
			.text = text,
			.len = len,
			.number = ++number,
		};
		text += len + 1;
	}
	return 0;
}

/* --- dumps --------------------------------------------------------------- */

static enum import_family guess_family(const struct import *im, uint32_t first)
{
	static const char *const signs[] = { "ip6tables-save", "icmpv6",
					     "ipv6-icmp", "::" };

	for (size_t i = first; i < im->line_count; i++) {
		const struct import_line *l = &im->lines[i];

		if (contains(l, "iptables-save v"))
			return FAMILY_V4;
		for (size_t n = 0; n < sizeof(signs) / sizeof(signs[0]); n++) {
			if ((begins(l, "-A") || begins(l, "#")) &&
			    contains(l, signs[n]))
				return FAMILY_V6;
		}
	}
	return FAMILY_V4;
}

/* A comment of a dump. */
static void note_comment(struct reader *r, const struct import_line *l)
{
	if (contains(l, "ip6tables-save v"))
		r->family = FAMILY_V6;
	else if (contains(l, "iptables-save v"))
		r->family = FAMILY_V4;
	else if (import_looks_like_rule(l->text, l->len))
		r->im->commented_out++;
}

/* "*mangle", ":CHAIN ACCEPT [0:0]", "-A ...", "[0:0] -A ...", "COMMIT" */
static bool read_dumped(struct reader *r, const struct import_line *l)
{
	struct import_words *w = &r->words;
	struct import_cursor c = { l->text, line_end(l), r->at };
	struct import_iptables command = { .at = { r->at, r->at },
					   .family = r->family,
					   .table = r->table };
	size_t skip = 0;

	if (!begins(l, "*") && !begins(l, ":") && !begins(l, "-") &&
	    !(r->table && (begins(l, "[") || begins(l, "COMMIT"))))
		return false;
	if (!import_next_words(r->im, &c, w) || !w->count)
		return true;
	if (*w->words[0] == '*') {
		r->table = w->words[0] + 1;
		return true;
	}
	if (strcmp(w->words[0], "COMMIT") == 0) {
		r->table = NULL;
		return true;
	}
	if (!command.table)
		command.table = "mangle"; /* of `iptables -t mangle -S` */
	if (*w->words[0] == ':') {
		w->words[0]++;
		command.words = w->words;
		command.count = 1;
		import_iptables_chain(r->im, &command);
		return true;
	}
	skip += *w->words[0] == '['; /* counters */
	command.words = w->words + skip;
	command.count = w->count - skip;
	if (w->is_overflowed)
		import_refuse(r->im, command.at, "the rule is too long");
	else
		import_iptables(r->im, &command);
	return true;
}

/* --- commands ------------------------------------------------------------ */

static bool ends_with_backslash(const struct import_line *l)
{
	size_t count = 0, len = l->len;

	if (len && l->text[len - 1] == '\r')
		len--;
	while (count < len && l->text[len - 1 - count] == '\\')
		count++;
	return count % 2;
}

/* The last line of a command: it goes on behind a backslash, and in quotes. */
static uint32_t find_command_end(const struct reader *r)
{
	const struct import_line *lines = r->im->lines;
	uint32_t last = r->at;
	char quote = '\0';

	for (;; last++) {
		quote = import_open_quote(lines[last].text,
					  line_end(&lines[last]), quote);
		if (!quote && !ends_with_backslash(&lines[last]))
			return last;
		if (last + 1 == r->end || last - r->at == JOINED_LINES_MAX)
			break;
	}
	return quote ? r->at : last; /* an apostrophe, hardly a quote */
}

static void read_commands(struct reader *r)
{
	const struct import_line *lines = r->im->lines;
	uint32_t last = find_command_end(r);
	struct import_cursor c = { lines[r->at].text, line_end(&lines[last]),
				   r->at };

	while (import_next_words(r->im, &c, &r->words)) {
		/* all its lines share its fate, also those it ends on */
		r->words.at.first = r->at;
		r->words.at.last = last;
		if (r->words.count)
			import_command(r->im, &r->words);
	}
	r->at = last + 1;
}

/* --- all ----------------------------------------------------------------- */

static void read_line(struct reader *r)
{
	const struct import_line *l = &r->im->lines[r->at];
	uint32_t behind;

	if (begins(l, "#")) {
		note_comment(r, l);
		r->at++;
		return;
	}
	behind = import_nft_lines(r->im, r->at, r->end);
	if (behind > r->at) {
		r->at = behind;
		return;
	}
	if (read_dumped(r, l)) {
		r->at++;
		return;
	}
	read_commands(r);
}

/* A NUL would end words early; nothing that is meant to be read has one. */
static void replace_nuls(char *text, size_t len)
{
	for (char *nul; (nul = memchr(text, '\0', len)) != NULL;)
		*nul = '?';
}

int import_add(struct import *im, const char *file, const char *text,
	       size_t len)
{
	struct reader r = { .im = im, .at = (uint32_t)im->line_count };
	const char *name = import_keep(im, file, strlen(file));
	char *kept = arena_strn(im->arena, text, len);
	int rc;

	if (len > IMPORT_BYTES_MAX)
		return -EFBIG;
	if (!kept)
		return -ENOMEM;
	replace_nuls(kept, len);
	rc = add_lines(im, name, kept, kept + len);
	if (rc < 0)
		return rc;
	r.end = (uint32_t)im->line_count;
	r.family = guess_family(im, r.at);
	while (r.at < r.end && !im->is_out_of_memory)
		read_line(&r);
	return im->is_out_of_memory ? -ENOMEM : 0;
}
