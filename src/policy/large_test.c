/* SPDX-License-Identifier: Apache-2.0 */
/*
 * large_test.c - what a million networks or names come to, and where the text
 * ends.
 *
 * Nothing is timed here; what takes a square of its input does not end.
 */
#include "policy/domains.h"
#include "policy/eval.h"
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Network i lies at the begin of its own 4096 addresses, so that all of them
 * are disjoint; its length goes from 24 to 32. */
enum {
	NETS = 1000 * 1000,
	STRIDE = 611953, /* no divisor in common with NETS: a shuffle */
	SLOT_BITS = 12,
	STATEMENT_NETS = 40 * 1000,
	WORDS_MAX = 65536,
};

static unsigned net_len(unsigned i)
{
	return 24 + i % 9;
}

static struct addr net_addr(unsigned i, unsigned offset)
{
	uint32_t bits = (i << SLOT_BITS) + offset;
	struct addr a = { .family = AF_INET };

	for (unsigned byte = 0; byte < 4; byte++)
		a.ip[byte] = (uint8_t)(bits >> (24 - byte * 8));
	return a;
}

static void add_nets(struct str *out, unsigned from, unsigned until)
{
	char buf[ADDR_TEXT_MAX];

	for (unsigned n = from; n < until; n++) {
		unsigned i = (unsigned)((unsigned long long)n * STRIDE % NETS);
		struct prefix p = { .net = net_addr(i, 0),
				    .len = (uint8_t)net_len(i) };
		bool is_first = (n - from) % STATEMENT_NETS == 0;

		str_add(out, is_first ? "\nnet " : ",\n");
		str_add(out, prefix_format(&p, buf));
	}
}

static struct config *parse(const struct str *text)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse("t", str_get(text), text->len, &m);

	if (!c)
		print_error("%s", str_get(&m.text));
	assert_non_null(c);
	assert_int_equal(m.warnings, 0);
	messages_done(&m);
	return c;
}

static void expect_all(const struct net_set *s)
{
	assert_int_equal(s->count, NETS);
	for (unsigned i = 0; i < NETS; i++) {
		unsigned size = 1u << (32 - net_len(i));
		struct addr first = net_addr(i, 0);
		struct addr last = net_addr(i, size - 1);
		struct addr behind = net_addr(i, size);

		if (!net_set_has(s, &first) || !net_set_has(s, &last) ||
		    net_set_has(s, &behind))
			fail_msg("network %u is wrong", i);
	}
}

static void expect_same(const struct net_set *a, const struct net_set *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		if (prefix_compare(&a->prefixes[i], &b->prefixes[i]) != 0)
			fail_msg("network %zu differs", i);
	}
}

static void test_million(void **state)
{
	struct str text = { .len = 0 };
	struct config *c;

	(void)state; /* unused */
	str_add(&text, "intercept z { from z9; tcp any; udp any }\nlist a {");
	add_nets(&text, 0, NETS / 3);
	str_add(&text, "}\nlist b {");
	add_nets(&text, NETS / 3, NETS);
	str_add(&text, "}\nrules { src a, b -> drop; tcp dst b, a -> drop }");
	c = parse(&text);
	expect_all(&c->rules[0].src.set);
	expect_same(&c->rules[0].src.set, &c->rules[1].dst.set);
	config_free(c);
	str_done(&text);
}

/* --- names --------------------------------------------------------------- */

/* A file of a million names and one network. */
static int names_file(void *ctx, const char *path, struct str *out,
		      struct err *e)
{
	(void)ctx;  /* unused */
	(void)path; /* there is one only */
	(void)e;    /* nothing fails */
	for (unsigned i = 0; i < NETS; i++)
		str_addf(out, "%sn%06u.example\n", i % 2 ? "*." : "",
			 (unsigned)((unsigned long long)i * STRIDE % NETS));
	str_add(out, "192.0.2.0/24\n");
	return 0;
}

static void expect_names(const struct config *c)
{
	const struct domain_set *s = c->rules[0].domains.set;
	char name[32];

	assert_int_equal(domain_set_count(s), NETS);
	assert_int_equal(c->rules[0].dst.set.count, 1);
	for (unsigned i = 0; i < NETS; i++) {
		(void)snprintf(
			name, sizeof(name), "x.n%06u.example",
			(unsigned)((unsigned long long)i * STRIDE % NETS));
		if (domain_set_has(s, name) != i % 2 ||
		    domain_set_has(s, name + 2) == i % 2)
			fail_msg("%s is wrong", name);
	}
}

static void test_million_names(void **state)
{
	static const char text[] = "list l { file /names }\n"
				   "rules { list l -> drop }";
	const struct policy_files files = { .list = names_file };
	struct messages m = { .errors = 0 };
	struct config *c =
		config_parse_with("t", text, strlen(text), &files, &m);

	(void)state; /* unused */
	if (!c)
		print_error("%s", str_get(&m.text));
	assert_non_null(c);
	expect_names(c);
	messages_done(&m);
	config_free(c);
}

/* --- the text ------------------------------------------------------------ */

/* Two errors would be no help where the first one says it all. */
static void expect_error(const struct str *text, const char *says)
{
	struct messages m = { .errors = 0 };

	assert_null(config_parse("t", str_get(text), text->len, &m));
	assert_int_equal(m.errors, 1);
	if (!strstr(str_get(&m.text), says))
		fail_msg("expected \"%s\"", says);
	messages_done(&m);
}

static void test_words(void **state)
{
	struct str text = { .len = 0 };

	(void)state;					/* unused */
	str_add(&text, "intercept z { from z9; tcp 1"); /* two words */
	for (unsigned i = 2; i < WORDS_MAX; i++)
		str_add(&text, ",1");
	str_add(&text, "}");
	config_free(parse(&text));
	text.len--;
	str_add(&text, ",1}");
	expect_error(&text, "too many words in one statement; 65536 are");
	str_done(&text);
}

static void test_bytes(void **state)
{
	static const char statement[] = "intercept z { from z9; tcp 1 }";
	struct str text = { .len = 0 };
	size_t blanks = CONFIG_BYTES_MAX - strlen(statement);
	char *blank = malloc(blanks);

	(void)state; /* unused */
	assert_non_null(blank);
	memset(blank, ' ', blanks);
	str_addn(&text, blank, blanks);
	str_add(&text, statement);
	config_free(parse(&text));
	str_add(&text, " ");
	expect_error(&text, "t: error: the file is larger than 64 MiB");
	free(blank);
	str_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_million),
		cmocka_unit_test(test_million_names),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
