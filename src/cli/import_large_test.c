/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_large_test.c - ten thousand lines of somebody's rules.
 *
 * Work is bounded by the size of the input, whatever the rules are: nothing
 * here may take noticeably longer than the rest.
 */
#include "cli/import_run_test.h"

enum { LINES = 10000 };

/* Appends line number `i` of the body. */
typedef void (*line_fn)(struct str *out, unsigned i);

static void put_exception(struct str *out, unsigned i)
{
	str_addf(out, "-A PREROUTING -d 10.%u.%u.1/32 -j RETURN\n", i / 256,
		 i % 256);
}

static void put_port_exception(struct str *out, unsigned i)
{
	str_addf(out, "-A PREROUTING -p tcp --dport %u -j RETURN\n", 2 * i + 1);
}

static void put_pair(struct str *out, unsigned i)
{
	str_addf(out,
		 "-A PREROUTING -s 10.%u.%u.0/24 -d 192.0.2.%u -j RETURN\n",
		 i / 256, i % 256, i % 250);
}

static void put_unknown(struct str *out, unsigned i)
{
	str_addf(out, "-A PREROUTING -m string --string s%u -j RETURN\n", i);
}

static void put_filter(struct str *out, unsigned i)
{
	str_addf(out, "-A FORWARD -s 10.%u.%u.0/24 -j DROP\n", i / 256,
		 i % 256);
}

static void put_take(struct str *out, unsigned i)
{
	str_addf(out,
		 "-A PREROUTING -p tcp --dport %u -j TPROXY --on-port %u\n",
		 i + 1, i + 1);
}

static void put_same_take(struct str *out, unsigned i)
{
	str_addf(out, "-A PREROUTING -p tcp --dport %u -j TPROXY --on-port 1\n",
		 2 * i + 1);
}

static void put_jump(struct str *out, unsigned i)
{
	if (i % 2)
		str_addf(out, "-A PREROUTING -s 10.%u.%u.1 -j X\n", i / 256,
			 i % 256);
	else
		str_addf(out, "-A X -d 10.%u.%u.1 -j ACCEPT\n", i / 256,
			 i % 256);
}

static void put_chain(struct str *out, unsigned i)
{
	str_addf(out, "-A C%u -d 10.0.0.1 -j RETURN\n-A C%u -j C%u\n", i, i,
		 i + 1);
}

static void put_mark(struct str *out, unsigned i)
{
	str_addf(out,
		 "-A OUTPUT -m owner --uid-owner %u -j MARK --set-mark "
		 "1\n",
		 i);
}

static void put_insert(struct str *out, unsigned i)
{
	str_addf(out, "-I PREROUTING %u -s 10.%u.%u.1 -j ACCEPT\n", i + 1,
		 i / 256, i % 256);
}

static void put_delete(struct str *out, unsigned i)
{
	if (i % 2)
		str_addf(out, "-D PREROUTING -s 10.0.0.%u -j ACCEPT\n", i);
	else
		str_addf(out, "-A PREROUTING -d 10.%u.%u.1 -j ACCEPT\n",
			 i / 256, i % 256);
}

static void put_apostrophe(struct str *out, unsigned i)
{
	str_addf(out, "echo it's line %u \\\n", i);
}

static void put_words(struct str *out, unsigned i)
{
	str_addf(out, "iptables -t mangle -A PREROUTING $x%u -j RETURN\n", i);
}

static void put_routing(struct str *out, unsigned i)
{
	str_addf(out, "ip rule add fwmark %u lookup %u\n", i, i + 1000);
}

static const struct large {
	const char *name;
	line_fn put;
	const char *behind;	   /* the last rule */
	enum import_status status; /* of the body */
} larges[] = {
	{ "exceptions by address", put_exception, "eth1", IMPORT_EXPRESSED },
	{ "exceptions by port", put_port_exception, "eth1", IMPORT_EXPRESSED },
	{ "exceptions by pairs: too many", put_pair, "eth1", IMPORT_FOREIGN },
	{ "unknown exceptions", put_unknown, "eth1", IMPORT_NOT_EXPRESSED },
	{ "another table's rules", put_filter, "eth1", IMPORT_FOREIGN },
	{ "takes: too many", put_take, "eth1", IMPORT_NOT_EXPRESSED },
	{ "takes that are one", put_same_take, "eth1", IMPORT_EXPRESSED },
	{ "jumps to one chain", put_jump, "eth1", IMPORT_FOREIGN },
	{ "chains of chains", put_chain, "eth1", IMPORT_FOREIGN },
	{ "marks", put_mark, "lo", IMPORT_NOT_EXPRESSED },
	{ "inserted rules", put_insert, "eth1", IMPORT_EXPRESSED },
	{ "deleted rules", put_delete, "eth1", IMPORT_EXPRESSED },
	{ "apostrophes", put_apostrophe, "eth1", IMPORT_FOREIGN },
	{ "variables", put_words, "eth1", IMPORT_NOT_EXPRESSED },
	{ "rules of routing", put_routing, "eth1", IMPORT_FOREIGN },
};

/* How many lines of the body have the status that the table says. */
static size_t count_status(const struct import_run *r, enum import_status s)
{
	size_t count = 0;

	for (size_t i = 0; i < import_line_count(r->im); i++)
		count += import_line(r->im, i)->status == s;
	return count;
}

static void ten_thousand_lines_are_accounted_for(void **state)
{
	(void)state;
	for (size_t n = 0; n < COUNT(larges); n++) {
		const struct large *l = &larges[n];
		struct str text = { .len = 0 };
		struct import_run r;

		for (unsigned i = 0; i < LINES; i++)
			l->put(&text, i);
		str_addf(&text,
			 "\n-A PREROUTING -i %s -p tcp -j TPROXY --on-port 2 "
			 "--on-ip 127.0.0.1 --tproxy-mark 1\n",
			 l->behind);
		run_import(&r, str_get(&text), text.len);
		if (import_line_count(r.im) < LINES)
			fail_msg("%s: lines are lost", l->name);
		if (count_status(&r, l->status) < LINES / 2)
			fail_msg("%s: %zu lines have the status", l->name,
				 count_status(&r, l->status));
		if (!are_reasons_right(&r) || !is_config_valid(&r))
			fail_msg("%s", l->name);
		end_import(&r);
		str_done(&text);
	}
}

static void a_set_of_ten_thousand_becomes_a_list(void **state)
{
	struct str text = { .len = 0 };
	struct import_run r;

	(void)state;
	str_add(&text, "table ip t {\nset s {\ntype ipv4_addr\nelements = {\n");
	for (unsigned i = 0; i < LINES; i++)
		str_addf(&text, "10.%u.%u.1,\n", i / 256, i % 256);
	str_add(&text, "}\n}\nchain c {\ntype filter hook prerouting priority "
		       "0;\nip daddr @s return\niifname eth1 meta l4proto tcp "
		       "tproxy to 127.0.0.1:1\n}\n}\n");
	run_import(&r, str_get(&text), text.len);
	assert_true(count_status(&r, IMPORT_EXPRESSED) > LINES);
	assert_non_null(strstr(str_get(&r.text), "except  dst s\n"));
	assert_true(is_config_valid(&r));
	end_import(&r);
	str_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand_lines_are_accounted_for),
		cmocka_unit_test(a_set_of_ten_thousand_becomes_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
