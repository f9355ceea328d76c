/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c - errors that leave the library; see error.h.
 */
#include "lib/error.h"

#include <errno.h>
#include <string.h>
#include <waylay.h>

enum {
	CODE_END = offsetof(struct waylay_error, code) + sizeof(int),
	TEXT_AT = offsetof(struct waylay_error, text),
	TEXT_END = TEXT_AT + WAYLAY_ERROR_TEXT,
};

/* A larger one is of a newer header: what it has more is not known here. */
static size_t text_room(const struct waylay_error *out)
{
	size_t end = out->size < TEXT_END ? out->size : TEXT_END;

	return end > TEXT_AT ? end - TEXT_AT : 0;
}

int error_tell(struct waylay_error *out, const struct err *e)
{
	size_t room, len;

	if (!out || out->size < CODE_END)
		return -e->code;
	out->code = e->code;
	room = text_room(out);
	if (!room)
		return -e->code;
	len = strnlen(e->text, room - 1);
	memcpy(out->text, e->text, len);
	out->text[len] = '\0';
	return -e->code;
}

int error_pass(struct waylay_error *out, const struct err *e, int result)
{
	return result < 0 ? error_tell(out, e) : result;
}

const char *waylay_version(void)
{
	return WAYLAY_VERSION;
}
