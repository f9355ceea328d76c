/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_owner.c - whose packets: `except user` and `except cgroup`; see
 * parse.h.
 *
 * Nothing is looked up: a user or a service may come later than the file, and
 * what a file means must not depend on the machine that reads it.  So only
 * the form is judged, strictly enough that no engine takes a word for
 * anything else: an option, a range, a path that climbs.
 */
#include "policy/parse.h"

#include <string.h>

#define DIGITS "0123456789"
#define LETTERS                                                                \
	"abcdefghijklmnopqrstuvwxyz"                                           \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum {
	USER_BYTES_MAX = 31,
	CGROUP_BYTES_MAX = 255,
};

static const uint32_t user_number_max = UINT32_MAX - 1; /* then "nobody" */

_Static_assert((int)CGROUP_BYTES_MAX == (int)WORD_BYTES_MAX,
	       "the lexer refuses what is longer");

/* --- what both have in common -------------------------------------------- */

/* A kind of owner, and where those of the intercept at hand are kept. */
struct owners {
	const char *noun;
	const char ***texts;
	size_t *count;
	size_t max;
};

static const char *find_list_fault(const struct owners *o, const char *text)
{
	for (size_t i = 0; i < *o->count; i++) {
		if (strcmp((*o->texts)[i], text) == 0)
			return "it is named twice";
	}
	return NULL;
}

/* `fault` is what is wrong with the word already, or NULL. */
static bool add_owner(struct parser *p, const struct owners *o,
		      const struct word *w, const char *text, const char *fault)
{
	const char **texts;

	if (!fault)
		fault = find_list_fault(o, text);
	if (fault) {
		(void)report_error(p->report, w->at, "wrong %s \"%s\": %s",
				   o->noun, w->text, fault);
		return false;
	}
	if (*o->count == o->max) {
		(void)report_error(p->report, w->at,
				   "too many %ss in one intercept; %zu are "
				   "allowed",
				   o->noun, o->max);
		return false;
	}
	texts = parse_grow(p, *o->texts, *o->count, sizeof(*texts));
	if (!texts)
		return false;
	*o->texts = texts;
	texts[(*o->count)++] = parse_keep(p, text);
	return true;
}

/* --- users --------------------------------------------------------------- */

static bool is_digits(const char *text)
{
	return *text && !text[strspn(text, DIGITS)];
}

static const char *find_number_fault(const char *text)
{
	uint64_t number;

	return number_parse(text, user_number_max, &number)
		       ? NULL
		       : "a number goes from 0 to 4294967294";
}

static const char *find_user_fault(const char *name)
{
	size_t len = strspn(name, LETTERS DIGITS "._-");

	if (is_digits(name))
		return find_number_fault(name);
	if (!*name)
		return "it is empty";
	if (strlen(name) > USER_BYTES_MAX)
		return "it is longer than 31 bytes";
	if (name[len] && strcmp(name + len, "$") != 0)
		return "letters, digits, . _ and - can stand in it, and $ at "
		       "its end";
	if (*name == '-' || !strpbrk(name, LETTERS "_"))
		return "it is neither a name nor a number";
	return NULL;
}

/* One number, one text: so that 07 is 7 wherever texts are compared. */
static const char *skip_zeros(const char *text)
{
	while (is_digits(text) && *text == '0' && text[1])
		text++;
	return text;
}

bool value_users(struct parser *p, struct intercept *i)
{
	const struct owners o = { .noun = "user",
				  .texts = &i->except_users,
				  .count = &i->except_user_count,
				  .max = USERS_MAX };
	const struct word *w;

	do {
		w = word_take_item(p, "users");
		if (!w || !add_owner(p, &o, w, skip_zeros(w->text),
				     find_user_fault(w->text)))
			return false;
	} while (w->has_comma);
	return true;
}

/* --- cgroups ------------------------------------------------------------- */

/* `path` has no slashes at its ends any more. */
static bool has_dots(const char *path)
{
	size_t len;

	for (;; path += len + 1) {
		len = strcspn(path, "/");
		if ((len == 1 || len == 2) && strspn(path, ".") >= len)
			return true;
		if (!path[len])
			return false;
	}
}

static bool has_control(const char *path)
{
	for (; *path; path++) {
		if ((unsigned char)*path < 0x20 || *path == 0x7f)
			return true;
	}
	return false;
}

static const char *find_cgroup_fault(const char *path)
{
	if (!*path)
		return "a path below the root is needed";
	if (has_control(path) || strchr(path, '"'))
		return "no control byte and no quote can stand in it";
	if (strstr(path, "//"))
		return "two slashes stand in a row";
	if (has_dots(path))
		return "no part of it can be . or ..";
	if (strncmp(path, "sys/fs/cgroup/", 14) == 0)
		return "leave out /sys/fs/cgroup, paths begin below it";
	return NULL;
}

/* out holds CGROUP_BYTES_MAX + 1 bytes. */
static void strip_slashes(const char *text, char *out)
{
	size_t len;

	text += strspn(text, "/");
	len = strlen(text);
	while (len && text[len - 1] == '/')
		len--;
	memcpy(out, text, len);
	out[len] = '\0';
}

bool value_cgroups(struct parser *p, struct intercept *i)
{
	const struct owners o = { .noun = "cgroup",
				  .texts = &i->except_cgroups,
				  .count = &i->except_cgroup_count,
				  .max = CGROUPS_MAX };
	char path[CGROUP_BYTES_MAX + 1];
	const struct word *w;

	do {
		w = word_take_item(p, "paths of cgroups");
		if (!w)
			return false;
		strip_slashes(w->text, path);
		if (!add_owner(p, &o, w, path, find_cgroup_fault(path)))
			return false;
	} while (w->has_comma);
	return true;
}
