/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft.h - the nftables engine.
 *
 * One table of our own, `inet waylay`.  Its rules are replaced in one
 * transaction by `nft -f -` in a child process and read back with `nft -j`.
 * libnftables is never linked: it aborts a process that holds a descriptor
 * above 1023.  nft_render.c says which rules, and why in this order.
 *
 * What outlives a replacement: counters, what rules have noted about
 * connections, and sets of more than 4096 prefixes whose content stays.
 *
 * is_intact() compares the listing with that after install().  When there are
 * more than 4096 prefixes in sets, it does not look at them: the kernel takes
 * minutes to list a million.  Then a foreign change of a set's elements goes
 * unnoticed; everything else is noticed.
 *
 * `except user` needs a user that this host knows, else install() fails.
 * `except cgroup` is left out while that cgroup is not there; is_intact() is
 * false as soon as it is there, or is another one of the same name.  The
 * kernel does not tell of that: somebody must ask.
 */
#ifndef WL_ENGINE_NFT_H
#define WL_ENGINE_NFT_H

#include "base/err.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/plan.h"

extern const struct engine engine_nft;

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

/* As in engine.h. */
int nft_counters(struct str *out, struct err *e);

#endif
