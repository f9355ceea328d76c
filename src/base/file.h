/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - whole files, read with a limit and replaced at once.
 */
#ifndef WL_BASE_FILE_H
#define WL_BASE_FILE_H

#include "base/str.h"

struct err;

/* Append what path holds ("-": standard input) to out; -EFBIG over max
 * bytes.  0 or -errno with a sentence. */
int file_read(const char *path, size_t max, struct str *out, struct err *e);

/*
 * Replace what path holds: readers see the old text or the new one, never
 * less, also if we are killed.  Mode and owner are kept; a symbolic link
 * stays and its target is replaced; further hard links keep the old text.
 * Refuses what is not a regular file.  0 or -errno with a sentence.
 */
int file_replace(const char *path, const struct str *text, struct err *e);

/* Text in memory as a descriptor that survives exec, to be opened by its
 * program as /proc/self/fd/N.  -1 with errno. */
int file_in_memory(const char *name, const struct str *text);

#endif
