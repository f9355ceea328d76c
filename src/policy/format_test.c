/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_test.c - how formatted and printed configurations look.
 */
#include "policy/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct layout_row {
	const char *name, *from, *to;
} rows[] = {
	{ "nothing stays nothing", "", "" },
	{ "one statement a line, values aligned",
	  "engine   nft;on-failure open\n",
	  "engine     nft\non-failure open\n" },
	{ "a block is opened and indented", "log{level info;flows off}",
	  "log {\n    level info\n    flows off\n}\n" },
	{ "an empty block stays empty", "list a {  }", "list a {\n}\n" },
	{ "blank lines become one, and none stand at edges",
	  "\n\nengine nft\n\n\n\nlog {\n\n level info\n\n}\n\n",
	  "engine nft\n\nlog {\n    level info\n}\n" },
	{ "comments stay where they were, and are aligned",
	  "# top\nengine nft # one\nport 1 # two\n# three\n",
	  "# top\nengine nft  # one\nport   1    # two\n# three\n" },
	{ "a comment stays with its brace",
	  "log { # open\n level info # it\n # alone\n} # close\n# end",
	  "log {  # open\n    level info  # it\n    # alone\n}  # close\n"
	  "# end\n" },
	{ "lists keep their line breaks",
	  "list a { net 10.0.0.0/8 , # ten\n\n # own\n ::1,::2\n}",
	  "list a {\n    net 10.0.0.0/8,  # ten\n        # own\n"
	  "        ::1, ::2\n}\n" },
	{ "arrows are aligned",
	  "rules {\ntcp port 80,81->drop log\ndefault   ->direct\n}",
	  "rules {\n    tcp port 80, 81 -> drop log\n"
	  "    default         -> direct\n}\n" },
	{ "a rule of several lines does not align the others",
	  "rules {\ntcp src ::1,\n::2 -> drop\nudp -> drop\n}",
	  "rules {\n    tcp src ::1,\n        ::2 -> drop\n"
	  "    udp -> drop\n}\n" },
	{ "quotes are kept", "engine \"nft\"", "engine \"nft\"\n" },
};

static void test_layout(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str once = { .len = 0 }, twice = { .len = 0 };
		struct messages m = { .errors = 0 };

		assert_int_equal(config_format("t", rows[i].from,
					       strlen(rows[i].from), &once, &m),
				 0);
		if (strcmp(str_get(&once), rows[i].to) != 0)
			print_error("%s\n", rows[i].name);
		assert_string_equal(str_get(&once), rows[i].to);
		assert_int_equal(config_format("t", str_get(&once), once.len,
					       &twice, &m),
				 0);
		assert_string_equal(str_get(&twice), rows[i].to);
		messages_done(&m);
		str_done(&once);
		str_done(&twice);
	}
}

static void test_wrong_text(void **state)
{
	struct messages m = { .errors = 0 };
	struct str out = { .len = 0 };

	(void)state; /* unused */
	str_add(&out, "kept");
	assert_int_equal(config_format("t", "engine", 6, &out, &m), -EINVAL);
	assert_string_equal(str_get(&out), "kept");
	assert_int_equal(m.errors, 1);
	messages_done(&m);
	str_done(&out);
}

static const char printed[] =
	"engine     nft\n"
	"on-failure closed\n"
	"mark       0x1/0x3\n"
	"table      7\n"
	"workers    2\n"
	"port       99\n"
	"\n"
	"log {\n"
	"    level  debug\n"
	"    format json\n"
	"    flows  sampled 7\n"
	"}\n"
	"\n"
	"timeouts {\n"
	"    connect     50ms\n"
	"    idle        1d\n"
	"    half-closed 1m30s\n"
	"    upstream    1s\n"
	"    drain       2s\n"
	"}\n"
	"\n"
	"limits {\n"
	"    tcp-flows 5\n"
	"}\n"
	"\n"
	"sniff {\n"
	"    tls\n"
	"    wait 50ms\n"
	"}\n"
	"\n"
	"admin {\n"
	"    http  127.0.0.1:9095\n"
	"    token file:/t\n"
	"}\n"
	"\n"
	"list l {\n"
	"    net 10.0.0.0/8, ::1\n"
	"}\n"
	"\n"
	"list m {\n"
	"    net    ::2\n"
	"    domain a.b, *.c\n"
	"    file   /x\n"
	"    reload on-change\n"
	"}\n"
	"\n"
	"intercept a {\n"
	"    from   eth1, \"we\\\"ird\", v*\n"
	"    tcp    any\n"
	"    udp    53, 443-445\n"
	"    except src l\n"
	"    except dst private, 9.9.9.9\n"
	"    except port 22\n"
	"}\n"
	"\n"
	"intercept b {\n"
	"    from             host\n"
	"    tcp              80\n"
	"    deliver          127.0.0.1:3129\n"
	"    require-listener yes\n"
	"}\n"
	"\n"
	"intercept c {\n"
	"    from    host\n"
	"    udp     53\n"
	"    except  dst private\n"
	"    except  port 22\n"
	"    except  user proxy, 0, svc$\n"
	"    except  cgroup system.slice/a@1.service, \"a b\", d\\x2d/e\n"
	"    deliver *:3129\n"
	"}\n"
	"\n"
	"intercept d {\n"
	"    listen         127.0.0.1:80\n"
	"    proxy-protocol from private\n"
	"}\n"
	"\n"
	"upstream u {\n"
	"    via    direct\n"
	"    source self\n"
	"    to     9.9.9.9:53\n"
	"}\n"
	"\n"
	"upstream v {\n"
	"    via    proxy-protocol-v1 [::1]:80\n"
	"    source client\n"
	"}\n"
	"\n"
	"upstream w {\n"
	"    via      socks5 p.example:1080\n"
	"    user     a\n"
	"    password credential:b\n"
	"    udp      on\n"
	"}\n"
	"\n"
	"group g {\n"
	"    members v, w\n"
	"    balance least-latency\n"
	"    health  connect 1.1.1.1:443 every 5s\n"
	"}\n"
	"\n"
	"rules {\n"
	"    intercept a tcp src l dst private port 1-2 -> u log\n"
	"    list l                                     -> v\n"
	"    list m                                     -> g\n"
	"    port 25 domain a.b, .x                     -> g\n"
	"    quic                                       -> drop\n"
	"    udp                                        -> drop\n"
	"}\n";

/* It is canonical already, so it prints as it is. */
static void test_print(void **state)
{
	struct messages m = { .errors = 0 };
	struct str out = { .len = 0 };
	struct config *c = config_parse("t", printed, strlen(printed), &m);

	(void)state; /* unused */
	if (!c)
		print_error("%s", str_get(&m.text));
	assert_non_null(c);
	config_print(c, &out);
	assert_string_equal(str_get(&out), printed);
	config_free(c);
	messages_done(&m);
	str_done(&out);
}

/* Lists longer than a statement can hold survive printing. */
static void test_print_large(void **state)
{
	struct str text = { .len = 0 }, out = { .len = 0 };
	struct messages m = { .errors = 0 };
	struct config *c, *again;

	(void)state; /* unused */
	str_add(&text, "list l {");
	for (unsigned i = 0; i < 70000; i++)
		str_addf(&text, "net 10.%u.%u.%u\n", i >> 16, i >> 8 & 255,
			 i & 255);
	str_add(&text, "}");
	c = config_parse("t", str_get(&text), text.len, &m);
	assert_non_null(c);
	config_print(c, &out);
	again = config_parse("t", str_get(&out), out.len, &m);
	assert_non_null(again);
	assert_true(config_equal(c, again));
	config_free(c);
	config_free(again);
	messages_done(&m);
	str_done(&text);
	str_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_wrong_text),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_print_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
