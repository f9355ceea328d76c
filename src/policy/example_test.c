/* SPDX-License-Identifier: Apache-2.0 */
/*
 * example_test.c - a gateway that sends traffic through a group of SOCKS5
 * servers, chosen by domain name: the language as a whole.
 */
#include "policy/texts_test.h"
#include "policy/domains.h"
#include "policy/eval.h"
#include "policy/files_test.h"

static const char example[] =
	"# gateway that sends traffic through a group of SOCKS5 servers, "
	"chosen by domain name\n"
	"engine      auto\n"
	"on-failure  closed                    # never leak\n"
	"\n"
	"intercept lan  { from br-lan; tcp any; udp 53, 443; except dst "
	"private }\n"
	"intercept self { from host; tcp 80, 443; except user waylay, "
	"_apt; except cgroup system.slice/tailscaled.service }\n"
	"\n"
	"sniff { tls; http; quic; wait 50ms }  # learn the name from the "
	"first bytes; never decrypts\n"
	"\n"
	"upstream fra1 { via socks5 198.51.100.10:1080; user alice; "
	"password file:/etc/waylay/fra1.pass; udp on }\n"
	"upstream ams1 { via socks5 [2001:db8::10]:1080; udp on }\n"
	"upstream corp { via http-connect proxy.corp.example:3128; user "
	"svc; password credential:corp-proxy }\n"
	"upstream dns  { via direct; to 9.9.9.9:53 }\n"
	"\n"
	"group world {\n"
	"    members   fra1, ams1\n"
	"    balance   least-latency           # first | round-robin | "
	"least-conn | least-latency | hash client\n"
	"    health    connect 1.1.1.1:443 every 10s timeout 3s rise 2 "
	"fall 3\n"
	"    fallback  reject                  # or direct, or another "
	"upstream or group\n"
	"}\n"
	"\n"
	"list ads   { file /etc/waylay/ads.domains; reload on-change }\n"
	"list intra { domain corp.example, *.intra.example; net "
	"10.20.0.0/16 }\n"
	"\n"
	"rules {                               # first match wins; `waylay "
	"explain` shows which one and why\n"
	"    udp port 53                       -> dns\n"
	"    list ads                          -> reject\n"
	"    list intra                        -> corp\n"
	"    domain github.com, *.debian.org   -> direct\n"
	"    quic                              -> reject        # browsers "
	"fall back to TCP, where the name is visible\n"
	"    src 192.168.1.50 port 25          -> drop log\n"
	"    default                           -> world\n"
	"}\n"
	"\n"
	"log   { level info; format journal; flows sampled 100 }\n"
	"admin { http 127.0.0.1:9095; token file:/etc/waylay/admin.token "
	"}\n";

static struct file_row rows[] = {
	{ "/etc/waylay/ads.domains", "ads.example\n*.track.example\n" },
	{ "file:/etc/waylay/fra1.pass", "fra" },
	{ "credential:corp-proxy", "corp" },
	{ NULL, NULL },
};

static const struct policy_files files = { rows, read_list, read_secret };

static size_t find_upstream(const struct config *c, const char *name)
{
	size_t i = 0;

	while (strcmp(c->upstreams[i].name, name) != 0)
		assert_in_range(++i, 0, c->upstream_count - 1);
	return i;
}

/* No error, and no doubt but that nobody serves the page yet. */
static void test_read(void **state)
{
	struct messages m = { .errors = 0 };
	struct config *c =
		config_parse_with("t", example, strlen(example), &files, &m);

	(void)state; /* unused */
	if (!c || m.warnings != 1)
		print_error("%s", str_get(&m.text));
	assert_non_null(c);
	assert_int_equal(m.warnings, 1);
	assert_non_null(
		strstr(str_get(&m.text), "the admin page is not served yet"));
	config_free(c);
	messages_done(&m);
}

static void test_model(void **state)
{
	struct config *c = parse_right_with(example, &files);
	const struct upstream *world = &c->upstreams[find_upstream(c, "world")];
	const struct group *g = world->group;

	(void)state; /* unused */
	assert_int_equal(c->sniff.wait_ms, 50);
	assert_int_equal(c->log.flows_every, 100);
	assert_int_equal(c->admin_token.from, SECRET_FILE);
	assert_int_equal(g->member_count, 2);
	assert_int_equal(g->members[1], find_upstream(c, "ams1"));
	assert_int_equal(g->balance, BALANCE_LEAST_LATENCY);
	assert_int_equal(g->fallback, UPSTREAM_REJECT);
	assert_string_equal(c->upstreams[g->members[0]].password.secret->bytes,
			    "fra");
	assert_string_equal(c->upstreams[find_upstream(c, "corp")].to_name,
			    "proxy.corp.example");
	config_free(c);
}

static const struct question {
	const char *name, *server, *sni, *upstream;
	bool is_quic;
	enum proto proto;
} questions[] = {
	{ "DNS goes to one resolver", "203.0.113.1:53", NULL, "dns", false,
	  PROTO_UDP },
	{ "a name of the file", "203.0.113.1:443", "ads.example", "reject",
	  false, PROTO_TCP },
	{ "a name below one of the file", "203.0.113.1:443", "x.track.example",
	  "reject", false, PROTO_TCP },
	{ "a name of the list", "203.0.113.1:443", "corp.example", "corp",
	  false, PROTO_TCP },
	{ "a network of the same list", "10.20.0.1:22", NULL, "corp", false,
	  PROTO_TCP },
	{ "a name that goes direct", "203.0.113.1:443", "deb.debian.org",
	  "direct", false, PROTO_TCP },
	{ "QUIC", "203.0.113.1:443", "www.example", "reject", true, PROTO_UDP },
	{ "anything else", "203.0.113.1:443", "www.example", "world", false,
	  PROTO_TCP },
};

static void test_answers(void **state)
{
	struct config *c = parse_right_with(example, &files);
	struct addr src, dst;

	(void)state; /* unused */
	assert_int_equal(addr_parse("192.168.1.7:4000", &src), 0);
	for (size_t i = 0; i < COUNT_OF(questions); i++) {
		const struct question *q = &questions[i];
		struct flow_facts f = { .proto = q->proto,
					.src = &src,
					.dst = &dst,
					.name = q->sni,
					.is_quic = q->is_quic };
		bool is_open;
		size_t rule;

		assert_int_equal(addr_parse(q->server, &dst), 0);
		rule = eval_flow(c, &f, &is_open);
		if (c->rules[rule].upstream != find_upstream(c, q->upstream))
			fail_msg("%s: not %s", q->name, q->upstream);
	}
	config_free(c);
}

/* What is printed says the same, and prints the same again. */
static void test_printed(void **state)
{
	struct config *c = parse_right_with(example, &files), *again;
	struct str first = { .len = 0 }, second = { .len = 0 };

	(void)state; /* unused */
	config_print(c, &first);
	again = parse_right_with(str_get(&first), &files);
	assert_true(config_equal(c, again));
	config_print(again, &second);
	assert_string_equal(str_get(&first), str_get(&second));
	config_free(c);
	config_free(again);
	str_done(&first);
	str_done(&second);
}

static void test_formatted(void **state)
{
	struct config *c = parse_right_with(example, &files), *again;
	struct messages m = { .errors = 0 };
	struct str out = { .len = 0 };

	(void)state; /* unused */
	assert_int_equal(config_format("t", example, strlen(example), &out, &m),
			 0);
	again = parse_right_with(str_get(&out), &files);
	assert_true(config_equal(c, again));
	assert_non_null(strstr(str_get(&out), "# never leak"));
	config_free(c);
	config_free(again);
	messages_done(&m);
	str_done(&out);
}

/* Each beginning of it is read without harm. */
static void test_truncated(void **state)
{
	(void)state; /* unused */
	for (size_t n = 0; n < strlen(example); n++) {
		struct messages m = { .errors = 0 };
		char *copy = malloc(n + 1); /* no NUL behind */
		struct config *c;

		assert_non_null(copy);
		memcpy(copy, example, n);
		c = config_parse_with("t", copy, n, &files, &m);
		assert_true(!c == (m.errors > 0));
		config_free(c);
		messages_done(&m);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_printed),
		cmocka_unit_test(test_formatted),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
