/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_tls_test.c - ClientHellos of real clients, of hostile ones, and cut.
 *
 * How records carry them is tried in name_tls_record_test.c.
 */
#include "relay/name_hello_test.h"
#include "relay/name_read_test.h"
#include "relay/name_real_test.h"

#include "relay/hex_test.h"

static const char host[] = "www.example.org";

typedef void (*make_fn)(struct hello_out *o);

struct row {
	const char *name;
	make_fn make;
	const char *found; /* NULL: none */
};

/* --- right ones ---------------------------------------------------------- */

static void make_large(struct hello_out *o)
{
	hello_make_large(o, host);
}

static void make_small(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, host);
	hello_end(o);
}

static void make_upper_case(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, "WWW.Example.ORG");
	hello_end(o);
}

static void make_name_last(struct hello_out *o)
{
	hello_begin(o);
	hello_put_extension(o, 0x0a0a, 300);
	hello_put_extension(o, 0xffff, 0);
	hello_put_name(o, host);
	hello_end(o);
}

static void make_no_session(struct hello_out *o)
{
	make_small(o);
	o->bytes[38] = 0;
	memmove(o->bytes + 39, o->bytes + 71, o->len - 71);
	o->len -= 32;
	hello_set_length(o, 4, 3);
}

static void make_unknown_version(struct hello_out *o)
{
	make_small(o);
	o->bytes[4] = 0x7f;
	o->bytes[5] = 0x7f;
}

static void put_names(struct hello_out *o, const char *names, size_t len)
{
	hello_begin(o);
	hello_put(o, 2, 0);
	hello_put(o, 2, len + 2);
	hello_put(o, 2, len);
	hello_put_text(o, names, len);
	hello_end(o);
}

#define NAMES(o, names) put_names(o, names, sizeof(names) - 1)

static void make_unknown_type_before(struct hello_out *o)
{
	NAMES(o, "\x07\0\3abc"
		 "\0\0\x0fwww.example.org");
}

static void make_most_extensions(struct hello_out *o)
{
	hello_begin(o);
	for (uint16_t i = 0; i < 127; i++)
		hello_put_extension(o, (uint16_t)(0x1000 + i), 1);
	hello_put_name(o, host);
	hello_end(o);
}

static void make_longest(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, host);
	hello_put_extension(o, 21, NAME_HELLO_MAX - o->len - 4);
	hello_end(o);
}

static void make_longest_name(struct hello_out *o)
{
	char name[254];

	memset(name, 'x', 253);
	name[63] = name[127] = name[191] = '.';
	name[253] = '\0';
	hello_begin(o);
	hello_put_name(o, name);
	hello_end(o);
}

#define X63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X61 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct row right[] = {
	{ "a small one", make_small, host },
	{ "one of post-quantum size", make_large, host },
	{ "a name in other letters", make_upper_case, host },
	{ "the name comes last", make_name_last, host },
	{ "no session id", make_no_session, host },
	{ "a version that nobody knows", make_unknown_version, host },
	{ "a name of an unknown type before it", make_unknown_type_before,
	  host },
	{ "128 extensions", make_most_extensions, host },
	{ "16384 bytes", make_longest, host },
	{ "a name of 253 bytes", make_longest_name,
	  X63 "." X63 "." X63 "." X61 },
};

/* --- wrong ones ---------------------------------------------------------- */

static void make_nothing_known(struct hello_out *o)
{
	hello_begin(o);
	hello_put_extension(o, 10, 4);
	hello_end(o);
}

static void make_empty_extensions(struct hello_out *o)
{
	hello_begin(o);
	hello_end(o);
}

static void make_no_extensions(struct hello_out *o)
{
	hello_begin(o);
	o->len -= 2;
	hello_set_length(o, 4, 3);
}

static void make_name_twice(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, host);
	hello_put_name(o, host);
	hello_end(o);
}

static void make_other_twice(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, host);
	hello_put_extension(o, 0x4a4a, 0);
	hello_put_extension(o, 10, 4);
	hello_put_extension(o, 0x4a4a, 1);
	hello_end(o);
}

static void make_too_many_extensions(struct hello_out *o)
{
	hello_begin(o);
	for (uint16_t i = 0; i < 128; i++)
		hello_put_extension(o, (uint16_t)(0x1000 + i), 1);
	hello_put_name(o, host);
	hello_end(o);
}

static void make_two_hosts(struct hello_out *o)
{
	NAMES(o, "\0\0\x0fwww.example.org"
		 "\0\0\x0fwww.example.net");
}

static void make_unknown_type_twice(struct hello_out *o)
{
	NAMES(o, "\xfe\0\1a\xfe\0\1b"
		 "\0\0\x0fwww.example.org");
}

static void make_only_unknown_type(struct hello_out *o)
{
	NAMES(o, "\7\0\x0fwww.example.org");
}

static void make_no_names(struct hello_out *o)
{
	NAMES(o, "");
}

static void make_empty_name(struct hello_out *o)
{
	NAMES(o, "\0\0\0");
}

static void make_cut_list(struct hello_out *o)
{
	NAMES(o, "\0\0\x0fwww.example.or");
}

static void make_bytes_behind_name(struct hello_out *o)
{
	NAMES(o, "\0\0\x0fwww.example.org\0");
}

/* What is behind the list would do as a second name. */
static void put_list(struct hello_out *o, size_t list_len)
{
	static const char names[] = "\0\0\x0fwww.example.org\7\0\1a";

	hello_begin(o);
	hello_put(o, 2, 0);
	hello_put(o, 2, sizeof(names) - 1 + 2);
	hello_put(o, 2, list_len);
	hello_put_text(o, names, sizeof(names) - 1);
	hello_end(o);
}

static void make_list_shorter_than_extension(struct hello_out *o)
{
	put_list(o, 18);
}

static void make_list_longer_than_extension(struct hello_out *o)
{
	put_list(o, 23);
}

static void make_server_name_longer_than_all(struct hello_out *o)
{
	put_list(o, 26);
	o->bytes[HELLO_EXTENSIONS_AT + 3] += 4;
}

static void make_empty_server_name(struct hello_out *o)
{
	hello_begin(o);
	hello_put_extension(o, 0, 0);
	hello_end(o);
}

static void make_name_of_254(struct hello_out *o)
{
	char name[255];

	memset(name, 'x', 254);
	name[63] = name[127] = name[191] = name[253] = '.';
	name[254] = '\0';
	hello_begin(o);
	hello_put_name(o, name);
	hello_end(o);
}

static void make_dot_at_end(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, "www.example.org.");
	hello_end(o);
}

static void make_ipv4(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, "192.0.2.1");
	hello_end(o);
}

static void make_ipv6(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, "2001:db8::1");
	hello_end(o);
}

static void make_nul_in_name(struct hello_out *o)
{
	NAMES(o, "\0\0\x0fwww.exam\0le.org");
}

static void make_server_hello(struct hello_out *o)
{
	make_small(o);
	o->bytes[0] = 2;
}

static void make_long_session(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, host);
	hello_end(o);
	memmove(o->bytes + 40, o->bytes + 39, o->len - 39);
	o->bytes[38] = 33;
	o->len++;
	hello_set_length(o, 4, 3);
}

static void make_no_suites(struct hello_out *o)
{
	make_small(o);
	o->bytes[71] = o->bytes[72] = 0;
	memmove(o->bytes + 73, o->bytes + 79, o->len - 79);
	o->len -= 6;
	hello_set_length(o, 4, 3);
}

static void make_no_compressions(struct hello_out *o)
{
	make_small(o);
	o->bytes[79] = 0;
	memmove(o->bytes + 80, o->bytes + 81, o->len - 81);
	o->len -= 1;
	hello_set_length(o, 4, 3);
}

static void make_bytes_behind_extensions(struct hello_out *o)
{
	make_small(o);
	hello_put_zeros(o, 4);
	hello_set_length(o, 4, 3);
}

static void make_extension_longer_than_all(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, host);
	hello_put_extension(o, 10, 4);
	hello_end(o);
	o->bytes[o->len - 5] = 5;
}

static void make_half_extension(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, host);
	hello_put(o, 3, 0x000a00);
	hello_end(o);
}

static void make_too_long(struct hello_out *o)
{
	hello_begin(o);
	hello_put_name(o, host);
	hello_put_extension(o, 21, NAME_HELLO_MAX - o->len - 3);
	hello_end(o);
}

static const struct row wrong[] = {
	{ "no server_name", make_nothing_known, NULL },
	{ "extensions of no bytes", make_empty_extensions, NULL },
	{ "no extensions, as before TLS 1.2", make_no_extensions, NULL },
	{ "R-TLS-3: server_name twice", make_name_twice, NULL },
	{ "R-TLS-3: another extension twice", make_other_twice, NULL },
	{ "129 extensions", make_too_many_extensions, NULL },
	{ "R-TLS-4: two host names", make_two_hosts, NULL },
	{ "R-TLS-4: two names of an unknown type", make_unknown_type_twice,
	  NULL },
	{ "only a name of an unknown type", make_only_unknown_type, NULL },
	{ "a list of no names", make_no_names, NULL },
	{ "a name of no bytes", make_empty_name, NULL },
	{ "a name longer than its list", make_cut_list, NULL },
	{ "bytes behind the name", make_bytes_behind_name, NULL },
	{ "a list shorter than its extension", make_list_shorter_than_extension,
	  NULL },
	{ "a list longer than its extension", make_list_longer_than_extension,
	  NULL },
	{ "a server_name longer than all extensions",
	  make_server_name_longer_than_all, NULL },
	{ "a server_name of no bytes", make_empty_server_name, NULL },
	{ "a name of 254 bytes", make_name_of_254, NULL },
	{ "R-TLS-4: a dot at the end", make_dot_at_end, NULL },
	{ "R-TLS-4: an IPv4 address", make_ipv4, NULL },
	{ "R-TLS-4: an IPv6 address", make_ipv6, NULL },
	{ "a NUL in the name", make_nul_in_name, NULL },
	{ "a ServerHello", make_server_hello, NULL },
	{ "a session id of 33 bytes", make_long_session, NULL },
	{ "no cipher suites", make_no_suites, NULL },
	{ "no compression methods", make_no_compressions, NULL },
	{ "bytes behind the extensions", make_bytes_behind_extensions, NULL },
	{ "an extension longer than all of them",
	  make_extension_longer_than_all, NULL },
	{ "half an extension", make_half_extension, NULL },
	{ "16385 bytes", make_too_long, NULL },
};

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))

/* --- tests --------------------------------------------------------------- */

static void test_R_TLS_2_right_hellos_have_their_name(void **state)
{
	static struct hello_out o;

	(void)state;
	for (size_t i = 0; i < COUNT(right); i++) {
		print_message("  %s\n", right[i].name);
		right[i].make(&o);
		expect_name_when_whole(name_hello, o.bytes, o.len,
				       right[i].found);
	}
}

static void test_R_TLS_3_4_wrong_hellos_have_none(void **state)
{
	static struct hello_out o;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		print_message("  %s\n", wrong[i].name);
		wrong[i].make(&o);
		expect_name(name_hello, o.bytes, o.len, NULL);
		expect_steady(name_hello, o.bytes, o.len);
	}
}

static void test_real_clients(void **state)
{
	const char *const real[] = { real_openssl, real_chromium };
	static uint8_t bytes[4096];

	(void)state;
	for (size_t i = 0; i < COUNT(real); i++)
		expect_name_when_whole(name_tls, bytes, unhex(real[i], bytes),
				       host);
}

static void test_R_TLS_6_the_outer_name_of_ech(void **state)
{
	static struct hello_out o;

	(void)state;
	hello_begin(&o);
	hello_put_extension(&o, 0xfe0d, 300);
	hello_put_name(&o, "public.example.net");
	hello_end(&o);
	expect_name(name_hello, o.bytes, o.len, "public.example.net");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_TLS_2_right_hellos_have_their_name),
		cmocka_unit_test(test_R_TLS_3_4_wrong_hellos_have_none),
		cmocka_unit_test(test_real_clients),
		cmocka_unit_test(test_R_TLS_6_the_outer_name_of_ech),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
