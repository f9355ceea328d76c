/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_table_test.c - the table of flows against a list that is searched.
 *
 * Few clients and servers, so that full tables, shares and repeated pairs are
 * common.
 */
#include "relay/udp_table.h"

#include "base/random_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { FLOWS = 24, CLIENTS = 6, PORTS = 3, SERVERS = 4, STEPS = 20000 };

struct naive_flow {
	struct addr client, server;
	bool is_used, is_answered;
	uint64_t born;
};

struct model {
	struct udp_table table;
	struct naive_flow flows[FLOWS]; /* by slot */
	uint64_t births;
	struct rnd rnd;
};

static void begin(struct model *m)
{
	memset(m, 0, sizeof(*m));
	rnd_begin(&m->rnd);
	assert_int_equal(udp_table_init(&m->table, FLOWS), 0);
}

static void end(struct model *m)
{
	struct udp_table *t = &m->table;

	pool_done(&t->flow_pool);
	pool_done(&t->client_pool);
	imap_done(&t->by_pair);
	imap_done(&t->by_client);
	munmap(t->flows, FLOWS * sizeof(*t->flows));
	munmap(t->clients, FLOWS * sizeof(*t->clients));
}

/* Both families; two clients differ by their scope only. */
static void make_pair(unsigned i, struct addr *client, struct addr *server)
{
	unsigned c = i % CLIENTS, port = i / CLIENTS % PORTS;
	unsigned s = i / CLIENTS / PORTS % SERVERS;
	uint16_t family = c < CLIENTS / 2 ? AF_INET : AF_INET6;

	*client = (struct addr){ .ip = { 0xfe, 0x80, 0, (uint8_t)(c & 1) },
				 .port = (uint16_t)(1000 + port),
				 .family = family };
	if (family == AF_INET6)
		client->scope = c / 2;
	else
		client->ip[1] = (uint8_t)c;
	*server = (struct addr){ .ip = { 9, (uint8_t)s },
				 .port = 53,
				 .family = family };
}

static struct naive_flow *naive_find(struct model *m, const struct addr *client,
				     const struct addr *server)
{
	for (unsigned i = 0; i < FLOWS; i++)
		if (m->flows[i].is_used &&
		    addr_equal(&m->flows[i].client, client) &&
		    addr_equal(&m->flows[i].server, server))
			return &m->flows[i];
	return NULL;
}

static unsigned naive_share(const struct model *m, const struct addr *client)
{
	unsigned share = 0;

	for (unsigned i = 0; i < FLOWS; i++)
		share += m->flows[i].is_used &&
			 addr_same_ip(&m->flows[i].client, client);
	return share;
}

static const struct naive_flow *naive_oldest(const struct model *m)
{
	const struct naive_flow *oldest = NULL;

	for (unsigned i = 0; i < FLOWS; i++) {
		const struct naive_flow *f = &m->flows[i];

		if (f->is_used && !f->is_answered &&
		    (!oldest || f->born < oldest->born))
			oldest = f;
	}
	return oldest;
}

static void add(struct model *m, const struct addr *client,
		const struct addr *server)
{
	struct udp_flow *f = udp_table_add(&m->table, client, server);
	struct naive_flow *n;
	unsigned used = 0;

	for (unsigned i = 0; i < FLOWS; i++)
		used += m->flows[i].is_used;
	assert_int_equal(f == NULL, used == FLOWS);
	if (!f)
		return;
	n = &m->flows[udp_table_slot(&m->table, f)];
	assert_false(n->is_used);
	assert_int_equal(f->fd, -1);
	assert_false(f->is_answered);
	*n = (struct naive_flow){ *client, *server, true, false, ++m->births };
}

/* One random change of a pair that may or may not exist. */
static void step(struct model *m)
{
	struct addr client, server;
	struct naive_flow *n;
	struct udp_flow *f;
	unsigned what;

	make_pair(rnd_draw(&m->rnd, CLIENTS * PORTS * SERVERS), &client,
		  &server);
	n = naive_find(m, &client, &server);
	f = udp_table_find(&m->table, &client, &server);
	assert_int_equal(f == NULL, n == NULL);
	if (!n) {
		add(m, &client, &server);
		return;
	}
	assert_int_equal(udp_table_slot(&m->table, f), n - m->flows);
	what = rnd_draw(&m->rnd, 3);
	if (what == 0) {
		udp_table_remove(&m->table, f);
		n->is_used = false;
	} else if (what == 1) {
		udp_table_answered(&m->table, f);
		n->is_answered = true;
	}
}

/* A client is known as long as it has a flow. */
static unsigned naive_clients(const struct model *m)
{
	unsigned clients = 0;

	for (unsigned i = 0; i < FLOWS; i++) {
		bool is_new = m->flows[i].is_used;

		for (unsigned k = 0; k < i && is_new; k++)
			is_new = !m->flows[k].is_used ||
				 !addr_same_ip(&m->flows[k].client,
					       &m->flows[i].client);
		clients += is_new;
	}
	return clients;
}

static void compare(struct model *m)
{
	struct udp_flow *oldest = udp_table_oldest(&m->table);
	const struct naive_flow *naive = naive_oldest(m);

	assert_int_equal(m->table.client_pool.used, naive_clients(m));
	assert_int_equal(oldest == NULL, naive == NULL);
	if (oldest) {
		assert_int_equal(udp_table_slot(&m->table, oldest),
				 naive - m->flows);
		assert_false(oldest->is_answered);
	}
	for (unsigned i = 0; i < CLIENTS * PORTS; i++) {
		struct addr client, server;

		make_pair(i, &client, &server);
		assert_int_equal(udp_table_share(&m->table, &client),
				 naive_share(m, &client));
	}
}

static void test_random(void **state)
{
	static struct model m;

	(void)state; /* unused */
	begin(&m);
	for (unsigned i = 0; i < STEPS; i++) {
		step(&m);
		compare(&m);
	}
	end(&m);
}

/* Evicting the oldest again and again leaves exactly the answered ones. */
static void test_eviction(void **state)
{
	static struct model m;
	struct udp_flow *f;
	unsigned left = 0;

	(void)state; /* unused */
	begin(&m);
	for (unsigned i = 0; i < FLOWS; i++) {
		struct addr client, server;

		make_pair(i, &client, &server);
		f = udp_table_add(&m.table, &client, &server);
		assert_non_null(f);
		if (i % 3 == 0)
			udp_table_answered(&m.table, f);
	}
	while ((f = udp_table_oldest(&m.table)) != NULL)
		udp_table_remove(&m.table, f);
	for (unsigned i = 0; i < FLOWS; i++) {
		struct addr client, server;

		make_pair(i, &client, &server);
		f = udp_table_find(&m.table, &client, &server);
		assert_int_equal(f != NULL, i % 3 == 0);
		left += f != NULL;
	}
	assert_int_equal(m.table.flow_pool.used, left);
	end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_eviction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
