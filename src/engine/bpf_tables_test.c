/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_tables_test.c - tables decide as a search through all selections does.
 *
 * The tables are read as the data plane reads them, but naively: the longest
 * prefix by asking all, the first bit by asking each.
 */
#include "engine/bpf_tables.h"
#include "engine/bpf_tables_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/random_config_test.h"

#include <errno.h>

enum {
	ROUNDS = 150,
	PACKETS = 150,
	MANY_PREFIXES = 200000,
	MANY_PACKETS = 100,
};

/* --- reading the tables -------------------------------------------------- */

static const struct wl_bits *look_up(const struct bpf_tables *t,
				     enum bpf_side side, const struct addr *a)
{
	const struct bpf_prefixes *p =
		&t->prefixes[side]
			    [a->family == AF_INET6 ? FAMILY_V6 : FAMILY_V4];
	uint32_t class = p->outside;
	int longest = -1;

	for (size_t i = 0; i < p->count; i++) {
		if (p->of[i].net.len <= longest ||
		    !prefix_contains(&p->of[i].net, a))
			continue;
		longest = p->of[i].net.len;
		class = p->of[i].class;
	}
	assert_true(class < t->class_count);
	return &t->classes[class];
}

/* The first selection that all dimensions allow, or selections.count. */
static size_t first_bit(const struct bpf_tables *t, const struct facts *f)
{
	uint16_t port_class = t->port_class[f->proto][f->dst.port];
	const struct wl_bits *src = look_up(t, BPF_SIDE_SRC, &f->src);
	const struct wl_bits *dst = look_up(t, BPF_SIDE_DST, &f->dst);
	struct wl_bits link;

	assert_true(port_class < t->class_count);
	if (!bpf_tables_link(t, f->ifname, &link))
		return t->selections.count;
	for (size_t i = 0; i < WL_SELECTIONS_MAX; i++) {
		if (bits_has(src, i) && bits_has(dst, i) &&
		    bits_has(&link, i) && bits_has(&t->classes[port_class], i))
			return i;
	}
	return t->selections.count;
}

static void expect_same(const struct bpf_tables *t, const struct facts *f,
			const char *text)
{
	size_t searched = first_selection(&t->selections, f);
	size_t found = first_bit(t, f);
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	if (found != searched)
		fail_msg("%s\n%s %s -> %s: selection %zu is the first, the "
			 "tables say %zu",
			 text, f->proto == PROTO_TCP ? "tcp" : "udp",
			 addr_format(&f->src, src), addr_format(&f->dst, dst),
			 searched, found);
}

/* Sorted, each once, and none that says what the one around it says. */
static void expect_lean(const struct bpf_prefixes *p)
{
	for (size_t i = 0; i < p->count; i++) {
		uint32_t around = p->outside;
		size_t n = i;

		if (i)
			assert_true(prefix_compare(&p->of[i - 1].net,
						   &p->of[i].net) < 0);
		while (n > 0 &&
		       !prefix_contains(&p->of[n - 1].net, &p->of[i].net.net))
			n--;
		if (n > 0)
			around = p->of[n - 1].class;
		assert_int_not_equal(p->of[i].class, around);
	}
}

/* --- what a selection does ----------------------------------------------- */

static bool has_every_port(const struct selections *all, size_t i,
			   enum proto proto)
{
	for (unsigned port = 1; port < WL_PORTS; port++) {
		if (!selection_has_port(all->config, &all->of[i], proto,
					(uint16_t)port))
			return false;
	}
	return true;
}

static void expect_target(const struct bpf_tables *t, size_t i)
{
	const struct selection *s = &t->selections.of[i];
	const struct addr *to =
		&t->selections.config->intercepts[s->intercept].deliver;
	struct wl_selection expected = {
		.action = s->kind,
		.intercept = (__u32)s->intercept,
	};

	if (s->kind == VERDICT_DELIVER) {
		expected.on_port = to->port;
		memcpy(expected.on_ip, to->ip, addr_ip_len(to));
	}
	for (int p = 0; p < PROTO_COUNT; p++)
		expected.has_any_port |=
			(__u32)has_every_port(&t->selections, i, p) << p;
	assert_memory_equal(&t->targets[i], &expected, sizeof(expected));
}

/* --- random -------------------------------------------------------------- */

static void expect_good_tables(const struct bpf_tables *t, struct rnd *r,
			       int packets, const char *text)
{
	for (int i = 0; i < packets; i++) {
		struct facts f;

		rnd_facts(r, &f);
		expect_same(t, &f, text);
	}
	for (int side = 0; side < BPF_SIDE_COUNT; side++) {
		for (int f = 0; f < FAMILY_COUNT; f++)
			expect_lean(&t->prefixes[side][f]);
	}
}

static struct bpf_tables *tables_of(const struct config *c)
{
	struct err e;
	struct bpf_tables *t = bpf_tables_new(c, &e);

	if (!t)
		fail_msg("%s", e.text);
	return t;
}

static void test_random(void **state)
{
	struct str text = { .len = 0 };
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	for (int round = 0; round < ROUNDS; round++) {
		struct config *c = rnd_config(&r, 1 + rnd_draw(&r, 4),
					      rnd_draw(&r, 9), &text);
		struct bpf_tables *t = tables_of(c);

		expect_good_tables(t, &r, PACKETS, str_get(&text));
		for (size_t i = 0; i < t->selections.count; i++)
			expect_target(t, i);
		bpf_tables_free(t);
		config_free(c);
	}
	str_done(&text);
}

/* --- many ---------------------------------------------------------------- */

enum { MANY_RULES = 1000 };

static void put_many_rules(struct str *out)
{
	str_add(out, "intercept lan { from eth0; tcp any }\nrules {\n");
	for (unsigned i = 0; i < MANY_RULES; i++)
		str_addf(out, "dst 10.%u.%u.0/24 port %u -> %s\n", i / 250,
			 i % 250, 1 + i, i % 2 ? "drop" : "reject");
	str_add(out, "dst 10.0.0.0/8 port 7 -> drop\n}\n");
}

/* Every word of the bit sets is in use. */
static void test_1000_selections(void **state)
{
	struct str text = { .len = 0 };
	struct bpf_tables *t;
	struct config *c;

	(void)state; /* unused */
	put_many_rules(&text);
	c = config_of(&text);
	t = tables_of(c);
	assert_int_equal(t->selections.count, MANY_RULES + 2);
	for (unsigned i = 0; i < MANY_RULES; i += 7) {
		struct facts f = { .ifname = "eth0",
				   .src = { .family = AF_INET },
				   .dst = { .ip = { 10, (uint8_t)(i / 250),
						    (uint8_t)(i % 250), 9 },
					    .port = (uint16_t)(1 + i),
					    .family = AF_INET } };

		assert_int_equal(first_bit(t, &f), i);
		f.dst.port = 7;
		expect_same(t, &f, "port 7");
		f.dst.port = 2000;
		assert_int_equal(first_bit(t, &f), MANY_RULES + 1);
	}
	bpf_tables_free(t);
	config_free(c);
	str_done(&text);
}

/* In 10/7, /16 to /32. */
static void draw_deep(struct rnd *r, struct prefix *out)
{
	*out = (struct prefix){ .len = (uint8_t)(16 + rnd_draw(r, 17)),
				.net.family = AF_INET };
	rnd_fill(r, out->net.ip, 4);
	out->net.ip[0] = (uint8_t)(10 + rnd_draw(r, 2));
	if (out->len < 20) /* few, they hide what is inside */
		out->len = rnd_chance(r, 50) ? out->len : 32;
	for (unsigned bit = out->len; bit < 32; bit++)
		out->net.ip[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static void put_many_prefixes(struct rnd *r, struct str *out)
{
	for (unsigned list = 0; list < 4; list++) {
		str_addf(out, "list l%u {\n", list);
		for (unsigned i = 0; i < MANY_PREFIXES / 4; i++) {
			char text[ADDR_TEXT_MAX];
			struct prefix p;

			draw_deep(r, &p);
			str_addf(out, "net %s\n", prefix_format(&p, text));
		}
		str_add(out, "}\n");
	}
	str_add(out,
		"intercept lan { from eth0; tcp any; except dst l3 }\n"
		"rules { src l0 dst l1 -> drop; src l1, 10.0.0.0/9 -> reject\n"
		"dst l2 -> drop; list l0 -> reject; list l1 -> drop }\n");
}

static void test_many_prefixes(void **state)
{
	struct str text = { .len = 0 };
	struct bpf_tables *t;
	struct config *c;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	put_many_prefixes(&r, &text);
	c = config_of(&text);
	t = tables_of(c);
	for (int i = 0; i < MANY_PACKETS; i++) {
		const struct net_set *from = &c->rules[0].src.set;
		struct facts f = { .ifname = "eth0" };
		struct prefix p;

		draw_deep(&r, &p);
		f.src = p.net;
		if (i % 2)
			f.src = from->prefixes[rnd_draw(&r,
							(unsigned)from->count)]
					.net;
		draw_deep(&r, &p);
		f.dst = p.net;
		f.dst.port = 80;
		expect_same(t, &f, "many prefixes");
	}
	bpf_tables_free(t);
	config_free(c);
	str_done(&text);
}

/* --- too many ------------------------------------------------------------ */

/* The ports whose number has this bit. */
static void put_ports_with(unsigned bit, struct port_set *out)
{
	static struct port_range ranges[16][WL_PORTS / 2];

	*out = (struct port_set){ .ranges = ranges[bit] };
	for (unsigned port = 1u << bit; port < WL_PORTS; port += 2u << bit)
		ranges[bit][out->count++] = (struct port_range){
			.first = (uint16_t)port,
			.last = (uint16_t)(port + (1u << bit) - 1),
		};
}

/* A rule for each bit of the port's number: every port has its own class. */
static int make_classes(unsigned bits, struct err *e)
{
	struct str text = { .len = 0 };
	struct bpf_tables *t;
	struct config *c;
	int rc;

	str_add(&text, "intercept lan { from eth0; tcp any }\nrules {\n");
	for (unsigned bit = 0; bit < bits; bit++)
		str_add(&text, "tcp port 1 -> drop\n");
	str_add(&text, "}\n");
	c = config_of(&text);
	for (unsigned bit = 0; bit < bits; bit++)
		put_ports_with(bit, &c->rules[bit].ports);
	t = bpf_tables_new(c, e);
	rc = t ? (int)t->class_count : -e->code;
	bpf_tables_free(t);
	config_free(c);
	str_done(&text);
	return rc;
}

static void test_too_many_classes(void **state)
{
	struct err e = { .code = 0 };

	(void)state; /* unused */
	/* Ports have 2^15, and port 0 the class of nothing; addresses, which
	 * no rule asks for, share the class of port 32767. */
	assert_int_equal(make_classes(15, &e), 32768 + 1);
	assert_int_equal(make_classes(16, &e), -E2BIG);
	assert_non_null(strstr(e.text, "65535 classes"));
}

static void test_links(void **state)
{
	struct str text = { .len = 0 };
	struct wl_bits bits = { .word = { 77 } };
	struct bpf_tables *t;
	struct config *c;

	(void)state; /* unused */
	str_add(&text, "intercept a { from eth0, wl*; tcp any }\n"
		       "intercept b { from host; tcp any }\n"
		       "intercept c { from wlan1; tcp any }\n");
	c = config_of(&text);
	t = tables_of(c);
	assert_false(bpf_tables_link(t, "eth1", &bits));
	assert_int_equal(bits.word[0], 77);
	assert_true(bpf_tables_link(t, "eth0", &bits));
	assert_int_equal(bits.word[0], 1);
	assert_true(bpf_tables_link(t, NULL, &bits));
	assert_int_equal(bits.word[0], 2);
	assert_true(bpf_tables_link(t, "wlan1", &bits));
	assert_int_equal(bits.word[0], 5);
	bpf_tables_free(t);
	config_free(c);
	str_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_1000_selections),
		cmocka_unit_test(test_many_prefixes),
		cmocka_unit_test(test_too_many_classes),
		cmocka_unit_test(test_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
