/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_check.c - what iptables cannot carry out on any kernel.
 *
 * Sets: each prefix is a rule, asked one after the other, so their number is
 * limited.  Owners: whose packet it is can be asked only where it is sent, and
 * has to be known again when it comes back over lo.
 */
#include "engine/iptables.h"

#include "engine/iptables_write.h"
#include "engine/select.h"

#include <errno.h>
#include <string.h>

/* More prefixes than rules are acceptable for, in either family. */
static size_t count_excess(const struct net_expr *src,
			   const struct net_expr *dst)
{
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		size_t count = iptables_count(src, f) + iptables_count(dst, f);

		if (count > IPTABLES_PREFIXES_MAX)
			return count;
	}
	return 0;
}

static int refuse_set(const char *what, const char *name, uint32_t line,
		      size_t count, struct err *e)
{
	return err_set(e, EOPNOTSUPP,
		       "%s%s of line %u has %zu prefixes of one family, and "
		       "iptables needs a rule for each: %d is the most; "
		       "engines ebpf and nft have sets",
		       what, name, line, count, IPTABLES_PREFIXES_MAX);
}

static int check_intercept(const struct intercept *it, struct err *e)
{
	size_t count = count_excess(&it->except_src, &it->except_dst);

	if (count)
		return refuse_set("intercept ", it->name, it->at.line, count,
				  e);
	for (size_t i = 0; i < it->ifname_count; i++) {
		size_t len = strlen(it->ifnames[i]);

		if (len && it->ifnames[i][len - 1] == '+')
			return err_set(e, EOPNOTSUPP,
				       "intercept %s: iptables takes the + at "
				       "the end of `%s` for a pattern; engines "
				       "ebpf and nft do not",
				       it->name, it->ifnames[i]);
	}
	return 0;
}

/* Only what makes a selection makes rules. */
static int check_rules(const struct config *c, struct err *e)
{
	struct selections s;
	int error = selections_make(c, &s, e);

	for (size_t i = 0; i < s.count && !error; i++) {
		const struct rule *r = s.of[i].rule;
		size_t count = r ? count_excess(&r->src, eval_rule_dst(r)) : 0;

		if (count)
			error = refuse_set("the rule", "", r->at.line, count,
					   e);
	}
	return error;
}

/* On lo nobody knows any more whom an exception was for: if a later intercept
 * could have taken the packet instead, the engine cannot tell which did. */
static int check_owners(const struct config *c, struct err *e)
{
	const struct intercept *earlier = NULL;

	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *it = &c->intercepts[i];

		if (!it->from_host)
			continue;
		if (earlier)
			return err_set(e, EOPNOTSUPP,
				       "intercept %s: iptables cannot tell its "
				       "packets from those that intercept %s "
				       "excepts by user or cgroup; engines "
				       "ebpf and nft can",
				       it->name, earlier->name);
		if (it->except_user_count || it->except_cgroup_count)
			earlier = it;
	}
	return 0;
}

int iptables_check(const struct config *c, struct err *e)
{
	int error = check_owners(c, e);

	for (size_t i = 0; i < c->intercept_count && !error; i++)
		error = check_intercept(&c->intercepts[i], e);
	return error ? error : check_rules(c, e);
}
