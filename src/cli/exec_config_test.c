/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_config_test.c - options of `waylay exec` as a configuration.
 *
 * Each text is read by the parser, and rules are asked of the evaluation.
 */
#include "cli/exec_config.h"

#include "cli/exec_options.h"
#include "cli/exec_rule.h"
#include "cli/resolv.h"
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { WORDS_MAX = 4 };

/* clang-format off */
static const struct {
	const char *name;
	const char *via; /* NULL: not given */
	const char *deny[WORDS_MAX], *allow[WORDS_MAX];
	const char *rules; /* one a line */
} rows[] = {
	{ "nothing", NULL, { NULL }, { NULL },
	  "dst 192.0.0.170 port 53 -> dns0\n"
	  "dst 9.9.9.9 port 53 -> out\n"
	  "default -> out\n" },
	{ "a proxy, which name servers are not asked by", "socks5://h:1", { NULL }, { NULL },
	  "dst 192.0.0.170 port 53 -> dns0\n"
	  "dst 9.9.9.9 port 53 -> out\n"
	  "default -> proxy\n" },
	{ "denied alone: all else goes", NULL, { "bad.example", "10.0.0.0/8" }, { NULL },
	  "dst 192.0.0.170 port 53 -> dns0\n"
	  "dst 9.9.9.9 port 53 -> out\n"
	  "dst 10.0.0.0/8 -> reject\n"
	  "domain bad.example -> reject\n"
	  "default -> out\n" },
	{ "allowed alone: nothing else goes", NULL, { NULL }, { ".ok.example:443", "192.0.2.1" },
	  "dst 192.0.0.170 port 53 -> dns0\n"
	  "dst 9.9.9.9 port 53 -> out\n"
	  "dst 192.0.2.1 -> out\n"
	  "domain .ok.example port 443 -> out\n"
	  "default -> reject\n" },
	{ "both: denied goes before", "http://h:1", { "10.0.0.1" }, { "10.0.0.0/8" },
	  "dst 192.0.0.170 port 53 -> dns0\n"
	  "dst 9.9.9.9 port 53 -> out\n"
	  "dst 10.0.0.1 -> reject\n"
	  "dst 10.0.0.0/8 -> proxy\n"
	  "default -> reject\n" },
};
/* clang-format on */

static void add(struct exec_conditions *c, const char *const *words)
{
	struct err e;

	for (int i = 0; i < WORDS_MAX && words[i]; i++) {
		struct str line = { 0 };

		assert_int_equal(exec_rule_write(words[i], &line, &e), 0);
		str_addf(!strncmp(line.text, "domain", 6) ? &c->names
							  : &c->nets,
			 "%s\n", line.text);
		str_done(&line);
	}
}

static void free_all(struct exec_options *o)
{
	str_done(&o->deny.nets);
	str_done(&o->deny.names);
	str_done(&o->allow.nets);
	str_done(&o->allow.names);
}

/* One name server on loopback, one elsewhere. */
static void set_resolv(struct resolv *r)
{
	*r = (struct resolv){ .count = 1, .far_count = 1 };
	(void)addr_parse_ip("127.0.0.53", &r->real[0]);
	(void)addr_parse_ip("9.9.9.9", &r->far[0]);
}

static struct config *parse(const struct str *text)
{
	struct messages m = { 0 };
	struct config *c = config_parse("exec", text->text, text->len, &m);

	if (!c)
		fail_msg("%s%s", text->text, str_get(&m.text));
	messages_done(&m);
	return c;
}

static void test_rules(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct exec_options o = { 0 };
		struct str text = { 0 };
		struct resolv r;
		struct err e;
		const char *from;

		set_resolv(&r);
		if (rows[i].via)
			assert_int_equal(
				exec_via_parse(rows[i].via, &o.via, &e), 0);
		add(&o.deny, rows[i].deny);
		add(&o.allow, rows[i].allow);
		exec_config_write(&o, &r, -1, &text);
		from = strstr(text.text, "rules {\n") + strlen("rules {\n");
		if (strncmp(from, rows[i].rules, strlen(rows[i].rules)) ||
		    strcmp(from + strlen(rows[i].rules), "}\n") != 0)
			fail_msg("%s:\n%s", rows[i].name, from);
		config_free(parse(&text));
		str_done(&text);
		free_all(&o);
	}
}

static const struct upstream *find(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->upstream_count; i++)
		if (!strcmp(c->upstreams[i].name, name))
			return &c->upstreams[i];
	fail_msg("no upstream %s", name);
	return NULL;
}

/* The user is as it was given, whatever is in it; the password is nowhere. */
static void test_a_proxy_with_a_user(void **state)
{
	static const char *const users[] = {
		"alice",	 "two words",	 "\"; via drop }",
		"back\\slash\\", "# no comment", "{a,b}",
		"%41",		 "\xc3\xa4",	 "a \\\" -> drop",
	};

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(users); i++) {
		struct exec_options o = { .via = { .kind = EXEC_VIA_SOCKS5,
						   .host = "[2001:db8::1]",
						   .port = 1080,
						   .has_user = true,
						   .password = "sesame" } };
		struct resolv r = { .count = 0 };
		struct str text = { 0 };
		struct config *c;

		(void)strcpy(o.via.user, users[i]);
		exec_config_write(&o, &r, 7, &text);
		assert_null(strstr(text.text, "sesame"));
		c = parse(&text);
		assert_string_equal(find(c, "proxy")->user, users[i]);
		assert_true(find(c, "proxy")->is_udp);
		assert_int_equal(find(c, "proxy")->to.port, 1080);
		assert_string_equal(find(c, "proxy")->password.name,
				    "/proc/self/fd/7");
		config_free(c);
		str_done(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_a_proxy_with_a_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
