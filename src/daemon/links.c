/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links.c - which interfaces of the intercepts are there; see links.h.
 */
#include "daemon/links.h"

#include "base/log.h"
#include "net/link.h"
#include "policy/eval.h"

#include <string.h>

static void see_link(void *ctx, const struct link *link)
{
	struct links *now = ctx;

	for (size_t i = 0; i < now->config->intercept_count; i++) {
		const struct intercept *it = &now->config->intercepts[i];

		for (size_t n = 0; n < it->ifname_count; n++) {
			if (!ifname_matches(it->ifnames[n], link->name))
				continue;
			now->present[i] |= 1ull << n;
			now->has_bridge |= link->is_bridge;
		}
	}
}

static void report(const struct links *before, const struct links *now,
		   size_t i)
{
	const struct intercept *it = &now->config->intercepts[i];

	for (size_t n = 0; n < it->ifname_count; n++) {
		uint64_t bit = 1ull << n;
		bool was = before->present[i] & bit;
		bool is = now->present[i] & bit;

		if (!is && (was || !before->is_known))
			log_warning("intercept %s: waiting for interface %s",
				    it->name, it->ifnames[n]);
		if (is && !was && before->is_known)
			log_info("intercept %s: interface %s is there",
				 it->name, it->ifnames[n]);
	}
}

void links_look(struct links *l, struct nl *nl)
{
	struct links now = { .config = l->config, .is_known = true };
	struct err e = { 0 };

	if (!l->config)
		return;
	if (link_each(nl, see_link, &now, &e) < 0) {
		log_error("%s", e.text);
		return;
	}
	for (size_t i = 0; i < l->config->intercept_count; i++)
		report(l, &now, i);
	*l = now;
}
