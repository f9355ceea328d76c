/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leg_test.c - where a server leg goes, and from where.
 */
#include "relay/leg.h"

#include "net/netns_test.h"
#include "net/sock.h"

#include <errno.h>

enum { MARK = 0x2000 };

static struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* --- where it goes ------------------------------------------------------- */

static const struct {
	const char *name, *server, *to, *goes;
	uint16_t to_port;
	const char *name_at; /* where the name of `to` leads */
} destinations[] = {
	{ "the original destination", "198.51.100.7:443", NULL,
	  "198.51.100.7:443", 0, NULL },
	{ "another server, the same port", "198.51.100.7:443", "9.9.9.9",
	  "9.9.9.9:443", 0, NULL },
	{ "another server and port", "198.51.100.7:443", "9.9.9.9",
	  "9.9.9.9:53", 53, NULL },
	{ "another family", "198.51.100.7:443", "2001:db8::9",
	  "[2001:db8::9]:443", 0, NULL },
	{ "a proxy that is known by its name", "198.51.100.7:443", "9.9.9.9",
	  "192.0.2.3:3128", 3128, "192.0.2.3:3128" },
};

static void test_destinations(void **state)
{
	enum { COUNT = sizeof(destinations) / sizeof(*destinations) };

	(void)state; /* unused */
	for (size_t i = 0; i < COUNT; i++) {
		struct upstream u = { .has_to = destinations[i].to != NULL };
		struct addr server = at(destinations[i].server), out, goes, to;
		struct leg_request r = { .upstream = &u, .server = &server };

		if (u.has_to)
			assert_int_equal(
				addr_parse_ip(destinations[i].to, &u.to), 0);
		u.to.port = destinations[i].to_port;
		if (destinations[i].name_at) {
			to = at(destinations[i].name_at);
			r.to = &to;
		}
		leg_destination(&r, &out);
		goes = at(destinations[i].goes);
		if (!addr_equal(&out, &goes))
			fail_msg("%s: elsewhere", destinations[i].name);
	}
}

/* --- from where ---------------------------------------------------------- */

static const struct {
	const char *name;
	enum upstream_source source;
	bool is_from_host;
	const char *client, *server;
	const char *from; /* with port; NULL: this host's own */
	uint16_t from_port;
} sources[] = {
	{ "the client's address and port", SOURCE_CLIENT, false, "192.0.2.1:7",
	  "198.51.100.7:443", "192.0.2.1", 7 },
	{ "a process here keeps its port for itself", SOURCE_CLIENT, true,
	  "192.0.2.1:7", "198.51.100.7:443", "192.0.2.1", 0 },
	{ "nobody's flow has our own address", SOURCE_CLIENT, false, NULL,
	  "198.51.100.7:443", NULL, 0 },
	{ "a client of the other family cannot be", SOURCE_CLIENT, false,
	  "192.0.2.1:7", "[2001:db8::7]:443", NULL, 0 },
	{ "self", SOURCE_SELF, false, "192.0.2.1:7", "198.51.100.7:443", NULL,
	  0 },
	{ "the address of this family", SOURCE_ADDRESS, false, "192.0.2.1:7",
	  "198.51.100.7:443", "127.8.8.8", 0 },
	{ "the other one goes with its own family", SOURCE_ADDRESS, false,
	  "192.0.2.1:7", "[2001:db8::7]:443", "2001:db8::8", 0 },
};

static void test_sources(void **state)
{
	struct upstream u = { 0 };

	(void)state; /* unused */
	assert_int_equal(addr_parse_ip("127.8.8.8", &u.source_addr[0]), 0);
	assert_int_equal(addr_parse_ip("2001:db8::8", &u.source_addr[1]), 0);
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		const char *from = sources[i].from, *client = sources[i].client;
		struct addr c = { 0 }, server = at(sources[i].server);
		struct addr expected = { 0 }, out;
		struct leg_request r = {
			.upstream = &u,
			.client = client ? &c : NULL,
			.server = &server,
			.is_from_host = sources[i].is_from_host,
		};

		u.source = sources[i].source;
		if (client)
			c = at(client);
		if (from)
			assert_int_equal(addr_parse_ip(from, &expected), 0);
		expected.port = sources[i].from_port;
		leg_source(&r, &out);
		if (!addr_equal(&out, &expected))
			fail_msg("%s: somebody else", sources[i].name);
	}
}

/* --- the ladder ---------------------------------------------------------- */

struct ladder {
	struct shared *shared;
	struct upstream upstream;
	struct addr client, server, source;
	struct leg_request request;
	int server_fd;
};

static void begin(struct ladder *l)
{
	struct err e;

	netns_begin();
	*l = (struct ladder){ .client = at("127.9.9.9:4000"),
			      .server = at("127.0.0.1:80") };
	l->shared = shared_new(0);
	assert_non_null(l->shared);
	l->server_fd = sock_listen_tcp(&l->server, MARK, &e);
	assert_true(l->server_fd >= 0);
	l->request = (struct leg_request){ .upstream = &l->upstream,
					   .client = &l->client,
					   .server = &l->server,
					   .mark = MARK };
}

static void end(struct ladder *l)
{
	close(l->server_fd);
	shared_free(l->shared);
}

static unsigned counted(const struct ladder *l, enum counter c)
{
	return (unsigned)l->shared->counters[c];
}

/* Open a leg and let the server say whom it sees. */
static int open_seen(struct ladder *l, struct addr *seen)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = leg_open(&l->request, l->shared, &l->source), accepted;

	assert_true(fd >= 0);
	assert_int_equal(fcntl(l->server_fd, F_SETFL, 0), 0); /* blocking */
	accepted = accept(l->server_fd, (struct sockaddr *)&ss, &len);
	assert_true(accepted >= 0);
	addr_from_sockaddr((struct sockaddr *)&ss, seen);
	close(accepted);
	return fd;
}

static void test_client_port(void **state)
{
	struct addr seen;
	struct ladder l;
	int fd;

	(void)state; /* unused */
	begin(&l);
	fd = open_seen(&l, &seen);
	assert_true(addr_equal(&seen, &l.client));
	assert_true(addr_equal(&l.source, &l.client));
	assert_int_equal(counted(&l, COUNTER_spoof_other_port), 0);
	close(fd);
	end(&l);
}

/* A process of this host has the port, and would share its answers with us
 * if it lets others bind it. */
static void test_from_host(void **state)
{
	struct addr seen;
	struct ladder l;
	int fd;

	(void)state; /* unused */
	begin(&l);
	l.request.is_from_host = true;
	fd = open_seen(&l, &seen);
	assert_true(addr_same_ip(&seen, &l.client));
	assert_int_not_equal(seen.port, l.client.port);
	assert_int_equal(counted(&l, COUNTER_spoof_other_port), 0);
	close(fd);
	end(&l);
}

/* Connection tracking has the client's port, and may have any other that its
 * system chose by itself. */
static void test_redirected(void **state)
{
	struct addr seen;
	struct ladder l;
	uint16_t before;
	int fd;

	(void)state; /* unused */
	begin(&l);
	l.request.is_redirected = true;
	before = 0;
	for (int i = 0; i < 8; i++) {
		fd = open_seen(&l, &seen);
		assert_true(addr_same_ip(&seen, &l.client));
		assert_true(addr_equal(&l.source, &seen));
		assert_in_range(seen.port, 10240, 32767);
		assert_int_not_equal(seen.port, before);
		before = seen.port;
		close(fd);
	}
	assert_int_equal(counted(&l, COUNTER_spoof_other_port), 0);
	l.upstream.source = SOURCE_SELF;
	fd = open_seen(&l, &seen);
	assert_false(addr_same_ip(&seen, &l.client));
	close(fd);
	end(&l);
}

/* Taken by a listener on the very address: the next step of the ladder. */
static void test_other_port(void **state)
{
	struct addr taken, seen;
	struct ladder l;
	struct err e;
	int fd, other;

	(void)state; /* unused */
	begin(&l);
	taken = l.client;
	other = sock_listen_tcp(&taken, MARK, &e);
	assert_true(other >= 0);
	fd = open_seen(&l, &seen);
	assert_true(addr_same_ip(&seen, &l.client));
	assert_int_not_equal(seen.port, l.client.port);
	assert_true(addr_equal(&l.source, &seen));
	assert_int_equal(counted(&l, COUNTER_spoof_other_port), 1);
	assert_int_equal(counted(&l, COUNTER_spoof_failed), 0);
	close(fd);
	close(other);
	end(&l);
}

/* Every port of the small range is in use towards this server. */
static void test_no_port(void **state)
{
	struct addr untouched = at("1.2.3.4:5");
	int fds[64], count = 0, fd;
	struct ladder l;

	(void)state; /* unused */
	begin(&l);
	fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);
	if (fd < 0 || write(fd, "41000 41003", 11) != 11) {
		print_message("skipped: cannot set the port range\n");
		skip();
	}
	close(fd);
	for (; count < 64; count++) {
		l.source = untouched;
		fd = leg_open(&l.request, l.shared, &l.source);
		if (fd < 0)
			break;
		fds[count] = fd;
	}
	assert_true(count > 1 && count <= 5);
	assert_true(fd == -EADDRNOTAVAIL || fd == -EADDRINUSE);
	assert_true(addr_equal(&l.source, &untouched));
	assert_int_equal(counted(&l, COUNTER_spoof_other_port), count - 1);
	assert_int_equal(counted(&l, COUNTER_spoof_failed), 1);
	while (count)
		close(fds[--count]);
	end(&l);
}

/* Own address, and a destination of another family, spoof nothing. */
static void test_own_address(void **state)
{
	struct addr seen;
	struct ladder l;
	int fd;

	(void)state; /* unused */
	begin(&l);
	l.upstream.source = SOURCE_SELF;
	fd = open_seen(&l, &seen);
	assert_false(addr_same_ip(&seen, &l.client));
	assert_int_equal(l.source.family, 0);
	close(fd);
	l.upstream = (struct upstream){ .source = SOURCE_CLIENT,
					.has_to = true,
					.to = l.server };
	l.client = at("[2001:db8::1]:4000");
	fd = open_seen(&l, &seen);
	assert_int_equal(seen.family, AF_INET);
	assert_int_equal(l.source.family, 0);
	close(fd);
	end(&l);
}

/* An address that is nobody's: the server sees it, with any port. */
static void test_given_address(void **state)
{
	struct addr seen;
	struct ladder l;
	int fd;

	(void)state; /* unused */
	begin(&l);
	l.upstream.source = SOURCE_ADDRESS;
	l.upstream.source_addr[0] = at("127.8.8.8:1");
	l.upstream.source_addr[0].port = 0;
	fd = open_seen(&l, &seen);
	assert_true(addr_same_ip(&seen, &l.upstream.source_addr[0]));
	assert_true(addr_equal(&seen, &l.source));
	assert_int_equal(counted(&l, COUNTER_spoof_other_port), 0);
	close(fd);
	end(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_destinations),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_client_port),
		cmocka_unit_test(test_from_host),
		cmocka_unit_test(test_redirected),
		cmocka_unit_test(test_other_port),
		cmocka_unit_test(test_no_port),
		cmocka_unit_test(test_own_address),
		cmocka_unit_test(test_given_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
