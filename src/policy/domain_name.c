/* SPDX-License-Identifier: Apache-2.0 */
/*
 * domain_name.c - what is a name, and what a pattern; see domains.h.
 */
#include "policy/domains.h"

#include <string.h>

enum { LABEL_BYTES_MAX = 63, NAME_BYTES_MAX = HOST_TEXT_MAX - 1 };

/* Letters (as lower case), digits, '-' and '_'; 0: not of a name. */
static char normal_char(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c | 32);
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	    c == '_')
		return c;
	return 0;
}

/* "1.2.3.4", and whatever else a resolver takes for an address: no top level
 * is a number. */
static bool ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.');
	const char *last = dot ? dot + 1 : name;

	if (last[0] == '0' && last[1] == 'x')
		return !last[2 + strspn(last + 2, "0123456789abcdef")];
	return !last[strspn(last, "0123456789")];
}

bool domain_normalise(const char *text, size_t len, char *out)
{
	char name[HOST_TEXT_MAX];
	size_t label = 0; /* bytes of the label so far */

	if (len && text[len - 1] == '.')
		len--;
	if (!len || len > NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool is_dot = text[i] == '.';

		name[i] = is_dot ? '.' : normal_char(text[i]);
		if (!name[i] || (is_dot && !label))
			return false;
		label = is_dot ? 0 : label + 1;
		if (label > LABEL_BYTES_MAX)
			return false;
	}
	name[len] = '\0';
	if (!label || ends_in_number(name))
		return false;
	memcpy(out, name, len + 1);
	return true;
}

/* Bytes of "*." or "." in front. */
static size_t wildcard_len(const char *text, size_t len)
{
	if (len > 1 && text[0] == '*' && text[1] == '.')
		return 2;
	return len > 1 && text[0] == '.';
}

bool domain_pattern(const char *text, size_t len, char *out)
{
	size_t front = wildcard_len(text, len);
	char name[HOST_TEXT_MAX];
	size_t bytes;

	if (!domain_normalise(text + front, len - front, name))
		return false;
	bytes = strlen(name);
	if (front + bytes > NAME_BYTES_MAX)
		return false;
	memcpy(out, text, front);
	memcpy(out + front, name, bytes + 1);
	return true;
}
