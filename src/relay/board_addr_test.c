/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board_addr_test.c - the addresses of names: written by one, read by many.
 *
 * "fra" has an address, "ams" a name.
 */
#include "relay/board.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay/upstreams_test.h"

enum { ROUNDS = 200000 };

struct scene {
	struct world w;
	size_t fra, ams;
	struct board *board;
};

static void scene_begin(struct scene *s)
{
	world_init(&s->w);
	s->fra = world_add(&s->w, "fra", UPSTREAM_SOCKS5, "192.0.2.1:1080");
	s->ams = world_add(&s->w, "ams", UPSTREAM_SOCKS5, NULL);
	s->w.upstreams[s->ams].has_to = true;
	s->w.upstreams[s->ams].to_name = "ams.example.org";
	s->board = board_new(&s->w.config, NULL, NULL);
	assert_non_null(s->board);
}

static void test_address_of_an_address(void **state)
{
	struct addr out = { .port = 9 };
	struct scene s;

	(void)state;
	scene_begin(&s);
	assert_true(board_address(s.board, &s.w.config, s.fra, 5, &out));
	assert_true(addr_equal(&out, &s.w.upstreams[s.fra].to));
	out.port = 9;
	assert_false(board_address(s.board, &s.w.config, s.ams, 0, &out));
	assert_false(
		board_address(s.board, &s.w.config, WORLD_DIRECT, 0, &out));
	assert_int_equal(out.port, 9); /* untouched */
	board_free(s.board);
}

static void make_addrs(struct addr *addrs, size_t count, uint32_t n)
{
	memset(addrs, 0, count * sizeof(*addrs));
	for (size_t i = 0; i < count; i++) {
		addrs[i].family = AF_INET;
		addrs[i].scope = n;
		addrs[i].port = (uint16_t)n;
		memcpy(addrs[i].ip, &n, sizeof(n));
	}
}

static void test_addresses_by_turns(void **state)
{
	struct addr addrs[BOARD_ADDRS_MAX + 3], out;
	struct board *next;
	struct scene s;

	(void)state;
	scene_begin(&s);
	for (uint32_t i = 0; i < BOARD_ADDRS_MAX + 3; i++)
		make_addrs(&addrs[i], 1, i + 1);
	board_set_addresses(s.board, s.ams, addrs, 2);
	for (uint32_t pick = 0; pick < 6; pick++) {
		assert_true(
			board_address(s.board, &s.w.config, s.ams, pick, &out));
		assert_int_equal(out.scope, pick % 2 + 1);
	}
	board_set_addresses(s.board, s.ams, addrs, BOARD_ADDRS_MAX + 3);
	assert_true(board_address(s.board, &s.w.config, s.ams, BOARD_ADDRS_MAX,
				  &out));
	assert_int_equal(out.scope, 1); /* the rest is cut off */
	next = board_new(&s.w.config, s.board, &s.w.config);
	assert_true(board_address(next, &s.w.config, s.ams, 7, &out));
	assert_int_equal(out.scope, 8);
	board_set_addresses(next, s.ams, addrs, 0);
	assert_false(board_address(next, &s.w.config, s.ams, 0, &out));
	board_free(next);
	board_free(s.board);
}

/* A board that somebody has written to at will leads nobody out of it. */
static void test_addresses_of_a_broken_board(void **state)
{
	struct addr one, out;
	struct scene s;

	(void)state;
	scene_begin(&s);
	make_addrs(&one, 1, 1);
	board_set_addresses(s.board, s.ams, &one, 1);
	s.board->upstreams[s.ams].names[1].count = BOARD_ADDRS_MAX + 1;
	assert_false(board_address(s.board, &s.w.config, s.ams, 0, &out));
	board_free(s.board);
}

static void write_for_ever(struct scene *s, int go_on)
{
	struct addr addrs[BOARD_ADDRS_MAX];
	char byte;

	for (uint32_t n = 1; read(go_on, &byte, 1) != 0; n++)
		for (int i = 0; i < 64; i++) {
			make_addrs(addrs, BOARD_ADDRS_MAX, n);
			board_set_addresses(s->board, s->ams, addrs,
					    BOARD_ADDRS_MAX);
		}
	_exit(0);
}

/* The writer is a resolver gone wild: what is read is whole all the same. */
static void test_addresses_while_they_change(void **state)
{
	unsigned seen = 0;
	struct scene s;
	int go_on[2];
	pid_t pid;

	(void)state;
	scene_begin(&s);
	assert_int_equal(pipe2(go_on, O_NONBLOCK), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(go_on[1]);
		write_for_ever(&s, go_on[0]);
	}
	while (seen < ROUNDS) {
		struct addr out, like;

		if (!board_address(s.board, &s.w.config, s.ams, seen, &out))
			continue;
		make_addrs(&like, 1, out.scope);
		assert_memory_equal(&out, &like, sizeof(out));
		seen++;
	}
	close(go_on[1]);
	close(go_on[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	board_free(s.board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_of_an_address),
		cmocka_unit_test(test_addresses_by_turns),
		cmocka_unit_test(test_addresses_of_a_broken_board),
		cmocka_unit_test(test_addresses_while_they_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
