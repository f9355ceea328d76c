/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.c - notice and repair; see guard.h.
 *
 * Events only say when to look, never what is true: they can be lost
 * (ENOBUFS), and our own changes cause them too.  What is true is read back.
 */
#include "daemon/guard.h"

#include "base/log.h"
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

/* A trouble that lasts is found again at every look: say it once. */
static void say(struct guard *g, const struct err *e, const char *what)
{
	struct err now = *e;

	(void)err_prefix(&now, "engine %s %s", g->in->engine->name, what);
	if (!strcmp(g->said.text, now.text))
		return;
	g->said = now;
	log_error("%s", now.text);
}

static void check_engine(struct guard *g)
{
	struct installed *in = g->in;
	struct err e = { 0 };
	int is_intact = in->engine->is_intact(in->run, &e);

	if (is_intact < 0) {
		say(g, &e, "cannot be looked at");
		return;
	}
	if (!is_intact && in->engine->install(in->run, &in->plan, &e) < 0) {
		say(g, &e, "was changed and cannot be restored");
		return;
	}
	g->said = (struct err){ 0 };
	if (is_intact)
		return;
	g->repairs++;
	log_warning("engine %s: restored what %s had changed or removed",
		    in->engine->name,
		    g->culprit[0] ? g->culprit : "another program");
}

static void check_routing(struct guard *g)
{
	struct err e = { 0 };
	unsigned added = 0;

	if (routing_install(&g->ask, &g->in->plan, &added, &e) < 0) {
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
	if (!g->in)
		return;
	if (g->is_routing_touched)
		check_routing(g);
	if (g->are_addresses_touched)
		g->on_link(g->ctx);
	g->is_routing_touched = g->are_addresses_touched = false;
	check_engine(g);
	g->culprit[0] = '\0';
}

static void look_soon(struct guard *g)
{
	if (g->in && !timer_is_set(&g->settle))
		wheel_set(&g->loop->wheel, &g->settle,
			  g->loop->now_ms + GUARD_SETTLE_MS);
}

static void poll_later(struct guard *g)
{
	wheel_set(&g->loop->wheel, &g->poll, g->loop->now_ms + g->poll_ms);
}

static void on_poll(struct timer *t, uint64_t now_ms)
{
	struct guard *g =
		(struct guard *)((char *)t - offsetof(struct guard, poll));

	(void)now_ms;
	check_engine(g);
	poll_later(g);
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

/* Our own addresses, by which engines know what is addressed to this host. */
static bool is_local_route(const struct rtmsg *rtm)
{
	return rtm->rtm_table == RT_TABLE_LOCAL;
}

static int on_route_message(const struct nlmsghdr *nlh, void *ctx)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct guard *g = ctx;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		g->are_links_touched = true;
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		g->are_addresses_touched = true;
		break;
	case RTM_NEWROUTE:
		g->are_addresses_touched |= is_local_route(rtm);
		break;
	case RTM_DELROUTE:
		g->are_addresses_touched |= is_local_route(rtm);
		g->is_routing_touched |= rtm->rtm_protocol == PLAN_PROTOCOL;
		break;
	case RTM_DELRULE:
		g->is_routing_touched = true;
		break;
	}
	return MNL_CB_OK;
}

/* False: some were lost. */
static bool read_events(struct guard *g, struct nl *nl, mnl_cb_t fn)
{
	char buf[NL_BUF_BYTES];
	ssize_t len = recv(nl_fd(nl), buf, sizeof(buf), MSG_DONTWAIT);

	if (len > 0)
		(void)mnl_cb_run(buf, (size_t)len, 0, 0, fn, g);
	return len >= 0 || errno != ENOBUFS;
}

static void on_engine_events(struct loop *l, struct watch *w, uint32_t events)
{
	struct guard *g = (struct guard *)((char *)w - offsetof(struct guard,
								engine_watch));

	(void)l;
	(void)events;
	if (g->event_groups &&
	    !read_events(g, &g->engine_events, on_nft_message))
		look_soon(g);
}

/* Interfaces at once: until an engine has attached to one, what comes from it
 * is not intercepted.  Addresses come in groups. */
static void on_route_events(struct loop *l, struct watch *w, uint32_t events)
{
	struct guard *g = (struct guard *)((char *)w -
					   offsetof(struct guard, route_watch));

	(void)l;
	(void)events;
	if (!read_events(g, &g->route_events, on_route_message))
		g->is_routing_touched = g->are_links_touched = true;
	if (g->are_links_touched)
		g->on_link(g->ctx);
	g->are_links_touched = false;
	if (g->is_routing_touched || g->are_addresses_touched)
		look_soon(g);
}

/* --- the whole ----------------------------------------------------------- */

/* What an engine cannot be told of it is asked for. */
static void listen_to(struct guard *g, uint32_t groups)
{
	int error;

	if (groups == g->event_groups)
		return;
	if (g->event_groups)
		nl_close(&g->engine_events);
	g->event_groups = 0;
	if (!groups)
		return;
	error = nl_open(&g->engine_events, NETLINK_NETFILTER, groups);
	if (!error)
		error = loop_add(g->loop, nl_fd(&g->engine_events), EPOLLIN,
				 &g->engine_watch);
	if (!error) {
		g->event_groups = groups;
		return;
	}
	nl_close(&g->engine_events);
	log_warning("cannot listen to the kernel's netfilter events: %s; "
		    "looking every second instead",
		    strerror(-error));
}

int guard_open(struct guard *g, struct loop *l, guard_link_fn on_link,
	       void *ctx, struct err *e)
{
	static const unsigned groups[] = {
		RTNLGRP_LINK,	     RTNLGRP_IPV4_RULE,	 RTNLGRP_IPV6_RULE,
		RTNLGRP_IPV4_ROUTE,  RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR,
		RTNLGRP_IPV6_IFADDR,
	};
	uint32_t bits = 0;
	int error;

	*g = (struct guard){
		.loop = l,
		.engine_watch.fn = on_engine_events,
		.route_watch.fn = on_route_events,
		.settle.fn = on_settled,
		.poll.fn = on_poll,
		.poll_ms = GUARD_POLL_MS,
		.on_link = on_link,
		.ctx = ctx,
	};
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		bits |= group_bit(groups[i]);
	error = nl_open(&g->ask, NETLINK_ROUTE, 0);
	if (!error)
		error = nl_open(&g->route_events, NETLINK_ROUTE, bits);
	if (!error)
		error = loop_add(l, nl_fd(&g->route_events), EPOLLIN,
				 &g->route_watch);
	if (!error)
		return 0;
	guard_close(g);
	return err_errno(e, -error, "cannot listen to the kernel's events");
}

/* What an engine knows of a cgroup is of one that the path named when it was
 * installed; no event tells that it has gone or come. */
static bool has_cgroups(const struct config *c)
{
	for (size_t i = 0; i < c->intercept_count; i++)
		if (c->intercepts[i].except_cgroup_count)
			return true;
	return false;
}

void guard_set(struct guard *g, struct installed *in)
{
	g->in = in;
	g->said = (struct err){ 0 };
	wheel_cancel(&g->loop->wheel, &g->poll);
	listen_to(g, in ? in->engine->event_groups : 0);
	if (!in)
		wheel_cancel(&g->loop->wheel, &g->settle);
	else if (!g->event_groups || in->engine->is_polled ||
		 has_cgroups(in->plan.config))
		poll_later(g);
}

void guard_close(struct guard *g)
{
	if (!g->loop)
		return;
	guard_set(g, NULL);
	nl_close(&g->route_events);
	nl_close(&g->ask);
	g->loop = NULL;
}
