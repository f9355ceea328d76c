/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_nft_test.c - tables and commands of nft.
 */
#include "cli/import_run_test.h"

#define HOOK "\ttype filter hook prerouting priority mangle; policy accept;\n"
#define TAKE "tproxy to :3129 meta mark set 1 accept\n"

static const struct import_case tables[] = {
	{ "one rule of nft",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" tcp dport 80 " TAKE "\t}\n"
	  "}\n",
	  ".eee..",
	  "on-failure open intercept take-1 { from eth1 tcp 80 deliver *:3129 "
	  "}",
	  NULL },
	{ "a mark in front: nobody listens, nobody passes",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" tcp dport 80 meta mark set "
	  "0x00000001 tproxy to :3129 accept\n"
	  "\t}\n"
	  "}\n",
	  ".eee..",
	  "on-failure closed intercept take-1 { from eth1 tcp 80 deliver "
	  "*:3129 }",
	  NULL },
	{ "ports, ranges and names",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname { \"eth1\", \"wg*\" } tcp dport { 80, 443, "
	  "8000-8099, ssh } " TAKE "\t}\n"
	  "}\n",
	  ".eee..",
	  "on-failure open intercept take-1 { from eth1, wg* tcp 22, 80, 443, "
	  "8000-8099 deliver *:3129 }",
	  NULL },
	{ "tcp and udp",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" meta l4proto { tcp, udp } th dport { "
	  "53, 443 } " TAKE "\t}\n"
	  "}\n",
	  ".eee..",
	  "on-failure open intercept take-1 { from eth1 tcp 53, 443 udp 53, "
	  "443 deliver *:3129 }",
	  NULL },
	{ "IPv4 only by its table",
	  "table ip t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" tcp dport 80 " TAKE "\t}\n"
	  "}\n",
	  ".eee..",
	  "on-failure open intercept take-1 { from eth1 tcp 80 except dst ::/0 "
	  "deliver *:3129 }",
	  NULL },
	{ "IPv4 only by the target",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" tcp dport 80 meta mark set 1 tproxy "
	  "ip to 127.0.0.1:3129 accept\n"
	  "\t}\n"
	  "}\n",
	  ".eee..",
	  "on-failure closed intercept take-1 { from eth1 tcp 80 deliver "
	  "127.0.0.1:3129 }",
	  NULL },
	{ "IPv6 only by its header",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" ip6 daddr 2000::/4 tcp dport 80 "
	  "tproxy ip6 to [::1]:3129 meta mark set 1\n"
	  "\t}\n"
	  "}\n",
	  ".eee..",
	  "on-failure open intercept take-1 { from eth1 tcp 80 except dst "
	  "::/3, 3000::/4, 4000::/2 except dst 8000::/1 deliver [::1]:3129 }",
	  NULL },
	{ "a family by meta",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" meta nfproto ipv6 tcp dport 80 " TAKE
	  "\t}\n"
	  "}\n",
	  ".eee..",
	  "on-failure open intercept take-1 { from eth1 tcp 80 except dst "
	  "0.0.0.0/0 deliver *:3129 }",
	  NULL },
	{ "exceptions of both families",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tip daddr { 10.0.0.0/8, 192.0.2.1-192.0.2.2 } return\n"
	  "\t\tip6 daddr fc00::/7 accept\n"
	  "\t\tip saddr 192.0.2.9 drop\n"
	  "\t\ttcp dport { 22, 25 } return\n"
	  "\t\tiifname \"eth1\" tcp dport != 80 " TAKE "\t}\n"
	  "}\n",
	  ".eeeeeee..",
	  "on-failure open intercept take-1 { from eth1 tcp any except port "
	  "22, 25, 80 except src 192.0.2.9 except dst 10.0.0.0/8, 192.0.2.1, "
	  "192.0.2.2 except dst fc00::/7 deliver *:3129 }",
	  NULL },
	{ "sets by name",
	  "table inet t {\n"
	  "\tset bypass {\n"
	  "\t\ttype ipv4_addr\n"
	  "\t\tflags interval\n"
	  "\t\telements = { 10.0.0.0/8 timeout 1h expires 5m,\n"
	  "\t\t\t     192.0.2.7 }\n"
	  "\t}\n"
	  "\n"
	  "\tset web {\n"
	  "\t\ttype inet_service\n"
	  "\t\telements = { 80, 443 }\n"
	  "\t}\n"
	  "\tset lan {\n"
	  "\t\ttype ifname\n"
	  "\t\telements = { \"eth1\", \"eth2\" }\n"
	  "\t}\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tip daddr @bypass return\n"
	  "\t\tiifname @lan tcp dport @web " TAKE "\t}\n"
	  "}\n",
	  ".eeeeee.eeeeeeeeeeee..",
	  "on-failure open list bypass { net 10.0.0.0/8, 192.0.2.7 } intercept "
	  "take-1 { from eth1, eth2 tcp 80, 443 except dst bypass deliver "
	  "*:3129 }",
	  NULL },
	{ "maps and pairs",
	  "table inet t {\n"
	  "\tset pairs {\n"
	  "\t\ttype ipv4_addr . inet_service\n"
	  "\t\telements = { 192.0.2.1 . 80 }\n"
	  "\t}\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tip daddr . tcp dport @pairs return\n"
	  "\t\ttcp dport vmap { 22 : return, 25 : drop }\n"
	  "\t\tiifname \"eth1\" meta l4proto tcp " TAKE "\t}\n"
	  "}\n",
	  ".....eenne..",
	  "on-failure open intercept take-1 { from eth1 tcp any deliver *:3129 "
	  "}",
	  "waylay has no condition like \".\"" },
	{ "what waylay leaves alone by itself",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK
	  "\t\tmeta l4proto tcp socket transparent 1 meta mark set 0x1 accept\n"
	  "\t\tfib daddr type local accept\n"
	  "\t\tfib daddr . iif type { local, multicast } return\n"
	  "\t\tct state established,related accept\n"
	  "\t\tct direction reply return\n"
	  "\t\tiifname \"lo\" return\n"
	  "\t\tiifname \"eth1\" tcp flags syn / fin,syn,rst,ack fib daddr type "
	  "!= local ct state new tcp dport 80 " TAKE "\t}\n"
	  "}\n",
	  ".eeppppppe..",
	  "on-failure open intercept take-1 { from eth1 tcp 80 deliver *:3129 "
	  "}",
	  NULL },
	{ "masked flags, as older versions print them",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\ttcp flags & (fin | syn | rst | ack) != syn accept\n"
	  "\t\tiifname \"eth1\" tcp flags & (fin|syn|rst|ack) == syn " TAKE
	  "\t}\n"
	  "}\n",
	  ".eepe..",
	  "on-failure open intercept take-1 { from eth1 tcp any deliver *:3129 "
	  "}",
	  NULL },
	{ "marks",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tmeta mark 0x000000ff return\n"
	  "\t\tmeta mark & 0x0000000f == 0x00000001 return\n"
	  "\t\tmeta mark set meta mark & 0xfffffff0 | 0x00000002\n"
	  "\t\tiifname \"eth1\" meta l4proto tcp mark 2 " TAKE "\t}\n"
	  "}\n",
	  ".eeppee..",
	  "on-failure open intercept take-1 { from eth1 tcp any deliver *:3129 "
	  "}",
	  NULL },
	{ "counters, logs and comments",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" tcp dport 80 counter packets 3 bytes "
	  "180 log prefix \"take: \" level info tproxy to :3129 meta "
	  "mark set 1 accept comment \"to the; web }\" # handle 7\n"
	  "\t}\n"
	  "}\n",
	  ".eee..",
	  "on-failure open intercept take-1 { from eth1 tcp 80 deliver *:3129 "
	  "}",
	  NULL },
	{ "chains",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" jump work\n"
	  "\t}\n"
	  "\n"
	  "\tchain work {\n"
	  "\t\tip daddr 10.0.0.0/8 return\n"
	  "\t\tmeta l4proto tcp " TAKE "\t}\n"
	  "}\n",
	  ".eee..eee..",
	  "on-failure open intercept take-1 { from eth1 tcp any except dst "
	  "10.0.0.0/8 deliver *:3129 }",
	  NULL },
	{ "users and cgroups",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tmeta l4proto tcp " TAKE "\t}\n"
	  "\tchain o {\n"
	  "\t\ttype route hook output priority mangle; policy accept;\n"
	  "\t\tmeta skuid { \"proxy\", 1001 } return\n"
	  "\t\tsocket cgroupv2 level 2 \"system.slice/a.service\" return\n"
	  "\t\toifname \"lo\" accept\n"
	  "\t\tmeta l4proto tcp meta mark set 1\n"
	  "\t}\n"
	  "}\n",
	  ".eee.eeeepe..",
	  "on-failure open intercept take-1 { from * tcp any deliver *:3129 } "
	  "intercept take-2 { from host tcp any except user 1001 except user "
	  "proxy except cgroup system.slice/a.service deliver *:3129 }",
	  NULL },
	{ "a proxy known by its group",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tmeta l4proto tcp " TAKE "\t}\n"
	  "\tchain o {\n"
	  "\t\ttype route hook output priority mangle; policy accept;\n"
	  "\t\tmeta skgid 23333 return\n"
	  "\t\tmeta l4proto tcp meta mark set 1\n"
	  "\t}\n"
	  "}\n",
	  ".eee...nn..",
	  "on-failure open intercept take-1 { from * tcp any deliver *:3129 }",
	  "waylay has no condition like \"meta skgid" },
	{ "an unknown condition that takes",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" tcp sport 1024 tcp dport 80 " TAKE
	  "\t\tmeta hour \"08:00\"-\"10:00\" meta l4proto tcp " TAKE "\t}\n"
	  "}\n",
	  "...nn..", "", "waylay has no condition like \"tcp sport\"" },
	{ "an unknown condition that passes",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tether saddr 02:00:00:00:00:01 return\n"
	  "\t\tip ttl 1 return\n"
	  "\t\tiifname \"eth1\" meta l4proto tcp " TAKE "\t}\n"
	  "}\n",
	  ".eenne..",
	  "on-failure open intercept take-1 { from eth1 tcp any deliver *:3129 "
	  "}",
	  "waylay has no condition like \"ether\"" },
	{ "what iptables made",
	  "table ip t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tmeta l4proto tcp counter packets 0 bytes 0 xt target "
	  "\"TPROXY\"\n"
	  "\t\tmeta l4proto tcp xt match \"socket\" counter packets 0 bytes 0 "
	  "jump x\n"
	  "\t}\n"
	  "}\n",
	  "...n...", "", "nft cannot print this rule of iptables:" },
	{ "the client's port",
	  "table ip t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" tcp dport 443 tproxy to 127.0.0.1 "
	  "meta mark set 1\n"
	  "\t\tiifname \"eth1\" meta l4proto udp tproxy to 127.0.0.1\n"
	  "\t}\n"
	  "}\n",
	  ".eeen..",
	  "on-failure open intercept take-1 { from eth1 tcp 443 deliver "
	  "127.0.0.1:443 }",
	  "it keeps the port, and \"deliver\" needs o" },
	{ "redirect and dnat",
	  "table ip nat {\n"
	  "\tchain p {\n"
	  "\t\ttype nat hook prerouting priority dstnat; policy accept;\n"
	  "\t\ttcp dport 80 redirect to :3128\n"
	  "\t\ttcp dport 81 dnat to 127.0.0.1:3128\n"
	  "\t\ttcp dport 82 dnat to 10.0.0.1\n"
	  "\t}\n"
	  "}\n",
	  "...nn...", "", "REDIRECT changes the destination, \"deliv" },
	{ "tables of other packets",
	  "table bridge t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" tcp dport 80 accept\n"
	  "\t}\n"
	  "}\n"
	  "table netdev t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tdrop\n"
	  "\t}\n"
	  "}\n",
	  "............", "", NULL },
	{ "other hooks",
	  "table inet f {\n"
	  "\tchain forward {\n"
	  "\t\ttype filter hook forward priority filter; policy drop;\n"
	  "\t\ttcp dport 80 accept\n"
	  "\t}\n"
	  "\tflowtable ft {\n"
	  "\t\thook ingress priority filter\n"
	  "\t\tdevices = { eth0, eth1 }\n"
	  "\t}\n"
	  "\tct helper x {\n"
	  "\t\ttype \"ftp\" protocol tcp\n"
	  "\t}\n"
	  "}\n",
	  ".............", "", NULL },
	{ "order of base chains",
	  "table ip a {\n"
	  "\tchain late {\n"
	  "\t\ttype filter hook prerouting priority filter + 10;\n"
	  "\t\tiifname \"eth1\" tcp dport 80 tproxy to 127.0.0.1:2\n"
	  "\t}\n"
	  "\tchain early {\n"
	  "\t\ttype filter hook prerouting priority -200;\n"
	  "\t\tiifname \"eth1\" tcp dport 80 tproxy to 127.0.0.1:1\n"
	  "\t}\n"
	  "}\n",
	  ".eee.eee..",
	  "on-failure open intercept take-1 { from eth1 tcp 80 deliver "
	  "127.0.0.1:2 } intercept take-2 { from eth1 tcp 80 deliver "
	  "127.0.0.1:1 }",
	  NULL },
	{ "both ends of on-failure",
	  "table ip t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" tcp dport 80 tproxy to 127.0.0.1:1 "
	  "meta mark set 1\n"
	  "\t\tiifname \"eth1\" tcp dport 81 meta mark set 1 tproxy to "
	  "127.0.0.1:1\n"
	  "\t}\n"
	  "}\n",
	  ".eene..",
	  "on-failure closed intercept take-1 { from eth1 tcp 80 deliver "
	  "127.0.0.1:1 } intercept take-2 { from eth1 tcp 81 deliver "
	  "127.0.0.1:1 }",
	  "it lets packets pass while nobody listen" },
	{ "a file for nft -f",
	  "#!/usr/sbin/nft -f\n"
	  "flush ruleset\n"
	  "add table inet t\n"
	  "add chain inet t c { type filter hook prerouting priority -150 ; "
	  "policy accept ; }\n"
	  "add set inet t by { type ipv4_addr; flags interval; }\n"
	  "add element inet t by { 10.0.0.0/8, 192.0.2.1 }\n"
	  "add rule inet t c iifname eth1 meta l4proto tcp " TAKE
	  "insert rule inet t c ip daddr @by return; add rule inet t c tcp "
	  "dport 1 accept\n",
	  "...eeeee",
	  "on-failure open list by { net 10.0.0.0/8, 192.0.2.1 } intercept "
	  "take-1 { from eth1 tcp any except dst by deliver *:3129 }",
	  NULL },
	{ "a variable",
	  "define LAN = eth1\n"
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname $LAN meta l4proto tcp " TAKE "\t}\n"
	  "}\n",
	  "....n..", "", "it depends on a variable, or on a set of" },
	{ "rules that are taken back",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t" HOOK "\t\tiifname \"eth1\" meta l4proto tcp " TAKE "\t}\n"
	  "}\n"
	  "flush chain inet t c\n"
	  "add rule inet t c iifname eth2 meta l4proto tcp tproxy to "
	  "127.0.0.1:1\n"
	  "delete table inet other\n",
	  ".ee....e.",
	  "on-failure open intercept take-1 { from eth2 tcp any deliver "
	  "127.0.0.1:1 }",
	  NULL },
	{ "a table that is cut",
	  "table inet t {\n"
	  "\tchain c {\n"
	  "\t\ttype filter hook prerouting priority mangle;\n"
	  "\t\tiifname \"eth1\" meta l4proto tcp tproxy to :3129",
	  ".eee",
	  "on-failure open intercept take-1 { from eth1 tcp any deliver *:3129 "
	  "}",
	  NULL },
	{ "include, and a rule at a place",
	  "include \"other.nft\"\n"
	  "add rule inet t c index 3 tcp dport 80 tproxy to :1\n",
	  "nn", "", "the file that it reads is not looked at:" },
};

static void tables_become_intercepts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(tables); i++)
		check_import(&tables[i]);
}

static void tables_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(tables); i++)
		check_import_cut(&tables[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_become_intercepts),
		cmocka_unit_test(tables_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
