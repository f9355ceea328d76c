/* SPDX-License-Identifier: Apache-2.0 */
/*
 * equal.c - do two configurations say the same?
 *
 * Compares what was written and what follows from it, never places.  Secrets
 * are compared by where they are, not by what they are.  A
 * default rule that check.c added equals one that was written, but where it
 * is the only rule: then it means something else (eval_rule_kind()).
 */
#include "policy/policy.h"
#include "policy/domains.h"
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

/* Both NULL, or the same text. */
static bool equal_texts(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool equal_domains(const struct domain_term *a, size_t a_count,
			  const struct domain_term *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++) {
		if (strcmp(a[i].text, b[i].text) != 0)
			return false;
	}
	return true;
}

static bool equal_files(const struct list *a, const struct list *b)
{
	if (a->file_count != b->file_count)
		return false;
	for (size_t i = 0; i < a->file_count; i++) {
		if (strcmp(a->files[i].path, b->files[i].path) != 0)
			return false;
	}
	return a->is_reloaded == b->is_reloaded;
}

/* What the files held may differ, though the words are the same. */
static bool equal_contents(const struct list *a, const struct list *b)
{
	if (!a->names != !b->names || a->set.count != b->set.count)
		return false;
	return equal_prefixes(a->set.prefixes, b->set.prefixes, a->set.count) &&
	       (!a->names || domain_set_equal(a->names, b->names));
}

static bool equal_lists(const struct list *a, const struct list *b)
{
	return strcmp(a->name, b->name) == 0 && a->count == b->count &&
	       equal_prefixes(a->nets, b->nets, a->count) &&
	       equal_domains(a->domains, a->domain_count, b->domains,
			     b->domain_count) &&
	       equal_files(a, b) && equal_contents(a, b);
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
	       a->require_listener == b->require_listener &&
	       a->has_listen == b->has_listen &&
	       addr_equal(&a->listen, &b->listen) &&
	       equal_nets(&a->proxy_from, &b->proxy_from) &&
	       equal_nets(&a->redirected_from, &b->redirected_from);
}

static bool equal_secrets(const struct secret_ref *a,
			  const struct secret_ref *b)
{
	return a->from == b->from && equal_texts(a->name, b->name);
}

static bool equal_health(const struct health *a, const struct health *b)
{
	return a->is_on == b->is_on && addr_equal(&a->to, &b->to) &&
	       equal_texts(a->to_name, b->to_name) &&
	       a->every_ms == b->every_ms && a->timeout_ms == b->timeout_ms &&
	       a->rise == b->rise && a->fall == b->fall;
}

static bool equal_groups(const struct group *a, const struct group *b)
{
	if (!a || !b)
		return a == b;
	if (a->member_count != b->member_count)
		return false;
	for (size_t i = 0; i < a->member_count; i++) {
		if (a->members[i] != b->members[i])
			return false;
	}
	return a->balance == b->balance && a->fallback == b->fallback &&
	       equal_health(&a->health, &b->health);
}

static bool equal_ways(const struct upstream *a, const struct upstream *b)
{
	return a->kind == b->kind && a->source == b->source &&
	       addr_equal(&a->source_addr[0], &b->source_addr[0]) &&
	       addr_equal(&a->source_addr[1], &b->source_addr[1]) &&
	       a->has_to == b->has_to && addr_equal(&a->to, &b->to) &&
	       equal_texts(a->to_name, b->to_name);
}

static bool equal_upstreams(const struct upstream *a, const struct upstream *b)
{
	return strcmp(a->name, b->name) == 0 && equal_ways(a, b) &&
	       equal_texts(a->user, b->user) &&
	       equal_secrets(&a->password, &b->password) &&
	       a->is_udp == b->is_udp && a->is_resolving == b->is_resolving &&
	       a->pipeline == b->pipeline && equal_groups(a->group, b->group);
}

static bool equal_rules(const struct rule *a, const struct rule *b)
{
	return a->is_default == b->is_default &&
	       a->has_intercept == b->has_intercept &&
	       a->intercept == b->intercept && a->protos == b->protos &&
	       equal_nets(&a->src, &b->src) && equal_nets(&a->dst, &b->dst) &&
	       equal_domains(a->domains.terms, a->domains.count,
			     b->domains.terms, b->domains.count) &&
	       a->is_dst_or_domain == b->is_dst_or_domain &&
	       a->is_quic == b->is_quic && a->has_ports == b->has_ports &&
	       equal_ports(&a->ports, &b->ports) &&
	       a->upstream == b->upstream && a->is_logged == b->is_logged &&
	       a->cut_through == b->cut_through;
}

static bool equal_timeouts(const struct timeouts *a, const struct timeouts *b)
{
	return a->connect_ms == b->connect_ms && a->idle_ms == b->idle_ms &&
	       a->half_closed_ms == b->half_closed_ms &&
	       a->udp_ms == b->udp_ms && a->dns_ms == b->dns_ms &&
	       a->upstream_ms == b->upstream_ms && a->drain_ms == b->drain_ms;
}

static bool equal_sniff(const struct sniff *a, const struct sniff *b)
{
	return a->is_tls == b->is_tls && a->is_http == b->is_http &&
	       a->is_quic == b->is_quic && a->wait_ms == b->wait_ms;
}

static bool equal_settings(const struct config *a, const struct config *b)
{
	return a->engine == b->engine && a->on_failure == b->on_failure &&
	       a->cut_through == b->cut_through && a->mark == b->mark &&
	       a->mask == b->mask && a->table == b->table &&
	       a->workers == b->workers && a->port == b->port &&
	       a->log.level == b->log.level && a->log.format == b->log.format &&
	       a->log.flows_every == b->log.flows_every &&
	       equal_timeouts(&a->timeouts, &b->timeouts) &&
	       equal_sniff(&a->sniff, &b->sniff) &&
	       a->limits.tcp_flows == b->limits.tcp_flows &&
	       a->limits.udp_flows == b->limits.udp_flows &&
	       a->limits.udp_per_client == b->limits.udp_per_client &&
	       a->limits.cut_flows == b->limits.cut_flows &&
	       a->has_admin_http == b->has_admin_http &&
	       addr_equal(&a->admin_http, &b->admin_http) &&
	       equal_secrets(&a->admin_token, &b->admin_token);
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
