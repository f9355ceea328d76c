/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_look.c - read the table back; see nft_look.h.
 */
#include "engine/nft_look.h"

#include "base/child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- listing ------------------------------------------------------------- */

static bool is_ours(const json_t *item)
{
	const json_t *body =
		json_object_iter_value(json_object_iter((json_t *)item));
	const json_t *table = json_object_get(body, "table");

	if (!table && json_object_get(item, "table"))
		table = json_object_get(body, "name");
	return table && !strcmp(json_string_value(table), "waylay");
}

/* Takes `whole`. */
static json_t *pick_ours(json_t *whole)
{
	json_t *ours = json_array(), *item;
	size_t i;

	json_array_foreach(json_object_get(whole, "nftables"), i,
			   item) if (is_ours(item))(void)
		json_array_append(ours, item);
	json_decref(whole);
	return ours;
}

json_t *nft_list(bool is_terse, struct err *e)
{
	static const char *const terse[] = { "nft",	"-t",	"-j", "list",
					     "ruleset", "inet", NULL };
	static const char *const full[] = { "nft",  "-j",     "list", "table",
					    "inet", "waylay", NULL };
	struct str listing = { 0 }, complaint = { 0 };
	int status = child_run(is_terse ? terse : full, NULL, &listing,
			       &complaint, e);
	json_t *whole = NULL;

	if (status == 0)
		whole = json_loadb(str_get(&listing), listing.len, 0, NULL);
	if (status == 0 && !whole)
		(void)err_set(e, EPROTO, "cannot read what `nft -j` lists");
	if (status > 0 && is_terse)
		(void)err_set(e, EPROTO, "cannot list the nft rules: %.*s",
			      (int)strcspn(str_get(&complaint), "\n"),
			      str_get(&complaint));
	str_done(&listing);
	str_done(&complaint);
	if (whole)
		return pick_ours(whole);
	return status > 0 && !is_terse ? json_array() : NULL;
}

/* --- without what changes by itself -------------------------------------- */

static const char *const volatile_keys[] = { "handle", "packets", "bytes",
					     "index" };

/* Do rules put elements into it? */
static bool is_dynamic(const json_t *set)
{
	json_t *flag;
	size_t i;

	json_array_foreach(
		json_object_get(set, "flags"), i,
		flag) if (!strcmp(json_string_value(flag), "timeout") ||
			  !strcmp(json_string_value(flag),
				  "dynamic")) return true;
	return false;
}

static void strip(json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;

	if (is_dynamic(j))
		(void)json_object_del(j, "elem");
	for (i = 0; i < sizeof(volatile_keys) / sizeof(*volatile_keys); i++)
		if (json_is_object(j))
			(void)json_object_del(j, volatile_keys[i]);
	if (json_is_object(j))
		json_object_foreach(j, key, value) strip(value);
	if (json_is_array(j))
		json_array_foreach(j, i, value) strip(value);
}

int nft_list_stable(bool is_terse, struct str *out, struct err *e)
{
	struct err cause = { 0 };
	json_t *j = nft_list(is_terse, &cause);
	char *text;

	if (!j) {
		if (e)
			*e = cause;
		return -cause.code;
	}
	if (json_array_size(j)) {
		strip(j);
		text = json_dumps(j, JSON_SORT_KEYS | JSON_COMPACT);
		if (text)
			str_add(out, text);
		free(text);
	}
	json_decref(j);
	return 0;
}
