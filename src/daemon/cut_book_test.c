/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_book_test.c - what an index of an older generation means now.
 */
#include "daemon/cut_book.h"

#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LAN	  "intercept lan { from eth1; tcp any }\n"
#define DMZ	  "intercept dmz { from eth2; tcp any }\n"
#define ONE	  "upstream one { via socks5 192.0.2.1:1080 }\n"
#define TWO	  "upstream two { via socks5 192.0.2.2:1080 }\n"
#define ONE_MOVED "upstream one { via socks5 192.0.2.9:1080 }\n"

enum { LOST = -1 };

static struct config *parse(const char *text)
{
	struct messages m = { 0 };
	struct config *c = config_parse("test", text, strlen(text), &m);

	assert_non_null(c);
	messages_done(&m);
	return c;
}

/* From generation to generation; the book must not need the older ones. */
static void turn(struct cut_book *b, struct config **held, const char *text,
		 uint32_t generation)
{
	struct config *next = parse(text);

	cut_book_draft(b, *held, next);
	config_free(*held);
	*held = next;
	cut_book_turn(b, generation);
}

static const struct book_case {
	const char *name;
	const char *texts[3]; /* of three generations; NULL: there are fewer */
	/* of the first, and what they are in the last one; built-in upstreams
	 * come first, see model.h */
	uint32_t intercept, rule, upstream;
	int intercept_is, rule_is, upstream_is;
} cases[] = {
	{ "nothing has changed",
	  { LAN ONE "rules { default -> one }",
	    LAN ONE "rules { default -> one }" },
	  0,
	  0,
	  3,
	  0,
	  0,
	  3 },
	{ "all have moved",
	  { LAN ONE "rules { port 80 -> one; default -> direct }",
	    DMZ LAN TWO ONE
	    "rules { port 25 -> two; port 80 -> one; default -> direct }" },
	  0,
	  0,
	  3,
	  1,
	  1,
	  4 },
	{ "there and back",
	  { LAN ONE "rules { default -> one }",
	    DMZ LAN TWO ONE "rules { port 1 -> two; default -> one }",
	    LAN ONE "rules { default -> one }" },
	  0,
	  0,
	  3,
	  0,
	  0,
	  3 },
	{ "the intercept is gone",
	  { LAN DMZ ONE "rules { default -> one }",
	    DMZ ONE "rules { default -> one }" },
	  0,
	  0,
	  3,
	  LOST,
	  0,
	  3 },
	{ "a rule says something else",
	  { LAN ONE "rules { port 80 -> one; default -> direct }",
	    LAN ONE "rules { port 81 -> one; default -> direct }" },
	  0,
	  0,
	  3,
	  0,
	  LOST,
	  3 },
	{ "an upstream of the same name is another proxy",
	  { LAN ONE "rules { default -> one }",
	    LAN ONE_MOVED "rules { default -> one }" },
	  0,
	  0,
	  3,
	  0,
	  0,
	  LOST },
	{ "what was lost once does not come back",
	  { LAN DMZ ONE TWO "rules { default -> two }",
	    DMZ TWO "rules { default -> two }",
	    LAN DMZ ONE TWO "rules { default -> two }" },
	  0,
	  0,
	  3,
	  LOST,
	  0,
	  LOST },
	{ "an index that there never was",
	  { LAN ONE "rules { default -> one }",
	    LAN ONE "rules { default -> one }" },
	  9,
	  9,
	  999,
	  LOST,
	  LOST,
	  LOST },
};

static void expect(uint32_t is, int wanted)
{
	assert_int_equal(is, wanted == LOST ? UINT32_MAX : (uint32_t)wanted);
}

static void test_indexes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct book_case *c = &cases[i];
		struct flow_record r = { .intercept = c->intercept,
					 .rule = c->rule,
					 .upstream = c->upstream,
					 .generation = 1 };
		struct cut_book b = { 0 };
		struct config *held = NULL;

		print_message("%s\n", c->name);
		for (uint32_t n = 0; n < 3 && c->texts[n]; n++)
			turn(&b, &held, c->texts[n], n + 1);
		cut_book_translate(&b, &r);
		expect(r.intercept, c->intercept_is);
		expect(r.rule, c->rule_is);
		expect(r.upstream, c->upstream_is);
		config_free(held);
		cut_book_done(&b);
	}
}

/* A reload that came to nothing: its draft is no page. */
static void test_a_draft_that_was_given_up(void **state)
{
	struct flow_record r = { .generation = 1, .upstream = 3 };
	struct config *held = NULL, *vain = parse(DMZ TWO);
	struct cut_book b = { 0 };

	(void)state;
	turn(&b, &held, LAN ONE, 1);
	cut_book_draft(&b, held, vain);
	config_free(vain);
	turn(&b, &held, LAN TWO ONE, 2);
	cut_book_translate(&b, &r);
	expect(r.intercept, 0);
	expect(r.upstream, 4);
	config_free(held);
	cut_book_done(&b);
}

static void test_the_book_has_an_end(void **state)
{
	struct config *held = NULL;
	struct cut_book b = { 0 };

	(void)state;
	for (uint32_t n = 1; n <= CUT_BOOK_PAGES + 2; n++)
		turn(&b, &held, LAN ONE, n);
	for (uint32_t n = 1; n <= CUT_BOOK_PAGES + 2; n++) {
		struct flow_record r = { .generation = n };

		cut_book_translate(&b, &r);
		expect(r.intercept, n == 1 ? LOST : 0);
	}
	config_free(held);
	cut_book_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_indexes),
		cmocka_unit_test(test_a_draft_that_was_given_up),
		cmocka_unit_test(test_the_book_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
