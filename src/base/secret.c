/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.c - a password in memory of its own; see secret.h.
 *
 * The file is read straight into such memory, without stdio and without a
 * buffer on the stack, so that no copy is left behind.
 */
#include "base/secret.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- memory -------------------------------------------------------------- */

static size_t size_of(size_t len)
{
	return sizeof(struct secret) + len + 1;
}

/* Zeros, and room for len bytes and a NUL. */
static struct secret *allocate(size_t len)
{
	struct secret *s;

	if (len > SIZE_MAX / 2)
		return NULL;
	s = mmap(NULL, size_of(len), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return NULL;
	/* Both are more than can be had everywhere: best effort. */
	(void)madvise(s, size_of(len), MADV_DONTDUMP);
	(void)mlock(s, size_of(len));
	s->len = len;
	return s;
}

struct secret *secret_new(const char *bytes, size_t len)
{
	struct secret *s = allocate(len);

	if (s && len)
		memcpy(s->bytes, bytes, len);
	return s;
}

void secret_free(struct secret *s)
{
	size_t size;

	if (!s)
		return;
	size = size_of(s->len);
	explicit_bzero(s, size);
	(void)munmap(s, size); /* cannot fail: it is a mapping of ours */
}

/* --- files --------------------------------------------------------------- */

/* With an access list, as systemd makes it for the user of a service, the bits
 * of the group are the list's mask: they say nothing of a group then. */
enum { FOREIGN_BITS = 0066, FOREIGN_BITS_OF_CREDENTIAL = 0006 };

static int check_file(int fd, const char *path, mode_t foreign, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EACCES, "%s is not a regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(e, EACCES,
			       "%s holds a secret and must belong to root; it "
			       "belongs to user %u",
			       path, (unsigned)st.st_uid);
	if (st.st_mode & foreign)
		return err_set(e, EACCES,
			       "%s holds a secret and others may read or write "
			       "it; `chmod 0600` it",
			       path);
	return 0;
}

/* Fill `text` up to its length, or to the end of the file: then len is less. */
static int fill(int fd, struct secret *text, const char *path, struct err *e)
{
	size_t have = 0;
	ssize_t n = 1;

	while (n && have < text->len) {
		n = read(fd, text->bytes + have, text->len - have);
		if (n < 0 && errno != EINTR)
			return err_errno(e, errno, "cannot read %s", path);
		have += n > 0 ? (size_t)n : 0;
	}
	/* What is not filled is zeros. */
	return (int)have;
}

/* The first line of text[0..len), judged. */
static int take_line(const char *text, size_t len, size_t max, const char *path,
		     struct secret **out, struct err *e)
{
	const char *end = memchr(text, '\n', len);
	struct secret *s;

	if (end)
		len = (size_t)(end - text);
	if (end && len && text[len - 1] == '\r')
		len--;
	if (!len)
		return err_set(e, EINVAL, "%s has nothing in its first line",
			       path);
	if (len > max)
		return err_set(e, EINVAL,
			       "the first line of %s is longer than %zu bytes",
			       path, max);
	if (memchr(text, '\0', len))
		return err_set(e, EINVAL, "%s has a NUL in its first line",
			       path);
	s = secret_new(text, len);
	if (!s)
		return err_set(e, ENOMEM, "no memory for what %s holds", path);
	*out = s;
	return 0;
}

static int read_open(int fd, const char *path, size_t max, mode_t foreign,
		     struct secret **out, struct err *e)
{
	struct secret *text;
	int have, error = check_file(fd, path, foreign, e);

	if (error < 0)
		return error;
	text = allocate(max + strlen("\r\n") +
			1); /* to see that it is longer */
	if (!text)
		return err_set(e, ENOMEM, "no memory for what %s holds", path);
	have = fill(fd, text, path, e);
	error = have < 0 ? have
			 : take_line(text->bytes, (size_t)have, max, path, out,
				     e);
	secret_free(text);
	return error;
}

static int read_path(const char *path, size_t max, mode_t foreign,
		     struct secret **out, struct err *e)
{
	/* Not blocking: a FIFO must not stop us before it is refused. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int error;

	if (fd < 0)
		return err_errno(e, errno, "cannot open %s", path);
	error = read_open(fd, path, max, foreign, out, e);
	close(fd);
	return error;
}

int secret_read(const char *path, size_t max, struct secret **out,
		struct err *e)
{
	return read_path(path, max, FOREIGN_BITS, out, e);
}

int secret_read_credential(const char *name, size_t max, struct secret **out,
			   struct err *e)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];
	int len;

	if (!dir || *dir != '/')
		return err_set(e, ENOENT,
			       "there is no credential %s: waylayd was not "
			       "started by systemd with LoadCredential=%s:FILE",
			       name, name);
	if (strchr(name, '/') || *name == '.')
		return err_set(e, EINVAL, "%s is no name of a credential",
			       name);
	len = snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (len < 0 || (size_t)len >= sizeof(path))
		return err_set(e, ENAMETOOLONG,
			       "the path of credential %s is too long", name);
	return read_path(path, max, FOREIGN_BITS_OF_CREDENTIAL, out, e);
}
