/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_test.c - configurations that nobody would write.
 *
 * Texts are drawn from the grammar.  Each must be read, print as a text that
 * reads as the same, survive the formatter, and judge random packets and flows
 * as the naive evaluator does (naive.h).  A failure prints its seed; set
 * WAYLAY_SEED to repeat it.
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

#include "policy/random_text_test.h"

enum { ROUNDS = 400, PACKETS = 100 };

static unsigned short rnd_seed(unsigned short rnd[3])
{
	const char *given = getenv("WAYLAY_SEED");

	rnd[0] = (unsigned short)(given ? atoi(given) : time(NULL));
	rnd[1] = rnd[2] = 0;
	return rnd[0];
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

/* --- names --------------------------------------------------------------- */

static void draw_flow(unsigned short rnd[3], const struct packet *p,
		      struct flow_facts *out)
{
	static const char *const names[] = { "a.test",	 "x.a.test", "b.test",
					     "y.b.test", "test",     "x.test",
					     "c.test",	 "atest",    NULL };

	*out = (struct flow_facts){ .intercept = draw(rnd, INTERCEPTS),
				    .proto = p->facts.proto,
				    .src = &p->facts.src,
				    .dst = &p->facts.dst,
				    .is_open = draw(rnd, 2),
				    .name = PICK(rnd, names) };
	out->is_quic = out->proto == PROTO_UDP && draw(rnd, 2);
}

static void expect_flows(const struct config *c, unsigned short rnd[3],
			 unsigned seed)
{
	for (unsigned i = 0; i < PACKETS; i++) {
		struct flow_facts f;
		struct packet p;
		bool is_open, should_be_open;
		int rule, wanted;

		draw_packet(rnd, &p);
		draw_flow(rnd, &p, &f);
		rule = (int)eval_flow(c, &f, &is_open);
		wanted = naive_flow(c, &f, &should_be_open);
		if (rule != wanted || is_open != should_be_open)
			fail_msg("flows differ with WAYLAY_SEED=%u: rule %d%s, "
				 "not %d%s",
				 seed, rule, is_open ? " is open" : "", wanted,
				 should_be_open ? " is open" : "");
	}
}

/* --- all of it ----------------------------------------------------------- */

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
		expect_flows(c, rnd, seed);
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
