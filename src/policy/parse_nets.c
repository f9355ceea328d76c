/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_nets.c - ports, addresses and networks; see parse.h.
 *
 * A word in the wrong place is named for what it is ("is an address"), since
 * the usual mistake is a right value behind the wrong keyword.  Names are
 * not looked up and scopes (%eth0) are refused: both would make the meaning
 * of a file depend on the machine that reads it.
 */
#include "policy/parse.h"
#include "policy/domains.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Of more than one part: a word alone could be anything. */
static bool is_domain(const char *text)
{
	char pattern[HOST_TEXT_MAX];

	return strchr(text, '.') && domain_pattern(text, strlen(text), pattern);
}

const char *describe_value(const char *text)
{
	struct prefix prefix;
	struct addr addr;
	uint64_t number;

	if (strchr(text, '%'))
		return NULL;
	if (number_parse(text, UINT64_MAX / 2, &number))
		return "a number";
	if (addr_parse_ip(text, &addr) == 0)
		return "an address";
	if (prefix_parse(text, &prefix) != -EINVAL)
		return "a network";
	if (addr_parse(text, &addr) == 0)
		return "an address with a port";
	if (is_domain(text))
		return "a domain name";
	return NULL;
}

/* --- ports --------------------------------------------------------------- */

static void report_port(struct parser *p, const struct word *w,
			const char *what)
{
	const char *noun = describe_value(w->text);
	uint64_t number;
	struct message *m;

	if (number_parse(w->text, UINT64_MAX / 2, &number))
		m = report_error(p->report, w->at,
				 "port %s is out of range: from 1 to 65535",
				 w->text);
	else if (noun)
		m = report_error(p->report, w->at,
				 "\"%s\" takes ports, and \"%s\" is %s", what,
				 w->text, noun);
	else
		m = report_error(p->report, w->at, "\"%s\" is not a port",
				 w->text);
	message_help(m, "ports are written 443, or 3478-3481, or any");
}

/* "443" or "3478-3481"; false: reported. */
static bool parse_range(struct parser *p, const struct word *w,
			const char *what, struct port_range *out)
{
	char first_text[WORD_BYTES_MAX + 1];
	const char *dash = strchr(w->text, '-');
	size_t len = dash ? (size_t)(dash - w->text) : strlen(w->text);
	uint64_t first, last;
	struct message *m;

	memcpy(first_text, w->text, len);
	first_text[len] = '\0';
	if (!number_parse(first_text, 65535, &first) || !first ||
	    !number_parse(dash ? dash + 1 : first_text, 65535, &last) ||
	    !last) {
		report_port(p, w, what);
		return false;
	}
	if (first > last) {
		m = report_error(p->report, w->at,
				 "the port range \"%s\" is reversed", w->text);
		message_help(m, "did you mean \"%u-%u\"?", (unsigned)last,
			     (unsigned)first);
		return false;
	}
	out->first = (uint16_t)first;
	out->last = (uint16_t)last;
	return true;
}

bool value_ports(struct parser *p, const char *what, struct port_set *set)
{
	size_t items = 0;
	const struct word *w;

	do {
		struct port_range *ranges;
		bool is_any;

		w = word_take_item(p, "ports");
		if (!w)
			return false;
		is_any = strcmp(w->text, "any") == 0;
		if (is_any && (items || w->has_comma)) {
			(void)report_error(p->report, w->at,
					   "\"any\" stands alone");
			return false;
		}
		ranges =
			parse_grow(p, set->ranges, set->count, sizeof(*ranges));
		if (!ranges)
			return false;
		set->ranges = ranges;
		ranges[set->count] = (struct port_range){ 1, 65535 };
		if (!is_any && !parse_range(p, w, what, &ranges[set->count]))
			return false;
		set->count++;
		items++;
	} while (w->has_comma);
	return true;
}

/* --- networks ------------------------------------------------------------ */

/* Bits behind the length: say which network it is in. */
static void report_host_bits(struct parser *p, const struct word *w)
{
	char text[WORD_BYTES_MAX + 1], buf[ADDR_TEXT_MAX];
	struct prefix net = { 0 };
	struct message *m;
	uint64_t bits = 0;
	char *slash;

	memcpy(text, w->text, strlen(w->text) + 1);
	slash = strchr(text, '/');
	m = report_error(p->report, w->at,
			 "\"%s\" has bits set behind its length", w->text);
	if (!m || !slash)
		return;
	*slash = '\0';
	if (addr_parse_ip(text, &net.net) < 0 ||
	    !number_parse(slash + 1, 128, &bits))
		return;
	net.len = (uint8_t)bits;
	for (size_t bit = net.len; bit < addr_ip_len(&net.net) * 8; bit++)
		net.net.ip[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	message_help(m,
		     "did you mean the network \"%s\" or the address "
		     "\"%s\"?",
		     prefix_format(&net, buf), text);
}

bool value_prefix(struct parser *p, const struct word *w, struct prefix *out)
{
	int err = prefix_parse(w->text, out);
	const char *noun;

	if (!err)
		return true;
	noun = describe_value(w->text);
	if (err == -ERANGE)
		report_host_bits(p, w);
	else if (noun)
		(void)report_error(p->report, w->at,
				   "an address or network is needed here, and "
				   "\"%s\" is %s",
				   w->text, noun);
	else if (strchr(w->text, '%'))
		(void)report_error(p->report, w->at,
				   "\"%s\" names an interface; addresses are "
				   "written without it",
				   w->text);
	else
		(void)report_error(p->report, w->at,
				   "wrong address or network \"%s\"", w->text);
	return false;
}

static bool looks_like_name(const char *text)
{
	return ((*text | 32) >= 'a' && (*text | 32) <= 'z') &&
	       !strpbrk(text, ":/");
}

static bool parse_net_term(struct parser *p, const struct word *w,
			   struct net_term *out)
{
	struct net_term term = { .at = w->at };

	if (strcmp(w->text, "private") == 0) {
		term.kind = NET_TERM_PRIVATE;
	} else if (looks_like_name(w->text)) {
		term.kind = NET_TERM_LIST;
		term.list = parse_ref(p, w);
	} else if (!value_prefix(p, w, &term.prefix)) {
		return false;
	}
	*out = term;
	return true;
}

bool value_nets(struct parser *p, struct net_expr *expr)
{
	const struct word *w;

	do {
		struct net_term *terms;

		w = word_take_item(p, "addresses, networks or lists");
		if (!w)
			return false;
		terms = parse_grow(p, expr->terms, expr->count, sizeof(*terms));
		if (!terms)
			return false;
		expr->terms = terms;
		if (!parse_net_term(p, w, &terms[expr->count]))
			return false;
		expr->count++;
	} while (w->has_comma);
	return true;
}

/* --- an address with a port ---------------------------------------------- */

static void report_addr_port(struct parser *p, const struct word *w,
			     const char *what)
{
	struct message *m;
	struct addr addr;

	m = report_error(p->report, w->at,
			 "\"%s\" needs an address and a port, not \"%s\"", what,
			 w->text);
	if (strchr(w->text, '%'))
		message_help(m, "an address with an interface cannot stand "
				"here");
	else if (addr_parse_ip(w->text, &addr) < 0)
		message_help(m, "such as 192.0.2.1:8080 or "
				"[2001:db8::1]:8080; names are not looked "
				"up");
	else if (addr.family == AF_INET6)
		message_help(m, "did you mean \"[%s]:PORT\"?", w->text);
	else
		message_help(m, "did you mean \"%s:PORT\"?", w->text);
}

bool value_addr_port(struct parser *p, const char *what, struct addr *out)
{
	const struct word *w = word_take(p, "an address and a port");

	if (!w)
		return false;
	if (!strchr(w->text, '%') && addr_parse(w->text, out) == 0)
		return true;
	report_addr_port(p, w, what);
	return false;
}

static void report_listener(struct parser *p, const struct word *w,
			    const char *what)
{
	struct message *m;

	m = report_error(p->report, w->at,
			 "\"%s\" needs a port behind *, not \"%s\"", what,
			 w->text);
	message_help(m, "such as *:8080; ports go from 1 to 65535");
}

bool value_listener(struct parser *p, const char *what, struct addr *out)
{
	const struct word *w = word_peek(p);
	uint64_t port;

	if (!w || *w->text != '*')
		return value_addr_port(p, what, out);
	w = word_take(p, "an address and a port");
	if (!w)
		return false;
	if (w->text[1] != ':' || !number_parse(w->text + 2, 65535, &port) ||
	    !port) {
		report_listener(p, w, what);
		return false;
	}
	*out = (struct addr){ .port = (uint16_t)port };
	return true;
}

bool value_addr_maybe_port(struct parser *p, const char *what, struct addr *out)
{
	const struct word *w = word_peek(p);

	if (w && !w->is_arrow && !w->has_comma && !strchr(w->text, '%') &&
	    addr_parse_ip(w->text, out) == 0) {
		p->word_next++;
		return true;
	}
	return value_addr_port(p, what, out);
}
