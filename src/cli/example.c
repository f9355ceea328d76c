/* SPDX-License-Identifier: Apache-2.0 */
/*
 * example.c - `waylay config example`; see example.h.
 *
 * Texts are printed raw: they are ours, and meant to become files.
 */
#include "cli/example.h"

#include "cli/cli.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

static const char *const half_words[EXAMPLE_HALVES] = {
	[EXAMPLE_OURS] = "ours",
	[EXAMPLE_THEIRS] = "theirs",
};

static int print_json(json_t *data)
{
	cli_print_json(data);
	json_decref(data);
	return CLI_OK;
}

/* --- the list ------------------------------------------------------------ */

static json_t *list_json(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < EXAMPLE_COUNT; i++)
		(void)json_array_append_new(
			list, json_pack("{s:s, s:s}", "name", examples[i].name,
					"summary", examples[i].summary));
	return json_pack("{s:o}", "examples", list);
}

static int print_list(const struct cli *cli)
{
	static const struct column columns[] = { { "EXAMPLE", false },
						 { "WHAT IT DOES", false } };
	struct table t = { .columns = columns, .count = 2 };

	if (cli->is_json)
		return print_json(list_json());
	for (size_t i = 0; i < EXAMPLE_COUNT; i++) {
		table_cell(&t, examples[i].name);
		table_cell(&t, examples[i].summary);
	}
	table_print(&t, stdout);
	return CLI_OK;
}

/* --- one ----------------------------------------------------------------- */

static json_t *example_json(const struct example *e)
{
	json_t *j =
		json_pack("{s:s, s:s}", "name", e->name, "summary", e->summary);

	for (size_t i = 0; i < EXAMPLE_HALVES; i++)
		(void)json_object_set_new(j, half_words[i],
					  json_pack("{s:s, s:s}", "file",
						    e->halves[i].file, "text",
						    e->halves[i].text));
	return j;
}

static int print_both(const struct cli *cli, const struct example *e)
{
	if (cli->is_json)
		return print_json(example_json(e));
	for (size_t i = 0; i < EXAMPLE_HALVES; i++)
		printf("%s# --- %s ---\n%s", i ? "\n" : "", e->halves[i].file,
		       e->halves[i].text);
	return CLI_OK;
}

static int print_half(const struct cli *cli, const struct example *e,
		      const char *word)
{
	size_t i = 0;

	while (i < EXAMPLE_HALVES && strcmp(half_words[i], word) != 0)
		i++;
	if (i == EXAMPLE_HALVES)
		return cli_unknown("half", word, half_words, EXAMPLE_HALVES);
	if (cli->is_json)
		return print_json(json_pack("{s:s, s:s}", "file",
					    e->halves[i].file, "text",
					    e->halves[i].text));
	(void)fputs(e->halves[i].text, stdout); /* main() looks for errors */
	return CLI_OK;
}

static int unknown_example(const char *name)
{
	const char *known[EXAMPLE_COUNT];

	for (size_t i = 0; i < EXAMPLE_COUNT; i++)
		known[i] = examples[i].name;
	return cli_unknown("example", name, known, EXAMPLE_COUNT);
}

int example_print(const struct cli *cli, const char *name, const char *half)
{
	const struct example *e = examples;

	if (!name)
		return print_list(cli);
	while (e < examples + EXAMPLE_COUNT && strcmp(e->name, name) != 0)
		e++;
	if (e == examples + EXAMPLE_COUNT)
		return unknown_example(name);
	return half ? print_half(cli, e, half) : print_both(cli, e);
}
