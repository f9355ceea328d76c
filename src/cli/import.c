/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.c - `waylay import`: somebody's rules as a configuration.
 *
 * The configuration goes to standard output, what it lacks to standard error,
 * with an exit status of its own.  Reading and understanding is in import.h.
 */
#include "cli/import.h"

#include "base/err.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "control/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const status_words[IMPORT_STATUS_COUNT] = {
	[IMPORT_FOREIGN] = "foreign",
	[IMPORT_PLUMBING] = "plumbing",
	[IMPORT_EXPRESSED] = "expressed",
	[IMPORT_NOT_EXPRESSED] = "not-expressed",
};

/* --- inputs -------------------------------------------------------------- */

static int add_file(struct import *im, const char *file)
{
	const char *name = strcmp(file, "-") == 0 ? "standard input" : file;
	struct str text = { 0 };
	struct err e;
	int rc = file_read(file, IMPORT_BYTES_MAX, &text, &e);

	if (rc == 0) {
		rc = import_add(im, name, str_get(&text), text.len);
		if (rc == -EFBIG)
			(void)err_set(&e, EFBIG, "%s has too many lines", name);
		else if (rc < 0)
			(void)err_set(&e, -rc, "out of memory");
	}
	str_done(&text);
	return rc < 0 ? cli_err(&e) : CLI_OK;
}

static int add_all(struct import *im, int argc, char **argv)
{
	int status = CLI_OK;

	if (argc < 2)
		return add_file(im, "-");
	for (int i = 1; i < argc && status == CLI_OK; i++)
		status = add_file(im, argv[i]);
	return status;
}

/* --- results ------------------------------------------------------------- */

static void count_lines(const struct import *im, size_t *counts)
{
	for (size_t i = 0; i < import_line_count(im); i++)
		counts[import_line(im, i)->status]++;
}

/* Of the command that begins at line i. */
static uint32_t last_number(const struct import *im, size_t i)
{
	while (i + 1 < import_line_count(im) &&
	       import_line(im, i + 1)->is_continued)
		i++;
	return import_line(im, i)->number;
}

static void print_missing(const struct import *im)
{
	struct str text = { 0 };

	for (size_t i = 0; i < import_line_count(im); i++) {
		const struct import_line *l = import_line(im, i);
		uint32_t last;

		if (l->status != IMPORT_NOT_EXPRESSED || l->is_continued)
			continue;
		last = last_number(im, i);
		str_addf(&text, "%s:%u", l->file, l->number);
		if (last > l->number)
			str_addf(&text, "-%u", last);
		str_addf(&text, ": %s\n    ", l->reason);
		str_addn(&text, l->text, l->len);
		str_add(&text, "\n");
	}
	output_lines(stderr, str_get(&text));
	str_done(&text);
}

static void print_summary(const struct import *im, const size_t *counts)
{
	fprintf(stderr,
		"%zu lines: %zu expressed, %zu plumbing, %zu not about "
		"interception, %zu not expressed\n",
		import_line_count(im), counts[IMPORT_EXPRESSED],
		counts[IMPORT_PLUMBING], counts[IMPORT_FOREIGN],
		counts[IMPORT_NOT_EXPRESSED]);
	if (import_is_commented_out(im))
		fputs("hint: lines that begin with # are comments; if that is "
		      "a prompt, take it away\n",
		      stderr);
}

static json_t *lines_as_json(const struct import *im)
{
	json_t *lines = json_array();

	for (size_t i = 0; i < import_line_count(im); i++) {
		const struct import_line *l = import_line(im, i);
		json_t *line = json_pack("{s:o, s:I, s:s}", "file",
					 control_text(l->file), "line",
					 (json_int_t)l->number, "status",
					 status_words[l->status]);

		if (l->reason)
			(void)json_object_set_new(line, "reason",
						  control_text(l->reason));
		(void)json_array_append_new(lines, line);
	}
	return lines;
}

static void print_json(const struct import *im, const size_t *counts,
		       const struct str *text)
{
	json_t *data =
		json_pack("{s:o, s:I, s:I, s:I, s:I, s:o}", "text",
			  control_text(str_get(text)), "expressed",
			  (json_int_t)counts[IMPORT_EXPRESSED], "plumbing",
			  (json_int_t)counts[IMPORT_PLUMBING], "foreign",
			  (json_int_t)counts[IMPORT_FOREIGN], "not_expressed",
			  (json_int_t)counts[IMPORT_NOT_EXPRESSED], "lines",
			  lines_as_json(im));

	cli_print_json(data);
	json_decref(data);
}

static int print_all(const struct cli *cli, struct import *im)
{
	size_t counts[IMPORT_STATUS_COUNT] = { 0 };
	struct str text = { 0 };

	import_write(im, &text);
	if (!str_ok(&text)) {
		str_done(&text);
		return cli_fail(CLI_FAILED, "out of memory");
	}
	count_lines(im, counts);
	if (cli->is_json)
		print_json(im, counts, &text);
	else
		fwrite(str_get(&text), 1, text.len, stdout); /* a file again */
	str_done(&text);
	fflush(stdout); /* what is missing comes last */
	print_missing(im);
	print_summary(im, counts);
	return counts[IMPORT_NOT_EXPRESSED] ? CLI_NOT_EXPRESSED : CLI_OK;
}

int cli_import(const struct cli *cli, int argc, char **argv)
{
	struct import *im = import_new();
	int status = CLI_FAILED;

	if (!im)
		return cli_fail(CLI_FAILED, "out of memory");
	status = add_all(im, argc, argv);
	if (status == CLI_OK && import_finish(im) < 0)
		status = cli_fail(CLI_FAILED, "out of memory");
	if (status == CLI_OK)
		status = print_all(cli, im);
	import_free(im);
	return status;
}
