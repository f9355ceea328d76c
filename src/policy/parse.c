/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c - walk the text along the tables of keywords; see parse.h.
 *
 * The walk calls itself only for the blocks that the tables know, so its
 * depth is theirs; blocks that nobody knows are skipped by counting braces.
 */
#include "policy/parse.h"
#include "base/arena.h"
#include "policy/words.h"

#include <assert.h>
#include <string.h>

/* --- memory of the configuration ----------------------------------------- */

/* The capacity is not stored: it is count rounded up to a power of two. */
void *parse_grow(struct parser *p, void *array, size_t count, size_t size)
{
	void *larger;

	if (count & (count - 1))
		return array;
	larger = arena_array(p->config->arena, count ? count * 2 : 1, size);
	if (!larger)
		p->is_out_of_memory = true;
	else if (count)
		memcpy(larger, array, count * size);
	return larger;
}

const char *parse_keep(struct parser *p, const char *text)
{
	const char *copy = arena_strn(p->config->arena, text, strlen(text));

	if (!copy)
		p->is_out_of_memory = true;
	return copy ? copy : "";
}

size_t parse_ref(struct parser *p, const struct word *w)
{
	struct ref *refs =
		parse_grow(p, p->refs, p->ref_count, sizeof(*p->refs));

	if (!refs)
		return 0;
	p->refs = refs;
	refs[p->ref_count].name = parse_keep(p, w->text);
	refs[p->ref_count].at = w->at;
	return p->ref_count++;
}

/* --- statements outside of blocks ---------------------------------------- */

/* Decimal or 0x and hexadecimal. */
static bool parse_mark_number(const char *text, uint32_t *out)
{
	uint32_t value = 0;
	uint64_t decimal;
	size_t len = strlen(text);

	if (strncmp(text, "0x", 2) != 0) {
		if (!number_parse(text, UINT32_MAX, &decimal))
			return false;
		*out = (uint32_t)decimal;
		return true;
	}
	if (len < 3 || len > 10 ||
	    strspn(text + 2, "0123456789abcdefABCDEF") != len - 2)
		return false;
	for (text += 2; *text; text++) {
		unsigned digit = *text <= '9'
					 ? (unsigned)(*text - '0')
					 : (unsigned)(*text | 32) - 'a' + 10;

		value = value << 4 | digit;
	}
	*out = value;
	return true;
}

static bool split_mark(const char *text, uint32_t *value, uint32_t *mask)
{
	char left[WORD_BYTES_MAX + 1];
	const char *slash = strchr(text, '/');

	if (!slash)
		return false;
	memcpy(left, text, (size_t)(slash - text));
	left[slash - text] = '\0';
	return parse_mark_number(left, value) &&
	       parse_mark_number(slash + 1, mask);
}

static bool parse_mark(struct parser *p, const struct keyword *k, void *subject)
{
	const struct word *w = word_take(p, "VALUE/MASK");
	struct config *c = subject;
	struct message *m = NULL;
	uint32_t value, mask;

	(void)k; /* has no more to say */
	if (!w)
		return false;
	if (!split_mark(w->text, &value, &mask))
		m = report_error(p->report, w->at, "wrong mark \"%s\"",
				 w->text);
	else if (!value)
		m = report_error(p->report, w->at,
				 "the mark's value cannot be 0: that is what "
				 "unmarked packets have");
	else if (value & ~mask)
		m = report_error(p->report, w->at,
				 "the mark's value 0x%x has bits outside of "
				 "its mask 0x%x",
				 value, mask);
	else if (!(mask & ~value))
		m = report_error(p->report, w->at,
				 "the mask 0x%x needs a bit more than the "
				 "value: the bits left over mark waylay's own "
				 "sockets",
				 mask);
	else {
		c->mark = value;
		c->mask = mask;
		return true;
	}
	message_help(m, "such as 0x%x/0x%x", (unsigned)MARK_DEFAULT,
		     (unsigned)MASK_DEFAULT);
	return false;
}

static bool parse_table(struct parser *p, const struct keyword *k,
			void *subject)
{
	const struct word *w = word_peek(p);
	struct config *c = subject;
	uint32_t table;

	(void)k; /* has no more to say */
	if (!value_number(p, "the number of a routing table", 1, UINT32_MAX,
			  &table))
		return false;
	if (table >= 253 && table <= 255) {
		(void)report_error(p->report, w->at,
				   "table %u is one of the system's own "
				   "(default, main, local)",
				   table);
		return false;
	}
	c->table = table;
	return true;
}

static bool parse_workers(struct parser *p, const struct keyword *k,
			  void *subject)
{
	const struct word *w = word_peek(p);
	struct config *c = subject;

	if (w && strcmp(w->text, "auto") == 0 && !w->has_comma) {
		p->word_next++;
		c->workers = 0;
		return true;
	}
	return value_number(p, "\"auto\" or a number", k->min, k->max,
			    &c->workers);
}

static bool parse_port(struct parser *p, const struct keyword *k, void *subject)
{
	struct config *c = subject;
	uint32_t port;

	if (!value_number(p, "a port number, 0 for any free one", k->min,
			  k->max, &port))
		return false;
	c->port = (uint16_t)port;
	return true;
}

static const struct keyword file_keywords[] = {
	{ .name = "engine",
	  .parse = field_choice,
	  .choices = engine_words,
	  .field = offsetof(struct config, engine) },
	{ .name = "on-failure",
	  .parse = field_choice,
	  .choices = on_failure_words,
	  .field = offsetof(struct config, on_failure) },
	{ .name = "cut-through",
	  .parse = field_choice,
	  .choices = cut_through_words,
	  .field = offsetof(struct config, cut_through) },
	{ .name = "mark", .parse = parse_mark },
	{ .name = "table", .parse = parse_table },
	{ .name = "workers", .parse = parse_workers, .min = 1, .max = 64 },
	{ .name = "port", .parse = parse_port, .max = UINT16_MAX },
	{ .name = "log", .block = &log_block },
	{ .name = "timeouts", .block = &timeouts_block },
	{ .name = "limits", .block = &limits_block },
	{ .name = "list", .block = &list_block, .may_repeat = true },
	{ .name = "intercept", .block = &intercept_block, .may_repeat = true },
	{ .name = "upstream", .block = &upstream_block, .may_repeat = true },
	{ .name = "group", .block = &group_block, .may_repeat = true },
	{ .name = "sniff", .block = &sniff_block },
	{ .name = "rules", .block = &rules_block },
	{ .name = "admin", .block = &admin_block },
	{ .name = "cluster",
	  .later = "clusters are not supported yet",
	  .may_repeat = true },
	{ .name = NULL },
};
static_assert(sizeof(file_keywords) / sizeof(file_keywords[0]) <= KEYWORDS_MAX,
	      "room to see duplicates");

static const struct block file_block = { .keywords = file_keywords };

/* --- the walk ------------------------------------------------------------ */

static const struct keyword *find_keyword(const struct block *b,
					  const char *name)
{
	const struct keyword *k = b->keywords;

	for (; k && k->name; k++) {
		if (strcmp(k->name, name) == 0)
			return k;
	}
	return NULL;
}

static void report_unknown(struct parser *p, const struct block *b)
{
	const char *names[KEYWORDS_MAX + 1] = { 0 };
	const struct word *w = &p->words[0];
	struct message *m;

	assert(b->keywords);
	for (size_t i = 0; b->keywords[i].name; i++)
		names[i] = b->keywords[i].name;
	if (b->noun)
		m = report_error(p->report, w->at,
				 "unknown word \"%s\" in \"%s\"", w->text,
				 b->noun);
	else
		m = report_error(p->report, w->at, "unknown statement \"%s\"",
				 w->text);
	if (m)
		help_choices(m, w->text, names);
}

/* Is the form of the statement the one its keyword asks for? */
static bool check_form(struct parser *p, const struct keyword *k,
		       struct place *seen)
{
	const struct word *w = &p->words[0];

	if (k && k->later)
		(void)report_error(p->report, w->at, "\"%s\": %s", w->text,
				   k->later);
	else if (k && seen->line && !k->may_repeat)
		(void)report_error(p->report, w->at,
				   "\"%s\" is given twice; first on line %u",
				   w->text, seen->line);
	else if (w->has_comma)
		(void)report_error(p->report, w->at,
				   "no comma can stand behind \"%s\"", w->text);
	else if (k && k->block && !p->has_block)
		(void)report_error(p->report, w->at,
				   "\"%s\" needs a block: { ... } beginning "
				   "on the same line",
				   w->text);
	else if (p->has_block && !(k && k->block))
		(void)report_error(p->report, p->open, "\"%s\" takes no block",
				   w->text);
	else
		return true;
	return false;
}

static void walk(struct parser *p, const struct block *b, void *subject,
		 struct place open);

static void walk_inner(struct parser *p, const struct block *b, void *subject)
{
	size_t errors = p->report->errors;
	struct place open = p->open;

	if (b->open)
		subject = b->open(p);
	if (!subject || !words_end(p)) {
		statement_skip_block(p);
		return;
	}
	walk(p, b, subject, open);
	if (b->close && p->report->errors == errors && !p->is_out_of_memory)
		b->close(p, subject);
}

static void walk_statement(struct parser *p, const struct block *b,
			   void *subject, struct place *seen)
{
	const struct keyword *k = NULL;
	bool is_good = !p->is_broken;

	assert(p->word_count || p->is_broken);
	if (is_good)
		k = find_keyword(b, p->words[0].text);
	if (is_good && !k && !b->other) {
		report_unknown(p, b);
		is_good = false;
	}
	if (k)
		seen += k - b->keywords;
	is_good = is_good && check_form(p, k, seen);
	if (k && !seen->line)
		*seen = p->words[0].at;
	if (!is_good) {
		if (p->has_block)
			statement_skip_block(p);
		return;
	}
	if (k)
		p->word_next = 1;
	if (k && k->block)
		walk_inner(p, k->block, subject);
	else if (k ? k->parse(p, k, subject) : b->other(p, subject))
		(void)words_end(p); /* it has reported */
}

/* Read statements up to the } of the block, or the end of the text if `open`
 * is no place. */
static void walk(struct parser *p, const struct block *b, void *subject,
		 struct place open)
{
	struct place seen[KEYWORDS_MAX] = { 0 };

	for (;;) {
		switch (statement_read(p)) {
		case STATEMENT_WORDS:
			walk_statement(p, b, subject, seen);
			break;
		case STATEMENT_CLOSE:
			if (open.line) {
				p->said_block = b;
				memcpy(p->said, seen, sizeof(seen));
				return;
			}
			(void)report_error(p->report, p->closed,
					   "this } closes no block");
			break;
		case STATEMENT_END:
			if (open.line && !p->is_out_of_memory)
				(void)report_error(p->report, open,
						   "this { is never closed");
			return;
		}
	}
}

struct place parse_said(const struct parser *p, const char *keyword)
{
	const struct keyword *k = find_keyword(p->said_block, keyword);

	assert(k);
	return p->said[k - p->said_block->keywords];
}

void parse_file(struct parser *p)
{
	walk(p, &file_block, p->config, (struct place){ 0 });
}
