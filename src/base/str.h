/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str.h - text that grows.
 *
 * One buffer type for everything that is rendered: configuration, nft
 * scripts, log lines.  It is always a C string.  When memory runs out the
 * buffer turns failed, keeps what it has and ignores what follows, so that
 * the writer checks once, at the end, with str_ok().
 */
#ifndef WL_BASE_STR_H
#define WL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

struct str {
	char *text; /* NULL until something was added; use str_get() */
	size_t len; /* bytes without the closing NUL */
	size_t cap;
	bool is_failed;
};

/* A struct str of zeros is empty and valid. */
void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const char *bytes, size_t len);
void str_addf(struct str *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Empty it and keep the memory. */
void str_reset(struct str *s);
/* Never NULL. */
const char *str_get(const struct str *s);
bool str_ok(const struct str *s);
void str_done(struct str *s);

#endif
