/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_look.h - what the kernel has of the table `inet waylay`.
 *
 * Read by `nft -j`.  The kernel needs time in proportion to the square of a
 * set's size to list it, and nft 1.0.6 asks for the elements of every set when
 * one table, chain or counter is to be listed: `nft -t list ruleset` is the
 * only listing that does not.  A terse listing has everything but the elements
 * of named sets.
 */
#ifndef WL_ENGINE_NFT_LOOK_H
#define WL_ENGINE_NFT_LOOK_H

#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>

/* An array of what stands in the table, as `nft -j` writes it, each an object
 * with one key: "table", "chain", "set"...  Empty if there is no table.  NULL
 * and e on failure. */
json_t *nft_list(bool is_terse, struct err *e);

/* The same as text, in a form that two listings of the same rules share: no
 * handles, no counts, nothing that rules themselves put into sets.  Empty if
 * there is no table. */
int nft_list_stable(bool is_terse, struct str *out, struct err *e);

#endif
