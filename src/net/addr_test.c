/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr_test.c - addresses as text, as bytes, and as the kernel's form.
 */
#include "net/addr.h"

#include "base/random_test.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 20000 };

/* --- text ---------------------------------------------------------------- */

/* Written differently, printed as here. */
static const struct {
	const char *text, *printed;
	uint16_t family, port;
} good[] = {
	{ "1.2.3.4:80", "1.2.3.4:80", AF_INET, 80 },
	{ "255.255.255.255:65535", "255.255.255.255:65535", AF_INET, 65535 },
	{ "0.0.0.0:1", "0.0.0.0:1", AF_INET, 1 },
	{ "1.2.3.4:00080", "1.2.3.4:80", AF_INET, 80 },
	{ "[2001:db8::1]:80", "[2001:db8::1]:80", AF_INET6, 80 },
	{ "[2001:0DB8:0:0::1]:80", "[2001:db8::1]:80", AF_INET6, 80 },
	{ "[::]:1", "[::]:1", AF_INET6, 1 },
	{ "[::ffff:1.2.3.4]:9", "[::ffff:1.2.3.4]:9", AF_INET6, 9 },
	{ "[fe80::1%7]:53", "[fe80::1%7]:53", AF_INET6, 53 },
	{ "[fe80::1%lo]:53", "[fe80::1%1]:53", AF_INET6, 53 },
};

static void test_good(void **state)
{
	char text[ADDR_TEXT_MAX];

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct addr a, again;

		if (addr_parse(good[i].text, &a))
			fail_msg("%s is refused", good[i].text);
		assert_int_equal(a.family, good[i].family);
		assert_int_equal(a.port, good[i].port);
		assert_string_equal(addr_format(&a, text), good[i].printed);
		assert_int_equal(addr_parse(text, &again), 0);
		assert_true(addr_equal(&a, &again));
	}
}

static void test_ports(void **state)
{
	static const struct {
		const char *text;
		int port; /* 0: refused */
	} ports[] = {
		{ "1", 1 },	     { "65535", 65535 }, { "080", 80 },
		{ "", 0 },	     { "0", 0 },	 { "65536", 0 },
		{ "4294967377", 0 }, { "+80", 0 },	 { " 80", 0 },
		{ "80 ", 0 },	     { "80-90", 0 },	 { "http", 0 },
	};

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
		uint16_t port = 7;
		int result = addr_parse_port(ports[i].text, &port);

		if (result != (ports[i].port ? 0 : -EINVAL) ||
		    port != (ports[i].port ? ports[i].port : 7))
			fail_msg("'%s': %d, %d", ports[i].text, result, port);
	}
}

static const char *const bad[] = {
	"",
	":",
	":80",
	"1.2.3.4",
	"1.2.3.4:",
	"1.2.3.4:0",
	"1.2.3.4:65536",
	"1.2.3.4:99999999999999999999",
	"1.2.3.4:-1",
	"1.2.3.4:+80",
	"1.2.3.4: 80",
	"1.2.3.4:80 ",
	" 1.2.3.4:80",
	"1.2.3:80",
	"1.2.3.4.5:80",
	"1.2.3.256:80",
	"1.2.3.4/8:80",
	"1.2.3.4:80:80",
	"[1.2.3.4]:80",
	"1.2.3.4%1:80",
	"[]:80",
	"[",
	"]:80",
	"[::1",
	"[::1]",
	"[::1]80",
	"[::1]:",
	"::1:80",
	"2001:db8::1:80",
	"[::1]:0",
	"[:::1]:80",
	"[1:2:3:4:5:6:7:8:9]:80",
	"[[::1]]:80",
	"[::1%]:80",
	"[fe80::1%]:80",
	"[fe80::1%0]:80",
	"[fe80::1%no-such-if]:80",
	"[fe80::1%1%1]:80",
	"[fe80::1%4294967297]:80",
	"example.org:80",
	"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0]:80",
	/* a scope belongs to link-local addresses only */
	"[2001:db8::1%1]:80",
	"[::1%1]:80",
};

static void test_bad(void **state)
{
	struct addr before, a;

	(void)state; /* unused */
	memset(&before, 0x5a, sizeof(before));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		a = before;
		if (addr_parse(bad[i], &a) != -EINVAL)
			fail_msg("\"%s\" is not refused", bad[i]);
		assert_memory_equal(&a, &before, sizeof(a));
	}
}

static const struct {
	const char *text, *printed; /* printed NULL: refused, with `error` */
	int error;
} prefixes[] = {
	{ "10.0.0.0/8", "10.0.0.0/8", 0 },
	{ "10.0.0.1", "10.0.0.1", 0 },
	{ "10.0.0.1/32", "10.0.0.1", 0 },
	{ "0.0.0.0/0", "0.0.0.0/0", 0 },
	{ "10.0.0.128/25", "10.0.0.128/25", 0 },
	{ "2001:db8::/32", "2001:db8::/32", 0 },
	{ "::/0", "::/0", 0 },
	{ "2001:db8::1/128", "2001:db8::1", 0 },
	{ "::ffff:0:0/96", "::ffff:0.0.0.0/96", 0 },
	{ "10.0.0.1/8", NULL, -ERANGE },
	{ "10.0.0.128/24", NULL, -ERANGE },
	{ "0.0.0.1/0", NULL, -ERANGE },
	{ "2001:db8::1/127", NULL, -ERANGE },
	{ "8000::/0", NULL, -ERANGE },
	{ "10.0.0.0/33", NULL, -EINVAL },
	{ "::/129", NULL, -EINVAL },
	{ "10.0.0.0/", NULL, -EINVAL },
	{ "10.0.0.0/8/8", NULL, -EINVAL },
	{ "10.0.0.0/-1", NULL, -EINVAL },
	{ "10.0.0.0/255.0.0.0", NULL, -EINVAL },
	{ "10.0.0.0:80/8", NULL, -EINVAL },
	{ "10/8", NULL, -EINVAL },
	{ "/8", NULL, -EINVAL },
	{ "", NULL, -EINVAL },
	{ "fe80::1%1", NULL, -EINVAL },
	{ "fe80::%1/64", NULL, -EINVAL },
};

static void test_prefixes(void **state)
{
	char text[ADDR_TEXT_MAX];
	struct prefix before, p;

	(void)state; /* unused */
	memset(&before, 0x5a, sizeof(before));
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		p = before;
		if (prefix_parse(prefixes[i].text, &p) != prefixes[i].error)
			fail_msg("%s: not as expected", prefixes[i].text);
		if (prefixes[i].printed)
			assert_string_equal(prefix_format(&p, text),
					    prefixes[i].printed);
		else
			assert_memory_equal(&p, &before, sizeof(p));
	}
}

/* --- bytes --------------------------------------------------------------- */

static void draw_addr(struct rnd *r, struct addr *out)
{
	*out = (struct addr){ .family = AF_INET };
	if (rnd_draw(r, 2))
		out->family = AF_INET6;
	/* few bits, so that equal beginnings are common */
	for (size_t i = 0; i < addr_ip_len(out); i++)
		out->ip[i] = (uint8_t)(rnd_draw(r, 4) ? 0 : rnd_draw(r, 256));
}

static bool naive_contains(const struct prefix *p, const struct addr *a)
{
	if (p->net.family != a->family)
		return false;
	for (unsigned bit = 0; bit < p->len; bit++)
		if ((p->net.ip[bit / 8] ^ a->ip[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
}

static void test_contains(void **state)
{
	struct addr a;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct prefix p = { .len = 0 };
		unsigned bits, flip;

		draw_addr(&r, &p.net);
		bits = (unsigned)addr_ip_len(&p.net) * 8;
		p.len = (uint8_t)rnd_draw(&r, bits + 1);
		for (unsigned i = p.len; i < bits; i++)
			p.net.ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
		draw_addr(&r, &a);
		assert_int_equal(prefix_contains(&p, &a),
				 naive_contains(&p, &a));
		a = p.net;
		assert_true(prefix_contains(&p, &a));
		flip = rnd_draw(&r, bits);
		a.ip[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
		assert_int_equal(prefix_contains(&p, &a), flip >= p.len);
	}
}

/* Text and the kernel's form lose nothing. */
static void test_round_trips(void **state)
{
	struct sockaddr_storage ss;
	char text[ADDR_TEXT_MAX];
	struct addr a, b;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	for (unsigned round = 0; round < ROUNDS; round++) {
		draw_addr(&r, &a);
		a.port = (uint16_t)(1 + rnd_draw(&r, 65535));
		if (addr_is_link_local(&a) && a.family == AF_INET6)
			a.scope = 1 + rnd_draw(&r, INT32_MAX);
		assert_true(strlen(addr_format(&a, text)) < ADDR_TEXT_MAX);
		assert_int_equal(addr_parse(text, &b), 0);
		assert_true(addr_equal(&a, &b));
		memset(&ss, 0xff, sizeof(ss));
		assert_int_equal(addr_to_sockaddr(&a, &ss),
				 a.family == AF_INET6
					 ? sizeof(struct sockaddr_in6)
					 : sizeof(struct sockaddr_in));
		memset(&b, 0xff, sizeof(b));
		addr_from_sockaddr((struct sockaddr *)&ss, &b);
		assert_true(addr_equal(&a, &b));
	}
	ss.ss_family = AF_UNIX;
	addr_from_sockaddr((struct sockaddr *)&ss, &b);
	assert_int_equal(b.family, 0);
	assert_string_equal(addr_format_ip(&b, text), "-");
}

static const struct {
	const char *text;
	bool is_loopback, is_link_local;
} kinds[] = {
	{ "127.0.0.1", true, false },
	{ "127.255.0.9", true, false },
	{ "126.255.255.255", false, false },
	{ "128.0.0.0", false, false },
	{ "169.254.0.1", false, true },
	{ "169.253.255.255", false, false },
	{ "169.255.0.0", false, false },
	{ "::1", true, false },
	{ "::", false, false },
	{ "::2", false, false },
	{ "7f00::1", false, false },
	{ "fe80::1", false, true },
	{ "febf::1", false, true },
	{ "fec0::1", false, false },
	{ "a9fe::1", false, false },
	{ "ff02::1", false, false },
};

static void test_kinds(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct addr a;

		assert_int_equal(addr_parse_ip(kinds[i].text, &a), 0);
		if (addr_is_loopback(&a) != kinds[i].is_loopback ||
		    addr_is_link_local(&a) != kinds[i].is_link_local)
			fail_msg("%s is taken for another kind", kinds[i].text);
	}
}

static void test_mapped(void **state)
{
	static const struct {
		const char *text, *unmapped;
	} cases[] = {
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::ffff:0:0", "0.0.0.0" },
		{ "192.0.2.1", NULL },
		{ "::192.0.2.1", NULL },
		{ "::1:ffff:192.0.2.1", NULL },
		{ "::fffe:192.0.2.1", NULL },
	};

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *want = cases[i].unmapped;
		struct addr a, b;

		assert_int_equal(addr_parse_ip(cases[i].text, &a), 0);
		assert_int_equal(addr_parse_ip(want ? want : cases[i].text, &b),
				 0);
		a.port = b.port = 443;
		assert_int_equal(addr_unmap(&a), want != NULL);
		assert_true(addr_equal(&a, &b));
	}
}

static void test_comparing(void **state)
{
	static const char *const order[] = {
		"0.0.0.0/0", "9.0.0.0/8", "10.0.0.0/8",	   "10.0.0.0/9",
		"10.0.0.1",  "::/0",	  "2001:db8::/32", "2001:db8::/33",
	};
	enum { COUNT = sizeof(order) / sizeof(*order) };
	struct prefix p[COUNT];
	struct addr a, b;

	(void)state; /* unused */
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(prefix_parse(order[i], &p[i]), 0);
	for (int i = 0; i < COUNT; i++)
		for (int j = 0; j < COUNT; j++) {
			int is = prefix_compare(&p[i], &p[j]);

			assert_int_equal((is > 0) - (is < 0),
					 (i > j) - (i < j));
		}
	assert_int_equal(addr_parse("1.2.3.4:5", &a), 0);
	assert_int_equal(addr_parse("1.2.3.4:6", &b), 0);
	assert_true(addr_same_ip(&a, &b));
	assert_false(addr_equal(&a, &b));
	assert_int_equal(addr_parse("[102:304::]:5", &b), 0);
	assert_false(addr_same_ip(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_comparing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
