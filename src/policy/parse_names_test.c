/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_names_test.c - rules that ask for a name or for QUIC, and `sniff`.
 */
#include "policy/domains.h"
#include "policy/texts_test.h"

#define RULES(body) "rules {\n" body "\n}"
#define LISTS                                                                  \
	"list n { domain x.y }\nlist b { domain x.y; net ::1 }\n"              \
	"list p { net ::1 }\n"

/* --- rules: what they come to, and what they print as -------------------- */

static const struct kept {
	const char *name, *rule, *printed;
	bool is_either, is_quic;
	unsigned protos;
} kepts[] = {
	{ "a name", "domain A.b -> drop", "domain a.b -> drop", false, false,
	  3 },
	{ "names behind what is not about names",
	  "domain .a.b, *.c tcp port 443 src ::1 -> drop log",
	  "tcp src ::1 port 443 domain .a.b, *.c -> drop log", false, false,
	  1 },
	{ "a name and an address", "domain a.b dst private -> drop",
	  "dst private domain a.b -> drop", false, false, 3 },
	{ "a name and a list of networks as addresses",
	  "domain a.b dst p -> drop", "dst p domain a.b -> drop", false, false,
	  3 },
	{ "a list of names", "list n -> drop", "list n -> drop", true, false,
	  3 },
	{ "a list of both", "udp list b -> drop", "udp list b -> drop", true,
	  false, 2 },
	{ "a list of networks", "list p -> drop", "list p -> drop", false,
	  false, 3 },
	{ "QUIC is UDP", "quic -> drop", "quic -> drop", false, true, 2 },
	{ "QUIC is UDP, also where that is said", "udp quic -> drop",
	  "quic -> drop", false, true, 2 },
	{ "QUIC is UDP, whatever comes first", "quic port 443 udp -> drop",
	  "quic port 443 -> drop", false, true, 2 },
	{ "QUIC to a name", "domain a.b quic -> drop",
	  "quic domain a.b -> drop", false, true, 2 },
};

static void test_kept(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(kepts); i++) {
		const struct kept *k = &kepts[i];
		struct str text = { .len = 0 }, out = { .len = 0 };
		struct config *c;
		const struct rule *r;

		str_addf(&text, LISTS RULES("%s"), k->rule);
		c = parse_right(str_get(&text));
		r = &c->rules[0];
		config_print(c, &out);
		if (!strstr(str_get(&out), k->printed))
			fail_msg("%s:\n%s", k->name, str_get(&out));
		assert_int_equal(r->is_dst_or_domain, k->is_either);
		assert_int_equal(r->is_quic, k->is_quic);
		assert_int_equal(r->protos, k->protos);
		expect_printed(c, NULL);
		config_free(c);
		str_done(&text);
		str_done(&out);
	}
}

/* The set of a list is the list's, that of `domain` the rule's own. */
static void test_sets(void **state)
{
	struct config *c = parse_right(
		LISTS RULES("list n -> drop\nlist b -> drop\n"
			    "domain q, *.r -> drop\nlist p -> drop"));
	const struct rule *r = c->rules;

	(void)state; /* unused */
	assert_ptr_equal(r[0].domains.set, c->lists[0].names);
	assert_int_equal(r[0].domains.count, 0);
	assert_int_equal(r[0].dst.count, 1);
	assert_int_equal(r[0].dst.set.count, 0);
	assert_ptr_equal(r[1].domains.set, c->lists[1].names);
	assert_int_equal(r[1].dst.set.count, 1);
	assert_int_equal(r[2].domains.count, 2);
	assert_true(domain_set_has(r[2].domains.set, "q"));
	assert_true(domain_set_has(r[2].domains.set, "a.b.r"));
	assert_false(domain_set_has(r[2].domains.set, "x.y"));
	assert_null(r[3].domains.set);
	config_free(c);
}

/* --- sniff --------------------------------------------------------------- */

static const struct looked {
	const char *name, *text, *printed;
	bool is_tls, is_http, is_quic;
	unsigned wait_ms;
} lookeds[] = {
	{ "all that there is", "sniff { quic; http; tls; wait 300ms }", "",
	  true, true, true, 300 },
	{ "what is not said is not looked at", "sniff { tls }",
	  "sniff {\n    tls\n}\n", true, false, false, 300 },
	{ "less patience", "sniff { tls\nhttp; quic; wait 50ms }",
	  "sniff {\n    tls\n    http\n    quic\n    wait 50ms\n}\n", true,
	  true, true, 50 },
	{ "two of three", "sniff { wait 1s; http; quic }",
	  "sniff {\n    http\n    quic\n    wait 1s\n}\n", false, true, true,
	  1000 },
};

static void test_sniff(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(lookeds); i++) {
		const struct looked *l = &lookeds[i];
		struct config *c = parse_right(l->text);
		const struct sniff *s = &c->sniff;

		if (s->is_tls != l->is_tls || s->is_http != l->is_http ||
		    s->is_quic != l->is_quic || s->wait_ms != l->wait_ms)
			fail_msg("%s", l->name);
		expect_printed(c, l->printed);
		config_free(c);
	}
}

/* --- texts that are wrong ------------------------------------------------ */

static const struct wrong_text wrongs[] = {
	{ "a rule for no name", RULES("domain -> drop"), "2:8",
	  "domain names is missing before ->", NULL },
	{ "an address for a name", RULES("domain 10.0.0.1 -> drop"), "2:8",
	  "\"domain\" takes names, and \"10.0.0.1\" is an address",
	  "behind \"dst\" in a rule" },
	{ "a name without its condition", RULES("github.com -> direct"), "2:1",
	  "\"github.com\" is a domain name; say of what",
	  "domain in front of names" },
	{ "two conditions on the name", RULES("domain a domain b -> drop"),
	  "2:10", "a rule can have only one domain or list", NULL },
	{ "a list behind a name", LISTS RULES("domain a list n -> drop"),
	  "5:10",
	  "a rule can have only one dst or list, and one domain or list",
	  NULL },
	{ "a name behind a list", LISTS RULES("list n domain a -> drop"), "5:8",
	  "a rule can have only one domain or list", NULL },
	{ "QUIC over TCP", RULES("tcp quic -> drop"), "2:1",
	  "this rule never matches: QUIC is not TCP", "leave out tcp" },
	{ "QUIC over TCP, in the other order", RULES("quic tcp -> drop"), "2:1",
	  "QUIC is not TCP", NULL },
	{ "QUIC twice", RULES("quic quic -> drop"), "2:6",
	  "a rule can have only one quic", NULL },
	{ "a value behind quic", RULES("quic 1 -> drop"), "2:6",
	  "\"1\" is a number; say of what", NULL },
	{ "nothing to look for", "sniff { }", "1:1",
	  "this block looks for nothing", "without the block" },
	{ "patience for nothing", "\nsniff { wait 50ms }", "2:1",
	  "it needs tls, http or quic", NULL },
	{ "a value behind tls", "sniff { tls on }", "1:13",
	  "unexpected \"on\" behind \"tls\"", NULL },
	{ "no patience", "sniff { tls; wait 0s }", "1:19", "is too short",
	  NULL },
	{ "an unknown thing to look at", "sniff { ssh }", "1:9",
	  "unknown word \"ssh\" in \"sniff\"", "tls" },
	{ "sniff without a block", "sniff tls", "1:1",
	  "\"sniff\" needs a block", NULL },
	{ "sniff twice", "sniff { tls }\nsniff { tls }", "2:1",
	  "\"sniff\" is given twice", NULL },
};

static void test_wrong(void **state)
{
	(void)state; /* unused */
	expect_wrong(wrongs, COUNT_OF(wrongs));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_sniff),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
