/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_intercept.c - `intercept NAME { ... }`; see parse.h.
 *
 * Whether an interface exists is not asked: it may come later.
 */
#include "policy/parse.h"

#include <assert.h>
#include <string.h>

static void *open_intercept(struct parser *p)
{
	struct config *c = p->config;
	struct intercept *i;
	const struct word *w;

	if (!value_name(p, "a name", &w))
		return NULL;
	for (size_t n = 0; n < c->intercept_count; n++) {
		if (strcmp(c->intercepts[n].name, w->text) != 0)
			continue;
		(void)report_error(p->report, w->at,
				   "intercept \"%s\" is defined twice; first "
				   "on line %u",
				   w->text, c->intercepts[n].at.line);
	}
	if (c->intercept_count == INTERCEPTS_MAX) {
		(void)report_error(p->report, w->at,
				   "too many intercepts; %d are allowed",
				   INTERCEPTS_MAX);
		return NULL;
	}
	i = parse_grow(p, c->intercepts, c->intercept_count, sizeof(*i));
	if (!i)
		return NULL;
	c->intercepts = i;
	i += c->intercept_count++;
	i->name = parse_keep(p, w->text);
	i->at = w->at;
	p->intercept = (struct intercept_notes){ .user.line = 0 };
	return i;
}

/* What the kernel allows as a name; * at its end stands for what follows. */
static const char *find_ifname_fault(const char *name)
{
	const char *star = strchr(name, '*');

	if (!*name)
		return "it is empty";
	if (strlen(name) > IFNAME_BYTES_MAX)
		return "it is longer than 15 bytes";
	if (star && star[1])
		return "* can stand only at its end";
	if (strpbrk(name, "/: \t\r"))
		return "no / or : or blank can stand in it";
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return "the kernel refuses it";
	return NULL;
}

static bool has_ifname(const struct intercept *i, const char *name)
{
	for (size_t n = 0; n < i->ifname_count; n++) {
		if (strcmp(i->ifnames[n], name) == 0)
			return true;
	}
	return false;
}

static bool add_ifname(struct parser *p, struct intercept *i,
		       const struct word *w)
{
	const char *fault = find_ifname_fault(w->text);
	const char **names;

	if (i->ifname_count == IFNAMES_MAX)
		fault = "64 of them are allowed";
	else if (has_ifname(i, w->text))
		fault = "it is named twice";
	if (fault) {
		(void)report_error(p->report, w->at,
				   "wrong interface name \"%s\": %s", w->text,
				   fault);
		return false;
	}
	names = parse_grow(p, i->ifnames, i->ifname_count, sizeof(*names));
	if (!names)
		return false;
	i->ifnames = names;
	names[i->ifname_count++] = parse_keep(p, w->text);
	return true;
}

static bool parse_from(struct parser *p, const struct keyword *k, void *subject)
{
	struct intercept *i = subject;
	const struct word *w;

	(void)k; /* has no more to say */
	do {
		w = word_take_item(p, "interfaces, or \"host\"");
		if (!w)
			return false;
		if (strcmp(w->text, "host") != 0) {
			if (!add_ifname(p, i, w))
				return false;
			continue;
		}
		if (i->ifname_count || w->has_comma) {
			(void)report_error(p->report, w->at,
					   "\"host\" stands alone; interfaces "
					   "need an intercept of their own");
			return false;
		}
		i->from_host = true;
	} while (w->has_comma);
	return true;
}

static bool parse_proto(struct parser *p, const struct keyword *k,
			void *subject)
{
	const struct word *w = word_peek(p);

	if (w && strcmp(w->text, "off") == 0 && !w->has_comma) {
		p->word_next++;
		return true;
	}
	return value_ports(p, k->name,
			   (struct port_set *)((char *)subject + k->field));
}

static bool except_src(struct parser *p, void *subject)
{
	return value_nets(p, &((struct intercept *)subject)->except_src);
}

static bool except_dst(struct parser *p, void *subject)
{
	return value_nets(p, &((struct intercept *)subject)->except_dst);
}

static bool except_port(struct parser *p, void *subject)
{
	return value_ports(p, "except port",
			   &((struct intercept *)subject)->except_port);
}

/* Both before the words are read: the place is that of `user`, `cgroup`. */
static bool except_user(struct parser *p, void *subject)
{
	p->intercept.user = p->words[p->word_next - 1].at;
	return value_users(p, subject);
}

static bool except_cgroup(struct parser *p, void *subject)
{
	p->intercept.cgroup = p->words[p->word_next - 1].at;
	return value_cgroups(p, subject);
}

static bool parse_except(struct parser *p, const struct keyword *k,
			 void *subject)
{
	static const char *const words[] = { "src",  "dst",    "port",
					     "user", "cgroup", NULL };
	static bool (*const parse[])(struct parser *, void *) = {
		except_src, except_dst, except_port, except_user, except_cgroup
	};
	unsigned choice;

	static_assert(sizeof(parse) / sizeof(parse[0]) + 1 ==
			      sizeof(words) / sizeof(words[0]),
		      "a function for each word");
	(void)k; /* has no more to say */
	return value_choice(p, "exception", words, &choice) &&
	       parse[choice](p, subject);
}

static bool parse_deliver(struct parser *p, const struct keyword *k,
			  void *subject)
{
	struct intercept *i = subject;

	if (!value_listener(p, k->name, &i->deliver))
		return false;
	i->has_deliver = true;
	return true;
}

static bool parse_require(struct parser *p, const struct keyword *k,
			  void *subject)
{
	static const char *const words[] = { "no", "yes", NULL };
	struct intercept *i = subject;
	unsigned choice;

	if (!value_choice(p, k->name, words, &choice))
		return false;
	i->require_listener = choice;
	return true;
}

static bool parse_listen(struct parser *p, const struct keyword *k,
			 void *subject)
{
	struct intercept *i = subject;

	if (!value_addr_port(p, k->name, &i->listen))
		return false;
	i->has_listen = true;
	return true;
}

/* "from NETS": who may say whose connection it is, or whom NAT may bring. */
static bool parse_listen_from(struct parser *p, const struct keyword *k,
			      void *subject)
{
	static const char *const words[] = { "from", NULL };
	unsigned choice;

	return value_choice(p, k->name, words, &choice) &&
	       value_nets(p, (struct net_expr *)((char *)subject + k->field));
}

/* A plain listener takes connections, not packets. */
static void check_listen(struct parser *p, const struct intercept *i)
{
	static const char *const others[] = { "from",	 "tcp",
					      "udp",	 "except",
					      "deliver", "require-listener" };

	for (size_t n = 0; n < sizeof(others) / sizeof(others[0]); n++) {
		struct place at = parse_said(p, others[n]);

		if (at.line)
			(void)report_error(p->report, at,
					   "\"%s\" cannot stand beside "
					   "\"listen\": connections come there "
					   "by themselves, and no packet is "
					   "selected",
					   others[n]);
	}
	if (!i->proxy_from.count && !i->redirected_from.count)
		(void)report_error(p->report, parse_said(p, "listen"),
				   "\"listen\" needs \"proxy-protocol from\", "
				   "who may say whose connections they are, or "
				   "\"redirected from\", whose connections NAT "
				   "rules bring");
	if (i->proxy_from.count && i->redirected_from.count)
		(void)report_error(
			p->report, parse_said(p, "redirected"),
			"\"redirected\" cannot stand beside "
			"\"proxy-protocol\": a connection tells its "
			"destination in one way; use two intercepts");
}

/* Of forwarded packets nobody knows more than the addresses. */
static void check_owner(struct parser *p, const struct intercept *i,
			const char *noun, struct place at)
{
	struct message *m;

	if (!at.line || !i->ifname_count)
		return;
	m = report_error(p->report, at,
			 "\"except %s\" needs \"from host\": what arrives from "
			 "an interface has no %s here",
			 noun, noun);
	message_help(m, "other hosts are excepted by address: except src");
}

static void check_packets(struct parser *p, const struct intercept *i)
{
	static const char *const listen_only[] = { "proxy-protocol",
						   "redirected" };

	for (size_t n = 0; n < sizeof(listen_only) / sizeof(listen_only[0]);
	     n++) {
		struct place at = parse_said(p, listen_only[n]);

		if (at.line)
			(void)report_error(p->report, at,
					   "\"%s from\" needs \"listen\"",
					   listen_only[n]);
	}
	if (!i->ifname_count && !i->from_host)
		(void)report_error(p->report, i->at,
				   "intercept \"%s\" does not say where from: "
				   "it needs \"from\"",
				   i->name);
	if (!i->ports[PROTO_TCP].count && !i->ports[PROTO_UDP].count)
		(void)report_error(p->report, i->at,
				   "intercept \"%s\" selects no traffic: it "
				   "needs \"tcp\" or \"udp\"",
				   i->name);
	if (i->require_listener && !i->has_deliver)
		(void)report_error(p->report, i->at,
				   "intercept \"%s\": \"require-listener\" "
				   "needs \"deliver\"",
				   i->name);
	if (i->require_listener && i->has_deliver && !i->deliver.family)
		(void)report_error(p->report, i->at,
				   "intercept \"%s\": \"require-listener\" "
				   "needs an address in \"deliver\": with * "
				   "there is no one listener to ask for",
				   i->name);
	check_owner(p, i, "user", p->intercept.user);
	check_owner(p, i, "cgroup", p->intercept.cgroup);
}

static void close_intercept(struct parser *p, void *subject)
{
	const struct intercept *i = subject;

	if (i->has_listen)
		check_listen(p, i);
	else
		check_packets(p, i);
}

static const struct keyword intercept_keywords[] = {
	{ .name = "from", .parse = parse_from },
	{ .name = "tcp",
	  .parse = parse_proto,
	  .field = offsetof(struct intercept, ports[PROTO_TCP]) },
	{ .name = "udp",
	  .parse = parse_proto,
	  .field = offsetof(struct intercept, ports[PROTO_UDP]) },
	{ .name = "except", .parse = parse_except, .may_repeat = true },
	{ .name = "deliver", .parse = parse_deliver },
	{ .name = "require-listener", .parse = parse_require },
	{ .name = "listen", .parse = parse_listen },
	{ .name = "proxy-protocol",
	  .parse = parse_listen_from,
	  .field = offsetof(struct intercept, proxy_from) },
	{ .name = "redirected",
	  .parse = parse_listen_from,
	  .field = offsetof(struct intercept, redirected_from) },
	{ .name = NULL },
};

const struct block intercept_block = {
	.noun = "intercept",
	.keywords = intercept_keywords,
	.open = open_intercept,
	.close = close_intercept,
};
