/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_counters.c - packets by cause, as counters of the table; see nft.h.
 *
 * Names and sentences are those of every engine (abi/counters.def).  They are
 * objects of their own, so they outlive a replacement of the rules.
 */
#include "engine/nft.h"

#include "engine/nft_look.h"
#include "engine/nft_text.h"

#include <string.h>

static const struct {
	const char *name, *sentence;
} all[] = {
#define X(name, sentence) { #name, sentence },
#include "abi/counters.def"
#undef X
};

/* Those that rules here name, in the order of the table above. */
static const char *const used[] = {
	"matched_tcp",	       "matched_udp",	     "matched_icmp",
	"taken_tcp",	       "taken_udp",	     "taken_host",
	"rejected_tcp",	       "rejected_udp",	     "passed_direct",
	"passed_inbound",      "passed_no_listener", "dropped_rule",
	"dropped_no_listener", "dropped_marked",
};

enum {
	ALL = sizeof(all) / sizeof(*all),
	USED = sizeof(used) / sizeof(*used),
};

void nft_put_counters(struct str *out)
{
	for (size_t i = 0; i < USED; i++)
		str_addf(out, "\tcounter %s {\n\t}\n", used[i]);
}

static void put_counter(const json_t *counter, struct str *out)
{
	const char *name = json_string_value(json_object_get(counter, "name"));

	for (size_t i = 0; name && i < ALL; i++)
		if (!strcmp(all[i].name, name))
			str_addf(out, "%lld\t%s\t%s\n",
				 (long long)json_integer_value(
					 json_object_get(counter, "packets")),
				 name, all[i].sentence);
}

int nft_counters(struct str *out, struct err *e)
{
	struct err cause = { 0 };
	json_t *items = nft_list(true, &cause), *item;
	size_t i;

	if (!items) {
		if (e)
			*e = cause;
		return -cause.code;
	}
	json_array_foreach(items, i, item)
		put_counter(json_object_get(item, "counter"), out);
	json_decref(items);
	return 0;
}
