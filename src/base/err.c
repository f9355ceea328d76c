/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.c - fill a struct err; see err.h.
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		e->code = code;
		va_start(ap, fmt);
		(void)vsnprintf(e->text, sizeof(e->text), fmt,
				ap); /* may cut */
		va_end(ap);
	}
	return -code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	size_t used;

	if (!e)
		return -code;
	e->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap); /* may cut */
	va_end(ap);
	used = strlen(e->text);
	(void)snprintf(e->text + used, sizeof(e->text) - used, ": %s",
		       strerror(code)); /* may cut */
	return -code;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX];
	va_list ap;
	size_t used;

	if (!e)
		return 0;
	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap); /* may cut */
	va_end(ap);
	used = strlen(e->text);
	(void)snprintf(e->text + used, sizeof(e->text) - used, ": %s",
		       old); /* may cut */
	return -e->code;
}
