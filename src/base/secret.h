/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - a password in memory of its own.
 *
 * Pages that no core file holds (MADV_DONTDUMP), that are not swapped where
 * the system allows to lock them, and that are wiped before they are given
 * back.  They are inherited by fork: workers need what they say to proxies.
 * A secret is never printed; nothing here returns it as part of a sentence
 * (T22, H12).
 */
#ifndef WL_BASE_SECRET_H
#define WL_BASE_SECRET_H

#include <stddef.h>

struct err;

struct secret {
	size_t len;   /* bytes, without the NUL */
	char bytes[]; /* any but NUL, NUL behind them */
};

/*
 * What the file holds, up to its first line end.  It must be a regular file
 * that belongs to root or to us and that nobody else may read or write: else
 * -EACCES.  Empty, longer than `max` bytes, with a NUL in it: -EINVAL.
 * 0 or -errno with a sentence that names the file, not what is in it.
 */
int secret_read(const char *path, size_t max, struct secret **out,
		struct err *e);
/* The same from $CREDENTIALS_DIRECTORY/name, systemd.exec(5); bits of a group
 * are not asked about there: they may be the mask of an access list. */
int secret_read_credential(const char *name, size_t max, struct secret **out,
			   struct err *e);
/* From memory, for tests. NULL: no memory. */
struct secret *secret_new(const char *bytes, size_t len);
void secret_free(struct secret *s); /* NULL is allowed */

#endif
