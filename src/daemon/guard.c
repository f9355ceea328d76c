/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.c - notice and repair; see guard.h.
 *
 * Events only say when to look, never what is true: they can be lost
 * (ENOBUFS), and our own changes cause them too.  What is true is read back.
 */
#include "daemon/guard.h"

#include "base/log.h"
#include "engine/nft.h"
#include "engine/routing.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint32_t group_bit(unsigned group)
{
	return 1u << (group - 1);
}

/* --- looking and repairing ----------------------------------------------- */

static void check_nft(struct guard *g)
{
	struct str now = { 0 };
	struct err e = { 0 };
	bool is_same;

	if (nft_snapshot(&now, &e) < 0) {
		log_error("cannot check the nft table: %s", e.text);
		str_done(&now);
		return;
	}
	is_same = !strcmp(str_get(&now), str_get(&g->expected));
	str_done(&now);
	if (is_same)
		return;
	if (nft_install(g->plan, &e) < 0) {
		log_error("the table inet waylay was changed by %s and cannot "
			  "be restored: %s",
			  g->culprit[0] ? g->culprit : "another program",
			  e.text);
		return;
	}
	g->repairs++;
	log_warning("restored the table inet waylay: %s had changed or "
		    "removed it",
		    g->culprit[0] ? g->culprit : "another program");
	str_reset(&g->expected);
	if (nft_snapshot(&g->expected, &e) < 0)
		log_error("cannot read the nft table back: %s", e.text);
}

static void check_routing(struct guard *g)
{
	struct err e = { 0 };
	unsigned added = 0;

	if (routing_install(&g->ask, g->plan, &added, &e) < 0) {
		log_error("cannot restore policy routing: %s", e.text);
	} else if (added) {
		g->repairs++;
		log_warning("restored %u ip rules or routes that another "
			    "program had removed",
			    added);
	}
}

static void on_settled(struct timer *t, uint64_t now_ms)
{
	struct guard *g =
		(struct guard *)((char *)t - offsetof(struct guard, settle));

	(void)now_ms;
	if (!g->plan)
		return;
	if (g->is_routing_touched)
		check_routing(g);
	g->is_routing_touched = false;
	check_nft(g);
	g->culprit[0] = '\0';
}

static void look_soon(struct guard *g)
{
	if (g->plan && !timer_is_set(&g->settle))
		wheel_set(&g->loop->wheel, &g->settle,
			  g->loop->now_ms + GUARD_SETTLE_MS);
}

/* --- events -------------------------------------------------------------- */

static int note_attr(const struct nlattr *attr, void *ctx)
{
	const struct nlattr **at = ctx;

	if (mnl_attr_get_type(attr) <= NFTA_GEN_MAX)
		at[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

/* The message that closes a transaction names its author. */
static int on_nft_message(const struct nlmsghdr *nlh, void *ctx)
{
	const struct nlattr *at[NFTA_GEN_MAX + 1] = { 0 };
	struct guard *g = ctx;

	if ((nlh->nlmsg_type & 0xff) != NFT_MSG_NEWGEN)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), note_attr, at);
	if (at[NFTA_GEN_PROC_NAME] && at[NFTA_GEN_PROC_PID] &&
	    mnl_attr_validate(at[NFTA_GEN_PROC_NAME], MNL_TYPE_NUL_STRING) >=
		    0 &&
	    mnl_attr_validate(at[NFTA_GEN_PROC_PID], MNL_TYPE_U32) >= 0)
		(void)snprintf(g->culprit, sizeof(g->culprit), "%.32s (pid %u)",
			       mnl_attr_get_str(at[NFTA_GEN_PROC_NAME]),
			       ntohl(mnl_attr_get_u32(
				       at[NFTA_GEN_PROC_PID]))); /* fits */
	look_soon(g);
	return MNL_CB_OK;
}

static int on_route_message(const struct nlmsghdr *nlh, void *ctx)
{
	const struct rtmsg *rtm;
	struct guard *g = ctx;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		g->on_link(g->ctx);
		break;
	case RTM_DELROUTE:
		rtm = mnl_nlmsg_get_payload(nlh);
		if (rtm->rtm_protocol != PLAN_PROTOCOL)
			break;
		g->is_routing_touched = true;
		look_soon(g);
		break;
	case RTM_DELRULE:
		g->is_routing_touched = true;
		look_soon(g);
		break;
	}
	return MNL_CB_OK;
}

static void read_events(struct guard *g, struct nl *nl, mnl_cb_t fn)
{
	char buf[NL_BUF_BYTES];
	ssize_t len = recv(nl_fd(nl), buf, sizeof(buf), MSG_DONTWAIT);

	if (len < 0 && errno == ENOBUFS) { /* some were lost: look */
		g->is_routing_touched = true;
		look_soon(g);
	}
	if (len > 0)
		(void)mnl_cb_run(buf, (size_t)len, 0, 0, fn, g);
}

static void on_nft_events(struct loop *l, struct watch *w, uint32_t events)
{
	struct guard *g =
		(struct guard *)((char *)w - offsetof(struct guard, nft_watch));

	(void)l;
	(void)events;
	read_events(g, &g->nft_events, on_nft_message);
}

static void on_route_events(struct loop *l, struct watch *w, uint32_t events)
{
	struct guard *g = (struct guard *)((char *)w -
					   offsetof(struct guard, route_watch));

	(void)l;
	(void)events;
	read_events(g, &g->route_events, on_route_message);
}

/* --- the whole ----------------------------------------------------------- */

int guard_open(struct guard *g, struct loop *l, guard_link_fn on_link,
	       void *ctx, struct err *e)
{
	uint32_t route_groups =
		group_bit(RTNLGRP_LINK) | group_bit(RTNLGRP_IPV4_RULE) |
		group_bit(RTNLGRP_IPV6_RULE) | group_bit(RTNLGRP_IPV4_ROUTE) |
		group_bit(RTNLGRP_IPV6_ROUTE);
	int error;

	*g = (struct guard){
		.loop = l,
		.nft_watch.fn = on_nft_events,
		.route_watch.fn = on_route_events,
		.settle.fn = on_settled,
		.on_link = on_link,
		.ctx = ctx,
	};
	error = nl_open(&g->ask, NETLINK_ROUTE, 0);
	if (!error)
		error = nl_open(&g->route_events, NETLINK_ROUTE, route_groups);
	if (!error)
		error = nl_open(&g->nft_events, NETLINK_NETFILTER,
				group_bit(NFNLGRP_NFTABLES));
	if (!error)
		error = loop_add(l, nl_fd(&g->route_events), EPOLLIN,
				 &g->route_watch);
	if (!error)
		error = loop_add(l, nl_fd(&g->nft_events), EPOLLIN,
				 &g->nft_watch);
	if (!error)
		return 0;
	guard_close(g);
	return err_errno(e, -error, "cannot listen to the kernel's events");
}

int guard_set(struct guard *g, const struct plan *plan, struct err *e)
{
	g->plan = plan;
	str_reset(&g->expected);
	if (!plan) {
		wheel_cancel(&g->loop->wheel, &g->settle);
		return 0;
	}
	return nft_snapshot(&g->expected, e);
}

void guard_close(struct guard *g)
{
	if (!g->loop)
		return;
	wheel_cancel(&g->loop->wheel, &g->settle);
	nl_close(&g->nft_events);
	nl_close(&g->route_events);
	nl_close(&g->ask);
	str_done(&g->expected);
	g->loop = NULL;
}
