/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_test.c - what people are told about the way of a flow.
 *
 * Each answer is written down as a few lines: the intercepts, the rules, the
 * kernel, the upstream.
 */
#include "policy/explain.h"
#include "policy/texts_test.h"

static const char gateway[] =
	"intercept lan { from br-lan, wlan*; tcp any; udp 443, 53\n"
	"  except dst 10.0.0.0/8; except port 22 }\n"
	"intercept web { from eth2; tcp 80; deliver 127.0.0.1:3129 }\n"
	"intercept in { listen 192.0.2.1:8080; proxy-protocol from private }\n"
	"intercept self { from host; tcp 443; except user proxy }\n"
	"upstream dns { via direct; to 9.9.9.9:53; source self }\n"
	"upstream fra { via socks5 198.51.100.10:1080; udp on }\n"
	"upstream ams { via http-connect ams.test:3128; source 192.0.2.5;"
	"  resolve on }\n"
	"group world { members fra, ams; balance hash client }\n"
	"list ads { domain ads.test }\n"
	"list intra { domain *.intra.test; net 172.16.0.0/12 }\n"
	"rules {\n"
	"  udp port 53 -> dns\n"		 /* line 13 */
	"  intercept web tcp -> drop\n"		 /* 14 */
	"  list ads -> reject\n"		 /* 15 */
	"  list intra -> ams\n"			 /* 16 */
	"  domain *.direct.test -> direct\n"	 /* 17 */
	"  quic -> reject\n"			 /* 18 */
	"  src 192.0.2.50 port 25 -> drop log\n" /* 19 */
	"  default -> world\n"			 /* 20 */
	"}\n";

static const char nat[] =
	"intercept in { listen 192.0.2.1:8080; redirected from private }\n"
	"rules { default -> reject }\n";

static const char plain[] = "intercept lan { from eth1; tcp any }\n"
			    "rules { dst 198.51.100.0/24 -> direct\n"
			    "port 25 -> reject\n"
			    "port 26 -> drop }\n";

static const char blind[] =
	"intercept lan { from eth1; tcp any }\n"
	"sniff { quic }\n"
	"upstream up { via proxy-protocol-v1 192.0.2.9:80 }\n"
	"list l { domain a.test; net 10.0.0.0/8 }\n"
	"rules { list l -> drop; domain b.test -> drop\n"
	"default -> up }\n";

static const char host[] = "intercept self { from host; udp any }\n"
			   "upstream p { via socks5 p.test:1080 }\n"
			   "rules { default -> p }\n";

enum { QUIC = 1, LISTEN = 2 };

static const struct {
	const char *name, *config;
	enum proto proto;
	const char *src, *dst, *domain;
	const char *from; /* NULL: anywhere; "": this host */
	unsigned flags;
	const char *told;
} rows[] = {
	{ "a name that is direct", gateway, PROTO_TCP, "192.0.2.7:1",
	  "203.0.113.1:443", "www.direct.test", NULL, 0,
	  "lan takes it\n"
	  "no 13: it is for udp\n"
	  "no 14: it is for intercept web\n"
	  "no 15: neither 203.0.113.1 nor www.direct.test is in it\n"
	  "no 16: neither 203.0.113.1 nor www.direct.test is in it\n"
	  "yes 17: \n"
	  "the kernel gives it to the relay: the rule of line 15 asks for "
	  "first bytes\n"
	  "direct: to the server itself, 203.0.113.1:443, from the client's "
	  "address\n" },
	{ "the same without its name", gateway, PROTO_TCP, "192.0.2.7:1",
	  "203.0.113.1:443", NULL, "wlan0", 0,
	  "lan takes it\n"
	  "no 13: it is for udp\n"
	  "no 14: it is for intercept web\n"
	  "perhaps 15: it depends on the name\n"
	  "perhaps 16: it depends on the name\n"
	  "perhaps 17: it depends on the name\n"
	  "no 18: it is for udp\n"
	  "no 19: source 192.0.2.7 is not in it\n"
	  "yes 20: \n"
	  "the kernel gives it to the relay: the rule of line 15 asks for "
	  "first bytes\n"
	  "world: hash client of fra, ams; fallback reject\n" },
	{ "UDP that may be QUIC", gateway, PROTO_UDP, "192.0.2.50:1",
	  "203.0.113.1:443", NULL, NULL, 0,
	  "lan takes it\n"
	  "no 13: port 443 is not in it\n"
	  "no 14: it is for intercept web\n"
	  "perhaps 15: it depends on the name\n"
	  "perhaps 16: it depends on the name\n"
	  "perhaps 17: it depends on the name\n"
	  "perhaps 18: it depends on whether this is QUIC\n"
	  "no 19: port 443 is not in it\n"
	  "yes 20: \n"
	  "the kernel gives it to the relay: the rule of line 15 asks for "
	  "first bytes\n"
	  "world: hash client of fra, ams; fallback reject\n" },
	{ "UDP that is QUIC, with a name", gateway, PROTO_UDP, "192.0.2.7:1",
	  "203.0.113.1:443", "a.test", NULL, QUIC,
	  "lan takes it\n"
	  "no 13: port 443 is not in it\n"
	  "no 14: it is for intercept web\n"
	  "no 15: neither 203.0.113.1 nor a.test is in it\n"
	  "no 16: neither 203.0.113.1 nor a.test is in it\n"
	  "no 17: name a.test is not in it\n"
	  "yes 18: \n"
	  "the kernel gives it to the relay: the rule of line 15 asks for "
	  "first bytes\n"
	  "reject: refused with ICMP port unreachable\n" },
	{ "a destination that a list with names holds", gateway, PROTO_TCP,
	  "192.0.2.7:1", "172.16.0.1:443", NULL, NULL, 0,
	  "lan takes it\n"
	  "no 13: it is for udp\n"
	  "no 14: it is for intercept web\n"
	  "perhaps 15: it depends on the name\n"
	  "yes 16: \n"
	  "the kernel gives it to the relay: the rule of line 15 asks for "
	  "first bytes\n"
	  "ams: http-connect ams.test:3128, from 192.0.2.5\n" },
	{ "a name that the proxy is asked for", gateway, PROTO_TCP,
	  "192.0.2.7:1", "203.0.113.1:443", "x.intra.test", NULL, 0,
	  "lan takes it\n"
	  "no 13: it is for udp\n"
	  "no 14: it is for intercept web\n"
	  "no 15: neither 203.0.113.1 nor x.intra.test is in it\n"
	  "yes 16: \n"
	  "the kernel gives it to the relay: the rule of line 15 asks for "
	  "first bytes\n"
	  "ams: http-connect ams.test:3128, which is asked for x.intra.test, "
	  "from 192.0.2.5\n" },
	{ "DNS goes elsewhere", gateway, PROTO_UDP, "192.0.2.7:1",
	  "203.0.113.1:53", NULL, NULL, 0,
	  "lan takes it\n"
	  "yes 13: \n"
	  "the kernel gives it to the relay\n"
	  "dns: to 9.9.9.9:53, from this host's address\n" },
	{ "an excepted destination", gateway, PROTO_TCP, "192.0.2.7:1",
	  "10.0.0.1:443", NULL, NULL, 0,
	  "lan: it excepts the destination: 10.0.0.1\n"
	  "web: it does not take this port: tcp 443\n"
	  "in: it takes what comes to its listener\n"
	  "self: it is from host\n"
	  "the kernel lets it pass: excepted\n" },
	{ "an excepted port", gateway, PROTO_TCP, "192.0.2.7:1",
	  "203.0.113.1:22", NULL, "br-lan", 0,
	  "lan: it excepts the port: tcp 22\n"
	  "web: it is from eth2\n"
	  "in: it takes what comes to its listener\n"
	  "self: it is from host\n"
	  "the kernel lets it pass: excepted\n" },
	{ "an interface that nothing is from", gateway, PROTO_TCP,
	  "192.0.2.7:1", "203.0.113.1:443", NULL, "eth9", 0,
	  "lan: it is from br-lan, wlan*\n"
	  "web: it is from eth2\n"
	  "in: it takes what comes to its listener\n"
	  "self: it is from host\n"
	  "the kernel lets it pass: no intercept selects it\n" },
	{ "an address that is never taken", gateway, PROTO_TCP, "192.0.2.7:1",
	  "224.0.0.1:443", NULL, NULL, 0,
	  "the kernel lets it pass: an address that is never intercepted\n" },
	{ "another program's", gateway, PROTO_TCP, "192.0.2.7:1",
	  "203.0.113.1:80", NULL, "eth2", 0,
	  "lan: it is from br-lan, wlan*\n"
	  "web takes it\n"
	  "the kernel gives it to another program at 127.0.0.1:3129\n" },
	{ "this host's own", gateway, PROTO_TCP, "192.0.2.50:1",
	  "203.0.113.1:443", "ads.test", "", 0,
	  "lan: it is from br-lan, wlan*\n"
	  "web: it is from eth2\n"
	  "in: it takes what comes to its listener\n"
	  "self takes it\n"
	  "no 13: it is for udp\n"
	  "no 14: it is for intercept web\n"
	  "yes 15: \n"
	  "the kernel gives it to the relay: the rule of line 15 asks for "
	  "first bytes\n"
	  "reject: refused with RST\n" },
	{ "what NAT brings", nat, PROTO_TCP, "10.0.0.2:1", "10.0.0.1:25", NULL,
	  "in", LISTEN,
	  "in takes it\n"
	  "yes 2: \n"
	  "the kernel has no part in it: other NAT rules bring it here\n"
	  "reject: refused with RST\n" },
	{ "what another proxy brings", gateway, PROTO_TCP, "192.0.2.50:1",
	  "10.0.0.1:25", "b.test", "in", LISTEN,
	  "lan: it is from br-lan, wlan*\n"
	  "web: it is from eth2\n"
	  "in takes it\n"
	  "no 13: it is for udp\n"
	  "no 14: it is for intercept web\n"
	  "no 15: neither 10.0.0.1 nor b.test is in it\n"
	  "no 16: neither 10.0.0.1 nor b.test is in it\n"
	  "no 17: name b.test is not in it\n"
	  "no 18: it is for udp\n"
	  "yes 19: \n"
	  "the kernel has no part in it: a proxy brings it here\n"
	  "drop: dropped, and nothing is answered\n" },
	{ "a rule that the kernel knows to be direct", plain, PROTO_TCP,
	  "192.0.2.7:1", "198.51.100.1:25", NULL, NULL, 0,
	  "lan takes it\n"
	  "yes 2: \n"
	  "the kernel lets it pass: the rule of line 2 says direct\n"
	  "direct: to the server itself, 198.51.100.1:25, from the client's "
	  "address\n" },
	{ "a rule by which the kernel refuses", plain, PROTO_TCP, "192.0.2.7:1",
	  "203.0.113.1:25", NULL, NULL, 0,
	  "lan takes it\n"
	  "no 2: destination 203.0.113.1 is not in it\n"
	  "yes 3: \n"
	  "the kernel refuses it with RST\n"
	  "reject: refused with RST\n" },
	{ "a rule by which the kernel drops", plain, PROTO_TCP, "192.0.2.7:1",
	  "203.0.113.1:26", NULL, NULL, 0,
	  "lan takes it\n"
	  "no 2: destination 203.0.113.1 is not in it\n"
	  "no 3: port 26 is not in it\n"
	  "yes 4: \n"
	  "the kernel drops it\n"
	  "drop: dropped, and nothing is answered\n" },
	{ "a default that nobody wrote", plain, PROTO_TCP, "192.0.2.7:1",
	  "203.0.113.1:27", NULL, NULL, 0,
	  "lan takes it\n"
	  "no 2: destination 203.0.113.1 is not in it\n"
	  "no 3: port 27 is not in it\n"
	  "no 4: port 27 is not in it\n"
	  "yes 0: \n"
	  "the kernel lets it pass: the default that nobody wrote says direct\n"
	  "direct: to the server itself, 203.0.113.1:27, from the client's "
	  "address\n" },
	{ "names that nobody looks for", blind, PROTO_TCP, "192.0.2.7:1",
	  "203.0.113.1:27", NULL, NULL, 0,
	  "lan takes it\n"
	  "no 5: destination 203.0.113.1 is not in it, and sniff looks for no "
	  "name in tcp\n"
	  "no 5: sniff looks for no name in tcp\n"
	  "yes 6: \n"
	  "the kernel gives it to the relay: the rule of line 5 asks for "
	  "first bytes\n"
	  "up: proxy-protocol-v1 192.0.2.9:80, from this host's address\n" },
	{ "a name that nobody would see", blind, PROTO_TCP, "192.0.2.7:1",
	  "203.0.113.1:27", "b.test", NULL, 0,
	  "lan takes it\n"
	  "no 5: neither 203.0.113.1 nor b.test is in it\n"
	  "yes 5: \n"
	  "the kernel gives it to the relay: the rule of line 5 asks for "
	  "first bytes\n"
	  "drop: dropped, and nothing is answered\n"
	  "the name would not be seen\n" },
	{ "this host, as nothing else could be meant", host, PROTO_UDP,
	  "192.0.2.7:1", "203.0.113.1:27", NULL, NULL, 0,
	  "self takes it\n"
	  "yes 3: \n"
	  "the kernel gives it to the relay\n"
	  "p: socks5 p.test:1080, from this host's address; it carries no "
	  "UDP\n" },
};

/* --- telling ------------------------------------------------------------- */

static void tell_intercepts(const struct explanation *x, struct str *out)
{
	for (size_t i = 0; i < x->intercepts; i++) {
		struct str why = { 0 };

		str_add(out, x->config->intercepts[i].name);
		if (explain_intercept(x, i, &why))
			str_add(out, " takes it\n");
		else
			str_addf(out, ": %s\n", str_get(&why));
		str_done(&why);
	}
}

static void tell_rules(const struct explanation *x, struct str *out)
{
	static const char *const answers[] = { "no", "yes", "perhaps" };

	for (int i = 0; i <= x->rule; i++) {
		struct str why = { 0 };
		enum match match = explain_rule(x, (size_t)i, &why);

		str_addf(out, "%s %u: %s\n", answers[match],
			 x->config->rules[i].at.line, str_get(&why));
		str_done(&why);
	}
}

static void tell(const struct explanation *x, struct str *out)
{
	tell_intercepts(x, out);
	tell_rules(x, out);
	str_add(out, "the kernel ");
	explain_kernel(x, out);
	str_add(out, "\n");
	if (x->upstream >= 0) {
		str_addf(out, "%s: ", x->config->upstreams[x->upstream].name);
		explain_upstream(x, (size_t)x->upstream, out);
		str_add(out, "\n");
	}
	if (x->has_unseen_name)
		str_add(out, "the name would not be seen\n");
}

static void test_told(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *from = rows[i].from;
		struct explain_question q = {
			.proto = rows[i].proto,
			.name = rows[i].domain,
			.is_quic = rows[i].flags & QUIC,
			.from = !from			 ? FROM_ANY
				: !*from		 ? FROM_HOST
				: rows[i].flags & LISTEN ? FROM_LISTEN
							 : FROM_LINK,
			.ifname = from && *from ? from : NULL,
		};
		struct config *c = parse_right(rows[i].config);
		struct str told = { 0 };
		struct explanation x;

		assert_int_equal(addr_parse(rows[i].src, &q.src), 0);
		assert_int_equal(addr_parse(rows[i].dst, &q.dst), 0);
		explain(c, &q, &x);
		tell(&x, &told);
		if (strcmp(str_get(&told), rows[i].told) != 0)
			fail_msg("%s:\n%s", rows[i].name, str_get(&told));
		str_done(&told);
		config_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
