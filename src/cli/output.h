/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h - how the tool prints: safe text, human numbers, tables.
 *
 * Whatever comes from outside goes through here, so that no byte of it can
 * drive the terminal.  Write errors are looked for once, at the end of
 * main().
 */
#ifndef WL_CLI_OUTPUT_H
#define WL_CLI_OUTPUT_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Lines of any bytes: newlines and tabs stay, other control bytes and what
 * is not UTF-8 become \xNN.  Ends with a newline unless text is empty. */
void output_lines(FILE *out, const char *text);
/* As output_lines(), one line: newlines are escaped, none is added. */
void output_text(FILE *out, const char *text);

/* "812", "1.2K", "34M": powers of 1024, at most four characters up to 999P. */
void human_bytes(struct str *out, int64_t bytes);
/* "340ms", "12s", "3m 12s", "2h 5m", "1d 3h". */
void human_time(struct str *out, int64_t ms);

struct column {
	const char *title;
	bool is_right; /* numbers */
};

/* Cells are added row by row; widths follow from them. */
struct table {
	const struct column *columns; /* kept */
	size_t count;		      /* of columns */
	size_t filled;		      /* cells so far */
	struct str cells;	      /* each escaped and closed by NUL */
	bool has_no_titles;
};

void table_cell(struct table *t, const char *text);
void table_cellf(struct table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void table_bytes(struct table *t, int64_t bytes);
void table_time(struct table *t, int64_t ms);
/* Print and empty it; nothing at all is printed without rows. */
void table_print(struct table *t, FILE *out);

#endif
