/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history_test.c - records as JSON, also those that a worker invented.
 */
#include "daemon/history.h"

#include "base/log.h"
#include "base/random_test.h"
#include "policy/policy.h"
#include "relay/name.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
		.attempts = 1,
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
		    "{\"age_ms\": 3000, \"attempts\": 1, \"bytes_down\": 7, "
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
		    "{\"age_ms\": 2500, \"attempts\": 1, \"bytes_down\": 7, "
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

/* --- what not every flow has --------------------------------------------- */

/* A TLS flow that a third proxy refused. */
static void make_refused(struct flow_record *r)
{
	make_record(r);
	r->source = r->client;
	r->end = END_UPSTREAM_REFUSED;
	r->error = ECONNREFUSED;
	r->reply = 403;
	r->attempts = 3;
	r->open_ms = 12;
	r->name_kind = NAME_KIND_TLS;
	(void)strcpy(r->host, "www.example.org");
}

static void test_every_field(void **state)
{
	struct config *c = parse();
	struct history_entry entry;
	struct flow_record r;

	(void)state; /* unused */
	make_refused(&r);
	history_name(c, &r, &entry);
	expect_json(&entry, 4000,
		    "{\"age_ms\": 2500, \"attempts\": 3, \"bytes_down\": 7, "
		    "\"bytes_up\": 1099511627776, "
		    "\"client\": \"192.0.2.1:40000\", "
		    "\"end\": \"upstream-refused\", "
		    "\"error\": \"Connection refused\", \"id\": \"1a.5\", "
		    "\"idle_ms\": 500, \"intercept\": \"lan\", "
		    "\"mover\": \"splice\", \"name\": \"www.example.org\", "
		    "\"name_from\": \"tls\", \"open_ms\": 12, "
		    "\"proto\": \"tcp\", \"reply\": 403, \"rule\": 1, "
		    "\"server\": \"[2001:db8::7]:443\", "
		    "\"source\": \"192.0.2.1:40000\", "
		    "\"started\": \"2026-11-23T12:00:00Z\", "
		    "\"state\": \"ended\", \"upstream\": \"out\"}");
	config_free(c);
}

/* A flow that is cut through outlives the configuration that decided. */
static void test_indexes_that_mean_nothing_any_more(void **state)
{
	struct config *c = parse();
	struct history_entry entry;
	struct flow_record r;

	(void)state; /* unused */
	make_record(&r);
	r.state = FLOW_CUT;
	r.mover = MOVER_CUT;
	r.intercept = r.rule = r.upstream = UINT32_MAX;
	history_name(c, &r, &entry);
	expect_json(&entry, 4000,
		    "{\"age_ms\": 3000, \"attempts\": 1, \"bytes_down\": 7, "
		    "\"bytes_up\": 1099511627776, "
		    "\"client\": \"192.0.2.1:40000\", \"id\": \"1a.5\", "
		    "\"idle_ms\": 500, \"intercept\": \"-\", "
		    "\"mover\": \"cut-through\", \"proto\": \"tcp\", "
		    "\"rule\": null, "
		    "\"server\": \"[2001:db8::7]:443\", \"source\": \"-\", "
		    "\"started\": \"2026-11-23T12:00:00Z\", "
		    "\"state\": \"cut-through\", \"upstream\": \"-\"}");
	config_free(c);
}

/* What a worker calls a name is looked at before it is believed. */
static void test_T22_hostile_names(void **state)
{
	static const struct {
		const char *host, *name; /* NULL: none */
	} rows[] = {
		{ "", NULL },
		{ "www.example.org", "www.example.org" },
		{ "WWW.Example.org.", "www.example.org" },
		{ "a b", NULL },
		{ "a\nflow tcp client=", NULL },
		{ "a\",\"end\":\"finished", NULL },
		{ "\x1b[2J", NULL },
		{ "127.0.0.1", NULL },
		{ "caf\xc3\xa9.example", NULL },
	};
	struct config *c = parse();

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct history_entry entry;
		struct flow_record r;
		const json_t *name;
		json_t *j;

		make_record(&r);
		(void)strcpy(r.host, rows[i].host);
		history_name(c, &r, &entry);
		j = history_json(&entry, 4000);
		name = json_object_get(j, "name");
		assert_int_equal(name != NULL, rows[i].name != NULL);
		if (name)
			assert_string_equal(json_string_value(name),
					    rows[i].name);
		json_decref(j);
	}
	config_free(c);
}

/* --- lines --------------------------------------------------------------- */

/* What is written to standard error for the record; without the time. */
static const char *logged(const struct flow_record *r, bool is_json)
{
	static char line[4096];
	int old = dup(STDERR_FILENO), fd = memfd_create("log", MFD_CLOEXEC);
	struct config *c = parse();
	struct history h;
	ssize_t n;

	assert_true(old >= 0 && fd >= 0);
	assert_int_equal(history_init(&h), 0);
	log_setup(LOG_INFO_LINE, is_json);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	history_add(&h, c, r, true);
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	close(old);
	log_setup(LOG_INFO_LINE, false);
	n = pread(fd, line, sizeof(line) - 1, 0);
	assert_true(n > 0);
	line[n] = '\0';
	close(fd);
	history_done(&h);
	config_free(c);
	return line;
}

/* The same without what every line has in front. */
static const char *fields(const struct flow_record *r, bool is_json)
{
	return strstr(logged(r, is_json), is_json ? "\"proto\"" : "flow ");
}

static void test_text_lines(void **state)
{
	struct flow_record r;

	(void)state; /* unused */
	make_record(&r);
	r.end = END_FINISHED;
	assert_string_equal(
		fields(&r, false),
		"flow tcp client=192.0.2.1:40000 server=[2001:db8::7]:443 "
		"source=- intercept=lan rule=1 upstream=out up=1099511627776 "
		"down=7 ms=2500 end=finished started=2026-11-23T12:00:00Z\n");
	make_refused(&r);
	assert_string_equal(
		fields(&r, false),
		"flow tcp client=192.0.2.1:40000 server=[2001:db8::7]:443 "
		"source=192.0.2.1:40000 intercept=lan rule=1 upstream=out "
		"up=1099511627776 down=7 ms=2500 end=upstream-refused "
		"error=\"Connection refused\" reply=403 attempts=3 open_ms=12 "
		"name=www.example.org name_from=tls "
		"started=2026-11-23T12:00:00Z\n");
}

static void test_json_lines(void **state)
{
	struct flow_record r;

	(void)state; /* unused */
	make_record(&r);
	r.end = END_FINISHED;
	assert_string_equal(
		fields(&r, true),
		"\"proto\":\"tcp\",\"client\":\"192.0.2.1:40000\","
		"\"server\":\"[2001:db8::7]:443\",\"source\":\"-\","
		"\"intercept\":\"lan\",\"rule\":1,\"upstream\":\"out\","
		"\"up\":1099511627776,\"down\":7,\"ms\":2500,"
		"\"end\":\"finished\",\"attempts\":1,"
		"\"started\":\"2026-11-23T12:00:00Z\"}\n");
	r.rule = r.intercept = UINT32_MAX;
	assert_non_null(
		strstr(fields(&r, true),
		       "\"intercept\":\"-\",\"rule\":null,\"upstream\""));
	assert_non_null(strstr(fields(&r, false), " intercept=- rule=- "));
	make_refused(&r);
	assert_string_equal(
		fields(&r, true),
		"\"proto\":\"tcp\",\"client\":\"192.0.2.1:40000\","
		"\"server\":\"[2001:db8::7]:443\","
		"\"source\":\"192.0.2.1:40000\",\"intercept\":\"lan\","
		"\"rule\":1,\"upstream\":\"out\",\"up\":1099511627776,"
		"\"down\":7,\"ms\":2500,\"end\":\"upstream-refused\","
		"\"error\":\"Connection refused\",\"reply\":403,"
		"\"attempts\":3,\"open_ms\":12,\"name\":\"www.example.org\","
		"\"name_from\":\"tls\",\"started\":\"2026-11-23T12:00:00Z\""
		"}\n");
}

/* Whatever a worker writes, a line is one line, and one of JSON is JSON. */
static void test_hostile_lines(void **state)
{
	struct flow_record r;
	struct rnd rnd;

	(void)state; /* unused */
	rnd_begin(&rnd);
	for (unsigned round = 0; round < 500; round++) {
		const char *line;
		json_t *j;

		rnd_fill(&rnd, (uint8_t *)&r, sizeof(r));
		line = logged(&r, false);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		line = logged(&r, true);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		j = json_loads(line, 0, NULL);
		assert_non_null(j);
		json_decref(j);
	}
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
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_indexes_that_mean_nothing_any_more),
		cmocka_unit_test(test_T22_hostile_names),
		cmocka_unit_test(test_text_lines),
		cmocka_unit_test(test_json_lines),
		cmocka_unit_test(test_hostile_lines),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
