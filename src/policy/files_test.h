/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files_test.h - files and secrets that are a table.
 *
 * A row is a file's path, or the name of a secret as the text has it
 * ("file:/p", "credential:c").  What is not in the table cannot be read.
 */
#ifndef WL_POLICY_FILES_TEST_H
#define WL_POLICY_FILES_TEST_H

#include "base/err.h"
#include "base/secret.h"
#include "policy/policy.h"

#include <errno.h>
#include <string.h>

struct file_row {
	const char *name, *text;
};

/* ctx: rows, up to one without a name. */
static inline const char *find_file(void *ctx, const char *name)
{
	for (const struct file_row *r = ctx; r->name; r++) {
		if (strcmp(r->name, name) == 0)
			return r->text;
	}
	return NULL;
}

static inline int read_list(void *ctx, const char *path, struct str *out,
			    struct err *e)
{
	const char *text = find_file(ctx, path);

	if (!text)
		return err_set(e, ENOENT, "cannot read %s: it is not there",
			       path);
	str_add(out, text);
	return 0;
}

static inline int read_secret(void *ctx, const struct secret_ref *ref,
			      struct secret **out, struct err *e)
{
	bool is_file = ref->from == SECRET_FILE;
	struct str name = { .len = 0 };
	const char *text;

	str_addf(&name, "%s:%s", is_file ? "file" : "credential", ref->name);
	text = find_file(ctx, str_get(&name));
	str_done(&name);
	if (!text)
		return err_set(e, EACCES, "nobody may read %s", ref->name);
	*out = secret_new(text, strlen(text));
	return *out ? 0 : err_set(e, ENOMEM, "no memory");
}

#endif
