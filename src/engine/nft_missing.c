/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_missing.c - which part does this kernel lack?  See nft_missing.h.
 */
#include "engine/nft_missing.h"

#include "base/child.h"
#include "base/str.h"

#include <errno.h>

/* Tried one by one when the whole is refused. */
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

static bool is_loadable(const struct need *need)
{
	static const char *const argv[] = { "nft", "-c", "-f", "-", NULL };
	struct str script = { 0 }, complaint = { 0 };
	int status;

	str_addf(&script,
		 "table inet waylay_probe {\nchain c {\ntype filter hook "
		 "prerouting priority 0\n%s\n}\n}\n",
		 need->rule);
	status = child_run(argv, str_get(&script), NULL, &complaint, NULL);
	str_done(&script);
	str_done(&complaint);
	return status == 0;
}

int nft_name_missing(struct err *e)
{
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (!is_loadable(&needs[i]))
			return err_set(e, EOPNOTSUPP,
				       "engine nft does not work on this "
				       "kernel: it lacks %s (CONFIG_%s); load "
				       "its module or choose another engine",
				       needs[i].name, needs[i].name);
	return -e->code;
}
