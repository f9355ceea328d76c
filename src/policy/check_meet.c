/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_meet.c - intercepts that want the same traffic; see check_warn.c.
 */
#include "policy/parse.h"
#include "policy/eval.h"
#include "policy/set.h"
#include "policy/words.h"

#include <string.h>

static bool is_pattern(const char *name, size_t *len)
{
	*len = strlen(name);
	if (!*len || name[*len - 1] != '*')
		return false;
	--*len;
	return true;
}

/* Can one interface match both? */
static bool ifnames_meet(const char *a, const char *b)
{
	size_t a_len, b_len, common;

	if (!is_pattern(a, &a_len))
		return ifname_matches(b, a);
	if (!is_pattern(b, &b_len))
		return ifname_matches(a, b);
	common = a_len < b_len ? a_len : b_len;
	return strncmp(a, b, common) == 0;
}

/* Does each interface that matches inner match outer as well? */
static bool ifname_covers(const char *outer, const char *inner)
{
	size_t outer_len, inner_len;

	if (!is_pattern(inner, &inner_len))
		return ifname_matches(outer, inner);
	return is_pattern(outer, &outer_len) && outer_len <= inner_len &&
	       strncmp(outer, inner, outer_len) == 0;
}

static bool sources_meet(const struct intercept *a, const struct intercept *b)
{
	for (size_t i = 0; i < a->ifname_count; i++) {
		for (size_t j = 0; j < b->ifname_count; j++) {
			if (ifnames_meet(a->ifnames[i], b->ifnames[j]))
				return true;
		}
	}
	return a->from_host && b->from_host;
}

static bool source_covers(const struct intercept *outer, const char *inner)
{
	for (size_t i = 0; i < outer->ifname_count; i++) {
		if (ifname_covers(outer->ifnames[i], inner))
			return true;
	}
	return false;
}

static bool sources_cover(const struct intercept *outer,
			  const struct intercept *inner)
{
	for (size_t i = 0; i < inner->ifname_count; i++) {
		if (!source_covers(outer, inner->ifnames[i]))
			return false;
	}
	return outer->from_host || !inner->from_host;
}

static bool has_any_family(const struct intercept *i)
{
	return !i->has_deliver || i->deliver.family == AF_UNSPEC;
}

static bool families_meet(const struct intercept *a, const struct intercept *b)
{
	return has_any_family(a) || has_any_family(b) ||
	       a->deliver.family == b->deliver.family;
}

static bool families_cover(const struct intercept *outer,
			   const struct intercept *inner)
{
	return has_any_family(outer) ||
	       (!has_any_family(inner) &&
		inner->deliver.family == outer->deliver.family);
}

/* A port of the earlier one that the later one wants too; 0: none. */
static uint16_t ports_meet(const struct intercept *first,
			   const struct intercept *later, const char **proto)
{
	uint16_t port = 0;

	for (size_t i = 0; i < PROTO_COUNT && !port; i++) {
		*proto = proto_words[i];
		port = port_set_meets(&first->ports[i], &later->ports[i],
				      &first->except_port);
	}
	return port && port_set_has(&later->except_port, port) ? 0 : port;
}

static bool ports_cover(const struct intercept *outer,
			const struct intercept *inner)
{
	return !outer->except_port.count &&
	       port_set_covers(&outer->ports[PROTO_TCP],
			       &inner->ports[PROTO_TCP]) &&
	       port_set_covers(&outer->ports[PROTO_UDP],
			       &inner->ports[PROTO_UDP]);
}

static void warn_pair(struct parser *p, const struct intercept *first,
		      const struct intercept *later)
{
	const char *proto = NULL;
	uint16_t port;

	if (first->except_src.count || first->except_dst.count ||
	    first->except_user_count || first->except_cgroup_count)
		return; /* what it excepts goes on to the later one */
	port = ports_meet(first, later, &proto);
	if (!port || !sources_meet(first, later) ||
	    !families_meet(first, later))
		return;
	if (sources_cover(first, later) && ports_cover(first, later) &&
	    families_cover(first, later))
		(void)report_warning(p->report, later->at,
				     "intercept \"%s\" on line %u is never "
				     "reached: \"%s\" on line %u takes all of "
				     "its traffic",
				     later->name, later->at.line, first->name,
				     first->at.line);
	else if (!first->has_deliver && !later->has_deliver)
		(void)report_warning(p->report, later->at,
				     "intercept \"%s\" on line %u and \"%s\" "
				     "on line %u select the same traffic, such "
				     "as %s port %u; \"%s\" takes it",
				     later->name, later->at.line, first->name,
				     first->at.line, proto, port, first->name);
}

void check_meet(struct parser *p)
{
	const struct config *c = p->config;

	if (!c->intercept_count)
		(void)report_warning(p->report, (struct place){ 0 },
				     "there is no intercept, so there is "
				     "nothing to do");
	for (size_t later = 1; later < c->intercept_count; later++) {
		for (size_t first = 0; first < later; first++)
			warn_pair(p, &c->intercepts[first],
				  &c->intercepts[later]);
	}
}
