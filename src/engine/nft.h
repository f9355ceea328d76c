/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft.h - the nftables engine.
 *
 * One table of our own, `inet waylay`, filled anew in one transaction by `nft
 * -f -` in a child process and read back with `nft -j`.  libnftables is never
 * linked: it aborts a process that holds a descriptor above 1023.
 * nft_render.c says which rules, and why in this order.
 */
#ifndef WL_ENGINE_NFT_H
#define WL_ENGINE_NFT_H

#include "base/err.h"
#include "base/str.h"
#include "engine/plan.h"

/* The table as a script for `nft -f`, for a host that does not have it. */
void nft_render(const struct plan *p, struct str *out);

/* Replace the table.  -errno with one sentence: no nft program, no privilege,
 * or which part this kernel lacks. */
int nft_install(const struct plan *p, struct err *e);
/* Remove the table if it is there. */
int nft_remove(struct err *e);

/*
 * What is installed, in a form that two listings of the same rules share
 * (no handles, no counters).  Empty when the table does not exist.
 */
int nft_snapshot(struct str *out, struct err *e);

#endif
