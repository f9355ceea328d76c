/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_test.c - configurations that nobody would write.
 *
 * Texts are drawn from the grammar.  Each must be read, print as a text that
 * reads as the same, survive the formatter, and judge random packets as a
 * naive evaluator does, which knows the terms as written and no sets.  A
 * failure prints its seed; set WAYLAY_SEED to repeat it.
 */
#include "policy/eval.h"
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { ROUNDS = 400, PACKETS = 100, LISTS = 3, INTERCEPTS = 3, UPSTREAMS = 3 };

static unsigned short rnd_seed(unsigned short rnd[3])
{
	const char *given = getenv("WAYLAY_SEED");

	rnd[0] = (unsigned short)(given ? atoi(given) : time(NULL));
	rnd[1] = rnd[2] = 0;
	return rnd[0];
}

static unsigned draw(unsigned short rnd[3], unsigned below)
{
	return (unsigned)nrand48(rnd) % below;
}

static const char *pick(unsigned short rnd[3], const char *const *from,
			size_t count)
{
	return from[draw(rnd, (unsigned)count)];
}

#define PICK(rnd, table) pick(rnd, table, sizeof(table) / sizeof((table)[0]))

/* --- a text -------------------------------------------------------------- */

static const char *const nets[] = {
	"198.51.100.0/24",
	"198.51.100.7",
	"198.51.100.0/30",
	"203.0.113.0/25",
	"203.0.113.128/25",
	"10.0.0.0/8",
	"2001:db8::/32",
	"2001:db8::7",
	"2001:db8:1::/48",
	"0.0.0.0/0",
	"::/0",
	"192.0.2.1",
};

static void add_nets(unsigned short rnd[3], struct str *out, bool is_pure)
{
	unsigned count = 1 + draw(rnd, 4);

	for (unsigned i = 0; i < count; i++) {
		unsigned kind = is_pure ? 0 : draw(rnd, 6);

		str_add(out, i ? ", " : " ");
		if (kind < 4)
			str_add(out, PICK(rnd, nets));
		else if (kind == 4)
			str_add(out, "private");
		else
			str_addf(out, "l%u", draw(rnd, LISTS));
	}
}

static void add_ports(unsigned short rnd[3], struct str *out)
{
	unsigned count = 1 + draw(rnd, 3);

	if (!draw(rnd, 4)) {
		str_add(out, " any");
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		unsigned first = 1 + draw(rnd, 12);

		str_addf(out, i ? ",\n%u" : " %u", first);
		if (draw(rnd, 2))
			str_addf(out, "-%u", first + draw(rnd, 5));
	}
}

static void add_settings(unsigned short rnd[3], struct str *out)
{
	static const char *const settings[] = {
		"engine nft\n",
		"on-failure closed;",
		"mark 0x10/0x30\n",
		"table 9\n",
		"workers 3\n",
		"port 4000;",
		"log { level debug; flows sampled 3 }\n",
		"timeouts { idle 5m; drain 1500ms }\n",
		"timeouts { half-closed 1d }\n",
		"limits { udp-flows 7 }\n",
		"admin { http [::1]:9095 }\n",
		"log { format json; flows off }",
	};
	static const char *const heads[] = { "timeouts", "log" };

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		bool is_taken = false;

		for (size_t n = 0; n < 2; n++) {
			if (strncmp(settings[i], heads[n], strlen(heads[n])) ==
			    0)
				is_taken = strstr(str_get(out), heads[n]);
		}
		if (!is_taken && draw(rnd, 3) == 0)
			str_add(out, settings[i]);
	}
}

static void add_intercept(unsigned short rnd[3], unsigned index,
			  struct str *out)
{
	static const char *const froms[] = { "eth0", "eth1", "eth*, \"a,b\"",
					     "host", "*",    "et*, v0" };

	unsigned udp = draw(rnd, 3);

	str_addf(out, "intercept i%u { from %s; tcp", index, PICK(rnd, froms));
	add_ports(rnd, out);
	if (udp)
		str_add(out, udp == 1 ? "; udp" : "; udp off");
	if (udp == 1)
		add_ports(rnd, out);
	for (unsigned i = draw(rnd, 3); i; i--) {
		str_addf(out, "; except %s", draw(rnd, 2) ? "src" : "dst");
		add_nets(rnd, out, false);
	}
	if (!draw(rnd, 3)) {
		str_add(out, "; except port");
		add_ports(rnd, out);
	}
	if (!draw(rnd, 4))
		str_addf(out, "; deliver %s",
			 draw(rnd, 2) ? "127.0.0.1:7" : "[::1]:7");
	str_add(out, " } # intercept\n");
}

static void add_upstream(unsigned short rnd[3], unsigned index, struct str *out)
{
	static const char *const bodies[] = {
		"via direct",
		"via direct; source self; to 192.0.2.1",
		"to [2001:db8::1]:53; via direct",
		"via reject",
		"via drop",
		"via proxy-protocol-v1 192.0.2.1:80; source client",
		"source self; via proxy-protocol-v2 [2001:db8::1]:80",
	};

	str_addf(out, "upstream u%u { %s }\n", index, PICK(rnd, bodies));
}

static void add_rule(unsigned short rnd[3], struct str *out)
{
	static const char *const targets[] = { "u0", "u1", "u2", "direct",
					       "drop log" };
	size_t start = out->len;

	if (draw(rnd, 2)) {
		str_add(out, " src");
		add_nets(rnd, out, false);
	}
	if (!draw(rnd, 3))
		str_add(out, draw(rnd, 2) ? " tcp" : " udp");
	if (!draw(rnd, 3))
		str_addf(out, " list l%u", draw(rnd, LISTS));
	else if (draw(rnd, 2)) {
		str_add(out, " dst");
		add_nets(rnd, out, false);
	}
	if (!draw(rnd, 3))
		str_addf(out, " intercept i%u", draw(rnd, INTERCEPTS));
	if (!draw(rnd, 3) || out->len == start) {
		str_add(out, " port");
		add_ports(rnd, out);
	}
	str_addf(out, " -> %s\n", PICK(rnd, targets));
}

static void draw_text(unsigned short rnd[3], struct str *out)
{
	add_settings(rnd, out);
	for (unsigned i = 0; i < LISTS; i++) {
		str_addf(out, "\nlist l%u { net", i);
		add_nets(rnd, out, true);
		str_add(out, " }");
	}
	str_add(out, " # lists\n\n");
	for (unsigned i = 0; i < INTERCEPTS; i++)
		add_intercept(rnd, i, out);
	for (unsigned i = 0; i < UPSTREAMS; i++)
		add_upstream(rnd, i, out);
	if (!draw(rnd, 8))
		return;
	str_add(out, "rules {\n");
	for (unsigned i = draw(rnd, 6); i; i--)
		add_rule(rnd, out);
	str_add(out, draw(rnd, 2) ? "default -> u1 }" : "}");
}

/* --- a naive evaluator --------------------------------------------------- */

static bool is_in(const struct prefix *p, const struct addr *a)
{
	bool is_equal = p->net.family == a->family;

	for (unsigned i = 0; i < p->len && is_equal; i++)
		is_equal = !((p->net.ip[i / 8] ^ a->ip[i / 8]) & 0x80 >> i % 8);
	return is_equal;
}

static bool is_private(const struct addr *a)
{
	const uint8_t *ip = a->ip;
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == AF_INET6)
		return (ip[0] & 0xfe) == 0xfc || memcmp(ip, one, 16) == 0 ||
		       (ip[0] == 0xfe && ip[1] >= 0x80 && ip[1] < 0xc0);
	return ip[0] == 10 || ip[0] == 127 ||
	       (ip[0] == 172 && ip[1] >= 16 && ip[1] < 32) ||
	       (ip[0] == 192 && ip[1] == 168) ||
	       (ip[0] == 169 && ip[1] == 254) ||
	       (ip[0] == 100 && ip[1] >= 64 && ip[1] < 128);
}

static bool naive_nets(const struct config *c, const struct net_expr *e,
		       const struct addr *a)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct net_term *t = &e->terms[i];
		const struct list *l = &c->lists[t->list];

		if (t->kind == NET_TERM_PRIVATE && is_private(a))
			return true;
		if (t->kind == NET_TERM_PREFIX && is_in(&t->prefix, a))
			return true;
		for (size_t n = 0; t->kind == NET_TERM_LIST && n < l->count;
		     n++) {
			if (is_in(&l->nets[n], a))
				return true;
		}
	}
	return false;
}

static bool naive_ports(const struct port_set *s, uint16_t port)
{
	for (size_t i = 0; i < s->count; i++) {
		if (port >= s->ranges[i].first && port <= s->ranges[i].last)
			return true;
	}
	return false;
}

static bool naive_from(const struct intercept *in, const char *ifname)
{
	if (!ifname)
		return in->from_host;
	for (size_t i = 0; i < in->ifname_count; i++) {
		const char *p = in->ifnames[i], *s = ifname;

		while (*p && *p == *s)
			p++, s++;
		if (*p == '*' || (!*p && !*s))
			return true;
	}
	return false;
}

/* The intercept that takes it, or -1; the packets drawn are never special. */
static int naive_intercept(const struct config *c, const struct facts *f,
			   bool *is_excepted)
{
	*is_excepted = false;
	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *in = &c->intercepts[i];

		if (!naive_from(in, f->ifname) ||
		    !naive_ports(&in->ports[f->proto], f->dst.port))
			continue;
		if (in->has_deliver && in->deliver.family != f->dst.family)
			continue;
		if (!naive_nets(c, &in->except_src, &f->src) &&
		    !naive_nets(c, &in->except_dst, &f->dst) &&
		    !naive_ports(&in->except_port, f->dst.port))
			return (int)i;
		*is_excepted = true;
	}
	return -1;
}

static int naive_rule(const struct config *c, size_t intercept,
		      const struct facts *f)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		const struct rule *r = &c->rules[i];

		if (r->has_intercept && r->intercept != intercept)
			continue;
		if (!(r->protos >> f->proto & 1))
			continue;
		if (r->src.count && !naive_nets(c, &r->src, &f->src))
			continue;
		if (r->dst.count && !naive_nets(c, &r->dst, &f->dst))
			continue;
		if (r->has_ports && !naive_ports(&r->ports, f->dst.port))
			continue;
		return (int)i;
	}
	return -1;
}

static struct verdict naive_verdict(const struct config *c,
				    const struct facts *f)
{
	static const enum verdict_kind kinds[] = {
		[UPSTREAM_DIRECT] = VERDICT_RELAY,
		[UPSTREAM_REJECT] = VERDICT_REJECT,
		[UPSTREAM_DROP] = VERDICT_DROP,
		[UPSTREAM_PROXY_V1] = VERDICT_RELAY,
		[UPSTREAM_PROXY_V2] = VERDICT_RELAY,
	};
	struct verdict v = { VERDICT_PASS, PASS_NO_INTERCEPT, -1, -1, -1 };
	bool is_excepted;

	v.intercept = naive_intercept(c, f, &is_excepted);
	if (v.intercept < 0) {
		if (is_excepted)
			v.reason = PASS_EXCEPT;
		return v;
	}
	v.reason = PASS_NONE;
	v.kind = VERDICT_DELIVER;
	if (c->intercepts[v.intercept].has_deliver)
		return v;
	v.rule = naive_rule(c, (size_t)v.intercept, f);
	v.upstream = (int)c->rules[v.rule].upstream;
	v.kind = kinds[c->upstreams[v.upstream].kind];
	return v;
}

/* --- the comparison ------------------------------------------------------ */

static struct facts draw_facts(unsigned short rnd[3])
{
	static const char *const v4[] = { "198.51.100.7:1",  "198.51.100.3:1",
					  "203.0.113.127:1", "10.1.1.1:1",
					  "203.0.113.200:1", "9.9.9.9:1",
					  "100.64.0.1:1",    "172.31.0.1:1" };
	static const char *const v6[] = { "[2001:db8::7]:1", "[fd00::1]:1",
					  "[2001:db8:1::1]:1",
					  "[2001:db9::1]:1" };
	static const char *const ifnames[] = { "eth0", "eth1", "eth",
					       "a,b",  "v0",   NULL };
	struct facts f = { .ifname = PICK(rnd, ifnames),
			   .proto = draw(rnd, PROTO_COUNT) };
	bool is_v4 = draw(rnd, 2);

	assert_int_equal(
		addr_parse(is_v4 ? PICK(rnd, v4) : PICK(rnd, v6), &f.src), 0);
	assert_int_equal(
		addr_parse(is_v4 ? PICK(rnd, v4) : PICK(rnd, v6), &f.dst), 0);
	f.dst.port = (uint16_t)(1 + draw(rnd, 18));
	return f;
}

static void expect_verdicts(const struct config *c, unsigned short rnd[3],
			    unsigned seed)
{
	for (unsigned i = 0; i < PACKETS; i++) {
		struct facts f = draw_facts(rnd);
		struct verdict v, naive = naive_verdict(c, &f);

		eval_packet(c, &f, &v);
		if (memcmp(&v, &naive, sizeof(v)) != 0)
			fail_msg("verdicts differ with WAYLAY_SEED=%u", seed);
	}
}

static struct config *parse(const struct str *text, unsigned seed)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse("t", str_get(text), text->len, &m);

	if (!c)
		fail_msg("WAYLAY_SEED=%u: %s\n%s", seed, str_get(&m.text),
			 str_get(text));
	messages_done(&m);
	return c;
}

static void expect_round_trip(const struct config *c, const struct str *text,
			      unsigned seed)
{
	struct str printed = { .len = 0 }, formatted = { .len = 0 };
	struct messages m = { .errors = 0 };
	struct config *from_print, *from_format;

	config_print(c, &printed);
	from_print = parse(&printed, seed);
	assert_int_equal(
		config_format("t", str_get(text), text->len, &formatted, &m),
		0);
	from_format = parse(&formatted, seed);
	if (!config_equal(c, from_print) || !config_equal(c, from_format))
		fail_msg("texts differ with WAYLAY_SEED=%u:\n%s", seed,
			 str_get(text));
	config_free(from_print);
	config_free(from_format);
	messages_done(&m);
	str_done(&printed);
	str_done(&formatted);
}

static void test_random(void **state)
{
	unsigned short rnd[3], seed = rnd_seed(rnd);

	(void)state; /* unused */
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct str text = { .len = 0 };
		struct config *c;

		draw_text(rnd, &text);
		c = parse(&text, seed);
		expect_round_trip(c, &text, seed);
		expect_verdicts(c, rnd, seed);
		config_free(c);
		str_done(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
