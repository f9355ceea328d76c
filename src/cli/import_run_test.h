/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_run_test.h - one text imported, and what came of it.
 */
#ifndef WL_CLI_IMPORT_RUN_TEST_H
#define WL_CLI_IMPORT_RUN_TEST_H

#include "cli/import.h"
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct import_case {
	const char *name;
	const char *input;
	/* A letter for each line: . foreign, p plumbing, e expressed, n not. */
	const char *lines;
	/* The configuration in one line, without comments and `engine`. */
	const char *config;
	const char *reason; /* the first one, its beginning; NULL: none */
};

struct import_run {
	struct import *im;
	struct str text; /* the configuration */
};

static inline void run_import(struct import_run *r, const char *text,
			      size_t len)
{
	*r = (struct import_run){ .im = import_new() };
	assert_non_null(r->im);
	assert_int_equal(import_add(r->im, "in", text, len), 0);
	assert_int_equal(import_finish(r->im), 0);
	import_write(r->im, &r->text);
	assert_true(str_ok(&r->text));
}

static inline void end_import(struct import_run *r)
{
	str_done(&r->text);
	import_free(r->im);
}

static inline void run_lines(const struct import_run *r, struct str *out)
{
	static const char letters[] = { [IMPORT_FOREIGN] = '.',
					[IMPORT_PLUMBING] = 'p',
					[IMPORT_EXPRESSED] = 'e',
					[IMPORT_NOT_EXPRESSED] = 'n' };

	for (size_t i = 0; i < import_line_count(r->im); i++)
		str_addn(out, &letters[import_line(r->im, i)->status], 1);
}

/* One line, single blanks. */
static inline void run_config(const struct import_run *r, struct str *out)
{
	const char *line = str_get(&r->text);

	for (size_t len; *line; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		if (*line == '#' || strncmp(line, "engine ", 7) == 0)
			continue;
		for (size_t i = 0; i < len && line[i] != '#'; i++) {
			bool is_double =
				line[i] == ' ' &&
				(!out->len || out->text[out->len - 1] == ' ');

			if (!is_double)
				str_addn(out, line + i, 1);
		}
		if (len && out->len && out->text[out->len - 1] != ' ')
			str_add(out, " ");
	}
	while (out->len && out->text[out->len - 1] == ' ')
		out->text[--out->len] = '\0';
}

static inline const char *run_reason(const struct import_run *r)
{
	for (size_t i = 0; i < import_line_count(r->im); i++) {
		if (import_line(r->im, i)->reason)
			return import_line(r->im, i)->reason;
	}
	return NULL;
}

/* Each refusal has its reason, and nothing else has one. */
static inline bool are_reasons_right(const struct import_run *r)
{
	for (size_t i = 0; i < import_line_count(r->im); i++) {
		const struct import_line *l = import_line(r->im, i);

		if (!l->reason != (l->status != IMPORT_NOT_EXPRESSED))
			return false;
	}
	return true;
}

/* What is written is always a configuration. */
static inline bool is_config_valid(const struct import_run *r)
{
	struct messages m = { .errors = 0 };
	struct config *c =
		config_parse("out", str_get(&r->text), r->text.len, &m);

	if (!c)
		print_error("%s\n%s\n", str_get(&m.text), str_get(&r->text));
	config_free(c);
	messages_done(&m);
	return c;
}

static inline void check_import(const struct import_case *c)
{
	struct str lines = { .len = 0 }, config = { .len = 0 };
	struct import_run r;
	const char *reason;

	run_import(&r, c->input, strlen(c->input));
	run_lines(&r, &lines);
	run_config(&r, &config);
	reason = run_reason(&r);
	if (strcmp(str_get(&lines), c->lines) != 0)
		fail_msg("%s: lines are %s", c->name, str_get(&lines));
	if (strcmp(str_get(&config), c->config) != 0)
		fail_msg("%s: it is\n%s", c->name, str_get(&r.text));
	if (!reason != !c->reason ||
	    (reason && strncmp(reason, c->reason, strlen(c->reason)) != 0))
		fail_msg("%s: the reason is %s", c->name, reason);
	if (!are_reasons_right(&r) || !is_config_valid(&r))
		fail_msg("%s", c->name);
	str_done(&lines);
	str_done(&config);
	end_import(&r);
}

/* The same, cut at every byte: every line is accounted for, and what is
 * written is valid. */
static inline void check_import_cut(const struct import_case *c)
{
	for (size_t len = 0; c->input[len]; len++) {
		struct import_run r;

		run_import(&r, c->input, len);
		if (!are_reasons_right(&r) || !is_config_valid(&r))
			fail_msg("%s: cut at %zu", c->name, len);
		end_import(&r);
	}
}

#endif
