/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - an error that a person can read.
 *
 * Functions return 0 or -errno.  Those that can fail for a reason a person
 * must read also take a struct err, filled where the cause is known with one
 * sentence: what was tried, on which object, and why it failed.  Callers may
 * put words in front of it, never replace it.  Nothing here prints or exits.
 */
#ifndef WL_BASE_ERR_H
#define WL_BASE_ERR_H

#include <stddef.h>

enum { ERR_TEXT_MAX = 1024 };

struct err {
	int code;		 /* errno value, positive; 0 when unset */
	char text[ERR_TEXT_MAX]; /* one sentence, no newline at its end */
};

/* Fill e (NULL is allowed) and return -code. */
int err_set(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set(), with ": " and the system's words for code behind it. */
int err_errno(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put words and ": " in front of what e already says; returns -e->code. */
int err_prefix(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
