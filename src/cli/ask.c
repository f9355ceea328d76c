/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.c - requests to the daemon and their replies; see cli.h.
 */
#include "cli/cli.h"

#include "base/err.h"
#include "cli/output.h"
#include "control/client.h"
#include "control/wire.h"

#include <stdio.h>
#include <string.h>

json_t *cli_request(const char *command)
{
	return json_pack("{s:s}", "command", command);
}

const char *cli_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int64_t cli_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* A reply with ok false, as a sentence and a status. */
static int refused(const json_t *reply)
{
	const char *code = cli_text(reply, "code");
	const char *error = cli_text(reply, "error");

	if (strcmp(code, control_code_name(CONTROL_USAGE)) == 0)
		return cli_fail(CLI_USAGE, "waylayd refuses the request: %s",
				error);
	if (strcmp(code, control_code_name(CONTROL_CONFIG)) != 0)
		return cli_fail(CLI_FAILED, "%s", error);
	output_lines(stderr, error);
	return cli_fail(CLI_BAD_CONFIG, "the configuration is invalid; "
					"waylayd keeps the one it has");
}

int cli_ask(const struct cli *cli, json_t *request, json_t **reply)
{
	json_t *got = NULL;
	struct err e;
	int rc;

	if (!request)
		return cli_fail(CLI_FAILED, "out of memory");
	rc = control_call(cli->run_dir, request, &got, &e);
	json_decref(request);
	if (rc < 0)
		return cli_err(&e);
	if (!json_is_true(json_object_get(got, "ok"))) {
		rc = refused(got);
		json_decref(got);
		return rc;
	}
	(void)json_object_del(got, "ok"); /* what is left is data */
	*reply = got;
	return CLI_OK;
}

/* ASCII only, so that no text from outside reaches a terminal as it is.
 * A write error stays in stdout for main(). */
void cli_print_json(const json_t *data)
{
	(void)json_dumpf(data, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
}
