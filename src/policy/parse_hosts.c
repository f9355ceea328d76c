/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_hosts.c - domain names, and HOST:PORT where HOST may be one; see
 * parse.h.
 *
 * Nothing is looked up here.  What looks like an address but is none
 * ("10.0.0.256") is never taken for a name: a slip of the finger must not
 * become a question to a name server.
 */
#include "policy/parse.h"
#include "policy/domains.h"

#include <string.h>

static bool is_host_name(const char *text)
{
	char name[HOST_TEXT_MAX];

	return domain_normalise(text, strlen(text), name);
}

/* --- HOST:PORT ----------------------------------------------------------- */

static bool parse_named(struct parser *p, const char *text, struct addr *out,
			const char **name)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	char normal[HOST_TEXT_MAX];
	uint64_t port;

	if (!len || !domain_normalise(text, len, normal) ||
	    !number_parse(colon + 1, UINT16_MAX, &port) || !port)
		return false;
	*name = parse_keep(p, normal);
	*out = (struct addr){ .port = (uint16_t)port };
	return true;
}

static void report_host_port(struct parser *p, const struct word *w,
			     const char *what)
{
	struct message *m;
	struct addr addr;

	m = report_error(p->report, w->at,
			 "\"%s\" needs a host and a port, not \"%s\"", what,
			 w->text);
	if (strchr(w->text, '%'))
		message_help(m, "an address with an interface cannot stand "
				"here");
	else if (addr_parse_ip(w->text, &addr) == 0)
		message_help(m,
			     addr.family == AF_INET6
				     ? "did you mean \"[%s]:PORT\"?"
				     : "did you mean \"%s:PORT\"?",
			     w->text);
	else if (is_host_name(w->text))
		message_help(m, "did you mean \"%s:PORT\"?", w->text);
	else
		message_help(m, "such as 192.0.2.1:1080, [2001:db8::1]:1080 "
				"or proxy.example:1080");
}

bool value_host_port(struct parser *p, const char *what, struct addr *out,
		     const char **name)
{
	const struct word *w = word_take(p, "a host and a port");

	if (!w)
		return false;
	if (!strchr(w->text, '%') && addr_parse(w->text, out) == 0) {
		*name = NULL;
		return true;
	}
	if (parse_named(p, w->text, out, name))
		return true;
	report_host_port(p, w, what);
	return false;
}

/* --- patterns ------------------------------------------------------------ */

static void report_pattern(struct parser *p, const struct word *w)
{
	const char *noun = describe_value(w->text);
	struct message *m;

	if (noun) {
		m = report_error(p->report, w->at,
				 "\"domain\" takes names, and \"%s\" is %s",
				 w->text, noun);
		message_help(m, "networks stand behind \"net\" in a list and "
				"behind \"dst\" in a rule");
		return;
	}
	m = report_error(p->report, w->at, "wrong domain name \"%s\"", w->text);
	message_help(m, "such as example.org, *.example.org for all names "
			"below it, or .example.org for both; letters, digits, "
			"- and _, other scripts as xn--");
}

bool value_domains(struct parser *p, struct domain_term **terms, size_t *count)
{
	char pattern[HOST_TEXT_MAX];
	const struct word *w;

	do {
		struct domain_term *grown;

		w = word_take_item(p, "domain names");
		if (!w)
			return false;
		if (!domain_pattern(w->text, strlen(w->text), pattern)) {
			report_pattern(p, w);
			return false;
		}
		grown = parse_grow(p, *terms, *count, sizeof(*grown));
		if (!grown)
			return false;
		*terms = grown;
		grown[*count].text = parse_keep(p, pattern);
		grown[*count].at = w->at;
		++*count;
	} while (w->has_comma);
	return true;
}
