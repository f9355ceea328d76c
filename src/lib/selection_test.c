/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selection_test.c - settings, and the configuration that they come to.
 */
#include "lib/selection.h"

#include "lib/face_test.h"
#include "policy/policy.h"

#include <stdlib.h>

struct value_case {
	const char *name, *value;
	int code;	   /* 0: taken */
	const char *words; /* of the sentence */
};

static const struct value_case values[] = {
	{ "from", "eth1", 0, NULL },
	{ "from", "eth1, veth-*, br-lan.7", 0, NULL },
	{ "from", "*", 0, NULL },
	{ "from", "host", 0, NULL },
	{ "from", " eth1 ", 0, NULL },
	{ "tcp", "any", 0, NULL },
	{ "tcp", "80, 8000-8999", 0, NULL },
	{ "udp", "53", 0, NULL },
	{ "except-src", "10.0.0.0/8, private", 0, NULL },
	{ "except-dst", "2001:db8::/32", 0, NULL },
	{ "except-port", "22", 0, NULL },
	{ "engine", "nft", 0, NULL },
	{ "engine", "auto", 0, NULL },
	{ "on-failure", "closed", 0, NULL },
	{ "mark", "0x10/0x30", 0, NULL },
	{ "table", "99", 0, NULL },
	{ "tcp", NULL, 0, NULL },

	{ NULL, "x", EINVAL, "no name" },
	{ "", "x", ENOENT, "no setting" },
	{ "colour", "red", ENOENT, "colour" },
	{ "deliver", "127.0.0.1:80", ENOENT, "deliver" },
	{ "from", "", EINVAL, "empty" },
	{ "from", "   ", EINVAL, "empty" },
	{ "from", "averyveryverylongname", EINVAL, "15 bytes" },
	{ "from", "eth1, eth1", EINVAL, "twice" },
	{ "from", "host, eth1", EINVAL, "stands alone" },
	{ "tcp", "0", EINVAL, "tcp: " },
	{ "tcp", "65536", EINVAL, "tcp: " },
	{ "tcp", "http", EINVAL, "tcp: " },
	{ "tcp", "80 81", EINVAL, "tcp: " },
	{ "except-dst", "10.0.0.1/8", EINVAL, "except-dst: " },
	{ "except-dst", "mylist", EINVAL, "mylist" },
	{ "engine", "xdp", EINVAL, "engine: " },
	{ "on-failure", "maybe", EINVAL, "on-failure: " },
	{ "mark", "0", EINVAL, "mark: " },
	{ "table", "main", EINVAL, "table: " },

	/* nothing leads out of the statement */
	{ "tcp", "80; deliver 192.0.2.1:1", EINVAL, "0x3b" },
	{ "tcp", "80\nudp any", EINVAL, "0x0a" },
	{ "tcp", "80\rudp any", EINVAL, "0x0d" },
	{ "tcp", "80 } intercept y {", EINVAL, "0x7d" },
	{ "tcp", "80 {", EINVAL, "0x7b" },
	{ "tcp", "80 # ", EINVAL, "0x23" },
	{ "from", "\"eth1", EINVAL, "0x22" },
	{ "from", "eth1\\", EINVAL, "0x5c" },
	{ "from", "eth1\x7f", EINVAL, "0x7f" },
	{ "tcp", "80,", EINVAL, "comma" },
	{ "tcp", "80, ", EINVAL, "comma" },
	{ "tcp", "80 -> direct", EINVAL, "tcp: " },
};

static void test_a_value_is_judged_when_it_is_set(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		const struct value_case *v = &values[i];
		struct selection s = { 0 };
		struct err e = { 0 };
		int error = selection_set(&s, v->name, v->value, &e);

		if (error != -v->code || (v->code && !strstr(e.text, v->words)))
			fail_msg("%s \"%s\": %d, %s", v->name, v->value, error,
				 e.text);
		assert_null(strchr(e.text, '\n'));
		selection_done(&s);
	}
}

static void test_a_wrong_value_leaves_the_one_before(void **state)
{
	struct selection s = { 0 };
	struct err e;

	(void)state; /* unused */
	assert_int_equal(selection_set(&s, "tcp", "80", &e), 0);
	assert_int_equal(selection_set(&s, "tcp", "none", &e), -EINVAL);
	assert_string_equal(s.values[SETTING_TCP], "80");
	assert_int_equal(selection_set(&s, "tcp", "81", &e), 0);
	assert_string_equal(s.values[SETTING_TCP], "81");
	assert_int_equal(selection_set(&s, "tcp", NULL, &e), 0);
	assert_null(s.values[SETTING_TCP]);
	selection_done(&s);
}

static void test_a_value_has_a_limit(void **state)
{
	char *value = malloc(SELECTION_VALUE_MAX + 2);
	struct selection s = { 0 };
	struct err e;

	(void)state; /* unused */
	memset(value, ' ', SELECTION_VALUE_MAX + 1);
	memcpy(value, "80", 2);
	value[SELECTION_VALUE_MAX + 1] = '\0';
	assert_int_equal(selection_set(&s, "tcp", value, &e), -EINVAL);
	value[SELECTION_VALUE_MAX] = '\0';
	assert_int_equal(selection_set(&s, "tcp", value, &e), 0);
	selection_done(&s);
	free(value);
}

/* --- all of it ----------------------------------------------------------- */

struct listener_case {
	enum proto proto;
	const char *ip; /* NULL: none */
};

struct whole_case {
	const char *name, *from, *tcp, *udp;
	struct listener_case listeners[4];
	const char *text;  /* NULL: refused */
	const char *words; /* of the sentence */
};

static const struct whole_case wholes[] = {
	{ "one listener",
	  "eth1",
	  "80",
	  NULL,
	  { { PROTO_TCP, "127.0.0.1" } },
	  "intercept tcp-ipv4 {\n    from eth1\n    tcp 80\n"
	  "    deliver 127.0.0.1:3129\n}\n",
	  NULL },
	{ "a protocol and family each",
	  "eth1",
	  "80",
	  "53",
	  { { PROTO_TCP, "127.0.0.1" },
	    { PROTO_TCP, "::1" },
	    { PROTO_UDP, "127.0.0.1" },
	    { PROTO_UDP, "::1" } },
	  "intercept tcp-ipv4 {\n    from eth1\n    tcp 80\n"
	  "    deliver 127.0.0.1:3129\n}\n"
	  "intercept tcp-ipv6 {\n    from eth1\n    tcp 80\n"
	  "    deliver [::1]:3129\n}\n"
	  "intercept udp-ipv4 {\n    from eth1\n    udp 53\n"
	  "    deliver 127.0.0.1:3129\n}\n"
	  "intercept udp-ipv6 {\n    from eth1\n    udp 53\n"
	  "    deliver [::1]:3129\n}\n",
	  NULL },
	{ "the wildcard stands for loopback",
	  "eth1",
	  "80",
	  NULL,
	  { { PROTO_TCP, "0.0.0.0" }, { PROTO_TCP, "::" } },
	  "intercept tcp-ipv4 {\n    from eth1\n    tcp 80\n"
	  "    deliver 127.0.0.1:3129\n}\n"
	  "intercept tcp-ipv6 {\n    from eth1\n    tcp 80\n"
	  "    deliver [::1]:3129\n}\n",
	  NULL },
	{ "nothing selected",
	  "eth1",
	  NULL,
	  NULL,
	  { { PROTO_COUNT, NULL } },
	  NULL,
	  "no traffic" },
	{ "from nowhere",
	  NULL,
	  "80",
	  NULL,
	  { { PROTO_TCP, "127.0.0.1" } },
	  NULL,
	  "where from" },
	{ "selected, and nobody to deliver to",
	  "eth1",
	  "80",
	  "53",
	  { { PROTO_TCP, "127.0.0.1" } },
	  NULL,
	  "no udp listener" },
	{ "a listener, and nothing selected for it",
	  "eth1",
	  "80",
	  NULL,
	  { { PROTO_TCP, "127.0.0.1" }, { PROTO_UDP, "127.0.0.1" } },
	  NULL,
	  "no udp ports" },
};

static void set(struct selection *s, const char *name, const char *value)
{
	assert_int_equal(selection_set(s, name, value, NULL), 0);
}

static void fill(struct selection *s, const struct whole_case *w)
{
	set(s, "from", w->from);
	set(s, "tcp", w->tcp);
	set(s, "udp", w->udp);
	for (int i = 0; i < 4 && w->listeners[i].ip; i++) {
		struct addr at;

		assert_int_equal(addr_parse_ip(w->listeners[i].ip, &at), 0);
		at.port = 3129;
		selection_deliver(s, w->listeners[i].proto, &at);
	}
}

static void expect_whole(const struct whole_case *w)
{
	struct selection s = { 0 };
	struct str text = { 0 };
	struct err e = { 0 };
	struct config *c;

	fill(&s, w);
	c = selection_config(&s, &e);
	if (!c != !w->text)
		fail_msg("%s: %s", w->name, e.text);
	if (c) {
		selection_write(&s, &text);
		assert_string_equal(str_get(&text), w->text);
	} else {
		assert_int_equal(e.code, EINVAL);
		assert_non_null(strstr(e.text, w->words));
	}
	config_free(c);
	str_done(&text);
	selection_done(&s);
}

static void test_a_selection_becomes_a_configuration(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(wholes) / sizeof(*wholes); i++)
		expect_whole(&wholes[i]);
}

static void test_what_is_global_stands_outside(void **state)
{
	struct selection s = { 0 };
	struct err e = { 0 };
	struct config *c;

	(void)state; /* unused */
	fill(&s, &wholes[1]);
	set(&s, "engine", "nft");
	set(&s, "on-failure", "closed");
	set(&s, "mark", "0x10/0x30");
	set(&s, "table", "99");
	set(&s, "except-dst", "private");
	set(&s, "except-port", "22");
	c = selection_config(&s, &e);
	assert_non_null(c);
	assert_int_equal(c->engine, ENGINE_NFT);
	assert_int_equal(c->on_failure, ON_FAILURE_CLOSED);
	assert_int_equal(c->mark, 0x10);
	assert_int_equal(c->mask, 0x30);
	assert_int_equal(c->table, 99);
	assert_int_equal(c->intercept_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(c->intercepts[i].except_dst.count, 1);
		assert_int_equal(c->intercepts[i].except_port.count, 1);
	}
	config_free(c);
	selection_done(&s);
}

/* Without their defaults, `auto` and so on, no default of ours is wrong. */
static void test_the_mark_of_sockets_is_the_default_one(void **state)
{
	struct selection s = { 0 };
	struct config *c;

	(void)state; /* unused */
	fill(&s, &wholes[0]);
	c = selection_config(&s, NULL);
	assert_non_null(c);
	assert_int_equal(plan_own_mark(c), WAYLAY_MARK);
	config_free(c);
	selection_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_value_is_judged_when_it_is_set),
		cmocka_unit_test(test_a_wrong_value_leaves_the_one_before),
		cmocka_unit_test(test_a_value_has_a_limit),
		cmocka_unit_test(test_a_selection_becomes_a_configuration),
		cmocka_unit_test(test_what_is_global_stands_outside),
		cmocka_unit_test(test_the_mark_of_sockets_is_the_default_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
