/* SPDX-License-Identifier: Apache-2.0 */
/*
 * equal.c - do two configurations say the same?
 *
 * Compares what was written and what follows from it, never places.  A
 * default rule that check.c added equals one that was written, but where it
 * is the only rule: then it means something else (eval_rule_kind()).
 */
#include "policy/policy.h"
#include "policy/eval.h"

#include <string.h>

static bool equal_ports(const struct port_set *a, const struct port_set *b)
{
	return a->count == b->count &&
	       (!a->count || memcmp(a->ranges, b->ranges,
				    a->count * sizeof(*a->ranges)) == 0);
}

static bool equal_prefixes(const struct prefix *a, const struct prefix *b,
			   size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (prefix_compare(&a[i], &b[i]) != 0)
			return false;
	}
	return true;
}

static bool equal_terms(const struct net_term *a, const struct net_term *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case NET_TERM_PREFIX:
		return prefix_compare(&a->prefix, &b->prefix) == 0;
	case NET_TERM_LIST:
		return a->list == b->list;
	case NET_TERM_PRIVATE:
		break;
	}
	return true;
}

static bool equal_nets(const struct net_expr *a, const struct net_expr *b)
{
	if (a->count != b->count || a->set.count != b->set.count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (!equal_terms(&a->terms[i], &b->terms[i]))
			return false;
	}
	return equal_prefixes(a->set.prefixes, b->set.prefixes, a->set.count);
}

static bool equal_lists(const struct list *a, const struct list *b)
{
	return strcmp(a->name, b->name) == 0 && a->count == b->count &&
	       equal_prefixes(a->nets, b->nets, a->count);
}

static bool equal_words(const char *const *a, size_t a_count,
			const char *const *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++) {
		if (strcmp(a[i], b[i]) != 0)
			return false;
	}
	return true;
}

static bool equal_sources(const struct intercept *a, const struct intercept *b)
{
	return a->from_host == b->from_host &&
	       equal_words(a->ifnames, a->ifname_count, b->ifnames,
			   b->ifname_count);
}

static bool equal_owners(const struct intercept *a, const struct intercept *b)
{
	return equal_words(a->except_users, a->except_user_count,
			   b->except_users, b->except_user_count) &&
	       equal_words(a->except_cgroups, a->except_cgroup_count,
			   b->except_cgroups, b->except_cgroup_count);
}

static bool equal_intercepts(const struct intercept *a,
			     const struct intercept *b)
{
	for (size_t i = 0; i < PROTO_COUNT; i++) {
		if (!equal_ports(&a->ports[i], &b->ports[i]))
			return false;
	}
	return strcmp(a->name, b->name) == 0 && equal_sources(a, b) &&
	       equal_owners(a, b) &&
	       equal_nets(&a->except_src, &b->except_src) &&
	       equal_nets(&a->except_dst, &b->except_dst) &&
	       equal_ports(&a->except_port, &b->except_port) &&
	       a->has_deliver == b->has_deliver &&
	       addr_equal(&a->deliver, &b->deliver) &&
	       a->require_listener == b->require_listener;
}

static bool equal_upstreams(const struct upstream *a, const struct upstream *b)
{
	return strcmp(a->name, b->name) == 0 && a->kind == b->kind &&
	       a->source == b->source && a->has_to == b->has_to &&
	       addr_equal(&a->to, &b->to);
}

static bool equal_rules(const struct rule *a, const struct rule *b)
{
	return a->is_default == b->is_default &&
	       a->has_intercept == b->has_intercept &&
	       a->intercept == b->intercept && a->protos == b->protos &&
	       equal_nets(&a->src, &b->src) && equal_nets(&a->dst, &b->dst) &&
	       a->has_ports == b->has_ports &&
	       equal_ports(&a->ports, &b->ports) &&
	       a->upstream == b->upstream && a->is_logged == b->is_logged;
}

static bool equal_timeouts(const struct timeouts *a, const struct timeouts *b)
{
	return a->connect_ms == b->connect_ms && a->idle_ms == b->idle_ms &&
	       a->half_closed_ms == b->half_closed_ms &&
	       a->udp_ms == b->udp_ms && a->dns_ms == b->dns_ms &&
	       a->drain_ms == b->drain_ms;
}

static bool equal_settings(const struct config *a, const struct config *b)
{
	return a->engine == b->engine && a->on_failure == b->on_failure &&
	       a->mark == b->mark && a->mask == b->mask &&
	       a->table == b->table && a->workers == b->workers &&
	       a->port == b->port && a->log.level == b->log.level &&
	       a->log.format == b->log.format &&
	       a->log.flows_every == b->log.flows_every &&
	       equal_timeouts(&a->timeouts, &b->timeouts) &&
	       a->limits.tcp_flows == b->limits.tcp_flows &&
	       a->limits.udp_flows == b->limits.udp_flows &&
	       a->limits.udp_per_client == b->limits.udp_per_client &&
	       a->has_admin_http == b->has_admin_http &&
	       addr_equal(&a->admin_http, &b->admin_http);
}

static bool equal_counts(const struct config *a, const struct config *b)
{
	return a->list_count == b->list_count &&
	       a->intercept_count == b->intercept_count &&
	       a->upstream_count == b->upstream_count &&
	       a->rule_count == b->rule_count;
}

bool config_equal(const struct config *a, const struct config *b)
{
	if (!equal_settings(a, b) || !equal_counts(a, b))
		return false;
	for (size_t i = 0; i < a->list_count; i++) {
		if (!equal_lists(&a->lists[i], &b->lists[i]))
			return false;
	}
	for (size_t i = 0; i < a->intercept_count; i++) {
		if (!equal_intercepts(&a->intercepts[i], &b->intercepts[i]))
			return false;
	}
	for (size_t i = 0; i < a->upstream_count; i++) {
		if (!equal_upstreams(&a->upstreams[i], &b->upstreams[i]))
			return false;
	}
	for (size_t i = 0; i < a->rule_count; i++) {
		if (!equal_rules(&a->rules[i], &b->rules[i]) ||
		    eval_rule_kind(a, i) != eval_rule_kind(b, i))
			return false;
	}
	return true;
}
