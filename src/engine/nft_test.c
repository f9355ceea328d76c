/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_test.c - the nftables engine behind its table of functions.
 *
 * What stays when rules are replaced, what is noticed, and what is counted.
 * nft(8) is the witness.
 */
#include "engine/nft.h"

#include "base/child.h"
#include "engine/select.h"
#include "net/netns_test.h"
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALL = 100, BIG = 5000 };

struct table {
	struct config *config;
	struct engine_run *run;
	struct plan plan;
};

static void begin(struct table *t)
{
	static const char *const probe[] = { "nft", "list", "tables", NULL };
	struct err e = { 0 };

	*t = (struct table){ .run = engine_nft.new(&e) };
	assert_non_null(t->run);
	netns_begin();
	if (child_run(probe, NULL, NULL, NULL, NULL)) {
		print_message("skipped: nft does not work here\n");
		skip();
	}
}

static void end(struct table *t)
{
	struct err e = { 0 };

	assert_int_equal(engine_nft.remove(&e), 0);
	engine_nft.free(t->run);
	config_free(t->config);
}

/* A list of `prefixes`, and rules that use it as said. */
static void load(struct table *t, int prefixes, const char *rules)
{
	struct messages m = { .errors = 0 };
	struct str text = { 0 };
	struct err e = { 0 };

	str_add(&text, "list l {\n");
	for (int i = 0; i < prefixes; i++)
		str_addf(&text, "net 10.%d.%d.0/25\n", i / 256, i % 256);
	str_addf(&text, "}\nintercept lan { from lan0; tcp any }\nrules { %s }",
		 rules);
	config_free(t->config);
	t->config = config_parse("t", str_get(&text), text.len, &m);
	if (!t->config)
		fail_msg("%s", str_get(&m.text));
	messages_done(&m);
	str_done(&text);
	t->plan = (struct plan){ .config = t->config,
				 .has_family = { true, true } };
	t->plan.ports[0][PROTO_TCP][FAMILY_V4] = 10000;
	if (engine_nft.install(t->run, &t->plan, &e))
		fail_msg("%s", e.text);
}

/* What a shell says, without the newline at its end. */
static void ask(const char *command, struct str *out)
{
	struct str complaint = { 0 }, script = { 0 };
	const char *argv[] = { "sh", "-ec", NULL, NULL };
	struct err e = { 0 };

	str_addf(&script, "PATH=/usr/sbin:/usr/bin:/bin; %s", command);
	argv[2] = str_get(&script);
	str_reset(out);
	if (child_run(argv, NULL, out, &complaint, &e))
		fail_msg("%s: %s%s", command, e.text, str_get(&complaint));
	str_done(&complaint);
	str_done(&script);
}

static int intact(struct table *t)
{
	struct err e = { 0 };

	return engine_nft.is_intact(t->run, &e);
}

static const char handle_of_set[] =
	"nft -t -a list ruleset | sed -n 's/.*set nets.*# handle //p'";

/* A big set stays while its content does, also if it is used otherwise. */
static void test_sets(void **state)
{
	static const struct {
		int prefixes;
		bool stays;
	} rows[] = { { SMALL, false }, { BIG, true } };
	struct str before = { 0 }, after = { 0 };
	struct table t;

	(void)state; /* unused */
	begin(&t);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		load(&t, rows[i].prefixes, "list l -> drop");
		ask(handle_of_set, &before);
		assert_true(before.len > 0);
		load(&t, rows[i].prefixes, "src l -> reject");
		ask(handle_of_set, &after);
		if (rows[i].stays != !strcmp(str_get(&before), str_get(&after)))
			fail_msg("%d prefixes: handles %s%s", rows[i].prefixes,
				 str_get(&before), str_get(&after));
	}
	load(&t, BIG + 1, "list l -> drop");
	ask(handle_of_set, &before); /* one, and another one */
	assert_string_not_equal(str_get(&before), str_get(&after));
	assert_int_equal(strlen(strchr(str_get(&before), '\n')), 1);
	load(&t, 1, "list l -> drop");
	ask(handle_of_set, &before);
	assert_string_equal(str_get(&before), "");
	end(&t);
	str_done(&before);
	str_done(&after);
}

static const struct {
	const char *name, *command;
	int prefixes;
	bool is_noticed;
} hands[] = {
	{ "nothing", "true", SMALL, false },
	{ "an element less",
	  "nft delete element inet waylay $s '{ 10.0.1.0/25 }'", SMALL, true },
	{ "the same in a big set, which is not looked at",
	  "nft delete element inet waylay $s '{ 10.0.1.0/25 }'", BIG, false },
	{ "a rule more", "nft add rule inet waylay prerouting drop", BIG,
	  true },
	{ "a chain flushed", "nft flush chain inet waylay select_0", BIG,
	  true },
	{ "the table deleted", "nft delete table inet waylay", BIG, true },
	{ "what rules note",
	  "nft add element inet waylay inbound4 "
	  "'{ 192.0.2.1 . 1 . 192.0.2.2 . 2 timeout 1h }'",
	  SMALL, false },
};

static void test_intact(void **state)
{
	struct str command = { 0 }, out = { 0 };
	struct table t;

	(void)state; /* unused */
	begin(&t);
	for (size_t i = 0; i < sizeof(hands) / sizeof(*hands); i++) {
		load(&t, hands[i].prefixes, "list l -> drop");
		assert_int_equal(intact(&t), 1);
		str_reset(&command);
		str_addf(&command,
			 "s=$(nft -t list ruleset | "
			 "sed -n 's/.*set \\(nets[^ ]*\\) .*/\\1/p'); %s",
			 hands[i].command);
		ask(str_get(&command), &out);
		if (intact(&t) != !hands[i].is_noticed)
			fail_msg("%s: not as expected", hands[i].name);
		load(&t, 1, "list l -> drop");
	}
	end(&t);
	str_done(&command);
	str_done(&out);
}

/* What is known of connections. */
static void test_memory(void **state)
{
	struct str out = { 0 };
	struct table t;

	(void)state; /* unused */
	begin(&t);
	load(&t, 1, "list l -> drop");
	ask("nft add element inet waylay inbound4 "
	    "'{ 192.0.2.1 . 1 . 192.0.2.2 . 2 timeout 1h }'",
	    &out);
	load(&t, 2, "list l -> reject");
	ask("nft list set inet waylay inbound4", &out);
	assert_non_null(strstr(str_get(&out), "192.0.2.1 . 1 . 192.0.2.2 . 2"));
	end(&t);
	str_done(&out);
}

static void test_counters(void **state)
{
	static const char line[] =
		"\n0\tdropped_rule\ta rule drops it\n0\tdropped_no_listener\t";
	struct str out = { 0 };
	struct err e = { 0 };
	struct table t;

	(void)state; /* unused */
	begin(&t);
	assert_int_equal(engine_nft.counters(&out, &e), 0);
	assert_string_equal(str_get(&out), ""); /* there is no table */
	load(&t, 1, "list l -> drop");
	assert_int_equal(engine_nft.counters(&out, &e), 0);
	assert_non_null(strstr(str_get(&out), line));
	end(&t);
	str_done(&out);
}

static void test_check(void **state)
{
	struct str text = { 0 };
	struct messages m = { .errors = 0 };
	struct err e = { 0 };
	struct config *c;

	(void)state; /* unused */
	str_add(&text, "intercept lan { from lan0; tcp any }\nrules {\n");
	for (int i = 0; i <= SELECTIONS_MAX; i++)
		str_addf(&text, "tcp port %d -> drop\n", i + 1);
	str_add(&text, "default -> direct }");
	c = config_parse("t", str_get(&text), text.len, &m);
	assert_non_null(c);
	assert_int_equal(engine_nft.check(c, &e), -E2BIG);
	assert_non_null(strstr(e.text, "1024"));
	config_free(c);
	messages_done(&m);
	str_done(&text);
}

static void test_probe(void **state)
{
	struct err e = { 0 };
	struct table t;

	(void)state; /* unused */
	begin(&t);
	if (engine_nft.probe(&e))
		fail_msg("%s", e.text);
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets),   cmocka_unit_test(test_intact),
		cmocka_unit_test(test_memory), cmocka_unit_test(test_counters),
		cmocka_unit_test(test_check),  cmocka_unit_test(test_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
