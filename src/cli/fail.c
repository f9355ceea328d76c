/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fail.c - how the tool says that something failed; see cli.h.
 */
#include "cli/cli.h"

#include "base/err.h"
#include "cli/output.h"
#include "policy/suggest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { SENTENCE_MAX = 4096 };

int cli_fail(enum cli_exit status, const char *fmt, ...)
{
	char sentence[SENTENCE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(sentence, sizeof(sentence), fmt, ap); /* may cut */
	va_end(ap);
	fflush(stdout); /* keep the order if both go to one place */
	fputs("waylay: ", stderr);
	output_lines(stderr, sentence);
	return (int)status;
}

static const struct {
	int code;
	enum cli_exit status;
} statuses[] = {
	{ ECONNREFUSED, CLI_NO_DAEMON }, { ECONNRESET, CLI_NO_DAEMON },
	{ ETIMEDOUT, CLI_NO_DAEMON },	 { EACCES, CLI_NO_PRIVILEGE },
	{ EPERM, CLI_NO_PRIVILEGE },
};

int cli_err(const struct err *e)
{
	enum cli_exit status = CLI_FAILED;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].code == e->code)
			status = statuses[i].status;
	return cli_fail(status, "%s", e->text);
}

int cli_refuse_operands(int argc, char **argv, int first)
{
	if (argc <= first)
		return CLI_OK;
	return cli_fail(CLI_USAGE,
			"'%s' is one word too many (see 'waylay help %s')",
			argv[first], argv[0]);
}

int cli_unknown(const char *what, const char *wrong, const char *const *known,
		size_t count)
{
	struct suggestion s;

	suggest_init(&s, wrong);
	for (size_t i = 0; i < count; i++)
		suggest_offer(&s, known[i]);
	if (s.best)
		return cli_fail(CLI_USAGE,
				"unknown %s '%s' (did you mean '%s'?)", what,
				wrong, s.best);
	return cli_fail(CLI_USAGE, "unknown %s '%s' (see 'waylay help')", what,
			wrong);
}
