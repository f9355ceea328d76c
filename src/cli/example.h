/* SPDX-License-Identifier: Apache-2.0 */
/*
 * example.h - complete configurations for two programs that work together:
 * ours, and that of a proxy.
 *
 * Each half is a file as it stands.  The scenarios of lab/test_handoff.py and
 * lab/test_squid.py take the printed text and run it unchanged, for those
 * programs that Debian has.  A new one is a row in example_texts.c.
 */
#ifndef WL_CLI_EXAMPLE_H
#define WL_CLI_EXAMPLE_H

struct example_half {
	const char *file; /* where it goes */
	const char *text; /* ends with a newline */
};

enum { EXAMPLE_OURS, EXAMPLE_THEIRS, EXAMPLE_HALVES };
enum { EXAMPLE_COUNT = 6 };

struct example {
	const char *name;    /* of the other program */
	const char *summary; /* which traffic, how */
	struct example_half halves[EXAMPLE_HALVES];
};

extern const struct example examples[EXAMPLE_COUNT];

struct cli;

/* `config example [NAME [ours|theirs]]`; NULL: not given.  An exit status. */
int example_print(const struct cli *cli, const char *name, const char *half);

#endif
