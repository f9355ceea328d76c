/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_table_test.c - keys of cut-through flows, and a map of them.
 *
 * The map is one made here.  What the program changes in it: cut_test.c.
 */
#include "engine/cut_table.h"

#include "base/random_test.h"
#include "engine/cut_world_test.h"

#include <stdio.h>
#include <stdlib.h>

enum { MANY = 5000 };

static struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* --- keys ---------------------------------------------------------------- */

static const struct key_case {
	const char *name, *peer, *own;
} key_cases[] = {
	{ "IPv4", "192.0.2.1:40000", "198.51.100.7:80" },
	{ "IPv4, addresses that differ in the last byte", "192.0.2.1:1",
	  "192.0.2.2:1" },
	{ "IPv4, ports decide", "192.0.2.1:258", "192.0.2.1:513" },
	{ "IPv4, the highest", "255.255.255.255:65535", "0.0.0.1:1" },
	{ "IPv6", "[2001:db8::1]:40000", "[2001:db8:1::7]:443" },
	{ "IPv6, addresses that differ in the last word", "[2001:db8::1]:443",
	  "[2001:db8::2]:443" },
	{ "IPv6, ports decide", "[2001:db8::1]:443", "[2001:db8::1]:444" },
};
enum { KEY_CASES = sizeof(key_cases) / sizeof(*key_cases) };

/* What the program does with the addresses of a packet. */
static bool program_says_low(const struct addr *src, const struct addr *dst)
{
	uint32_t a[4], b[4];

	memcpy(a, src->ip, sizeof(a));
	memcpy(b, dst->ip, sizeof(b));
	return wl_cut_is_low(a, htons(src->port), b, htons(dst->port));
}

static void expect_key(const struct addr *peer, const struct addr *own)
{
	struct wl_cut_key key, back;
	struct addr low, high;
	bool is_low = cut_key(IPPROTO_TCP, peer, own, &key);

	assert_int_equal(is_low, program_says_low(peer, own));
	assert_int_equal(key.proto, IPPROTO_TCP);
	assert_int_equal(key.family, peer->family == AF_INET6);
	cut_ends(&key, &low, &high);
	assert_true(addr_equal(is_low ? &low : &high, peer));
	assert_true(addr_equal(is_low ? &high : &low, own));
	/* packets of both ends find one entry */
	assert_int_equal(cut_key(IPPROTO_TCP, own, peer, &back), !is_low);
	assert_memory_equal(&key, &back, sizeof(key));
}

static void test_keys(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < KEY_CASES; i++) {
		struct addr peer = at(key_cases[i].peer);
		struct addr own = at(key_cases[i].own);

		print_message("%s\n", key_cases[i].name);
		expect_key(&peer, &own);
		expect_key(&own, &peer);
	}
}

static void test_random_keys(void **state)
{
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	for (int round = 0; round < 20000; round++) {
		struct addr ends[2] = { { .family = AF_INET },
					{ .family = AF_INET } };
		bool is_v6 = rnd_draw(&r, 2);

		for (int i = 0; i < 2; i++) {
			ends[i].family = is_v6 ? AF_INET6 : AF_INET;
			/* few values, so that many are the same */
			for (size_t b = 0; b < addr_ip_len(&ends[i]); b++)
				ends[i].ip[b] = (uint8_t)rnd_draw(&r, 2);
			ends[i].port = (uint16_t)rnd_draw(&r, 3);
		}
		if (addr_equal(&ends[0], &ends[1]))
			continue;
		expect_key(&ends[0], &ends[1]);
	}
}

/* Bytes that a packet has at fixed places. */
static void test_key_bytes(void **state)
{
	static const uint8_t low[16] = { 192, 0, 2, 1 };
	static const uint8_t high[16] = { 192, 0, 2, 200 };
	struct addr peer = at("192.0.2.200:258"), own = at("192.0.2.1:80");
	uint8_t ports[4];
	struct wl_cut_key key;

	(void)state; /* unused */
	assert_false(cut_key(IPPROTO_UDP, &peer, &own, &key));
	assert_memory_equal(key.low, low, 16);
	assert_memory_equal(key.high, high, 16);
	memcpy(ports, &key.low_port, 4);
	assert_memory_equal(ports, "\0\x50\1\2", 4);
	assert_int_equal(key.proto, IPPROTO_UDP);
	assert_int_equal(key.family, 0);
	assert_int_equal(key.pad[0] | key.pad[1], 0);
}

/* The program sees no scope: the key has none, and gives none back. */
static void test_link_local(void **state)
{
	struct addr peer = at("[fe80::2]:40000"), own = at("[fe80::1]:443");
	struct wl_cut_key plain, scoped;
	struct addr low, high;

	(void)state; /* unused */
	(void)cut_key(IPPROTO_TCP, &peer, &own, &plain);
	peer.scope = own.scope = 7;
	assert_false(cut_key(IPPROTO_TCP, &peer, &own, &scoped));
	assert_memory_equal(&plain, &scoped, sizeof(plain));
	cut_ends(&scoped, &low, &high);
	own.scope = peer.scope = 0;
	assert_true(addr_equal(&low, &own));
	assert_true(addr_equal(&high, &peer));
}

static void test_tuples(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < KEY_CASES; i++) {
		struct addr src = at(key_cases[i].peer);
		struct addr dst = at(key_cases[i].own);
		struct wl_cut_tuple t;

		cut_tuple(&src, &dst, &t);
		assert_memory_equal(t.src, src.ip, 16);
		assert_memory_equal(t.dst, dst.ip, 16);
		assert_int_equal(ntohs(t.sport), src.port);
		assert_int_equal(ntohs(t.dport), dst.port);
	}
}

/* Of two legs, each finds the other. */
static void test_other_leg(void **state)
{
	struct addr client = at("192.0.2.1:40000"), front = at("192.0.2.9:80");
	struct addr back = at("198.51.100.9:5000"),
		    proxy = at("203.0.113.1:1080");
	struct wl_cut_key client_leg, server_leg, found;
	struct wl_cut_tuple to_proxy, to_client;

	(void)state; /* unused */
	(void)cut_key(IPPROTO_TCP, &client, &front, &client_leg);
	(void)cut_key(IPPROTO_TCP, &proxy, &back, &server_leg);
	cut_tuple(&back, &proxy, &to_proxy);
	cut_tuple(&front, &client, &to_client);
	cut_other_key(&client_leg, &to_proxy, &found);
	assert_memory_equal(&found, &server_leg, sizeof(found));
	cut_other_key(&server_leg, &to_client, &found);
	assert_memory_equal(&found, &client_leg, sizeof(found));
}

/* --- entries ------------------------------------------------------------- */

static struct wl_cut_key key_of(uint32_t number)
{
	struct addr peer = at("10.0.0.0:1"), own = at("198.51.100.7:80");
	struct wl_cut_key key;

	peer.ip[1] = (uint8_t)(number >> 16);
	peer.ip[2] = (uint8_t)(number >> 8);
	peer.ip[3] = (uint8_t)number;
	(void)cut_key(IPPROTO_TCP, &peer, &own, &key);
	return key;
}

static void add_many(const struct cut_table *t, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct wl_cut_key key = key_of(i);
		struct wl_cut value = { .begun_s = i };

		assert_int_equal(cut_table_add(t, &key, &value), 0);
	}
}

static void test_entries(void **state)
{
	struct cut_table t = make_table(2);
	struct wl_cut value = { .begun_s = 1 }, got = { .begun_s = 99 };
	struct wl_cut_key keys[3] = { key_of(0), key_of(1), key_of(2) };

	(void)state; /* unused */
	assert_int_equal(cut_table_get(&t, &keys[0], &got), -ENOENT);
	assert_int_equal(got.begun_s, 99);
	assert_int_equal(cut_table_add(&t, &keys[0], &value), 0);
	value.begun_s = 2;
	assert_int_equal(cut_table_add(&t, &keys[0], &value), -EEXIST);
	assert_int_equal(cut_table_get(&t, &keys[0], &got), 0);
	assert_int_equal(got.begun_s, 1);
	assert_int_equal(cut_table_add(&t, &keys[1], &value), 0);
	assert_int_equal(cut_table_add(&t, &keys[2], &value), -E2BIG);
	assert_int_equal(cut_table_drop(&t, &keys[0]), 0);
	assert_int_equal(cut_table_drop(&t, &keys[0]), -ENOENT);
	assert_int_equal(cut_table_add(&t, &keys[2], &value), 0);
	close_table(&t);
}

/* --- walking ------------------------------------------------------------- */

static uint32_t walk_all(const struct cut_table *t, bool is_dropping)
{
	struct cut_walk *w = calloc(1, sizeof(*w));
	static uint8_t met[MANY];
	uint32_t count = 0;

	assert_non_null(w);
	memset(met, 0, sizeof(met));
	do {
		assert_int_equal(cut_table_walk(t, w), 0);
		assert_in_range(w->count, 0, CUT_WALK_MAX);
		assert_int_equal(w->is_begun, w->count > 0);
		for (uint32_t i = 0; i < w->count; i++) {
			struct wl_cut_key key = key_of(w->values[i].begun_s);

			assert_memory_equal(&key, &w->keys[i], sizeof(key));
			assert_int_equal(met[w->values[i].begun_s]++, 0);
			if (is_dropping)
				assert_int_equal(cut_table_drop(t, &key), 0);
		}
		count += w->count;
	} while (w->is_begun);
	free(w);
	return count;
}

static void test_walk(void **state)
{
	static const uint32_t counts[] = {
		0, 1, 2, 1023, 1024, 1025, 2048, MANY
	};

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct cut_table t = make_table(MANY);

		add_many(&t, counts[i]);
		assert_int_equal(walk_all(&t, false), counts[i]);
		assert_int_equal(walk_all(&t, true), counts[i]);
		assert_int_equal(walk_all(&t, false), 0);
		close_table(&t);
	}
}

/* The struct of a walk that is over, or broken off, begins another one. */
static void test_walk_again(void **state)
{
	struct cut_table t = make_table(MANY);
	struct cut_walk *w = calloc(1, sizeof(*w));
	struct wl_cut_key first;

	(void)state; /* unused */
	assert_non_null(w);
	add_many(&t, MANY);
	assert_int_equal(cut_table_walk(&t, w), 0);
	first = w->keys[0];
	assert_int_equal(cut_table_walk(&t, w), 0);
	assert_memory_not_equal(&w->keys[0], &first, sizeof(first));
	w->is_begun = false;
	assert_int_equal(cut_table_walk(&t, w), 0);
	assert_memory_equal(&w->keys[0], &first, sizeof(first));
	while (w->is_begun)
		assert_int_equal(cut_table_walk(&t, w), 0);
	assert_int_equal(cut_table_walk(&t, w), 0);
	assert_memory_equal(&w->keys[0], &first, sizeof(first));
	free(w);
	close_table(&t);
}

static void test_walk_fails(void **state)
{
	struct cut_table t = { .flows_fd = -1 };
	struct cut_walk *w = calloc(1, sizeof(*w));

	(void)state; /* unused */
	assert_non_null(w);
	w->count = 7;
	assert_int_equal(cut_table_walk(&t, w), -EBADF);
	assert_int_equal(w->count, 0);
	free(w);
}

/* --- counters ------------------------------------------------------------ */

static void test_counters(void **state)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values = calloc((size_t)cpus, sizeof(*values));
	uint64_t sums[WL_CUT_COUNTERS];
	struct cut_table t = make_table(1);

	(void)state; /* unused */
	assert_non_null(values);
	for (uint32_t i = 0; i < WL_CUT_COUNTERS; i++) {
		for (int cpu = 0; cpu < cpus; cpu++)
			values[cpu] = (1ull << 40) * (i + 1) + (unsigned)cpu;
		assert_int_equal(
			bpf_map_update_elem(t.counters_fd, &i, values, BPF_ANY),
			0);
	}
	assert_int_equal(cut_table_counters(&t, sums), 0);
	for (uint32_t i = 0; i < WL_CUT_COUNTERS; i++)
		assert_int_equal(sums[i],
				 (uint64_t)cpus * (1ull << 40) * (i + 1) +
					 (uint64_t)cpus * (unsigned)(cpus - 1) /
						 2);
	sums[0] = 4711;
	close(t.counters_fd);
	t.counters_fd = -1;
	assert_int_equal(cut_table_counters(&t, sums), -EBADF);
	assert_int_equal(sums[0], 4711);
	close(t.flows_fd);
	free(values);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_random_keys),
		cmocka_unit_test(test_key_bytes),
		cmocka_unit_test(test_link_local),
		cmocka_unit_test(test_tuples),
		cmocka_unit_test(test_other_leg),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_walk_again),
		cmocka_unit_test(test_walk_fails),
		cmocka_unit_test(test_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
