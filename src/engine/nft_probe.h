/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_probe.h - what the nftables engine asks of a kernel.
 */
#ifndef WL_ENGINE_NFT_PROBE_H
#define WL_ENGINE_NFT_PROBE_H

#include "base/err.h"

/* The kernel refused our rules: if a part of it is missing, e gets another
 * sentence and its code is EOPNOTSUPP.  Returns -e->code. */
int nft_name_missing(struct err *e);

/* As engine.h says: a table is installed, and a datagram must come to a
 * listener that is not where it was sent. */
int nft_probe(struct err *e);

#endif
