/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listeners_plain_test.c - listeners at addresses that others can see.
 */
#include "daemon/listeners_test.h"

#include <errno.h>

/* Intercepts of `text`, those named "p..." listening at these addresses. */
static struct config *parse_plain(const char *text, const char *const at[])
{
	struct config *c = parse(text);

	for (size_t i = 0; i < c->intercept_count; i++) {
		struct intercept *it = &c->intercepts[i];

		if (it->name[0] != 'p')
			continue;
		it->has_listen = true;
		assert_int_equal(addr_parse(*at++, &it->listen), 0);
	}
	return c;
}

static const char plain_text[] = "intercept a { from a0; tcp any }\n"
				 "intercept p { from b0; tcp any }\n";

static int get_option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* Can anybody connect to it? */
static bool is_open(const char *text)
{
	struct sockaddr_storage ss;
	struct addr at;
	socklen_t len;
	bool is_it;
	int fd;

	assert_int_equal(addr_parse(text, &at), 0);
	len = addr_to_sockaddr(&at, &ss);
	fd = socket(at.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	is_it = connect(fd, (struct sockaddr *)&ss, len) == 0;
	close(fd);
	return is_it;
}

/* A worker's plain listener; there is one. */
static const struct worker_listener *find_plain(
	const struct worker_listener *all, size_t count)
{
	const struct worker_listener *found = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!all[i].is_plain)
			continue;
		assert_null(found);
		found = &all[i];
	}
	assert_non_null(found);
	return found;
}

static void test_plain(void **state)
{
	static const char *const at[] = { "127.0.0.1:4080" };
	struct config *c = parse_plain(plain_text, at);
	struct listeners l;
	struct plan p;

	(void)state; /* unused */
	begin(&l);
	open_for(&l, c, 3);
	expect_shares(&l, c, 3, 3 * kinds() + 3);
	for (uint32_t slot = 0; slot < 3; slot++) {
		size_t count;
		struct worker_listener *mine =
			listeners_of(&l, c, slot, 3, &count);
		const struct worker_listener *plain = find_plain(mine, count);

		assert_int_equal(plain->intercept, 1);
		assert_int_equal(plain->proto, PROTO_TCP);
		expect_socket(plain->fd, PROTO_TCP, 4080);
		assert_int_equal(get_option(plain->fd, SOL_IP, IP_TRANSPARENT),
				 0);
		assert_int_equal(get_option(plain->fd, SOL_SOCKET, SO_MARK),
				 plan_own_mark(c));
		free(mine);
	}
	listeners_plan(&l, c, &p);
	for (int proto = 0; proto < PROTO_COUNT; proto++)
		for (int f = 0; f < FAMILY_COUNT; f++) {
			assert_int_equal(p.ports[1][proto][f], 0);
			assert_int_equal(p.fds[1][proto][f], -1);
		}
	listeners_close(&l);
	config_free(c);
}

/* What the older generation serves and the new one does not is open until the
 * new one serves, and closed then; what both serve is one socket. */
static void test_plain_reload(void **state)
{
	static const struct {
		const char *what, *old[2], *new[2], *gone;
	} rows[] = {
		{ "another port",
		  { "127.0.0.1:4080", "127.0.0.1:4090" },
		  { "127.0.0.1:4081", "127.0.0.1:4090" },
		  "127.0.0.1:4080" },
		{ "another address",
		  { "127.0.0.1:4080", "127.0.0.1:4090" },
		  { "127.0.0.2:4080", "127.0.0.1:4090" },
		  "127.0.0.1:4080" },
		{ "a part of what was open",
		  { "0.0.0.0:4080", "127.0.0.1:4090" },
		  { "127.0.0.1:4080", "127.0.0.1:4090" },
		  "127.0.0.2:4080" },
		{ "more than what was open",
		  { "127.0.0.1:4080", "127.0.0.1:4090" },
		  { "0.0.0.0:4080", "127.0.0.1:4090" },
		  NULL },
		{ "names changed",
		  { "127.0.0.1:4080", "127.0.0.1:4090" },
		  { "127.0.0.1:4090", "127.0.0.1:4080" },
		  NULL },
	};
	static const char both[] = "intercept p { from b0; tcp any }\n"
				   "intercept pp { from b0; tcp any }\n";

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct config *old = parse_plain(both, rows[i].old);
		struct config *new = parse_plain(both, rows[i].new);
		struct listeners l;

		begin(&l);
		open_for(&l, old, 2);
		listeners_commit(&l, old);
		open_for(&l, new, 2);
		for (int n = 0; n < 2; n++)
			if (!is_open(rows[i].old[n]))
				fail_msg("%s: closed too early", rows[i].what);
		listeners_commit(&l, new);
		expect_shares(&l, new, 2, 4);
		if (rows[i].gone && is_open(rows[i].gone))
			fail_msg("%s: still open", rows[i].what);
		/* and back */
		open_for(&l, old, 2);
		listeners_commit(&l, old);
		expect_shares(&l, old, 2, 4);
		listeners_close(&l);
		config_free(old);
		config_free(new);
	}
}

/* What NAT brings is answered without our mark; an address that changes its
 * kind gets other sockets. */
static void test_redirected(void **state)
{
	static const char nat_text[] =
		"intercept p { listen 127.0.0.1:4080; redirected from ::1 }\n";
	static const char proxy_text[] =
		"intercept p { listen 127.0.0.1:4080; proxy-protocol from ::1 "
		"}\n";
	struct config *nat = parse(nat_text), *proxy = parse(proxy_text);
	struct config *const turns[] = { nat, proxy, nat };
	struct listeners l;

	(void)state; /* unused */
	begin(&l);
	for (size_t i = 0; i < sizeof(turns) / sizeof(*turns); i++) {
		struct worker_listener *mine;
		size_t count;

		open_for(&l, turns[i], 2);
		listeners_commit(&l, turns[i]);
		expect_shares(&l, turns[i], 2, 2);
		mine = listeners_of(&l, turns[i], 0, 2, &count);
		assert_int_equal(get_option(find_plain(mine, count)->fd,
					    SOL_SOCKET, SO_MARK),
				 turns[i] == nat ? 0 : plan_own_mark(nat));
		free(mine);
	}
	assert_int_equal(l.count, 2);
	listeners_close(&l);
	config_free(nat);
	config_free(proxy);
}

/* The new generation did not come up: its listeners are closed, those of the
 * older one are not. */
static void test_plain_roll_back(void **state)
{
	static const char *const at[] = { "127.0.0.1:4080" };
	static const char *const new_at[] = { "127.0.0.1:4081" };
	struct config *c = parse_plain(plain_text, at);
	struct config *new = parse_plain(plain_text, new_at);
	struct listeners l;

	(void)state; /* unused */
	begin(&l);
	open_for(&l, c, 2);
	listeners_commit(&l, c);
	for (int again = 0; again < 3; again++) {
		char text[ADDR_TEXT_MAX];
		struct addr *at_new = &new->intercepts[1].listen;

		at_new->port++;
		open_for(&l, new, 2);
		assert_true(is_open(addr_format(at_new, text)));
		listeners_roll_back(&l);
		assert_true(is_open("127.0.0.1:4080"));
		assert_false(is_open(text));
		assert_int_equal(l.count, 3); /* places are used again */
	}
	listeners_close(&l);
	config_free(c);
	config_free(new);
}

static void test_plain_refused(void **state)
{
	static const char *const taken[] = { "127.0.0.1:4080" };
	static const char *const not_here[] = { "192.0.2.1:4080" };
	struct config *c = parse_plain(plain_text, taken);
	struct config *other = parse_plain(plain_text, not_here);
	struct listeners l;
	struct err e = { 0 };
	struct addr at;
	int theirs;

	(void)state; /* unused */
	begin(&l);
	assert_int_equal(addr_parse(taken[0], &at), 0);
	theirs = sock_listen_plain(&at, 0, &e); /* it shares its port */
	assert_true(theirs >= 0);
	assert_int_equal(listeners_open(&l, c, 2, &e), -EADDRINUSE);
	assert_string_equal(e.text, "intercept p: cannot listen on "
				    "127.0.0.1:4080/tcp: Address already in "
				    "use");
	close(theirs);
	assert_int_equal(listeners_open(&l, other, 2, &e), -EADDRNOTAVAIL);
	assert_non_null(strstr(e.text, "intercept p: cannot listen on "
				       "192.0.2.1:4080/tcp: "));
	listeners_roll_back(&l);
	open_for(&l, c, 2);
	listeners_close(&l);
	config_free(c);
	config_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_plain_reload),
		cmocka_unit_test(test_redirected),
		cmocka_unit_test(test_plain_roll_back),
		cmocka_unit_test(test_plain_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
