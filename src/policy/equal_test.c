/* SPDX-License-Identifier: Apache-2.0 */
/*
 * equal_test.c - one word changed is another configuration.
 *
 * That equal ones are found equal is what random_test.c asks.
 */
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IN(body)   "intercept a { " body " }"
#define HOST(body) IN("from host; tcp any; " body)

/* clang-format off */
static const struct pair {
	const char *name, *one, *other;
} pairs[] = {
	{ "the engine", "engine nft", "engine ebpf" },
	{ "a timeout", "timeouts { dns 1s }", "timeouts { dns 2s }" },
	{ "a limit", "limits { tcp-flows 1 }", "limits { tcp-flows 2 }" },
	{ "a list's name", "list a { net ::/0 }", "list b { net ::/0 }" },
	{ "a network", "list a { net ::/0 }", "list a { net ::/1 }" },
	{ "an interface", IN("from e; tcp 1"), IN("from f; tcp 1") },
	{ "one interface more", IN("from e; tcp 1"), IN("from e, f; tcp 1") },
	{ "this host", IN("from e; tcp 1"), IN("from host; tcp 1") },
	{ "the protocol", IN("from e; tcp 1"), IN("from e; udp 1") },
	{ "a port", IN("from e; tcp 1"), IN("from e; tcp 2") },
	{ "which side is excepted", HOST("except src ::1"),
	  HOST("except dst ::1") },
	{ "how an exception is written", HOST("except src ::/0, ::1"),
	  HOST("except src ::/0") },
	{ "a port excepted", HOST("except port 1"), HOST("") },
	{ "a user", HOST("except user a"), HOST("except user b") },
	{ "one user more", HOST("except user a"), HOST("except user a, b") },
	{ "a cgroup", HOST("except cgroup a"), HOST("except cgroup a/b") },
	{ "one cgroup more", HOST(""), HOST("except cgroup a") },
	{ "a user or a cgroup", HOST("except user a"),
	  HOST("except cgroup a") },
	{ "whether it is delivered", HOST(""), HOST("deliver *:80") },
	{ "where it is delivered", HOST("deliver 127.0.0.1:80"),
	  HOST("deliver *:80") },
	{ "the port where it is delivered", HOST("deliver *:81"),
	  HOST("deliver *:80") },
	{ "an upstream", "upstream u { via direct }", "upstream u { via drop }" },
	{ "the source", "upstream u { via direct }",
	  "upstream u { via direct; source self }" },
	{ "where a rule leads", "rules { tcp -> drop }",
	  "rules { tcp -> reject }" },
	{ "a record", "rules { tcp -> drop }", "rules { tcp -> drop log }" },
	{ "the order of rules", "rules { tcp -> drop; udp -> reject }",
	  "rules { udp -> reject; tcp -> drop }" },
	{ "a default that is the only rule", "", "rules { default -> direct }" },
};
/* clang-format on */

static struct config *parse(const char *text)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse("t", text, strlen(text), &m);

	if (!c)
		print_error("%s", str_get(&m.text));
	assert_non_null(c);
	messages_done(&m);
	return c;
}

static void test_pairs(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct config *one = parse(pairs[i].one);
		struct config *other = parse(pairs[i].other);
		struct config *same = parse(pairs[i].one);

		if (config_equal(one, other) || config_equal(other, one))
			fail_msg("not seen: %s", pairs[i].name);
		assert_true(config_equal(one, same));
		config_free(one);
		config_free(other);
		config_free(same);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
