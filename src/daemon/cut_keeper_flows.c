/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_keeper_flows.c - flows that are cut through, for the supervisor; see
 * cut_keeper.h.
 */
#include "daemon/cut_keeper.h"

#include <string.h>

bool cut_keeper_has_flows(const struct cut_keeper *k)
{
	return k->cut && atomic_load(&k->child.shared->tcp_flows);
}

uint32_t cut_keeper_records(const struct cut_keeper *k)
{
	uint32_t count;

	if (!k->cut || !k->config)
		return 0;
	count = atomic_load(&k->child.orders->record_count);
	return count < k->child.args.flow_max ? count : k->child.args.flow_max;
}

uint32_t cut_keeper_flows(const struct cut_keeper *k)
{
	const struct shared *s = k->child.shared;

	return k->cut ? atomic_load(&s->tcp_flows) + atomic_load(&s->udp_flows)
		      : 0;
}

uint32_t cut_keeper_flow_max(const struct cut_keeper *k)
{
	return k->cut ? k->child.args.flow_max : 0;
}

static uint32_t clip(uint32_t index, size_t count)
{
	return index < count ? index : UINT32_MAX;
}

/* What was adopted has the indexes of a daemon that has died. */
void cut_keeper_translate(const struct cut_keeper *k, struct flow_record *r)
{
	cut_book_translate(&k->book, r);
	r->intercept = clip(r->intercept, k->config->intercept_count);
	r->rule = clip(r->rule, k->config->rule_count);
	r->upstream = clip(r->upstream, k->config->upstream_count);
}

bool cut_keeper_read(const struct cut_keeper *k, uint32_t i,
		     struct flow_record *out)
{
	if (!shared_read(k->child.shared, i, out))
		return false;
	out->end = END_NONE;
	cut_keeper_translate(k, out);
	return true;
}

/* For all upstreams at once, and not again in the same turn of the loop. */
static void count_upstreams(struct cut_keeper *k)
{
	struct flow_record r;

	if (k->flows_ms == k->args.loop->now_ms)
		return;
	k->flows_ms = k->args.loop->now_ms;
	memset(k->upstream_flows, 0, sizeof(k->upstream_flows));
	for (uint32_t i = 0; i < cut_keeper_records(k); i++)
		if (cut_keeper_read(k, i, &r) && r.upstream < UPSTREAMS_MAX)
			k->upstream_flows[r.upstream]++;
}

uint32_t cut_keeper_upstream_flows(struct cut_keeper *k, size_t upstream)
{
	if (!k->cut)
		return 0;
	count_upstreams(k);
	return k->upstream_flows[upstream];
}

void cut_keeper_end_upstream(struct cut_keeper *k, size_t upstream)
{
	struct flow_record r;
	bool is_any = false;

	for (uint32_t i = 0; i < cut_keeper_records(k); i++) {
		if (!cut_keeper_read(k, i, &r) || r.upstream != upstream)
			continue;
		cut_orders_end(k->child.orders, i, r.name,
			       END_UPSTREAM_DISABLED);
		is_any = true;
	}
	if (is_any)
		cutter_child_look(&k->child);
}

void cut_keeper_count(const struct cut_keeper *k, uint64_t out[COUNTER_COUNT])
{
	for (int i = 0; k->cut && i < COUNTER_COUNT; i++)
		out[i] += atomic_load(&k->child.shared->counters[i]);
}
