/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_random_test.c - random rules mean the same before and after.
 *
 * A few rules in three chains are written as a dump and imported.  What a
 * naive walk says of a packet, rule by rule, must be what policy/eval.c says
 * of it by the configuration.
 */
#include "base/random_test.h"
#include "cli/import_run_test.h"
#include "policy/eval.h"

enum {
	RULESETS = 1500,
	PACKETS = 60,
	CHAINS = 3, /* PREROUTING, A, B: each jumps to later ones only */
	RULES_IN_CHAIN = 5,
	NEVER = -1, /* a condition that is not given */
	FIRST_PORT = 5000,
};

static const char *const ifnames[] = { "eth0", "eth1", "wg0" };
static const char *const nets[] = { "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24",
				    "192.0.2.0/24", "192.0.2.128/25" };
static const char *const addresses[] = { "10.1.2.3",	"10.1.9.9",
					 "10.9.9.9",	"192.0.2.1",
					 "192.0.2.200", "198.51.100.1" };
static const struct port_range ports[] = {
	{ 80, 80 }, { 443, 443 }, { 53, 1000 }, { 1, 65535 }
};
static const uint16_t asked_ports[] = { 22, 53, 80, 443, 9000 };
static const char *const protos[] = { "tcp", "udp" };
static const char *const chains[] = { "PREROUTING", "A", "B" };

/* --- rules --------------------------------------------------------------- */

enum target { ACCEPT, RETURN, TPROXY, MARK, JUMP, GOTO, TARGETS };

struct condition {
	int value; /* index into its table, or NEVER */
	bool is_negated;
};

struct drawn_rule {
	struct condition ifname, src, dst, port, mark;
	int proto; /* or NEVER */
	enum target target;
	int number; /* of a mark, a chain, a port */
};

struct ruleset {
	struct drawn_rule rules[CHAINS][RULES_IN_CHAIN];
};

static struct condition draw(struct rnd *r, size_t count, bool can_negate)
{
	struct condition c = { NEVER, false };

	if (rnd_draw(r, 3) == 0)
		c.value = (int)rnd_draw(r, (unsigned)count);
	if (can_negate)
		c.is_negated = rnd_draw(r, 4) == 0;
	return c;
}

/* A rule that takes names its interface: there is no "all but one". */
static struct drawn_rule draw_rule(struct rnd *r, int chain, int number)
{
	struct drawn_rule rule = {
		.ifname = draw(r, COUNT(ifnames), false),
		.src = draw(r, COUNT(nets), true),
		.dst = draw(r, COUNT(nets), true),
		.mark = draw(r, 3, true),
		.port = { NEVER, false },
		.proto = rnd_draw(r, 2) ? NEVER : (int)rnd_draw(r, 2),
		.target = (enum target)rnd_draw(r, TARGETS),
		.number = FIRST_PORT + number,
	};

	if (rule.proto != NEVER)
		rule.port = draw(r, COUNT(ports), true);
	if (rule.target == TPROXY) {
		rule.ifname.value = (int)rnd_draw(r, COUNT(ifnames));
		rule.proto = (int)rnd_draw(r, 2);
	}
	if (rule.target == MARK)
		rule.number = (int)rnd_draw(r, 3);
	if (rule.target == JUMP || rule.target == GOTO)
		rule.number = chain + 1;
	if (rule.number == CHAINS)
		rule.target = ACCEPT;
	return rule;
}

static void draw_ruleset(struct rnd *r, struct ruleset *out)
{
	for (int c = 0; c < CHAINS; c++) {
		for (int i = 0; i < RULES_IN_CHAIN; i++)
			out->rules[c][i] =
				draw_rule(r, c, c * RULES_IN_CHAIN + i);
	}
}

/* --- as text ------------------------------------------------------------- */

static void put_condition(struct str *out, const struct condition *c,
			  const char *option, const char *text)
{
	if (c->value != NEVER)
		str_addf(out, " %s%s %s", c->is_negated ? "! " : "", option,
			 text);
}

static void put_rule(struct str *out, const struct drawn_rule *r,
		     const char *chain)
{
	char text[32];

	str_addf(out, "-A %s", chain);
	if (r->ifname.value != NEVER)
		put_condition(out, &r->ifname, "-i", ifnames[r->ifname.value]);
	if (r->src.value != NEVER)
		put_condition(out, &r->src, "-s", nets[r->src.value]);
	if (r->dst.value != NEVER)
		put_condition(out, &r->dst, "-d", nets[r->dst.value]);
	if (r->proto != NEVER)
		str_addf(out, " -p %s", protos[r->proto]);
	if (r->port.value != NEVER) {
		(void)snprintf(text, sizeof(text), "%u:%u",
			       (unsigned)ports[r->port.value].first,
			       (unsigned)ports[r->port.value].last);
		put_condition(out, &r->port, "--dport", text);
	}
	(void)snprintf(text, sizeof(text), "0x%x", (unsigned)r->mark.value);
	put_condition(out, &r->mark, "--mark", text);
	switch (r->target) {
	case ACCEPT:
		str_add(out, " -j ACCEPT\n");
		break;
	case RETURN:
		str_add(out, " -j RETURN\n");
		break;
	case TPROXY:
		str_addf(out, " -j TPROXY --on-ip 127.0.0.1 --on-port %d\n",
			 r->number);
		break;
	case MARK:
		str_addf(out, " -j MARK --set-xmark 0x%x/0xffffffff\n",
			 (unsigned)r->number);
		break;
	case JUMP:
		str_addf(out, " -j %s\n", chains[r->number]);
		break;
	case GOTO:
		str_addf(out, " -g %s\n", chains[r->number]);
		break;
	case TARGETS:
		break;
	}
}

static void put_ruleset(struct str *out, const struct ruleset *s)
{
	str_add(out, "*mangle\n");
	for (int c = 0; c < CHAINS; c++) {
		for (int i = 0; i < RULES_IN_CHAIN; i++)
			put_rule(out, &s->rules[c][i], chains[c]);
	}
	str_add(out, "COMMIT\n");
}

/* --- naive --------------------------------------------------------------- */

struct packet {
	int ifname, src, dst, port, proto;
	unsigned mark;
};

static bool holds(const struct condition *c, bool is_so)
{
	return c->value == NEVER || is_so != c->is_negated;
}

static bool is_in(const char *address, int net)
{
	struct prefix p;
	struct addr a;

	assert_int_equal(prefix_parse(nets[net], &p), 0);
	assert_int_equal(addr_parse_ip(address, &a), 0);
	return prefix_contains(&p, &a);
}

static bool matches(const struct drawn_rule *r, const struct packet *p)
{
	uint16_t port = asked_ports[p->port];

	if (!holds(&r->ifname, p->ifname == r->ifname.value) ||
	    (r->proto != NEVER && r->proto != p->proto) ||
	    !holds(&r->mark, (int)p->mark == r->mark.value))
		return false;
	if (r->src.value != NEVER &&
	    !holds(&r->src, is_in(addresses[p->src], r->src.value)))
		return false;
	if (r->dst.value != NEVER &&
	    !holds(&r->dst, is_in(addresses[p->dst], r->dst.value)))
		return false;
	return r->port.value == NEVER ||
	       holds(&r->port, port >= ports[r->port.value].first &&
				       port <= ports[r->port.value].last);
}

enum { PASSES = 0, GOES_ON = -1 };

/* The port that takes it, PASSES, or GOES_ON: back to where it came from. */
static int walk(const struct ruleset *s, int chain, struct packet *p)
{
	for (int i = 0; i < RULES_IN_CHAIN; i++) {
		const struct drawn_rule *r = &s->rules[chain][i];
		int end;

		if (!matches(r, p))
			continue;
		switch (r->target) {
		case ACCEPT:
			return PASSES;
		case RETURN:
			return GOES_ON;
		case TPROXY:
			return r->number;
		case MARK:
			p->mark = (unsigned)r->number;
			break;
		case JUMP:
			end = walk(s, r->number, p);
			if (end != GOES_ON)
				return end;
			break;
		case GOTO:
			return walk(s, r->number, p);
		case TARGETS:
			break;
		}
	}
	return GOES_ON;
}

/* --- compared ------------------------------------------------------------ */

static int evaluate(const struct config *c, const struct packet *p)
{
	struct facts f = { .ifname = ifnames[p->ifname],
			   .proto = (enum proto)p->proto };
	struct verdict v;

	assert_int_equal(addr_parse_ip(addresses[p->src], &f.src), 0);
	assert_int_equal(addr_parse_ip(addresses[p->dst], &f.dst), 0);
	f.dst.port = asked_ports[p->port];
	eval_packet(c, &f, &v);
	if (v.kind == VERDICT_PASS)
		return PASSES;
	assert_int_equal(v.kind, VERDICT_DELIVER);
	return c->intercepts[v.intercept].deliver.port;
}

static void compare(struct rnd *r, const struct ruleset *s,
		    const struct config *c, const struct str *text)
{
	for (int i = 0; i < PACKETS; i++) {
		struct packet p = {
			.ifname = (int)rnd_draw(r, COUNT(ifnames)),
			.src = (int)rnd_draw(r, COUNT(addresses)),
			.dst = (int)rnd_draw(r, COUNT(addresses)),
			.port = (int)rnd_draw(r, COUNT(asked_ports)),
			.proto = (int)rnd_draw(r, 2),
		}, walked = p;
		int wanted = walk(s, 0, &walked), is;

		wanted = wanted == GOES_ON ? PASSES : wanted;
		is = evaluate(c, &p);
		if (is != wanted)
			fail_msg("%s %s %s to %s:%u is %d and not %d\n%s",
				 ifnames[p.ifname], protos[p.proto],
				 addresses[p.src], addresses[p.dst],
				 (unsigned)asked_ports[p.port], is, wanted,
				 str_get(text));
	}
}

/* What is refused for another reason than this one is not all there. */
static bool is_complete(const struct import_run *run)
{
	for (size_t i = 0; i < import_line_count(run->im); i++) {
		const char *reason = import_line(run->im, i)->reason;

		if (reason && strncmp(reason, "no packet", 9) != 0)
			return false;
	}
	return true;
}

static bool try_ruleset(struct rnd *r)
{
	struct messages m = { .errors = 0 };
	struct str text = { .len = 0 };
	struct import_run run;
	struct ruleset s;
	struct config *c;
	bool is_compared;

	draw_ruleset(r, &s);
	put_ruleset(&text, &s);
	run_import(&run, str_get(&text), text.len);
	c = config_parse("out", str_get(&run.text), run.text.len, &m);
	assert_non_null(c);
	is_compared = is_complete(&run) && c->intercept_count;
	str_add(&text, str_get(&run.text));
	if (is_compared)
		compare(r, &s, c, &text);
	config_free(c);
	messages_done(&m);
	end_import(&run);
	str_done(&text);
	return is_compared;
}

static void rules_mean_the_same_before_and_after(void **state)
{
	struct rnd r;
	size_t compared = 0;

	(void)state;
	rnd_begin(&r);
	for (size_t i = 0; i < RULESETS; i++)
		compared += try_ruleset(&r);
	assert_true(compared > RULESETS / 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_mean_the_same_before_and_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
