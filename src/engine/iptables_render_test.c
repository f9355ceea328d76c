/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_render_test.c - what rules are made of a configuration.
 *
 * Looked at as text, chain by chain, and loaded by iptables-restore into a
 * namespace of their own, in either variant.  That they do what eval.c says
 * is proved on real packets in equal_test.c.
 */
#include "engine/iptables_test.h"

#include "engine/iptables_render.h"

enum { LINES_MAX = 16 };

struct rendered {
	struct host host;
	struct iptables_rules rules[FAMILY_COUNT];
	struct str text; /* of `rules show` */
};

static void begin(struct rendered *r, const char *text)
{
	static struct selections s;

	*r = (struct rendered){ .text = { 0 } };
	set_config(&r->host, text);
	r->host.plan.has_family[FAMILY_V6] = true;
	assert_int_equal(selections_make(r->host.config, &s, NULL), 0);
	for (int f = 0; f < FAMILY_COUNT; f++) {
		iptables_render(&r->host.plan, &s, f, &r->rules[f]);
		assert_true(iptables_rules_ok(&r->rules[f]));
	}
	engine_iptables.render(&r->host.plan, &r->text);
	assert_true(str_ok(&r->text));
}

static void end(struct rendered *r)
{
	for (int f = 0; f < FAMILY_COUNT; f++)
		iptables_rules_done(&r->rules[f]);
	str_done(&r->text);
	config_free(r->host.config);
}

static bool has(const struct rendered *r, const char *words)
{
	return strstr(str_get(&r->text), words) != NULL;
}

/* --- rules of a chain ---------------------------------------------------- */

/* clang-format off */
static const struct {
	const char *name, *config;
	enum family_index family;
	enum iptables_table table;
	const char *chain;
	const char *lines[LINES_MAX]; /* all of them, in order */
} chains[] = {
	{ "every interface that is named, once; * is +",
	  "intercept a { from lan0, veth*; tcp any }\n"
	  "intercept b { from lan0; udp any }",
	  FAMILY_V4, IPTABLES_RAW, "waylay-in",
	  { "-i lo -j RETURN",
	    "-m mark ! --mark 0x0/0x3000 -m comment --comment passed_own"
	    " -j RETURN",
	    "-i \"lan0\" -g waylay-lan", "-i \"veth+\" -g waylay-lan" } },
	{ "a known client first, then what is never intercepted",
	  "intercept lan { from lan0; tcp 80 }", FAMILY_V4, IPTABLES_RAW,
	  "waylay-lan",
	  { "-p tcp ! --syn -m socket --transparent -g waylay-known",
	    "-m addrtype --dst-type LOCAL,BROADCAST,ANYCAST,MULTICAST"
	    " -m comment --comment passed_local -j RETURN",
	    "-d 0.0.0.0/8 -m comment --comment passed_special -j RETURN",
	    "-d 127.0.0.0/8 -m comment --comment passed_special -j RETURN",
	    "-d 224.0.0.0/4 -m comment --comment passed_special -j RETURN",
	    "-d 255.255.255.255/32 -m comment --comment passed_special"
	    " -j RETURN",
	    "-d 169.254.0.0/16 -m comment --comment passed_special -j RETURN",
	    "-m addrtype --src-type LOCAL -m comment --comment passed_local"
	    " -j RETURN",
	    "-s 0.0.0.0/8 -m comment --comment passed_special -j RETURN",
	    "-s 127.0.0.0/8 -m comment --comment passed_special -j RETURN",
	    "-s 224.0.0.0/4 -m comment --comment passed_special -j RETURN",
	    "-s 255.255.255.255/32 -m comment --comment passed_special"
	    " -j RETURN",
	    "-i \"lan0\" -j waylay-match-0",
	    "-m mark --mark 0x1000/0x3000 -g waylay-select-0" } },
	{ "this host's own addresses are its own by right",
	  "intercept self { from host; tcp 80 }", FAMILY_V6, IPTABLES_MANGLE,
	  "waylay-out",
	  { "-m mark ! --mark 0x0/0x3000 -m comment --comment passed_own"
	    " -j RETURN",
	    "-m conntrack --ctdir REPLY -m comment --comment passed_inbound"
	    " -j RETURN",
	    "-p tcp ! --syn -m connmark --mark 0x3000/0x3000 -g waylay-known",
	    "-p tcp ! --syn -j RETURN",
	    "-p tcp -m connmark --mark 0x3000/0x3000 -j CONNMARK --set-xmark"
	    " 0x0/0x3000",
	    "-m addrtype --dst-type LOCAL -m comment --comment passed_local"
	    " -j RETURN",
	    "-m addrtype --dst-type ANYCAST -m comment --comment passed_local"
	    " -j RETURN",
	    "-d ::/128 -m comment --comment passed_special -j RETURN",
	    "-d ::1/128 -m comment --comment passed_special -j RETURN",
	    "-d ::ffff:0:0/96 -m comment --comment passed_special -j RETURN",
	    "-d ff00::/8 -m comment --comment passed_special -j RETURN",
	    "-d fe80::/10 -m comment --comment passed_special -j RETURN",
	    "-j waylay-match-0",
	    "-m mark --mark 0x1000/0x3000 -g waylay-select-0" } },
	{ "exceptions first, then what is taken",
	  "intercept lan { from lan0; tcp any; udp 53; except dst 10.0.0.0/8,"
	  " 2001:db8::/32, 203.0.113.7; except src 192.0.2.9;"
	  " except port 22, 1000-2000 }",
	  FAMILY_V4, IPTABLES_RAW, "waylay-match-0",
	  { "-s 192.0.2.9 -j RETURN", "-d 10.0.0.0/8 -j RETURN",
	    "-d 203.0.113.7 -j RETURN",
	    "-p tcp -m multiport --dports 22,1000:2000 -j RETURN",
	    "-p udp -m multiport --dports 22,1000:2000 -j RETURN",
	    "-p tcp -m tcp ! --dport 0 -j MARK --set-xmark 0x1000/0x3000",
	    "-p udp -m multiport --dports 53 -j MARK --set-xmark 0x1000/0x3000" } },
	{ "those of the other family are its own",
	  "intercept lan { from lan0; tcp any; except dst 10.0.0.0/8,"
	  " 2001:db8::/32 }",
	  FAMILY_V6, IPTABLES_RAW, "waylay-match-0",
	  { "-d 2001:db8::/32 -j RETURN",
	    "-p tcp -m tcp ! --dport 0 -j MARK --set-xmark 0x1000/0x3000" } },
	{ "fifteen ports a rule, and a range is two",
	  "intercept lan { from lan0; tcp 1, 3, 5, 7, 9, 11, 13, 15, 17, 19,"
	  " 21, 23, 25, 27, 30-40, 50 }",
	  FAMILY_V4, IPTABLES_RAW, "waylay-match-0",
	  { "-p tcp -m multiport --dports 1,3,5,7,9,11,13,15,17,19,21,23,25,27"
	    " -j MARK --set-xmark 0x1000/0x3000",
	    "-p tcp -m multiport --dports 30:40,50 -j MARK --set-xmark"
	    " 0x1000/0x3000" } },
	{ "TPROXY under the same conditions",
	  "intercept lan { from lan0; tcp any; udp 53; except dst 10.0.0.0/8 }",
	  FAMILY_V6, IPTABLES_MANGLE, "waylay-to-0",
	  { "-p tcp -m tcp ! --dport 0 -m comment --comment taken_tcp -j TPROXY"
	    " --on-port 10001 --on-ip ::1 --tproxy-mark 0x1000/0x3000",
	    "-p udp -m multiport --dports 53 -m comment --comment taken_udp"
	    " -j TPROXY --on-port 10003 --on-ip ::1 --tproxy-mark"
	    " 0x1000/0x3000" } },
	{ "another program's listener, at a given address",
	  "intercept a { from lan0; tcp 80; deliver 127.0.0.1:3129 }",
	  FAMILY_V4, IPTABLES_MANGLE, "waylay-to-0",
	  { "-p tcp -m multiport --dports 80 -m comment --comment taken_tcp"
	    " -j TPROXY --on-port 3129 --on-ip 127.0.0.1 --tproxy-mark"
	    " 0x1000/0x3000" } },
	{ "another program's listener, at the interface's address",
	  "intercept a { from lan0; tcp 80; deliver *:3129 }",
	  FAMILY_V6, IPTABLES_MANGLE, "waylay-to-0",
	  { "-p tcp -m multiport --dports 80 -m comment --comment taken_tcp"
	    " -j TPROXY --on-port 3129 --tproxy-mark 0x1000/0x3000" } },
	{ "open: what the relay takes is a lease, what others take is not",
	  "intercept a { from lan0; tcp 80 }", FAMILY_V4, IPTABLES_RAW,
	  "waylay-take-0", { "-p tcp -g waylay-lease" } },
	{ "a lease", "intercept a { from lan0; tcp 80 }", FAMILY_V6,
	  IPTABLES_RAW, "waylay-lease",
	  { "-m recent --rcheck --seconds 5 --name waylay6 --mask :: --rsource"
	    " -g waylay-take", "-g waylay-nobody" } },
	{ "no lease for another program's listener",
	  "intercept a { from lan0; tcp 80; deliver *:3129 }", FAMILY_V4,
	  IPTABLES_RAW, "waylay-take-0", { "-p tcp -g waylay-take" } },
	{ "client legs are not tracked",
	  "intercept a { from lan0; tcp 80 }", FAMILY_V4, IPTABLES_RAW,
	  "waylay-take",
	  { "-p tcp --syn -j CT --notrack", "-p udp -j CT --notrack",
	    "-j MARK --set-xmark 0x1000/0x3000" } },
	{ "rules in their order; relaying is the last word",
	  "intercept lan { from lan0; tcp any; udp any }\n"
	  "upstream out { via direct }\n"
	  "rules { tcp port 80 -> direct; dst 9.9.9.0/24 -> reject;"
	  " udp port 53 src 192.0.2.0/24 -> drop; tcp port 25 -> out;"
	  " default -> out }",
	  FAMILY_V4, IPTABLES_RAW, "waylay-select-0",
	  { "-p tcp -m multiport --dports 80 -g waylay-direct",
	    "-d 9.9.9.0/24 -g waylay-reject",
	    "-p udp -m multiport --dports 53 -s 192.0.2.0/24 -g waylay-drop",
	    "-g waylay-take-0" } },
	{ "several prefixes are asked in a chain",
	  "intercept lan { from lan0; tcp any }\nupstream out { via direct }\n"
	  "rules { tcp dst 9.9.9.9, 8.8.8.8, 2001:db8::1 port 5-6 src"
	  " 10.0.0.0/8 -> drop; default -> out }",
	  FAMILY_V4, IPTABLES_RAW, "waylay-select-0",
	  { "-p tcp -m multiport --dports 5:6 -s 10.0.0.0/8 -j waylay-if-0",
	    "-m mark --mark 0x3000/0x3000 -g waylay-drop",
	    "-g waylay-take-0" } },
	{ "both sides in two chains",
	  "intercept lan { from lan0; tcp any }\nupstream out { via direct }\n"
	  "rules { dst 9.9.9.9, 8.8.8.8 src 10.0.0.0/8, 192.0.2.1 -> drop;"
	  " default -> out }",
	  FAMILY_V4, IPTABLES_RAW, "waylay-if-1",
	  { "-s 10.0.0.0/8 -j waylay-if-0", "-s 192.0.2.1 -j waylay-if-0" } },
	{ "a rule of the other family's prefixes is none",
	  "intercept lan { from lan0; tcp any }\nupstream out { via direct }\n"
	  "rules { dst 9.9.9.9, 8.8.8.8 -> drop; default -> out }",
	  FAMILY_V6, IPTABLES_RAW, "waylay-select-0", { "-g waylay-take-0" } },
	{ "a rule of another intercept is left out",
	  "intercept a { from a0; tcp any }\nintercept b { from b0; tcp any }\n"
	  "upstream out { via direct }\n"
	  "rules { intercept a tcp -> reject; tcp port 9 -> drop;"
	  " default -> out }",
	  FAMILY_V4, IPTABLES_RAW, "waylay-select-1",
	  { "-p tcp -m multiport --dports 9 -g waylay-drop",
	    "-g waylay-take-1" } },
	{ "whose packets: asked where this host sends them",
	  "intercept self { from host; tcp 443; except user proxy, 1000;"
	  " except cgroup no/such }", /* is left out */
	  FAMILY_V4, IPTABLES_MANGLE, "waylay-match-0",
	  { "-m owner --uid-owner proxy -j RETURN",
	    "-m owner --uid-owner 1000 -j RETURN",
	    "-p tcp -m multiport --dports 443 -j MARK --set-xmark"
	    " 0x1000/0x3000" } },
	{ "what comes back over lo",
	  "intercept self { from host; tcp 443 }",
	  FAMILY_V4, IPTABLES_MANGLE, "waylay-lo-0",
	  { "-p tcp -m multiport --dports 443 -m comment --comment taken_tcp"
	    " -j TPROXY --on-port 10000 --on-ip 127.0.0.1 --tproxy-mark"
	    " 0x3000/0x3000" } },
	{ "closed: what does not take the way over lo does not go",
	  "on-failure closed; intercept self { from host; tcp 443 }",
	  FAMILY_V4, IPTABLES_MANGLE, "waylay-leave",
	  { "! -o lo -m mark --mark 0x3000/0x3000 -m comment --comment"
	    " dropped_marked -j DROP" } },
	{ "marks are those of the configuration",
	  "mark 0x40/0xc0; intercept lan { from lan0; tcp any }", FAMILY_V4,
	  IPTABLES_MANGLE, "waylay-divert",
	  { "-j MARK --set-xmark 0x40/0xc0", "-j ACCEPT" } },
	{ "refused in forward, by the mark",
	  "intercept lan { from lan0; tcp any }\nrules { default -> reject }",
	  FAMILY_V6, IPTABLES_FILTER, "waylay-forward",
	  { "-m mark --mark 0x2000/0x3000 -g waylay-reject" } },
};
/* clang-format on */

static void chain_lines(const struct str *rules, const char *chain,
			char lines[LINES_MAX][256])
{
	const char *at = str_get(rules);
	size_t count = 0, len = strlen(chain);

	for (; *at; at += strcspn(at, "\n") + 1) {
		size_t line = strcspn(at, "\n") - strlen("-A  ") - len;

		if (strncmp(at + 3, chain, len) != 0 || at[3 + len] != ' ')
			continue;
		assert_true(count < LINES_MAX && line < 256);
		memcpy(lines[count++], at + 4 + len, line);
	}
}

static void test_chains(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(chains) / sizeof(*chains); i++) {
		char lines[LINES_MAX][256] = { "" };
		struct rendered r;

		begin(&r, chains[i].config);
		chain_lines(
			&r.rules[chains[i].family].parts[chains[i].table].rules,
			chains[i].chain, lines);
		for (size_t n = 0; n < LINES_MAX; n++) {
			const char *want = chains[i].lines[n];

			if (strcmp(lines[n], want ? want : "") != 0)
				fail_msg("%s: line %zu is \"%s\"",
					 chains[i].name, n, lines[n]);
		}
		end(&r);
	}
}

/* --- the whole ----------------------------------------------------------- */

static void test_left_out(void **state)
{
	struct rendered r;

	(void)state; /* unused */
	begin(&r, "intercept self { from host; tcp 443 }");
	assert_false(has(&r, "*raw"));	  /* nothing comes from an interface */
	assert_false(has(&r, "*filter")); /* nothing is rejected */
	assert_true(has(&r, "-I OUTPUT"));
	end(&r);
	begin(&r, "on-failure closed; intercept lan { from lan0; tcp 443 }");
	assert_false(has(&r, "-I OUTPUT -m comment --comment waylay -j "
			     "waylay-out"));
	assert_false(has(&r, "-m recent")); /* no lease */
	assert_false(has(&r, "xt_recent"));
	end(&r);
	begin(&r, "intercept a { from lan0; tcp 80; deliver 127.0.0.1:1 }\n"
		  "intercept b { from lan0; tcp 80 }");
	assert_null(
		strstr(str_get(&r.rules[FAMILY_V6].parts[IPTABLES_RAW].rules),
		       "waylay-match-0"));
	end(&r);
}

/* Nobody listens: decided before TPROXY is reached. */
static void test_no_listener(void **state)
{
	static const char *const configs[] = {
		"intercept lan { from lan0; tcp any }",
		"on-failure closed; intercept lan { from lan0; tcp any }",
	};
	static const char *const nobody[] = {
		"-A waylay-nobody -m comment --comment passed_no_listener -j "
		"MARK --set-xmark 0x0/0x3000",
		"-A waylay-nobody -m comment --comment dropped_no_listener -j "
		"MARK --set-xmark 0x3000/0x3000",
	};
	(void)state; /* unused */
	for (int i = 0; i < 2; i++) {
		struct rendered r;

		begin(&r, configs[i]);
		memset(r.host.plan.ports, 0, sizeof(r.host.plan.ports));
		str_reset(&r.text);
		engine_iptables.render(&r.host.plan, &r.text);
		assert_true(has(&r, nobody[i]));
		assert_true(has(&r, "-A waylay-take-0 -p tcp -g "
				    "waylay-nobody"));
		assert_false(has(&r, "-j TPROXY"));
		end(&r);
	}
}

/* --- loaded -------------------------------------------------------------- */

static const char *const loaded[] = {
	"intercept lan { from lan0; tcp any; udp any; except dst private }\n"
	"upstream out { via direct; source client }\n"
	"rules { udp port 123 -> direct; default -> out }\n",
	"on-failure closed; intercept a { from lan*; tcp 1-65535; udp 1 }",
	"intercept a { from veth*, lan0, veth-a; tcp 1, 3, 5-9, 65535 }",
	"intercept a { from lan0, lan1; udp any; except src 0.0.0.0/0, ::/0 }",
	"intercept a { from lan0; tcp 80; deliver [::1]:3129 }\n"
	"intercept b { from lan0; tcp any; deliver 127.0.0.1:3130 }\n"
	"intercept d { from lan0; udp any; deliver *:53 }\n"
	"intercept c { from host; udp 443; except user 7, root }\n",
	"intercept a { from lan0; tcp any; udp any }\n"
	"rules { src 10.0.0.0/8 dst 9.9.9.9 port 1, 5-7 -> reject; "
	"src ::/0 -> reject; tcp -> reject; udp -> drop; default -> reject }",
	"list l { net 10.0.0.0/9, 10.128.0.0/16, 2001:db8::1, fd00::/8 }\n"
	"intercept a { from lan0; tcp any; except dst l }\n"
	"rules { list l src 192.0.2.0/24, 203.0.113.0/24, fe80::/10, 2001::/16"
	" -> drop; src 10.0.0.0/8 dst 2001:db8::/32 -> drop }",
	"mark 0x1/0x80000001; intercept a { from lan0; tcp any }",
	"mark 0x1/0x80000001; intercept a { from host; tcp any }"
	" rules { default -> reject }",
};

/* Also typed by a person, the text leaves nothing to be changed. */
static void test_loaded(void **state)
{
	static const char save[] = "for i in iptables ip6tables; do $i-save;"
				   " done | sed '/^[#:]/d'";

	begin_variant(*state);
	for (size_t i = 0; i < sizeof(loaded) / sizeof(*loaded); i++) {
		struct str typed = { 0 }, ours = { 0 };
		struct rendered r;

		begin(&r, loaded[i]);
		r.host.run = engine_iptables.new(NULL);
		r.host.plan.has_family[FAMILY_V6] = netns_has_v6();
		install(&r.host);
		shell(save, &ours);
		remove_all();
		str_reset(&r.text);
		engine_iptables.render(&r.host.plan, &r.text);
		shell(str_get(&r.text), NULL);
		shell(save, &typed);
		assert_string_equal(str_get(&typed), str_get(&ours));
		remove_all();
		str_done(&typed);
		str_done(&ours);
		engine_iptables.free(r.host.run);
		end(&r);
	}
}

/* As many intercepts as there can be: chains are not too deep. */
static void test_many_intercepts(void **state)
{
	struct str text = { 0 };
	struct host h;

	begin_variant(*state);
	for (int i = 0; i < INTERCEPTS_MAX; i++)
		str_addf(&text,
			 "intercept i%d { from lan%d; tcp %d;"
			 " except dst 10.%d.0.0/16 }\n",
			 i, i, i + 1, i);
	str_add(&text, "upstream out { via direct }\nrules {\n");
	for (int i = 0; i < 15; i++)
		str_addf(&text,
			 "src 10.%d.0.0/16, 10.0.%d.0/24 dst 9.9.9.%d, "
			 "8.8.8.%d -> drop\n",
			 i + 1, i + 1, i, i);
	str_add(&text, "default -> out\n}\n");
	begin_host(&h, str_get(&text));
	install(&h);
	assert_true(is_intact(&h));
	str_done(&text);
	end_host(&h);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_no_listener),
		cmocka_unit_test_prestate(test_loaded, (void *)variants[0]),
		cmocka_unit_test_prestate(test_loaded, (void *)variants[1]),
		cmocka_unit_test_prestate(test_many_intercepts,
					  (void *)variants[0]),
		cmocka_unit_test_prestate(test_many_intercepts,
					  (void *)variants[1]),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
