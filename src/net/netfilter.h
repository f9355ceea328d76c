/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netfilter.h - what netfilter does in this network namespace.
 *
 * For who does without it and must know whether others do not.
 */
#ifndef WL_NET_NETFILTER_H
#define WL_NET_NETFILTER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Does connection tracking see packets?  Its hooks are only registered while
 * some rule needs them, and nothing says whether they are; so, unless there are
 * entries, a datagram goes from this host to itself (with this mark), to see
 * whether one comes.
 */
bool netfilter_is_tracking(uint32_t mark);

/* Is there an nft table of family inet of this name? */
bool netfilter_has_table(const char *name);

#endif
