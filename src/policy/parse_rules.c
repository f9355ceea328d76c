/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_rules.c - `rules { CONDITIONS -> UPSTREAM [log] }`; see parse.h.
 *
 * The conditions are a table of their own; each takes its values from the
 * words and may be given once in a rule.
 */
#include "policy/parse.h"

#include <string.h>

/* What a condition is about; of each only one can be given. */
enum {
	ABOUT_INTERCEPT = 1 << 0,
	ABOUT_PROTO = 1 << 1,
	ABOUT_SRC = 1 << 2,
	ABOUT_DST = 1 << 3,
	ABOUT_PORT = 1 << 4,
	ABOUT_NAME = 1 << 5,
	ABOUT_QUIC = 1 << 6,
};

struct condition {
	const char *name;
	bool (*parse)(struct parser *p, struct rule *r);
	unsigned about;
	const char *clash; /* "... only one tcp or udp" */
};

static bool condition_intercept(struct parser *p, struct rule *r)
{
	const struct word *w = word_take(p, "the name of an intercept");

	if (!w)
		return false;
	r->has_intercept = true;
	r->intercept = parse_ref(p, w);
	return true;
}

static bool condition_tcp(struct parser *p, struct rule *r)
{
	(void)p; /* no words follow */
	r->protos = 1u << PROTO_TCP;
	return true;
}

static bool condition_udp(struct parser *p, struct rule *r)
{
	(void)p; /* no words follow */
	r->protos = 1u << PROTO_UDP;
	return true;
}

static bool condition_src(struct parser *p, struct rule *r)
{
	return value_nets(p, &r->src);
}

static bool condition_dst(struct parser *p, struct rule *r)
{
	return value_nets(p, &r->dst);
}

static bool condition_list(struct parser *p, struct rule *r)
{
	const struct word *w = word_take(p, "the name of a list");
	struct net_term *term;

	if (!w)
		return false;
	term = parse_grow(p, NULL, 0, sizeof(*term));
	if (!term)
		return false;
	term->kind = NET_TERM_LIST;
	term->at = w->at;
	term->list = parse_ref(p, w);
	r->dst.terms = term;
	r->dst.count = 1;
	r->is_dst_or_domain = true; /* until check.c knows what is in it */
	return true;
}

static bool condition_port(struct parser *p, struct rule *r)
{
	r->has_ports = true;
	return value_ports(p, "port", &r->ports);
}

static bool condition_domain(struct parser *p, struct rule *r)
{
	return value_domains(p, &r->domains.terms, &r->domains.count);
}

/* That it is UDP is said at the end: `udp` may come before or behind. */
static bool condition_quic(struct parser *p, struct rule *r)
{
	(void)p; /* no words follow */
	r->is_quic = true;
	return true;
}

static const struct condition conditions[] = {
	{ .name = "intercept",
	  .parse = condition_intercept,
	  .about = ABOUT_INTERCEPT,
	  .clash = "intercept" },
	{ .name = "tcp",
	  .parse = condition_tcp,
	  .about = ABOUT_PROTO,
	  .clash = "tcp or udp" },
	{ .name = "udp",
	  .parse = condition_udp,
	  .about = ABOUT_PROTO,
	  .clash = "tcp or udp" },
	{ .name = "src",
	  .parse = condition_src,
	  .about = ABOUT_SRC,
	  .clash = "src" },
	{ .name = "dst",
	  .parse = condition_dst,
	  .about = ABOUT_DST,
	  .clash = "dst or list" },
	{ .name = "list",
	  .parse = condition_list,
	  .about = ABOUT_DST | ABOUT_NAME,
	  .clash = "dst or list, and one domain or list" },
	{ .name = "port",
	  .parse = condition_port,
	  .about = ABOUT_PORT,
	  .clash = "port" },
	{ .name = "domain",
	  .parse = condition_domain,
	  .about = ABOUT_NAME,
	  .clash = "domain or list" },
	{ .name = "quic",
	  .parse = condition_quic,
	  .about = ABOUT_QUIC,
	  .clash = "quic" },
};

enum { CONDITION_COUNT = sizeof(conditions) / sizeof(conditions[0]) };

static const struct condition *find_condition(struct parser *p,
					      const struct word *w)
{
	const char *names[CONDITION_COUNT + 2] = { 0 };
	struct message *m;
	const char *noun;

	for (size_t i = 0; i < CONDITION_COUNT; i++) {
		if (strcmp(conditions[i].name, w->text) == 0)
			return &conditions[i];
		names[i] = conditions[i].name;
	}
	names[CONDITION_COUNT] = "default";
	noun = describe_value(w->text);
	if (noun) {
		m = report_error(p->report, w->at, "\"%s\" is %s; say of what",
				 w->text, noun);
		message_help(m, "write src or dst in front of addresses, port "
				"in front of ports, domain in front of names");
		return NULL;
	}
	m = report_error(p->report, w->at, "unknown condition \"%s\"", w->text);
	if (m)
		help_choices(m, w->text, names);
	return NULL;
}

/* Read one condition; `given` is what the rule has conditions on already. */
static bool parse_condition(struct parser *p, struct rule *r, unsigned *given)
{
	const struct word *w = word_take(p, "a condition");
	const struct condition *condition;

	condition = w ? find_condition(p, w) : NULL;
	if (!condition)
		return false;
	if (*given & condition->about) {
		(void)report_error(p->report, w->at,
				   "\"%s\": a rule can have only one %s",
				   w->text, condition->clash);
		return false;
	}
	*given |= condition->about;
	return condition->parse(p, r);
}

/* QUIC is UDP, whether it is said or not. */
static bool check_quic(struct parser *p, struct rule *r)
{
	struct message *m;

	if (!r->is_quic)
		return true;
	if (r->protos & 1u << PROTO_UDP) {
		r->protos = 1u << PROTO_UDP;
		return true;
	}
	m = report_error(p->report, r->at,
			 "this rule never matches: QUIC is not TCP");
	message_help(m, "leave out tcp, or quic");
	return false;
}

static bool parse_conditions(struct parser *p, struct rule *r)
{
	const struct word *w = word_peek(p);
	unsigned given = 0;

	if (strcmp(w->text, "default") == 0 && !w->has_comma) {
		r->is_default = true;
		p->word_next++;
		w = word_peek(p);
		if (!w || w->is_arrow)
			return true;
		(void)report_error(p->report, w->at,
				   "\"default\" has no conditions");
		return false;
	}
	if (w->is_arrow) {
		(void)report_error(p->report, w->at,
				   "a condition is missing before ->; "
				   "\"default\" stands for all traffic");
		return false;
	}
	for (; w && !w->is_arrow; w = word_peek(p)) {
		if (!parse_condition(p, r, &given))
			return false;
	}
	return check_quic(p, r);
}

/* "cut-through on|off" */
static bool parse_cut_through(struct parser *p, struct rule *r)
{
	static const char *const words[] = { "on", "off", NULL };
	unsigned choice;

	p->word_next++;
	if (!value_choice(p, "cut-through", words, &choice))
		return false;
	r->cut_through = choice ? RULE_CUT_OFF : RULE_CUT_ON;
	return true;
}

/* Behind the upstream, in any order, each once; what else is there is too much
 * for words_end(). */
static bool parse_options(struct parser *p, struct rule *r)
{
	const struct word *w;

	while ((w = word_peek(p))) {
		if (!strcmp(w->text, "log") && !r->is_logged) {
			r->is_logged = true;
			if (!word_take(p, "log"))
				return false;
		} else if (!strcmp(w->text, "cut-through") && !r->cut_through) {
			if (!parse_cut_through(p, r))
				return false;
		} else {
			return true;
		}
	}
	return true;
}

/* "-> UPSTREAM [log] [cut-through on|off]" */
static bool parse_target(struct parser *p, struct rule *r)
{
	const struct word *w = word_peek(p);
	struct message *m;

	if (!w) {
		w = &p->words[p->word_count - 1];
		m = report_error(p->report, w->at,
				 "a rule ends with -> and an upstream");
		message_help(m, "such as: %s -> direct", w->text);
		return false;
	}
	p->word_next++; /* the arrow */
	w = word_take(p, "the name of an upstream");
	if (!w)
		return false;
	r->upstream = parse_ref(p, w);
	return parse_options(p, r);
}

static bool parse_rule(struct parser *p, void *subject)
{
	struct rule r = { .protos = (1u << PROTO_COUNT) - 1 };
	struct config *c = subject;
	struct rule *rules;

	r.at = p->words[0].at;
	if (!parse_conditions(p, &r) || !parse_target(p, &r))
		return false;
	if (p->default_at.line) {
		(void)report_error(p->report, r.at,
				   "this rule is never reached: \"default\" "
				   "stands before it, on line %u",
				   p->default_at.line);
		return false;
	}
	if (r.is_default)
		p->default_at = r.at;
	if (c->rule_count == RULES_MAX) {
		(void)report_error(p->report, r.at,
				   "too many rules; %d are allowed", RULES_MAX);
		return false;
	}
	rules = parse_grow(p, c->rules, c->rule_count, sizeof(*rules));
	if (!rules)
		return false;
	c->rules = rules;
	rules[c->rule_count++] = r;
	return true;
}

static void close_rules(struct parser *p, void *subject)
{
	const struct config *c = subject;

	if (!c->rule_count)
		(void)report_warning(p->report, p->rules_at,
				     "no rule in this block: all traffic is "
				     "relayed to the servers themselves");
}

static void *open_rules(struct parser *p)
{
	p->rules_at = p->words[0].at;
	return p->config;
}

const struct block rules_block = {
	.noun = "rules",
	.open = open_rules,
	.close = close_rules,
	.other = parse_rule,
};
