/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_upstream.c - `upstream NAME { ... }`; see parse.h.
 *
 * The statements of the block may come in any order; what fits together is
 * judged at its end, with the places that p->upstream holds.
 */
#include "policy/parse.h"
#include "policy/words.h"

#include <string.h>

static bool check_new_name(struct parser *p, const struct word *w)
{
	const struct config *c = p->config;

	for (size_t i = 0; i < c->upstream_count; i++) {
		if (strcmp(c->upstreams[i].name, w->text) != 0)
			continue;
		if (i < UPSTREAM_BUILTIN_COUNT)
			(void)report_error(p->report, w->at,
					   "upstream \"%s\" is built in; take "
					   "another name",
					   w->text);
		else
			(void)report_error(p->report, w->at,
					   "upstream \"%s\" is defined twice; "
					   "first on line %u",
					   w->text, c->upstreams[i].at.line);
		return false;
	}
	return true;
}

static void *open_upstream(struct parser *p)
{
	struct config *c = p->config;
	const struct word *w;
	struct upstream *u;

	if (!value_name(p, "a name", &w))
		return NULL;
	(void)check_new_name(p, w); /* read on to find what else is wrong */
	if (c->upstream_count == UPSTREAMS_MAX) {
		(void)report_error(p->report, w->at,
				   "too many upstreams; %d are allowed",
				   UPSTREAMS_MAX);
		return NULL;
	}
	u = parse_grow(p, c->upstreams, c->upstream_count, sizeof(*u));
	if (!u)
		return NULL;
	c->upstreams = u;
	u += c->upstream_count++;
	u->name = parse_keep(p, w->text);
	u->at = w->at;
	p->upstream = (struct upstream_notes){ .via.line = 0 };
	return u;
}

static bool is_later_via(struct parser *p, const struct word *w)
{
	static const char *const later[] = { "socks5", "http-connect" };

	for (size_t i = 0; w && i < sizeof(later) / sizeof(later[0]); i++) {
		if (strcmp(w->text, later[i]) != 0)
			continue;
		(void)report_error(p->report, w->at,
				   "\"via %s\" is not supported yet", w->text);
		return true;
	}
	return false;
}

static bool is_proxy(enum upstream_kind kind)
{
	return kind == UPSTREAM_PROXY_V1 || kind == UPSTREAM_PROXY_V2;
}

static bool parse_via(struct parser *p, const struct keyword *k, void *subject)
{
	struct upstream *u = subject;
	unsigned kind;

	if (is_later_via(p, word_peek(p)) ||
	    !value_choice(p, k->name, via_words, &kind))
		return false;
	p->upstream.via = p->words[0].at;
	u->kind = kind;
	if (!is_proxy(kind))
		return true;
	if (!value_addr_port(p, via_words[kind], &u->to))
		return false;
	u->has_to = true;
	if (!p->upstream.source.line)
		u->source = SOURCE_SELF;
	return true;
}

static bool parse_source(struct parser *p, const struct keyword *k,
			 void *subject)
{
	p->upstream.source = p->words[0].at;
	return field_choice(p, k, subject);
}

static bool parse_to(struct parser *p, const struct keyword *k, void *subject)
{
	struct upstream *u = subject;

	p->upstream.to = p->words[0].at;
	if (!value_addr_maybe_port(p, k->name, &u->to))
		return false;
	u->has_to = true;
	return true;
}

static void close_upstream(struct parser *p, void *subject)
{
	const struct upstream_notes *notes = &p->upstream;
	const struct upstream *u = subject;
	struct message *m;

	if (!notes->via.line) {
		m = report_error(p->report, u->at,
				 "upstream \"%s\" does not say how the server "
				 "is reached: it needs \"via\"",
				 u->name);
		message_help(m, "such as: via direct");
		return;
	}
	if (notes->to.line && u->kind != UPSTREAM_DIRECT)
		(void)report_error(p->report, notes->to,
				   "\"to\" has a meaning for \"via direct\" "
				   "only");
	if (notes->source.line &&
	    (u->kind == UPSTREAM_REJECT || u->kind == UPSTREAM_DROP))
		(void)report_error(p->report, notes->source,
				   "\"source\" has no meaning for \"via %s\"",
				   via_words[u->kind]);
}

static const struct keyword upstream_keywords[] = {
	{ .name = "via", .parse = parse_via },
	{ .name = "source",
	  .parse = parse_source,
	  .choices = source_words,
	  .field = offsetof(struct upstream, source) },
	{ .name = "to", .parse = parse_to },
	{ .name = "user",
	  .later = "proxies with user names are not supported yet" },
	{ .name = "password",
	  .later = "proxies with passwords are not supported yet" },
	{ .name = "udp", .later = "UDP through proxies is not supported yet" },
	{ .name = NULL },
};

const struct block upstream_block = {
	.noun = "upstream",
	.keywords = upstream_keywords,
	.open = open_upstream,
	.close = close_upstream,
};
