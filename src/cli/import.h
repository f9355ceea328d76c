/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.h - rules that people have, and the configuration that says the same.
 *
 * Reads dumps of iptables and nft and shell commands, as text; nothing is
 * executed and no kernel is asked.  Each line of the input gets a status, so
 * that nothing is lost in silence:
 *
 *	import_new, import_add for each input, import_finish, import_write
 *
 * How it works is told in import_model.h; the command is in import.c.
 */
#ifndef WL_CLI_IMPORT_H
#define WL_CLI_IMPORT_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What became of a line; a line only rises. */
enum import_status {
	IMPORT_FOREIGN,	      /* not about interception, stays as it is */
	IMPORT_PLUMBING,      /* waylay does it by itself */
	IMPORT_EXPRESSED,     /* is in the configuration */
	IMPORT_NOT_EXPRESSED, /* should be and cannot; the reason says why */
	IMPORT_STATUS_COUNT,
};

enum {
	IMPORT_BYTES_MAX = 16 * 1024 * 1024, /* of one input */
	IMPORT_LINES_MAX = 1024 * 1024,	     /* of all */
};

struct import_line {
	const char *file;
	const char *text; /* not closed by NUL */
	size_t len;
	uint32_t number; /* in its file, from 1 */
	enum import_status status;
	const char *reason; /* a clause; NULL unless not expressed */
	bool is_continued;  /* of a command whose first line says the same */
};

struct import;

struct import *import_new(void); /* NULL when memory is out */
void import_free(struct import *im);

/* Read one input; `file` names it.  Copies both.  0, -EFBIG or -ENOMEM. */
int import_add(struct import *im, const char *file, const char *text,
	       size_t len);
/* All is read: find out what the rules do.  0 or -ENOMEM. */
int import_finish(struct import *im);
/* The configuration: always a valid one, perhaps without an intercept. */
void import_write(struct import *im, struct str *out);

size_t import_line_count(const struct import *im);
const struct import_line *import_line(const struct import *im, size_t i);
/* All commands stand behind "#": it looks like a prompt, but is a comment. */
bool import_is_commented_out(const struct import *im);

#endif
