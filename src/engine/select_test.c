/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select_test.c - the list of selections, and that it means what eval says.
 */
#include "engine/select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/random_config_test.h"

#include <errno.h>

enum { ROUNDS = 400, PACKETS = 200 };

/* --- which selections there are ------------------------------------------ */

#define LAN   "intercept lan { from eth0; tcp any }\n"
#define WAN   "intercept wan { from eth1; tcp any }\n"
#define GIVEN "intercept given { from eth2; tcp any; deliver *:80 }\n"
#define OUT   "upstream out { via direct; source self }\n"

static const struct {
	const char *name, *text;
	/* A word for each selection: intercept, verdict, rule's place in the
	 * file or - */
	const char *expected;
} lists[] = {
	{ "no rule at all: everything is relayed", LAN WAN,
	  "0:relay:- 1:relay:- " },
	{ "without intercepts there is nothing to select",
	  "rules { default -> drop }", "" },
	{ "an intercept with deliver has no rules",
	  GIVEN "rules { port 1 -> drop; default -> reject }", "0:deliver:- " },
	{ "rules in their order, the default last",
	  LAN "rules { port 1 -> drop; port 2 -> reject; port 3 -> direct\n"
	      "default -> reject }",
	  "0:drop:0 0:reject:1 0:pass:2 0:reject:- " },
	{ "rules at the end that say what the default says are left out",
	  LAN OUT "rules { port 1 -> out; port 2 -> drop; port 3 -> out\n"
		  "port 4 -> out; default -> out }",
	  "0:relay:0 0:drop:1 0:relay:- " },
	{ "all rules say what the default says",
	  LAN "rules { port 1 -> drop; default -> drop }", "0:drop:- " },
	{ "without a default what no rule names passes",
	  LAN "rules { port 1 -> drop }", "0:drop:0 0:pass:- " },
	{ "direct that is logged is relayed",
	  LAN "rules { port 1 -> direct log; port 2 -> direct }",
	  "0:relay:0 0:pass:- " },
	{ "a rule of one intercept counts for that one only",
	  LAN WAN OUT "rules { intercept wan port 1 -> drop\n"
		      "intercept lan port 2 -> reject; default -> out }",
	  "0:reject:1 0:relay:- 1:drop:0 1:relay:- " },
	{ "what asks for a name is relayed",
	  LAN "rules { domain a.b -> drop; port 1 -> drop; quic -> direct }",
	  "0:relay:0 0:drop:1 0:pass:- " },
	{ "a listener for proxies selects nothing",
	  "intercept in { listen 192.0.2.1:80; proxy-protocol from "
	  "192.0.2.2 }\n" LAN "rules { port 1 -> drop }",
	  "1:drop:0 1:pass:- " },
	{ "what is left out is judged for each intercept",
	  LAN WAN OUT "rules { port 1 -> out\n"
		      "intercept wan port 2 -> drop; default -> out }",
	  "0:relay:- 1:relay:0 1:drop:1 1:relay:- " },
};

static void describe(const struct selections *s, struct str *out)
{
	str_reset(out);
	for (size_t i = 0; i < s->count; i++) {
		const struct selection *one = &s->of[i];

		str_addf(out, "%zu:%s:", one->intercept,
			 verdict_name(one->kind));
		if (one->rule)
			str_addf(out, "%td ", one->rule - s->config->rules);
		else
			str_add(out, "- ");
	}
}

static void test_lists(void **state)
{
	struct str text = { .len = 0 }, found = { .len = 0 };
	struct selections s;
	struct err e;

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct config *c;

		str_reset(&text);
		str_add(&text, lists[i].text);
		c = config_of(&text);
		assert_int_equal(selections_make(c, &s, &e), 0);
		describe(&s, &found);
		if (strcmp(str_get(&found), lists[i].expected) != 0)
			fail_msg("%s: expected %s, found %s", lists[i].name,
				 lists[i].expected, str_get(&found));
		config_free(c);
	}
	str_done(&text);
	str_done(&found);
}

/* One intercept and this many rules that all make a difference. */
static int make_many(unsigned rules, struct selections *out, struct err *e)
{
	struct str text = { .len = 0 };
	struct config *c;
	int rc;

	str_add(&text, LAN "rules {\n");
	for (unsigned i = 1; i <= rules; i++)
		str_addf(&text, "port %u -> drop\n", i);
	str_add(&text, "}\n");
	c = config_of(&text);
	rc = selections_make(c, out, e);
	config_free(c);
	str_done(&text);
	return rc;
}

static void test_too_many(void **state)
{
	struct selections s = { .count = 77 };
	struct err e = { .code = 0 };

	(void)state; /* unused */
	assert_int_equal(make_many(SELECTIONS_MAX, &s, &e), -E2BIG);
	assert_int_equal(s.count, 77);
	assert_int_equal(e.code, E2BIG);
	assert_non_null(strstr(e.text, "1025 selections"));
	assert_int_equal(make_many(SELECTIONS_MAX - 1, &s, &e), 0);
	assert_int_equal(s.count, SELECTIONS_MAX);
}

/* --- what they mean ------------------------------------------------------ */

static void expect_as_eval(const struct selections *all, const struct facts *f,
			   const struct str *text)
{
	size_t i = first_selection(all, f);
	bool is_none = i == all->count;
	enum verdict_kind kind = is_none ? VERDICT_PASS : all->of[i].kind;
	int intercept = is_none ? -1 : (int)all->of[i].intercept;
	struct verdict v;

	eval_packet(all->config, f, &v);
	if (kind != v.kind || intercept != v.intercept)
		fail_msg("%s\nselection %zu says %s (intercept %d), eval says "
			 "%s (intercept %d)",
			 str_get(text), i, verdict_name(kind), intercept,
			 verdict_name(v.kind), v.intercept);
}

static void test_random(void **state)
{
	struct str text = { .len = 0 };
	struct selections all;
	struct err e;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	for (int round = 0; round < ROUNDS; round++) {
		struct config *c = rnd_config(&r, 1 + rnd_draw(&r, 4),
					      rnd_draw(&r, 7), &text);

		assert_int_equal(selections_make(c, &all, &e), 0);
		for (int i = 0; i < PACKETS; i++) {
			struct facts f;

			rnd_facts(&r, &f);
			expect_as_eval(&all, &f, &text);
		}
		config_free(c);
	}
	str_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
