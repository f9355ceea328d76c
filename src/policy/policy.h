/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - from text to a configuration and back.
 *
 * The one way in for everything above: config_parse() reads, checks and
 * completes; messages carry every error and warning with its place.  Pure:
 * text comes from the caller, no file is opened here.
 */
#ifndef WL_POLICY_POLICY_H
#define WL_POLICY_POLICY_H

#include "base/str.h"
#include "policy/model.h"

enum message_kind { MESSAGE_ERROR, MESSAGE_WARNING };

struct err;

enum { MESSAGES_MAX = 50 }; /* then one more: "... and N more errors" */

/* What is wrong, all at once, in the order of the text. */
struct messages {
	struct str text; /* rendered: file:line:column, line, caret, help */
	size_t errors;
	size_t warnings;
};

/*
 * Read `len` bytes of `text`; `file` names it in messages.  Returns NULL if
 * there was any error (then out->errors > 0).  Warnings do not fail.  The
 * text may hold any bytes.
 */
struct config *config_parse(const char *file, const char *text, size_t len,
			    struct messages *out);

/*
 * Who fetches what the text names: files of lists, and secrets.  A function
 * returns 0 or -errno with a sentence, which becomes an error message at the
 * place where the text names it.
 */
struct policy_files {
	void *ctx;
	int (*list)(void *ctx, const char *path, struct str *out,
		    struct err *e);
	/* A struct secret; the configuration frees it.  NULL: secrets are not
	 * read, their absence is no error. */
	int (*secret)(void *ctx, const struct secret_ref *ref,
		      struct secret **out, struct err *e);
};

/* config_parse() with all that the text names.  config_parse() itself reads no
 * file: its lists are what the text says, and no secret is there. */
struct config *config_parse_with(const char *file, const char *text, size_t len,
				 const struct policy_files *files,
				 struct messages *out);
/* Ends the sets of names and the secrets, too. */
void config_free(struct config *c); /* NULL is allowed */
void messages_done(struct messages *m);

/* Canonical text: what is default is left out, one statement a line.
 * config_parse() of it gives an equal model. */
void config_print(const struct config *c, struct str *out);
/* One rule of it, without the newline: "udp port 53 -> dns". */
void config_print_rule(const struct config *c, size_t rule, struct str *out);

/* Where an intercept delivers, as the text says it: "127.0.0.1:3129", or
 * "*:80".  Writes at most ADDR_TEXT_MAX bytes and returns buf. */
char *deliver_format(const struct addr *deliver, char *buf);

/* Equal in meaning and in words: places are not compared. */
bool config_equal(const struct config *a, const struct config *b);

/*
 * Lay out a text anew: indentation, one statement a line, aligned values;
 * comments and blank lines between paragraphs are kept.  Fails with -EINVAL
 * (and messages) on a text that does not parse; out is then unchanged.
 */
int config_format(const char *file, const char *text, size_t len,
		  struct str *out, struct messages *m);

#endif
