/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print_upstream.c - upstreams and groups as text; see print.h.
 */
#include "policy/print.h"
#include "policy/words.h"

/* --- upstream ------------------------------------------------------------ */

void print_host_port(const struct addr *a, const char *name, struct str *out)
{
	char buf[ADDR_TEXT_MAX];

	if (name)
		str_addf(out, "%s:%u", name, a->port);
	else
		str_add(out, addr_format(a, buf));
}

static void print_source(const struct upstream *u, struct str *out)
{
	struct print_items items;
	char buf[ADDR_TEXT_MAX];

	if (u->source != SOURCE_ADDRESS) {
		str_addf(out, "source %s\n", source_words[u->source]);
		return;
	}
	items = print_items_begin(out, "source", false);
	for (size_t i = 0; i < 2; i++) {
		if (!u->source_addr[i].family)
			continue;
		print_items_next(&items);
		str_add(out, addr_format_ip(&u->source_addr[i], buf));
	}
	str_add(out, "\n");
}

static void print_login(const struct upstream *u, struct str *out)
{
	if (!u->user)
		return;
	str_add(out, "user ");
	print_word(u->user, out);
	str_add(out, "\npassword ");
	print_secret(&u->password, out);
	str_add(out, "\n");
}

static void print_way(const struct upstream *u, struct str *out)
{
	bool is_proxy = u->kind != UPSTREAM_DIRECT && u->has_to;
	char buf[ADDR_TEXT_MAX];

	str_addf(out, "via %s", via_words[u->kind]);
	if (is_proxy) {
		str_add(out, " ");
		print_host_port(&u->to, u->to_name, out);
	}
	str_add(out, "\n");
	if (u->source != source_default(u->kind))
		print_source(u, out);
	if (u->has_to && !is_proxy)
		str_addf(out, "to %s\n",
			 u->to.port ? addr_format(&u->to, buf)
				    : addr_format_ip(&u->to, buf));
}

static void print_options(const struct upstream *u, struct str *out)
{
	if (u->is_udp)
		str_add(out, "udp on\n");
	if (u->is_resolving)
		str_add(out, "resolve on\n");
	if (u->pipeline != PIPELINE_AUTO)
		str_addf(out, "pipeline %s\n", pipeline_words[u->pipeline]);
}

/* --- group --------------------------------------------------------------- */

static void print_health(const struct health *h, struct str *out)
{
	char buf[DURATION_TEXT_MAX];

	str_add(out, "health connect ");
	print_host_port(&h->to, h->to_name, out);
	if (h->every_ms != HEALTH_EVERY_MS)
		str_addf(out, " every %s", duration_format(h->every_ms, buf));
	if (h->timeout_ms != HEALTH_TIMEOUT_MS)
		str_addf(out, " timeout %s",
			 duration_format(h->timeout_ms, buf));
	if (h->rise != HEALTH_RISE)
		str_addf(out, " rise %u", h->rise);
	if (h->fall != HEALTH_FALL)
		str_addf(out, " fall %u", h->fall);
	str_add(out, "\n");
}

static void print_group(const struct config *c, const struct group *g,
			struct str *out)
{
	struct print_items items = print_items_begin(out, "members", false);

	for (size_t i = 0; i < g->member_count; i++) {
		print_items_next(&items);
		str_add(out, c->upstreams[g->members[i]].name);
	}
	str_add(out, "\n");
	if (g->balance != BALANCE_FIRST)
		str_addf(out, "balance %s%s\n", balance_words[g->balance],
			 g->balance == BALANCE_HASH_CLIENT ? " client" : "");
	if (g->health.is_on)
		print_health(&g->health, out);
	if (g->fallback != UPSTREAM_REJECT) /* built in, at this index */
		str_addf(out, "fallback %s\n", c->upstreams[g->fallback].name);
}

void print_upstream(const struct config *c, const struct upstream *u,
		    struct str *out)
{
	bool is_group = u->kind == UPSTREAM_GROUP;

	str_addf(out, "\n%s %s {\n", is_group ? "group" : "upstream", u->name);
	if (is_group) {
		print_group(c, u->group, out);
	} else {
		print_way(u, out);
		print_login(u, out);
		print_options(u, out);
	}
	str_add(out, "}\n");
}
