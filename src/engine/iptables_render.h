/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_render.h - the rules of the iptables engine, from a plan.
 *
 * iptables_render.c explains them.  Read iptables_write.h for how a condition
 * becomes rules.
 */
#ifndef WL_ENGINE_IPTABLES_RENDER_H
#define WL_ENGINE_IPTABLES_RENDER_H

#include "engine/iptables_rules.h"
#include "engine/plan.h"
#include "engine/select.h"

/* One family's rules; `out` is empty before.  The selections are those of the
 * plan's configuration. */
void iptables_render(const struct plan *p, const struct selections *s,
		     enum family_index f, struct iptables_rules *out);

/* Does somebody have to renew a lease, or interception ends?  With on-failure
 * open, if anything is given to the relay. */
bool iptables_has_lease(const struct plan *p);
/* What to write there: "/proc/..." and "+0.0.0.0". */
const char *iptables_lease_path(enum family_index f);
const char *iptables_lease_text(enum family_index f);

#endif
