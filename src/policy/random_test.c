/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_test.c - configurations that nobody would write.
 *
 * Texts are drawn from the grammar.  Each must be read, print as a text that
 * reads as the same, survive the formatter, and judge random packets as the
 * naive evaluator does (naive.h).  A failure prints its seed; set WAYLAY_SEED
 * to repeat it.
 */
#include "policy/eval.h"
#include "policy/naive.h"
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

/* Some of them, each once. */
static void add_owners(unsigned short rnd[3], const char *keyword,
		       const char *const *owners, struct str *out)
{
	for (bool is_open = false; *owners; owners++) {
		if (draw(rnd, 3))
			continue;
		if (!is_open || draw(rnd, 2))
			str_addf(out, "; except %s %s", keyword, *owners);
		else
			str_addf(out, ", %s", *owners);
		is_open = true;
	}
}

static void add_source(unsigned short rnd[3], struct str *out)
{
	static const char *const froms[] = { "eth0", "eth1", "eth*, \"a,b\"",
					     "*", "et*, v0" };
	static const char *const users[] = { "alice", "1000", "007", "svc$",
					     NULL };
	static const char *const cgroups[] = { "/system.slice/",
					       "system.slice/a.service",
					       "\"/a b/\"", "user.slice/\\x2d",
					       NULL };

	if (draw(rnd, 4)) {
		str_addf(out, "from %s", PICK(rnd, froms));
		return;
	}
	str_add(out, "from host");
	add_owners(rnd, "user", users, out);
	add_owners(rnd, "cgroup", cgroups, out);
}

static void add_intercept(unsigned short rnd[3], unsigned index,
			  struct str *out)
{
	static const char *const listeners[] = { "127.0.0.1:7", "[::1]:7",
						 "*:7" };
	unsigned udp = draw(rnd, 3);

	str_addf(out, "intercept i%u { ", index);
	add_source(rnd, out);
	str_add(out, "; tcp");
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
		str_addf(out, "; deliver %s", PICK(rnd, listeners));
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
	static const char *const targets[] = { "u0",	     "u1",
					       "u2",	     "direct",
					       "direct log", "drop log" };
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
	static const char *const ends[] = { "default -> u1 }",
					    "default -> direct }", "}" };

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
	str_add(out, PICK(rnd, ends));
}

/* --- the comparison ------------------------------------------------------ */

struct address {
	const char *text;
	bool is_special_src, is_special_dst;
};

/* What is drawn of a packet, and what its addresses are known to be. */
struct packet {
	struct facts facts;
	const struct address *src, *dst;
};

static const struct address v4[] = {
	{ "198.51.100.7:1", false, false },  { "198.51.100.3:1", false, false },
	{ "203.0.113.127:1", false, false }, { "10.1.1.1:1", false, false },
	{ "203.0.113.200:1", false, false }, { "9.9.9.9:1", false, false },
	{ "100.64.0.1:1", false, false },    { "172.31.0.1:1", false, false },
	{ "198.51.100.4:1", false, false },  { "192.0.2.1:1", false, false },
	{ "169.254.3.3:1", false, true },    { "127.0.0.5:1", true, true },
	{ "0.0.0.9:1", true, true },	     { "239.1.1.1:1", true, true },
};

static const struct address v6[] = {
	{ "[2001:db8::7]:1", false, false },
	{ "[fd00::1]:1", false, false },
	{ "[2001:db8:1::1]:1", false, false },
	{ "[2001:db9::1]:1", false, false },
	{ "[fe80::9]:1", false, true },
	{ "[::1]:1", true, true },
	{ "[ff05::1]:1", true, true },
	{ "[::ffff:9.9.9.9]:1", true, true },
};

static const struct address *draw_address(unsigned short rnd[3], bool is_v4,
					  struct addr *out)
{
	const size_t counts[] = { sizeof(v6) / sizeof(v6[0]),
				  sizeof(v4) / sizeof(v4[0]) };
	const struct address *a =
		(is_v4 ? v4 : v6) + draw(rnd, (unsigned)counts[is_v4]);

	assert_int_equal(addr_parse(a->text, out), 0);
	return a;
}

static void draw_packet(unsigned short rnd[3], struct packet *out)
{
	static const char *const ifnames[] = { "eth0", "eth1", "eth", "a,b",
					       "v0",   NULL,   NULL };
	static const char *const users[] = { "alice", "1000", "7",
					     "svc$",  "bob",  NULL };
	static const char *const cgroups[] = { "system.slice",
					       "system.slice/a.service/x",
					       "system.sliceb",
					       "a b/c",
					       "user.slice/\\x2d",
					       "user.slice",
					       "",
					       NULL };
	struct facts *f = &out->facts;
	bool is_v4 = draw(rnd, 2);

	*out = (struct packet){ .facts.ifname = PICK(rnd, ifnames) };
	f->proto = draw(rnd, PROTO_COUNT);
	out->src = draw_address(rnd, is_v4, &f->src);
	out->dst = draw_address(rnd, is_v4, &f->dst);
	f->dst.port = (uint16_t)(1 + draw(rnd, 18));
	f->user = PICK(rnd, users);
	f->cgroup = PICK(rnd, cgroups);
	f->is_src_local = !draw(rnd, 16);
	f->is_dst_local = !draw(rnd, 16);
}

/* Why it passes whatever the configuration says; PASS_NONE: it does not. */
static enum pass_reason always_passes(const struct packet *p)
{
	if (p->facts.is_dst_local)
		return PASS_DST_LOCAL;
	if (p->dst->is_special_dst)
		return PASS_DST_SPECIAL;
	if (p->facts.ifname && p->facts.is_src_local)
		return PASS_SRC_LOCAL;
	if (p->facts.ifname && p->src->is_special_src)
		return PASS_SRC_SPECIAL;
	return PASS_NONE;
}

static void expect_verdicts(const struct config *c, unsigned short rnd[3],
			    unsigned seed)
{
	for (unsigned i = 0; i < PACKETS; i++) {
		struct verdict v,
			wanted = { VERDICT_PASS, PASS_NONE, -1, -1, -1 };
		struct packet p;

		draw_packet(rnd, &p);
		wanted.reason = always_passes(&p);
		if (!wanted.reason)
			wanted = naive_verdict(c, &p.facts);
		eval_packet(c, &p.facts, &v);
		if (memcmp(&v, &wanted, sizeof(v)) != 0)
			fail_msg("verdicts differ with WAYLAY_SEED=%u: %s "
				 "(%s), not %s (%s)",
				 seed, verdict_name(v.kind),
				 pass_reason_name(v.reason),
				 verdict_name(wanted.kind),
				 pass_reason_name(wanted.reason));
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
