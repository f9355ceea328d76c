/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str.c - text that grows; see str.h.
 */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Make room for `more` bytes and the NUL. */
static bool reserve(struct str *s, size_t more)
{
	size_t cap = s->cap ? s->cap : 128;
	char *text;

	if (s->is_failed)
		return false;
	if (more > (size_t)-1 / 4 || s->len > (size_t)-1 / 4) {
		s->is_failed = true;
		return false;
	}
	while (cap < s->len + more + 1)
		cap *= 2;
	if (cap == s->cap)
		return true;
	text = realloc(s->text, cap);
	if (!text) {
		s->is_failed = true;
		return false;
	}
	s->text = text;
	s->cap = cap;
	return true;
}

void str_addn(struct str *s, const char *bytes, size_t len)
{
	if (!reserve(s, len))
		return;
	if (len)
		memcpy(s->text + s->len, bytes, len);
	s->len += len;
	s->text[s->len] = '\0';
}

void str_add(struct str *s, const char *text)
{
	str_addn(s, text, strlen(text));
}

void str_addf(struct str *s, const char *fmt, ...)
{
	va_list ap, again;
	int len;

	va_start(ap, fmt);
	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		s->is_failed = true;
	else if (reserve(s, (size_t)len)) {
		(void)vsnprintf(s->text + s->len, (size_t)len + 1, fmt, again);
		s->len += (size_t)len;
	}
	va_end(again);
}

void str_reset(struct str *s)
{
	s->len = 0;
	s->is_failed = false;
	if (s->text)
		s->text[0] = '\0';
}

const char *str_get(const struct str *s)
{
	return s->text ? s->text : "";
}

bool str_ok(const struct str *s)
{
	return !s->is_failed;
}

void str_done(struct str *s)
{
	free(s->text);
	*s = (struct str){ 0 };
}
