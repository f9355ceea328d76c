/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - what a configuration names, fetched from this host; see files.h.
 */
#include "engine/files.h"

#include "base/err.h"
#include "base/file.h"
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A FIFO or a terminal would be waited for; the place of the name says the
 * rest. */
static int check_regular(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(e, errno, "cannot open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s is not a regular file", path);
	return 0;
}

static int read_list(void *ctx, const char *path, struct str *out,
		     struct err *e)
{
	int error = check_regular(path, e);

	(void)ctx;
	return error < 0 ? error : file_read(path, CONFIG_BYTES_MAX, out, e);
}

static int read_secret(void *ctx, const struct secret_ref *ref,
		       struct secret **out, struct err *e)
{
	(void)ctx;
	switch (ref->from) {
	case SECRET_NONE:
		break;
	case SECRET_FILE:
		return secret_read(ref->name, CREDENTIAL_BYTES_MAX, out, e);
	case SECRET_CREDENTIAL:
		return secret_read_credential(ref->name, CREDENTIAL_BYTES_MAX,
					      out, e);
	}
	return err_set(e, EINVAL, "there is no secret to be read");
}

static int check_secret(void *ctx, const struct secret_ref *ref,
			struct secret **out, struct err *e)
{
	if (ref->from == SECRET_CREDENTIAL && !getenv("CREDENTIALS_DIRECTORY"))
		return 0;
	return read_secret(ctx, ref, out, e);
}

const struct policy_files files_system = {
	.list = read_list,
	.secret = read_secret,
};

const struct policy_files *files_to_check(void)
{
	static const struct policy_files as_root = {
		.list = read_list,
		.secret = check_secret,
	};
	static const struct policy_files as_user = { .list = read_list };

	return geteuid() == 0 ? &as_root : &as_user;
}
