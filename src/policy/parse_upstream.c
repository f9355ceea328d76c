/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_upstream.c - `upstream NAME { ... }`; see parse.h.
 *
 * The statements of the block may come in any order; what fits together is
 * judged at its end, by a table that says which word has a meaning for which
 * way.
 */
#include "policy/parse.h"
#include "policy/words.h"

#include <assert.h>
#include <string.h>

/* --- a name among upstreams and groups ----------------------------------- */

static const char *noun_of(const struct upstream *u)
{
	return u->kind == UPSTREAM_GROUP ? "group" : "upstream";
}

static void check_new_name(struct parser *p, const struct word *w,
			   const char *noun)
{
	const struct config *c = p->config;

	for (size_t i = 0; i < c->upstream_count; i++) {
		const struct upstream *u = &c->upstreams[i];

		if (strcmp(u->name, w->text) != 0)
			continue;
		if (i < UPSTREAM_BUILTIN_COUNT)
			(void)report_error(p->report, w->at,
					   "upstream \"%s\" is built in; take "
					   "another name",
					   w->text);
		else if (strcmp(noun_of(u), noun) == 0)
			(void)report_error(p->report, w->at,
					   "%s \"%s\" is defined twice; first "
					   "on line %u",
					   noun, w->text, u->at.line);
		else
			(void)report_error(p->report, w->at,
					   "\"%s\" is the name of the %s on "
					   "line %u already",
					   w->text, noun_of(u), u->at.line);
		return;
	}
}

struct upstream *parse_new_upstream(struct parser *p, const char *noun)
{
	struct config *c = p->config;
	const struct word *w;
	struct upstream *u;

	if (!value_name(p, "a name", &w))
		return NULL;
	check_new_name(p, w, noun); /* read on to find what else is wrong */
	if (c->upstream_count == UPSTREAMS_MAX) {
		(void)report_error(p->report, w->at,
				   "too many upstreams and groups; %d are "
				   "allowed",
				   UPSTREAMS_MAX - UPSTREAM_BUILTIN_COUNT);
		return NULL;
	}
	u = parse_grow(p, c->upstreams, c->upstream_count, sizeof(*u));
	if (!u)
		return NULL;
	c->upstreams = u;
	u += c->upstream_count++;
	u->name = parse_keep(p, w->text);
	u->at = w->at;
	return u;
}

/* --- statements ---------------------------------------------------------- */

static void *open_upstream(struct parser *p)
{
	return parse_new_upstream(p, "upstream");
}

static bool parse_via(struct parser *p, const struct keyword *k, void *subject)
{
	struct upstream *u = subject;
	unsigned kind;

	if (!value_choice(p, k->name, via_words, &kind))
		return false;
	u->kind = kind;
	if (kind < UPSTREAM_BUILTIN_COUNT)
		return true;
	u->has_to = true;
	return value_host_port(p, via_words[kind], &u->to, &u->to_name);
}

static bool parse_to(struct parser *p, const struct keyword *k, void *subject)
{
	struct upstream *u = subject;

	u->has_to = true;
	return value_addr_maybe_port(p, k->name, &u->to);
}

static bool parse_user(struct parser *p, const struct keyword *k, void *subject)
{
	const struct word *w = word_take(p, "a name");
	struct upstream *u = subject;

	(void)k; /* has no more to say */
	if (!w)
		return false;
	if (!*w->text || strpbrk(w->text, "\t\r")) {
		(void)report_error(p->report, w->at, "wrong user \"%s\": %s",
				   w->text,
				   *w->text ? "no control byte can stand in it"
					    : "it is empty");
		return false;
	}
	u->user = parse_keep(p, w->text);
	return true;
}

static bool parse_password(struct parser *p, const struct keyword *k,
			   void *subject)
{
	(void)k; /* has no more to say */
	return value_secret(p, &((struct upstream *)subject)->password);
}

/* --- source -------------------------------------------------------------- */

/* No packet may come from there. */
static bool is_nobody(const struct addr *a)
{
	static const uint8_t zeros[16];

	if (a->family == AF_INET6)
		return a->ip[0] == 0xff || memcmp(a->ip, zeros, 16) == 0;
	return a->ip[0] == 0 || a->ip[0] >= 0xe0;
}

static bool add_source(struct parser *p, struct upstream *u,
		       const struct word *w)
{
	struct addr *slot, a;

	if (strchr(w->text, '%') || addr_parse_ip(w->text, &a) < 0) {
		(void)report_error(p->report, w->at,
				   "\"source\" needs client, self or an "
				   "address, not \"%s\"",
				   w->text);
		return false;
	}
	slot = &u->source_addr[a.family == AF_INET6];
	if (is_nobody(&a) || slot->family) {
		(void)report_error(p->report, w->at, "wrong source \"%s\": %s",
				   w->text,
				   slot->family ? "one address of each family "
						  "can stand here"
						: "no packet can come from it");
		return false;
	}
	*slot = a;
	return true;
}

static bool parse_source(struct parser *p, const struct keyword *k,
			 void *subject)
{
	const struct word *w = word_peek(p);
	struct upstream *u = subject;

	for (unsigned i = 0; w && source_words[i]; i++) {
		if (strcmp(w->text, source_words[i]) != 0)
			continue;
		u->source = i;
		return word_take(p, k->name);
	}
	u->source = SOURCE_ADDRESS;
	do {
		w = word_take_item(p, "client, self or an address");
		if (!w || !add_source(p, u, w))
			return false;
	} while (w->has_comma);
	return true;
}

static const struct keyword upstream_keywords[] = {
	{ .name = "via", .parse = parse_via },
	{ .name = "source", .parse = parse_source },
	{ .name = "to", .parse = parse_to },
	{ .name = "user", .parse = parse_user },
	{ .name = "password", .parse = parse_password },
	{ .name = "udp",
	  .parse = field_on,
	  .field = offsetof(struct upstream, is_udp) },
	{ .name = "resolve",
	  .parse = field_on,
	  .field = offsetof(struct upstream, is_resolving) },
	{ .name = "pipeline",
	  .parse = field_choice,
	  .choices = pipeline_words,
	  .field = offsetof(struct upstream, pipeline) },
	{ .name = NULL },
};

/* --- what fits together -------------------------------------------------- */

#define KIND(kind) (1u << UPSTREAM_##kind)
#define PROXIES	   (KIND(SOCKS5) | KIND(HTTP_CONNECT))

/* Which word has a meaning for which way. */
static const struct fit {
	const char *keyword;
	unsigned kinds; /* where it has one */
	unsigned why_kinds;
	const char *why; /* for those: why not; NULL: it is plain */
} fits[] = {
	{ .keyword = "source",
	  .kinds = ~(KIND(REJECT) | KIND(DROP) | KIND(GROUP)) },
	{ .keyword = "to",
	  .kinds = KIND(DIRECT),
	  .why_kinds = ~0u,
	  .why = "it has one for \"via direct\" only" },
	{ .keyword = "user", .kinds = PROXIES },
	{ .keyword = "password", .kinds = PROXIES },
	{ .keyword = "udp",
	  .kinds = KIND(SOCKS5),
	  .why_kinds = KIND(PROXY_V2),
	  .why = "UDP always goes that way, a header in each datagram" },
	{ .keyword = "resolve",
	  .kinds = PROXIES,
	  .why_kinds = KIND(DIRECT),
	  .why = "a name never becomes the destination of a direct flow" },
	{ .keyword = "pipeline", .kinds = KIND(SOCKS5) },
};

static_assert(KEYWORDS_MAX >
		      sizeof(upstream_keywords) / sizeof(upstream_keywords[0]),
	      "room for all places");

static void check_fits(struct parser *p, const struct upstream *u)
{
	for (size_t i = 0; i < sizeof(fits) / sizeof(fits[0]); i++) {
		const struct fit *f = &fits[i];
		struct place at = parse_said(p, f->keyword);
		struct message *m;

		if (!at.line || f->kinds & 1u << u->kind)
			continue;
		m = report_error(p->report, at,
				 "\"%s\" has no meaning for \"via %s\"",
				 f->keyword, via_words[u->kind]);
		if (f->why && f->why_kinds & 1u << u->kind)
			message_help(m, "%s", f->why);
	}
}

static void check_user(struct parser *p, const struct upstream *u)
{
	struct place user = parse_said(p, "user");
	struct place password = parse_said(p, "password");

	if (!(PROXIES & 1u << u->kind))
		return; /* told already */
	if (!user.line != !password.line)
		(void)report_error(p->report, user.line ? user : password,
				   "upstream \"%s\": \"user\" and \"password\" "
				   "need each other",
				   u->name);
	if (user.line && u->kind == UPSTREAM_HTTP_CONNECT &&
	    strchr(u->user, ':')) /* RFC 7617, section 2 */
		(void)report_error(p->report, user,
				   "a user with a colon cannot be told to an "
				   "HTTP proxy");
}

static void close_upstream(struct parser *p, void *subject)
{
	struct upstream *u = subject;
	struct message *m;

	if (!parse_said(p, "via").line) {
		m = report_error(p->report, u->at,
				 "upstream \"%s\" does not say how the server "
				 "is reached: it needs \"via\"",
				 u->name);
		message_help(m, "such as: via direct");
		return;
	}
	if (!parse_said(p, "source").line)
		u->source = source_default(u->kind);
	check_fits(p, u);
	check_user(p, u);
}

const struct block upstream_block = {
	.noun = "upstream",
	.keywords = upstream_keywords,
	.open = open_upstream,
	.close = close_upstream,
};
