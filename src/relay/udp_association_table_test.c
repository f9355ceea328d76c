/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_association_table_test.c - which flows share an association, and the
 * table against a list that is searched.
 */
#include "relay/udp_association_table.h"

#include "base/random_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { MAX = 12, FLOWS = 24, KEYS = 30, STEPS = 20000 };

/* --- keys ---------------------------------------------------------------- */

static struct udp_association_key key_of(const char *client, uint64_t upstream,
					 const char *server)
{
	struct udp_association_key key = { .upstream = upstream };

	assert_int_equal(addr_parse(client, &key.client), 0);
	if (server)
		assert_int_equal(addr_parse(server, &key.server), 0);
	return key;
}

static const struct {
	const char *name, *client;
	uint64_t upstream;
	const char *server;
	bool is_same;
} keys[] = {
	{ "the same socket of the same client, by the same proxy",
	  "192.0.2.1:5000", 3, NULL, true },
	{ "another port of that client", "192.0.2.1:5001", 3, NULL, false },
	{ "another client with that port", "192.0.2.2:5000", 3, NULL, false },
	{ "another proxy", "192.0.2.1:5000", 4, NULL, false },
	{ "a proxy that is told a name for this server", "192.0.2.1:5000", 3,
	  "198.51.100.1:443", false },
	{ "a client of the other family", "[c000:201::]:5000", 3, NULL, false },
};

static void test_R_NAT_3_one_socket_of_a_client_shares(void **state)
{
	struct udp_association_key first = key_of("192.0.2.1:5000", 3, NULL);
	struct udp_association_table t;
	struct udp_association *a;

	(void)state; /* unused */
	assert_int_equal(udp_association_table_init(&t, MAX), 0);
	a = udp_association_table_add(&t, &first);
	assert_non_null(a);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		struct udp_association_key key = key_of(
			keys[i].client, keys[i].upstream, keys[i].server);

		print_message("%s\n", keys[i].name);
		assert_int_equal(udp_association_table_find(&t, &key) == a,
				 keys[i].is_same);
	}
	udp_association_table_done(&t);
}

/* What has ended is not found, but its memory stays until it is given back:
 * an event of the same batch may still come for it. */
static void test_ended(void **state)
{
	struct udp_association_key key = key_of("192.0.2.1:5000", 3, NULL);
	struct udp_association *a, *b;
	struct udp_association_table t;

	(void)state; /* unused */
	assert_int_equal(udp_association_table_init(&t, 2), 0);
	a = udp_association_table_add(&t, &key);
	assert_int_equal(a->state, ASSOCIATION_OPENING);
	udp_association_table_hide(&t, a);
	assert_int_equal(a->state, ASSOCIATION_ENDED);
	assert_null(udp_association_table_find(&t, &key));
	b = udp_association_table_add(&t, &key);
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(udp_association_table_find(&t, &key), b);
	key.upstream = 4;
	assert_null(udp_association_table_add(&t, &key)); /* full */
	udp_association_table_give(&t, a);
	assert_ptr_equal(udp_association_table_add(&t, &key), a);
	udp_association_table_done(&t);
}

/* --- random -------------------------------------------------------------- */

struct model {
	struct udp_association_table table;
	struct udp_table flows; /* only the array is used */
	struct udp_association *is_at[KEYS];
	struct udp_association *of_flow[FLOWS];
	struct rnd rnd;
};

static struct udp_association_key key_at(unsigned i)
{
	struct udp_association_key key = key_of("192.0.2.1:5000", i % 2, NULL);

	key.client.port = (uint16_t)(5000 + i / 2 % 5);
	if (i / 10)
		key.server = (struct addr){ .port = (uint16_t)(i / 10),
					    .family = AF_INET };
	return key;
}

static void step_key(struct model *m)
{
	unsigned i = rnd_draw(&m->rnd, KEYS), used = 0;
	struct udp_association_key key = key_at(i);
	struct udp_association *a = udp_association_table_find(&m->table, &key);

	assert_ptr_equal(a, m->is_at[i]);
	if (a && a->first_flow == POOL_NONE) {
		udp_association_table_hide(&m->table, a);
		udp_association_table_give(&m->table, a);
		m->is_at[i] = NULL;
	}
	if (a)
		return;
	for (unsigned k = 0; k < KEYS; k++)
		used += m->is_at[k] != NULL;
	m->is_at[i] = udp_association_table_add(&m->table, &key);
	assert_int_equal(m->is_at[i] == NULL, used == MAX);
}

static void step_flow(struct model *m)
{
	unsigned i = rnd_draw(&m->rnd, FLOWS);
	struct udp_association *a = m->is_at[rnd_draw(&m->rnd, KEYS)];
	struct udp_flow *f = &m->flows.flows[i];

	if (m->of_flow[i]) {
		udp_association_leave(&m->table, &m->flows, f);
		m->of_flow[i] = NULL;
	} else if (a) {
		udp_association_join(&m->table, a, &m->flows, f);
		m->of_flow[i] = a;
	}
}

/* Each association's list has exactly those that joined it. */
static void compare(const struct model *m)
{
	for (unsigned k = 0; k < KEYS; k++) {
		unsigned listed = 0, joined = 0;
		uint32_t i;

		if (!m->is_at[k])
			continue;
		for (i = m->is_at[k]->first_flow; i != POOL_NONE;
		     i = m->flows.flows[i].next) {
			assert_ptr_equal(m->of_flow[i], m->is_at[k]);
			assert_in_range(++listed, 1, FLOWS);
		}
		for (i = 0; i < FLOWS; i++)
			joined += m->of_flow[i] == m->is_at[k];
		assert_int_equal(listed, joined);
	}
}

static void test_random(void **state)
{
	static struct udp_flow flows[FLOWS];
	static struct model m;

	(void)state; /* unused */
	rnd_begin(&m.rnd);
	m.flows.flows = flows;
	assert_int_equal(udp_association_table_init(&m.table, MAX), 0);
	for (unsigned i = 0; i < STEPS; i++) {
		if (rnd_draw(&m.rnd, 2))
			step_key(&m);
		else
			step_flow(&m);
		compare(&m);
	}
	udp_association_table_done(&m.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_NAT_3_one_socket_of_a_client_shares),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
