/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolv_test.c - a resolv.conf, and what of it works elsewhere.
 */
#include "cli/resolv.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* clang-format off */
static const struct {
	const char *name, *text;
	const char *new_text;
	const char *real, *far; /* addresses, blanks between */
} rows[] = {
	{ "systemd's stub", "nameserver 127.0.0.53\noptions edns0\n",
	  "nameserver 192.0.0.170\noptions edns0\n", "127.0.0.53", "" },
	{ "one elsewhere", "search lab\nnameserver 9.9.9.9\n",
	  "search lab\nnameserver 9.9.9.9\n", "", "9.9.9.9" },
	{ "both, and IPv6", "nameserver ::1\nnameserver 2001:db8::53 # far\nnameserver 127.0.0.1\n",
	  "nameserver 192.0.0.170\nnameserver 2001:db8::53 # far\nnameserver 192.0.0.171\n",
	  "::1 127.0.0.1", "2001:db8::53" },
	{ "none means loopback", "search lab\n", "search lab\nnameserver 192.0.0.170\n", "127.0.0.1", "" },
	{ "no address", "nameserver example.org\n", "nameserver example.org\n", "", "" },
	{ "with a scope", "nameserver fe80::1%1\n", "nameserver fe80::1%1\n", "", "" },
	{ "an empty value", "nameserver \nnameserver\n", "nameserver \nnameserver\n", "", "" },
};
/* clang-format on */

static void add(struct str *out, const struct addr *a)
{
	char ip[ADDR_TEXT_MAX];

	str_addf(out, "%s%s", out->len ? " " : "", addr_format_ip(a, ip));
}

static void test_files(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str real = { 0 }, far = { 0 };
		int fd = memfd_create("resolv.conf", MFD_CLOEXEC);
		struct resolv r;
		struct err e;
		char path[64];

		assert_int_equal(write(fd, rows[i].text, strlen(rows[i].text)),
				 strlen(rows[i].text));
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		assert_int_equal(resolv_read(path, &r, &e), 0);
		for (size_t n = 0; n < r.count; n++)
			add(&real, &r.real[n]);
		for (size_t n = 0; n < r.far_count; n++)
			add(&far, &r.far[n]);
		if (strcmp(str_get(&r.text), rows[i].new_text) ||
		    strcmp(str_get(&real), rows[i].real) ||
		    strcmp(str_get(&far), rows[i].far))
			fail_msg("%s:\n%s%s / %s", rows[i].name,
				 str_get(&r.text), str_get(&real),
				 str_get(&far));
		resolv_done(&r);
		str_done(&real);
		str_done(&far);
		close(fd);
	}
}

static void test_a_missing_file_means_loopback(void **state)
{
	struct resolv r;
	struct err e;

	(void)state; /* unused */
	assert_int_equal(resolv_read("/nowhere/resolv.conf", &r, &e), 0);
	assert_int_equal(r.count, 1);
	assert_string_equal(str_get(&r.text), "nameserver 192.0.0.170\n");
	resolv_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_a_missing_file_means_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
