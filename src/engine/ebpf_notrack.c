/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_notrack.c - keep connection tracking away; see ebpf_notrack.h.
 */
#include "engine/ebpf_notrack.h"

#include "base/child.h"
#include "base/str.h"
#include "net/netfilter.h"

#include <errno.h>
#include <string.h>

#define TABLE "waylay_notrack"

static const char of_transparent_socket[] =
	"tcp flags & (fin | syn | rst | ack) != syn socket transparent 1";

/* -ENOENT: there is no program nft. */
static int run_nft(const char *script, struct err *e)
{
	static const char *const argv[] = { "nft", "-f", "-", NULL };
	struct str complaint = { 0 };
	int status = child_run(argv, script, NULL, &complaint, e);

	if (status > 0 && !complaint.len)
		status = err_set(e, EPROTO,
				 "cannot keep conntrack from client legs: nft "
				 "ends with status %d and says nothing",
				 status);
	else if (status > 0)
		status = err_set(e, EPROTO,
				 "cannot keep conntrack from client legs: nft "
				 "says: %.*s",
				 (int)strcspn(str_get(&complaint), "\n"),
				 str_get(&complaint));
	str_done(&complaint);
	return status;
}

static void put_rules(struct str *out, const struct config *c,
		      const struct intercept *it, const char *key,
		      uint32_t mark, const char *more)
{
	for (size_t i = 0; i < it->ifname_count; i++) {
		str_addf(out, "%s \"%s\" meta mark & 0x%x == 0x%x notrack\n",
			 key, it->ifnames[i], c->mask, mark);
		if (more)
			str_addf(out, "%s \"%s\" %s notrack\n", key,
				 it->ifnames[i], more);
	}
}

static void put_chain(struct str *out, const struct config *c, const char *hook,
		      const char *key, uint32_t mark, const char *more)
{
	str_addf(out, "chain %s {\ntype filter hook %s priority raw\n", hook,
		 hook);
	for (size_t i = 0; i < c->intercept_count; i++)
		put_rules(out, c, &c->intercepts[i], key, mark, more);
	str_add(out, "}\n");
}

/* What answers a translated leg is addressed to this host until conntrack puts
 * the client's address back, behind TC: socket.h cannot know it. */
static void put_translated(struct str *out, const struct config *c)
{
	str_addf(out,
		 "chain translated {\ntype filter hook prerouting priority "
		 "mangle\nct status snat meta mark & 0x%x == 0 socket "
		 "transparent 1 meta mark set meta mark | 0x%x\n}\n",
		 c->mask, c->mark);
}

/* Answers of another program's sockets, that flows are delivered to, have no
 * mark of ours; they are known by being transparent. */
static int install(const struct config *c, struct err *e)
{
	struct str script = { 0 };
	int error;

	str_add(&script, "add table inet " TABLE "\nflush table inet " TABLE
			 "\ntable inet " TABLE " {\n");
	put_chain(&script, c, "prerouting", "iifname", c->mark, NULL);
	put_chain(&script, c, "output", "oifname", plan_own_mark(c),
		  of_transparent_socket);
	put_translated(&script, c);
	str_add(&script, "}\n");
	error = str_ok(&script) ? run_nft(str_get(&script), e)
				: err_set(e, ENOMEM, "no memory for rules");
	str_done(&script);
	return error == -ENOENT ? 0 : error;
}

int ebpf_notrack_remove(struct err *e)
{
	if (!netfilter_has_table(TABLE))
		return 0;
	return run_nft("delete table inet " TABLE "\n", e);
}

int ebpf_notrack_set(const struct config *c, struct err *e)
{
	return netfilter_is_tracking(plan_own_mark(c)) ? install(c, e)
						       : ebpf_notrack_remove(e);
}

/* Where there is no nft nobody else's rules of nft track either; and what
 * cannot be put in order must not be tried every second. */
bool ebpf_notrack_is_intact(const struct config *c)
{
	return netfilter_has_table(TABLE) ||
	       !netfilter_is_tracking(plan_own_mark(c));
}
