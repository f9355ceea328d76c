/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history_test.c - records as JSON, also those that a worker invented.
 */
#include "daemon/history.h"

#include "base/random_test.h"
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char text[] = "intercept lan { from lan0; tcp any }\n"
			   "upstream out { via direct; source client }\n";

static struct config *parse(void)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse("t", text, strlen(text), &m);

	assert_non_null(c);
	messages_done(&m);
	return c;
}

static void make_record(struct flow_record *r)
{
	*r = (struct flow_record){
		.proto = PROTO_TCP,
		.state = FLOW_RELAYING,
		.mover = MOVER_SPLICE,
		.name = 5ull << 32 | 26,
		.intercept = 0,
		.rule = 0,
		.upstream = UPSTREAM_BUILTIN_COUNT,
		.begun_ms = 1000,
		.last_ms = 3500,
		.begun_unix_ms = 1795435200123,
		.bytes = { 1ull << 40, 7 },
	};
	assert_int_equal(addr_parse("192.0.2.1:40000", &r->client), 0);
	assert_int_equal(addr_parse("[2001:db8::7]:443", &r->server), 0);
}

/* Keys sorted, in one line. */
static void expect_json(const struct history_entry *entry, uint64_t now_ms,
			const char *want)
{
	json_t *j = history_json(entry, now_ms);
	char *got = json_dumps(j, JSON_SORT_KEYS);

	assert_non_null(got);
	assert_string_equal(got, want);
	free(got);
	json_decref(j);
}

static void test_alive(void **state)
{
	struct config *c = parse();
	struct history_entry entry;
	struct flow_record r;

	(void)state; /* unused */
	make_record(&r);
	history_name(c, &r, &entry);
	config_free(c); /* the entry needs it no more */
	expect_json(&entry, 4000,
		    "{\"age_ms\": 3000, \"bytes_down\": 7, "
		    "\"bytes_up\": 1099511627776, "
		    "\"client\": \"192.0.2.1:40000\", \"id\": \"1a.5\", "
		    "\"idle_ms\": 500, \"intercept\": \"lan\", "
		    "\"mover\": \"splice\", \"proto\": \"tcp\", \"rule\": 1, "
		    "\"server\": \"[2001:db8::7]:443\", \"source\": \"-\", "
		    "\"started\": \"2026-11-23T12:00:00Z\", "
		    "\"state\": \"relaying\", \"upstream\": \"out\"}");
}

static void test_ended(void **state)
{
	struct config *c = parse();
	struct history_entry entry;
	struct flow_record r;

	(void)state; /* unused */
	make_record(&r);
	r.proto = PROTO_UDP;
	r.end = END_IDLE_TIMEOUT;
	r.source = r.client;
	history_name(c, &r, &entry);
	expect_json(&entry, 3000, /* the worker's clock is ahead of ours */
		    "{\"age_ms\": 2500, \"bytes_down\": 7, "
		    "\"bytes_up\": 1099511627776, "
		    "\"client\": \"192.0.2.1:40000\", "
		    "\"end\": \"idle-timeout\", \"id\": \"1a.5\", "
		    "\"idle_ms\": 0, \"intercept\": \"lan\", "
		    "\"mover\": \"splice\", \"proto\": \"udp\", \"rule\": 1, "
		    "\"server\": \"[2001:db8::7]:443\", "
		    "\"source\": \"192.0.2.1:40000\", "
		    "\"started\": \"2026-11-23T12:00:00Z\", "
		    "\"state\": \"ended\", \"upstream\": \"out\"}");
	config_free(c);
}

/* Any bytes at all make an object with every key. */
static void test_hostile(void **state)
{
	static const char *const keys[] = {
		"id",	     "proto",	   "client",   "server",  "source",
		"intercept", "rule",	   "upstream", "state",	  "mover",
		"bytes_up",  "bytes_down", "age_ms",   "idle_ms", "started",
	};
	struct config *c = parse();
	struct history_entry entry;
	struct flow_record r;
	struct rnd rnd;

	(void)state; /* unused */
	rnd_begin(&rnd);
	for (unsigned round = 0; round < 5000; round++) {
		json_t *j;

		rnd_fill(&rnd, (uint8_t *)&r, sizeof(r));
		if (round % 2)
			r.client.family = AF_INET6;
		history_name(c, &r, &entry);
		assert_string_equal(entry.intercept,
				    r.intercept == 0 ? "lan" : "?");
		j = history_json(&entry, rnd_draw(&rnd, 1u << 31));
		assert_non_null(j);
		for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
			if (!json_object_get(j, keys[i]))
				fail_msg("%s is missing", keys[i]);
		assert_int_equal(json_object_get(j, "end") != NULL, r.end != 0);
		json_decref(j);
	}
	config_free(c);
}

static void test_list(void **state)
{
	static const struct {
		size_t added, most, listed;
	} rows[] = {
		{ 0, 10, 0 },
		{ 3, 10, 3 },
		{ 3, 2, 2 },
		{ 3, 0, 0 },
		{ HISTORY_MAX, HISTORY_MAX, HISTORY_MAX },
		{ HISTORY_MAX + 7, 2 * HISTORY_MAX, HISTORY_MAX },
		{ 3 * HISTORY_MAX + 7, 10, 10 },
	};
	struct config *c = parse();

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct flow_record r;
		struct history h;
		json_t *list, *item;
		size_t n;

		assert_int_equal(history_init(&h), 0);
		make_record(&r);
		for (n = 0; n < rows[i].added; n++) {
			r.bytes[0] = n;
			history_add(&h, c, &r, false);
		}
		list = history_list(&h, rows[i].most, 5000);
		assert_int_equal(json_array_size(list), rows[i].listed);
		json_array_foreach(list, n, item) /* newest last */
			assert_int_equal(json_integer_value(json_object_get(
						 item, "bytes_up")),
					 rows[i].added - rows[i].listed + n);
		json_decref(list);
		history_done(&h);
		history_done(&h);
	}
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alive),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
