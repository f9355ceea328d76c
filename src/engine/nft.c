/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft.c - install, remove and read back the table; see nft.h.
 */
#include "engine/nft.h"

#include "base/child.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* --- installing ---------------------------------------------------------- */

/* Run `nft -f -`; the first line of its complaint goes into e. */
static int run_script(const char *script, const char *what, struct err *e)
{
	const char *const argv[] = { "nft", "-f", "-", NULL };
	struct str complaint = { 0 };
	int status = child_run(argv, script, NULL, &complaint, e);

	if (status > 0) {
		size_t line = strcspn(str_get(&complaint), "\n");

		err_set(e,
			strstr(str_get(&complaint), "not permitted") ? EPERM
								     : EPROTO,
			"cannot %s: nft says: %.*s", what, (int)line,
			str_get(&complaint));
		status = -e->code;
	}
	str_done(&complaint);
	return status;
}

/* What this engine asks of a kernel, tried one by one when the whole is
 * refused, so that the message can name what is missing. */
struct need {
	const char *rule;
	const char *name; /* Kconfig symbol, also its module in lower case */
};

static const struct need needs[] = {
	{ "accept", "NF_TABLES_INET" },
	{ "socket transparent 1 accept", "NFT_SOCKET" },
	{ "meta l4proto tcp tproxy to :1 accept", "NFT_TPROXY" },
	{ "fib daddr type local accept", "NFT_FIB_INET" },
	{ "meta l4proto tcp reject with tcp reset", "NFT_REJECT_INET" },
	{ "notrack", "NFT_CT" },
};

static const struct need *find_missing(void)
{
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		const char *const argv[] = { "nft", "-c", "-f", "-", NULL };
		struct str script = { 0 }, complaint = { 0 };
		int status;

		str_addf(&script,
			 "table inet waylay_probe {\nchain c {\ntype filter "
			 "hook prerouting priority 0\n%s\n}\n}\n",
			 needs[i].rule);
		status = child_run(argv, str_get(&script), NULL, &complaint,
				   NULL);
		str_done(&script);
		str_done(&complaint);
		if (status)
			return &needs[i];
	}
	return NULL;
}

/* Chains of intercepts that the new rules do not have any more.  `add` makes
 * `delete` valid whether the chain is there or not. */
static void put_old_chains(struct str *out, size_t from)
{
	static const char *const kinds[] = { "intercept", "select", "take" };

	for (size_t i = from; i < INTERCEPTS_MAX; i++)
		for (int k = 0; k < 3; k++)
			str_addf(out,
				 "add chain inet waylay %s_%zu\n"
				 "delete chain inet waylay %s_%zu\n",
				 kinds[k], i, kinds[k], i);
}

int nft_install(const struct plan *p, struct err *e)
{
	const struct need *missing;
	struct str script = { 0 };
	int error;

	/* Not `delete table`: its sets know connections that must go on. */
	str_add(&script, "add table inet waylay\nflush table inet waylay\n");
	put_old_chains(&script, p->config->intercept_count);
	nft_render(p, &script);
	if (!str_ok(&script))
		error = err_set(e, ENOMEM, "no memory for the nft rules");
	else
		error = run_script(str_get(&script),
				   "install the table `inet waylay`", e);
	str_done(&script);
	if (error != -EPROTO)
		return error;
	missing = find_missing();
	if (missing)
		return err_set(e, EOPNOTSUPP,
			       "engine nft does not work on this kernel: it "
			       "lacks %s (CONFIG_%s); load its module or "
			       "choose another engine",
			       missing->name, missing->name);
	return error;
}

/* --- reading back -------------------------------------------------------- */

static const char *const volatile_keys[] = { "handle", "packets", "bytes",
					     "index" };

/* Take out of a listing what changes by itself: also what our own rules put
 * into sets ("flags" tells such a set). */
static void strip(json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_object(j) && json_object_get(j, "flags"))
		(void)json_object_del(j, "elem");
	for (i = 0; i < sizeof(volatile_keys) / sizeof(*volatile_keys); i++)
		if (json_is_object(j))
			(void)json_object_del(j, volatile_keys[i]);
	if (json_is_object(j))
		json_object_foreach(j, key, value) strip(value);
	if (json_is_array(j))
		json_array_foreach(j, i, value) strip(value);
}

int nft_snapshot(struct str *out, struct err *e)
{
	const char *const argv[] = { "nft",  "-j",     "list", "table",
				     "inet", "waylay", NULL };
	struct str listing = { 0 }, complaint = { 0 };
	int status = child_run(argv, NULL, &listing, &complaint, e);
	json_t *j = NULL;
	char *text;

	if (status == 0) {
		j = json_loads(str_get(&listing), 0, NULL);
		if (!j)
			status = err_set(e, EPROTO,
					 "cannot read what `nft -j` lists");
	} else if (status > 0) {
		status = 0; /* no such table: an empty snapshot */
	}
	if (j) {
		strip(j);
		text = json_dumps(j, JSON_SORT_KEYS | JSON_COMPACT);
		if (text)
			str_add(out, text);
		free(text);
		json_decref(j);
	}
	str_done(&listing);
	str_done(&complaint);
	return status;
}

/* --- removing ------------------------------------------------------------ */

int nft_remove(struct err *e)
{
	struct str listing = { 0 };
	int error = nft_snapshot(&listing, e);
	bool is_there = listing.len;

	str_done(&listing);
	if (error < 0 || !is_there)
		return error;
	return run_script("delete table inet waylay\n",
			  "remove the table `inet waylay`", e);
}
