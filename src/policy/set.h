/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set.h - sets of ports and of addresses: put in order, and compared.
 *
 * Look-ups are in eval.h.  A set is normal when its elements are sorted and
 * disjoint; every function but the normalisers asks for normal sets.
 */
#ifndef WL_POLICY_SET_H
#define WL_POLICY_SET_H

#include "policy/model.h"

/* In place; count may shrink. */
void port_set_normalise(struct port_set *s);
void net_set_normalise(struct net_set *s);

/* Is everything of `inner` in `outer`? */
bool port_set_covers(const struct port_set *outer,
		     const struct port_set *inner);
/* Is the prefix inside of one element?  (Two halves do not count.) */
bool net_set_covers(const struct net_set *outer, const struct prefix *inner);
/* The first port that both have and `without` has not; 0: there is none. */
uint16_t port_set_meets(const struct port_set *a, const struct port_set *b,
			const struct port_set *without);

#endif
