/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c - lay out a text anew; see policy.h and format.h.
 *
 * Works on tokens, not on the model, so that comments and the author's own
 * spelling survive.  First the tokens are put into lines, one statement each:
 *
 *	STATEMENT   "tcp" "80, 443"        head and tail, aligned in a group
 *	CONTINUED         "8080"           after a comma at the end of a line
 *	OPEN        "intercept lan {"
 *	CLOSE       "}"
 *	COMMENT     "# on a line of its own"
 *	BLANK
 *
 * then the lines are written.  A group is a run of statements without a
 * blank line or a block between them; in a rule the tail begins at the
 * arrow.  A line break behind a comma is the author's and stays.
 */
#include "policy/format.h"
#include "policy/lex.h"
#include "policy/policy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
	INDENT_COLUMNS = 4,
	HEAD_COLUMNS_MAX = 48,	 /* longer heads do not move the others */
	COMMENT_COLUMN_MAX = 56, /* nor do longer lines move comments */
};

enum line_kind {
	LINE_STATEMENT,
	LINE_CONTINUED,
	LINE_OPEN,
	LINE_CLOSE,
	LINE_COMMENT,
	LINE_BLANK,
};

struct line {
	enum line_kind kind;
	size_t depth;
	size_t start, len; /* in the pool */
	size_t head_len;   /* STATEMENT: bytes before the tail's blank */
	size_t comment_start, comment_len; /* in the pool */
};

struct layout {
	struct lexer lexer;
	struct str pool; /* the text of lines and comments */
	struct line *lines;
	size_t count, cap;
	size_t depth;
	bool is_failed;
	bool is_in_statement;
	bool is_line_start; /* nothing but blanks since the last newline */
	bool has_comma;	    /* the statement's last token is one */
	bool has_blank;	    /* a blank line comes before the next line */
};

/* --- tokens to lines ----------------------------------------------------- */

static struct line *push_line(struct layout *l, enum line_kind kind)
{
	size_t cap = l->cap ? l->cap * 2 : 64;
	struct line *lines = l->lines;

	if (l->count == l->cap) {
		lines = reallocarray(lines, cap, sizeof(*lines));
		if (!lines) {
			l->is_failed = true;
			return NULL;
		}
		l->lines = lines;
		l->cap = cap;
	}
	lines += l->count++;
	*lines = (struct line){ .kind = kind, .depth = l->depth };
	lines->start = l->pool.len;
	return lines;
}

static struct line *last_line(struct layout *l)
{
	return l->count ? &l->lines[l->count - 1] : NULL;
}

/* A new line, behind the blank one that the author has put there. */
static struct line *begin_line(struct layout *l, enum line_kind kind)
{
	struct line *last = last_line(l);
	bool wants_blank = l->has_blank && last && last->kind != LINE_OPEN &&
			   kind != LINE_CLOSE;

	l->has_blank = false;
	if (wants_blank && !push_line(l, LINE_BLANK))
		return NULL;
	return push_line(l, kind);
}

static void add_text(struct layout *l, struct line *line, const char *text,
		     size_t len)
{
	str_addn(&l->pool, text, len);
	line->len += len;
}

/* A word is about to be added: does the tail begin here?  A rule whose
 * conditions take several lines has none. */
static void split_line(struct layout *l, struct line *line, bool is_arrow)
{
	size_t at = l->count - 1;

	if (line->kind == LINE_CONTINUED && is_arrow) {
		while (l->lines[at].kind == LINE_CONTINUED)
			at--; /* a statement stands before */
		l->lines[at].head_len = 0;
	} else if (line->len && line->kind == LINE_STATEMENT &&
		   (is_arrow || !line->head_len)) {
		line->head_len = line->len;
	}
}

static void on_word(struct layout *l, const struct token *t)
{
	struct line *line = last_line(l);

	if (!l->is_in_statement)
		line = begin_line(l, LINE_STATEMENT);
	else if (l->has_comma && l->is_line_start)
		line = push_line(l, LINE_CONTINUED);
	if (!line)
		return;
	split_line(l, line, t->kind == TOKEN_ARROW);
	if (line->len)
		add_text(l, line, " ", 1);
	add_text(l, line, l->lexer.text + t->start, t->len);
	l->is_in_statement = true;
	l->is_line_start = false;
	l->has_comma = false;
}

static void on_comma(struct layout *l)
{
	struct line *line = last_line(l);

	assert(line); /* a word stands before each comma */
	add_text(l, line, ",", 1);
	l->has_comma = true;
}

static void on_newline(struct layout *l)
{
	if (l->is_in_statement && !l->has_comma)
		l->is_in_statement = false;
	else if (l->is_line_start && !l->is_in_statement)
		l->has_blank = true;
	l->is_line_start = true;
}

static void on_open(struct layout *l)
{
	struct line *line = last_line(l);

	assert(line); /* a word stands before each brace */
	line->kind = LINE_OPEN;
	add_text(l, line, " {", 2);
	l->depth++;
	l->is_in_statement = false;
	l->is_line_start = false;
}

static void on_close(struct layout *l)
{
	struct line *line;

	l->depth--;
	l->is_in_statement = false;
	l->is_line_start = false;
	line = begin_line(l, LINE_CLOSE);
	if (line)
		add_text(l, line, "}", 1);
}

static void on_comment(struct layout *l, const struct token *t)
{
	struct line *line = last_line(l);

	if (l->is_line_start && l->is_in_statement)
		line = push_line(l, LINE_CONTINUED);
	else if (l->is_line_start)
		line = begin_line(l, LINE_COMMENT);
	if (!line)
		return;
	l->is_line_start = false;
	line->comment_start = l->pool.len;
	line->comment_len = t->len;
	str_addn(&l->pool, l->lexer.text + t->start, t->len);
}

static void on_token(struct layout *l, const struct token *t)
{
	switch (t->kind) {
	case TOKEN_WORD:
	case TOKEN_ARROW:
		on_word(l, t);
		break;
	case TOKEN_COMMA:
		on_comma(l);
		break;
	case TOKEN_NEWLINE:
		on_newline(l);
		break;
	case TOKEN_SEMI:
		l->is_in_statement = false;
		l->is_line_start = false;
		break;
	case TOKEN_OPEN:
		on_open(l);
		break;
	case TOKEN_CLOSE:
		on_close(l);
		break;
	case TOKEN_COMMENT:
		on_comment(l, t);
		break;
	case TOKEN_BAD: /* not in a text that parses */
	case TOKEN_END:
		break;
	}
}

/* --- lines to text ------------------------------------------------------- */

/* What the lines of a group agree on. */
struct paragraph {
	size_t head_columns;   /* of the widest head */
	size_t comment_column; /* where comments begin */
	size_t hang; /* columns before a CONTINUED line of the statement */
};

/* Code points, as the bytes that begin one. */
static size_t count_columns(const char *text, size_t len)
{
	size_t columns = 0;

	for (size_t i = 0; i < len; i++)
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	return columns;
}

static void add_blanks(struct str *out, size_t count)
{
	while (count--)
		str_add(out, " ");
}

static const char *line_text(const struct layout *l, const struct line *line)
{
	return str_get(&l->pool) + line->start;
}

static bool has_tail(const struct line *line)
{
	return line->head_len && line->head_len < line->len;
}

/* Blanks between head and tail. */
static size_t head_gap(const struct paragraph *g, size_t head_columns)
{
	return head_columns < g->head_columns
		       ? g->head_columns - head_columns + 1
		       : 1;
}

static size_t line_columns(const struct layout *l, const struct line *line,
			   const struct paragraph *g)
{
	const char *text = line_text(l, line);
	size_t columns =
		line->depth * INDENT_COLUMNS + count_columns(text, line->len);

	if (has_tail(line))
		columns += head_gap(g, count_columns(text, line->head_len)) - 1;
	return columns;
}

/* The end of the group that begins with line `at`. */
static size_t find_group(const struct layout *l, size_t at)
{
	size_t end = at + 1;

	if (l->lines[at].kind != LINE_STATEMENT)
		return end;
	while (end < l->count && (l->lines[end].kind == LINE_STATEMENT ||
				  l->lines[end].kind == LINE_CONTINUED ||
				  l->lines[end].kind == LINE_COMMENT))
		end++;
	return end;
}

static struct paragraph measure_group(const struct layout *l, size_t from,
				      size_t end)
{
	struct paragraph g = { 0 };

	for (size_t i = from; i < end; i++) {
		const struct line *line = &l->lines[i];
		size_t columns =
			count_columns(line_text(l, line), line->head_len);

		if (has_tail(line) && columns <= HEAD_COLUMNS_MAX &&
		    columns > g.head_columns)
			g.head_columns = columns;
	}
	for (size_t i = from; i < end; i++) {
		const struct line *line = &l->lines[i];
		size_t columns = line_columns(l, line, &g) + 2;

		if (line->comment_len && line->kind == LINE_STATEMENT &&
		    columns <= COMMENT_COLUMN_MAX && columns > g.comment_column)
			g.comment_column = columns;
	}
	return g;
}

static void write_comment(const struct layout *l, const struct line *line,
			  const struct paragraph *g, struct str *out)
{
	size_t columns = line_columns(l, line, g);

	if (!line->comment_len)
		return;
	if (line->kind == LINE_STATEMENT && columns + 2 < g->comment_column)
		add_blanks(out, g->comment_column - columns);
	else if (line->len)
		add_blanks(out, 2);
	str_addn(out, str_get(&l->pool) + line->comment_start,
		 line->comment_len);
}

static void write_line(const struct layout *l, const struct line *line,
		       const struct paragraph *g, struct str *out)
{
	const char *text = line_text(l, line);
	size_t gap;

	if (line->kind != LINE_BLANK)
		add_blanks(out, line->depth * INDENT_COLUMNS);
	if (line->kind == LINE_CONTINUED)
		add_blanks(out, g->hang);
	if (has_tail(line)) {
		gap = head_gap(g, count_columns(text, line->head_len));
		str_addn(out, text, line->head_len);
		add_blanks(out, gap - 1); /* the text has one */
		text += line->head_len;
	}
	str_addn(out, text, line->len - (size_t)(text - line_text(l, line)));
	write_comment(l, line, g, out);
	str_add(out, "\n");
}

/* Values go on below the first one, or a little to the right. */
static size_t hang_columns(const struct layout *l, const struct line *line,
			   const struct paragraph *g)
{
	size_t head = count_columns(line_text(l, line), line->head_len);

	return has_tail(line) ? head + head_gap(g, head) : INDENT_COLUMNS;
}

static void write_lines(const struct layout *l, struct str *out)
{
	struct paragraph g = { 0 };
	size_t at = 0, end;

	while (at < l->count) {
		end = find_group(l, at);
		g = measure_group(l, at, end);
		for (; at < end; at++) {
			if (l->lines[at].kind == LINE_STATEMENT)
				g.hang = hang_columns(l, &l->lines[at], &g);
			write_line(l, &l->lines[at], &g, out);
		}
	}
}

int format_layout(const char *text, size_t len, struct str *out)
{
	struct layout l = { .is_line_start = true };
	struct token t;

	lex_init(&l.lexer, text, len);
	do {
		lex_next(&l.lexer, &t);
		on_token(&l, &t);
	} while (t.kind != TOKEN_END && !l.is_failed);
	l.is_failed |= !str_ok(&l.pool);
	if (!l.is_failed)
		write_lines(&l, out);
	free(l.lines);
	str_done(&l.pool);
	return l.is_failed || !str_ok(out) ? -ENOMEM : 0;
}

int config_format(const char *file, const char *text, size_t len,
		  struct str *out, struct messages *m)
{
	struct config *c = config_parse(file, text, len, m);
	struct str laid_out = { 0 };
	int err;

	if (!c)
		return -EINVAL;
	config_free(c);
	err = format_layout(text, len, &laid_out);
	if (!err)
		str_addn(out, str_get(&laid_out), laid_out.len);
	str_done(&laid_out);
	return err;
}
