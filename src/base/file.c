/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c - read and replace whole files; see file.h.
 *
 * Replacing is the usual way: a new file beside the old one, flushed, then
 * renamed over it.  Who writes the old file meanwhile loses his change; that
 * is accepted, as with an editor.
 */
#include "base/file.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

static int read_all(int fd, const char *path, size_t max, struct str *out,
		    struct err *e)
{
	size_t before = out->len;
	char chunk[CHUNK];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "cannot read %s", path);
		str_addn(out, chunk, (size_t)n);
		if (!str_ok(out))
			return err_errno(e, ENOMEM, "cannot read %s", path);
		if (out->len - before > max)
			return err_set(e, EFBIG, "%s is larger than %zu MiB",
				       path, max >> 20);
	}
	return 0;
}

int file_read(const char *path, size_t max, struct str *out, struct err *e)
{
	int fd;
	int rc;

	if (strcmp(path, "-") == 0)
		return read_all(STDIN_FILENO, "standard input", max, out, e);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "cannot open %s", path);
	rc = read_all(fd, path, max, out, e);
	close(fd);
	return rc;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The owner first: a change of owner clears set-id bits of the mode. */
static int fill(int fd, const struct stat *old, const struct str *text)
{
	int rc;

	if (fchown(fd, old->st_uid, old->st_gid) < 0 ||
	    fchmod(fd, old->st_mode & 07777) < 0)
		return -errno;
	rc = write_all(fd, str_get(text), text->len);
	if (rc < 0)
		return rc;
	return fsync(fd) < 0 ? -errno : 0;
}

/* Takes fd, the new file `fresh`. */
static int finish(int fd, const char *fresh, const char *path,
		  const struct stat *old, const struct str *text)
{
	int rc = fill(fd, old, text);

	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(fresh, path) < 0)
		rc = -errno;
	if (rc < 0)
		(void)unlink(fresh); /* best effort, the error is told */
	return rc;
}

/* `path` is the file itself, no link. */
static int replace(const char *path, const struct str *text, struct err *e)
{
	struct str fresh = { 0 };
	struct stat old;
	int fd;
	int rc;

	if (stat(path, &old) < 0)
		return err_errno(e, errno, "cannot look at %s", path);
	if (!S_ISREG(old.st_mode))
		return err_set(e, EINVAL, "%s is not a regular file", path);
	str_addf(&fresh, "%s.XXXXXX", path);
	if (!str_ok(&fresh))
		return err_errno(e, ENOMEM, "cannot replace %s", path);
	fd = mkostemp(fresh.text, O_CLOEXEC);
	rc = fd < 0 ? -errno : finish(fd, fresh.text, path, &old, text);
	if (rc < 0)
		rc = err_errno(e, -rc, "cannot replace %s", path);
	str_done(&fresh);
	return rc;
}

int file_replace(const char *path, const struct str *text, struct err *e)
{
	char *real = realpath(path, NULL);
	int rc;

	if (!real)
		return err_errno(e, errno, "cannot find %s", path);
	rc = replace(real, text, e);
	free(real);
	return rc;
}

int file_in_memory(const char *name, const struct str *text)
{
	int fd = memfd_create(name, 0);

	if (fd < 0)
		return -1;
	if (write_all(fd, str_get(text), text->len) == 0)
		return fd;
	close(fd);
	return -1;
}
