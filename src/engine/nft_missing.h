/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_missing.h - which part of what the nft engine needs a kernel lacks.
 *
 * Only asked when the kernel has refused our rules: nft itself says of a
 * missing part that there is no such file.
 */
#ifndef WL_ENGINE_NFT_MISSING_H
#define WL_ENGINE_NFT_MISSING_H

#include "base/err.h"

/* The kernel refused our rules: if a part of it is missing, e gets another
 * sentence and its code is EOPNOTSUPP.  Returns -e->code. */
int nft_name_missing(struct err *e);

#endif
