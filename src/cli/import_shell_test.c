/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_shell_test.c - shell commands, the kernel document first.
 */
#include "cli/import_run_test.h"

#define MANGLE "iptables -t mangle "
#define TAKE   "-j TPROXY --on-port 3129 --on-ip 127.0.0.1 --tproxy-mark 1"

static const struct import_case commands[] = {
	{ "the kernel document",
	  MANGLE "-N DIVERT\n" MANGLE
		 "-A PREROUTING -p tcp -m socket -j DIVERT\n" MANGLE
		 "-A DIVERT -j MARK --set-mark 1\n" MANGLE
		 "-A DIVERT -j ACCEPT\n"
		 "ip rule add fwmark 1 lookup 100\n"
		 "ip route add local 0.0.0.0/0 dev lo table 100\n" MANGLE
		 "-A PREROUTING -p tcp --dport 80 -j TPROXY \\\n"
		 "  --tproxy-mark 0x1/0x1 --on-port 50080\n",
	  "ppppppee",
	  "on-failure closed intercept take-1 { from * tcp 80 except dst ::/0 "
	  "deliver *:50080 }",
	  NULL },
	{ "the kernel document, IPv6",
	  "ip6tables -t mangle -N DIVERT\n"
	  "ip6tables -t mangle -A PREROUTING -p tcp -m socket -j DIVERT\n"
	  "ip6tables -t mangle -A DIVERT -j MARK --set-mark 1\n"
	  "ip6tables -t mangle -A DIVERT -j ACCEPT\n"
	  "ip -6 rule add fwmark 1 lookup 100\n"
	  "ip -6 route add local ::/0 dev lo table 100\n"
	  "ip6tables -t mangle -A PREROUTING -p tcp --dport 80 -j TPROXY \\\n"
	  "  --tproxy-mark 0x1/0x1 --on-port 50080\n",
	  "ppppppee",
	  "on-failure closed intercept take-1 { from * tcp 80 except dst "
	  "0.0.0.0/0 deliver *:50080 }",
	  NULL },
	{ "the kernel document, both",
	  MANGLE
	  "-N DIVERT\n" MANGLE
	  "-A PREROUTING -p tcp -m socket -j DIVERT\n" MANGLE
	  "-A DIVERT -j MARK --set-mark 1\n" MANGLE "-A DIVERT -j ACCEPT\n"
	  "ip rule add fwmark 1 lookup 100\n"
	  "ip route add local 0.0.0.0/0 dev lo table 100\n" MANGLE
	  "-A PREROUTING -p tcp --dport 80 -j TPROXY \\\n"
	  "  --tproxy-mark 0x1/0x1 --on-port 50080\n"
	  "ip6tables -t mangle -N DIVERT\n"
	  "ip6tables -t mangle -A PREROUTING -p tcp -m socket -j DIVERT\n"
	  "ip6tables -t mangle -A DIVERT -j MARK --set-mark 1\n"
	  "ip6tables -t mangle -A DIVERT -j ACCEPT\n"
	  "ip -6 rule add fwmark 1 lookup 100\n"
	  "ip -6 route add local ::/0 dev lo table 100\n"
	  "ip6tables -t mangle -A PREROUTING -p tcp --dport 80 -j TPROXY \\\n"
	  "  --tproxy-mark 0x1/0x1 --on-port 50080\n",
	  "ppppppeeppppppee",
	  "on-failure closed intercept take-1 { from * tcp 80 deliver *:50080 "
	  "}",
	  NULL },
	{ "the kernel document, nft",
	  "#!/bin/sh\n"
	  "nft add table filter\n"
	  "nft add chain filter divert \"{ type filter hook prerouting "
	  "priority -150; }\"\n"
	  "nft add rule filter divert meta l4proto tcp socket transparent 1 "
	  "meta mark set 1 accept\n"
	  "ip rule add fwmark 1 lookup 100\n"
	  "ip route add local 0.0.0.0/0 dev lo table 100\n"
	  "nft add rule filter divert tcp dport 80 tproxy to :50080 meta mark "
	  "set 1 accept\n",
	  "..epppe",
	  "on-failure open intercept take-1 { from * tcp 80 except dst ::/0 "
	  "deliver *:50080 }",
	  NULL },
	{ "behind prompts",
	  "# " MANGLE "-N DIVERT\n"
	  "# " MANGLE "-A PREROUTING -p tcp -m socket -j DIVERT\n"
	  "# " MANGLE "-A DIVERT -j MARK --set-mark 1\n"
	  "# " MANGLE "-A DIVERT -j ACCEPT\n"
	  "# ip rule add fwmark 1 lookup 100\n"
	  "# ip route add local 0.0.0.0/0 dev lo table 100\n"
	  "# " MANGLE "-A PREROUTING -p tcp --dport 80 -j TPROXY \\\n"
	  "#   --tproxy-mark 0x1/0x1 --on-port 50080\n",
	  "........", "", NULL },
	{ "behind dollars",
	  "$ sudo " MANGLE "-N DIVERT\n"
	  "$ sudo " MANGLE "-A PREROUTING -p tcp -m socket -j DIVERT\n"
	  "$ sudo " MANGLE "-A DIVERT -j MARK --set-mark 1\n"
	  "$ sudo " MANGLE "-A DIVERT -j ACCEPT\n"
	  "$ sudo ip rule add fwmark 1 lookup 100\n"
	  "$ sudo ip route add local 0.0.0.0/0 dev lo table 100\n"
	  "$ sudo " MANGLE "-A PREROUTING -p tcp --dport 80 -j TPROXY   "
	  "--tproxy-mark 0x1/0x1 --on-port 50080\n",
	  "ppppppe",
	  "on-failure closed intercept take-1 { from * tcp 80 except dst ::/0 "
	  "deliver *:50080 }",
	  NULL },
	{ "a guide for Squid",
	  MANGLE
	  "-N DIVERT\n" MANGLE "-A DIVERT -j MARK --set-mark 1\n" MANGLE
	  "-A DIVERT -j ACCEPT\n"
	  "iptables  -t mangle -A PREROUTING -p tcp -m socket -j "
	  "DIVERT\n" MANGLE "-A PREROUTING -p tcp --dport 80 -j TPROXY "
	  "--tproxy-mark 0x1/0x1 --on-port 3129\n"
	  "ip -f inet rule add fwmark 1 lookup 100\n"
	  "ip -f inet route add local default dev eth0 table 100\n"
	  "echo 1 > /proc/sys/net/ipv4/ip_forward\n"
	  "echo 0 > /proc/sys/net/ipv4/conf/lo/rp_filter\n"
	  "modprobe xt_TPROXY\n"
	  "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.ip_forward=1\n",
	  "ppppepp.ppp",
	  "on-failure closed intercept take-1 { from * tcp 80 except dst ::/0 "
	  "deliver *:3129 }",
	  NULL },
	{ "a guide for V2Ray",
	  "ip rule add fwmark 1 table 100\n"
	  "ip route add local 0.0.0.0/0 dev lo table 100\n" MANGLE
	  "-N V2RAY\n" MANGLE "-A V2RAY -d 127.0.0.1/32 -j RETURN\n" MANGLE
	  "-A V2RAY -d 224.0.0.0/4 -j RETURN\n" MANGLE
	  "-A V2RAY -d 255.255.255.255/32 -j RETURN\n" MANGLE
	  "-A V2RAY -d 192.168.0.0/16 -p tcp -j RETURN\n" MANGLE
	  "-A V2RAY -d 192.168.0.0/16 -p udp ! --dport 53 -j RETURN\n" MANGLE
	  "-A V2RAY -j RETURN -m mark --mark 0xff\n" MANGLE
	  "-A V2RAY -p udp -j TPROXY --on-ip 127.0.0.1 --on-port 12345 "
	  "--tproxy-mark 1\n" MANGLE
	  "-A V2RAY -p tcp -j TPROXY --on-ip 127.0.0.1 --on-port 12345 "
	  "--tproxy-mark 1\n" MANGLE "-A PREROUTING -j V2RAY\n" MANGLE
	  "-N V2RAY_MASK\n" MANGLE
	  "-A V2RAY_MASK -d 224.0.0.0/4 -j RETURN\n" MANGLE
	  "-A V2RAY_MASK -d 255.255.255.255/32 -j RETURN\n" MANGLE
	  "-A V2RAY_MASK -d 192.168.0.0/16 -p tcp -j RETURN\n" MANGLE
	  "-A V2RAY_MASK -d 192.168.0.0/16 -p udp ! --dport 53 -j "
	  "RETURN\n" MANGLE
	  "-A V2RAY_MASK -j RETURN -m mark --mark 0xff\n" MANGLE
	  "-A V2RAY_MASK -p udp -j MARK --set-mark 1\n" MANGLE
	  "-A V2RAY_MASK -p tcp -j MARK --set-mark 1\n" MANGLE
	  "-A OUTPUT -j V2RAY_MASK\n" MANGLE "-N DIVERT\n" MANGLE
	  "-A DIVERT -j MARK --set-mark 1\n" MANGLE
	  "-A DIVERT -j ACCEPT\n" MANGLE
	  "-I PREROUTING -p tcp -m socket -j DIVERT\n",
	  "ppeeeeeepeee.nnnnnnnnpppp",
	  "on-failure closed intercept take-1 { from * udp 53 except dst "
	  "127.0.0.1, 224.0.0.0/4, 255.255.255.255 deliver 127.0.0.1:12345 } "
	  "intercept take-2 { from * tcp any udp 1-52, 54-65535 except dst "
	  "127.0.0.1, 192.168.0.0/16, 224.0.0.0/4 except dst 255.255.255.255 "
	  "deliver 127.0.0.1:12345 }",
	  "its intercept is only a comment: it coul" },
	{ "a guide that knows its user",
	  "ip rule add fwmark 1 table 100\n"
	  "ip route add local 0.0.0.0/0 dev lo table 100\n" MANGLE
	  "-N V2RAY\n" MANGLE "-A V2RAY -d 127.0.0.1/32 -j RETURN\n" MANGLE
	  "-A V2RAY -d 224.0.0.0/4 -j RETURN\n" MANGLE
	  "-A V2RAY -d 255.255.255.255/32 -j RETURN\n" MANGLE
	  "-A V2RAY -d 192.168.0.0/16 -p tcp -j RETURN\n" MANGLE
	  "-A V2RAY -d 192.168.0.0/16 -p udp ! --dport 53 -j RETURN\n" MANGLE
	  "-A V2RAY -p udp -j TPROXY --on-ip 127.0.0.1 --on-port 12345 "
	  "--tproxy-mark 1\n" MANGLE
	  "-A V2RAY -p tcp -j TPROXY --on-ip 127.0.0.1 --on-port 12345 "
	  "--tproxy-mark 1\n" MANGLE "-A PREROUTING -j V2RAY\n" MANGLE
	  "-N V2RAY_MASK\n" MANGLE
	  "-A V2RAY_MASK -d 224.0.0.0/4 -j RETURN\n" MANGLE
	  "-A V2RAY_MASK -d 255.255.255.255/32 -j RETURN\n" MANGLE
	  "-A V2RAY_MASK -d 192.168.0.0/16 -p tcp -j RETURN\n" MANGLE
	  "-A V2RAY_MASK -d 192.168.0.0/16 -p udp ! --dport 53 -j "
	  "RETURN\n" MANGLE
	  "-A V2RAY_MASK -m owner --uid-owner v2ray -j RETURN\n" MANGLE
	  "-A V2RAY_MASK -p udp -j MARK --set-mark 1\n" MANGLE
	  "-A V2RAY_MASK -p tcp -j MARK --set-mark 1\n" MANGLE
	  "-A OUTPUT -j V2RAY_MASK\n" MANGLE "-N DIVERT\n" MANGLE
	  "-A DIVERT -j MARK --set-mark 1\n" MANGLE
	  "-A DIVERT -j ACCEPT\n" MANGLE
	  "-I PREROUTING -p tcp -m socket -j DIVERT\n",
	  "ppeeeeeeeeeeeeeeeeeepppp",
	  "on-failure closed intercept take-1 { from * tcp any udp 1-52, "
	  "54-65535 except dst 127.0.0.1, 192.168.0.0/16, 224.0.0.0/4 except "
	  "dst 255.255.255.255 deliver 127.0.0.1:12345 } intercept take-2 { "
	  "from * udp 53 except dst 127.0.0.1, 224.0.0.0/4, 255.255.255.255 "
	  "deliver 127.0.0.1:12345 } intercept take-3 { from host tcp any udp "
	  "1-52, 54-65535 except dst 127.0.0.1, 192.168.0.0/16, 224.0.0.0/4 "
	  "except dst 255.255.255.255 except user v2ray deliver "
	  "127.0.0.1:12345 } intercept take-4 { from host udp 53 except dst "
	  "127.0.0.1, 224.0.0.0/4, 255.255.255.255 except user v2ray deliver "
	  "127.0.0.1:12345 }",
	  NULL },
	{ "insert and delete",
	  MANGLE "-A PREROUTING -i eth1 -p tcp " TAKE "\n" MANGLE
		 "-I PREROUTING -d 10.0.0.0/8 -j RETURN\n" MANGLE
		 "-I PREROUTING 2 -d 192.0.2.0/24 -j RETURN\n" MANGLE
		 "-A PREROUTING -p tcp -i eth2 " TAKE "\n" MANGLE
		 "-D PREROUTING -d 10.0.0.0/8 -j RETURN\n" MANGLE
		 "-D PREROUTING 3\n",
	  "e.e...",
	  "on-failure closed intercept take-1 { from eth1 tcp any except dst "
	  "192.0.2.0/24 deliver 127.0.0.1:3129 }",
	  NULL },
	{ "flushed at the beginning",
	  MANGLE "-A PREROUTING -i eth0 -p tcp " TAKE "\n" MANGLE "-F\n" MANGLE
		 "-X\n" MANGLE "-A PREROUTING -i eth1 -p tcp " TAKE "\n" MANGLE
		 "-N OWN\n" MANGLE "-A OWN -j ACCEPT\n" MANGLE "-F OWN\n",
	  "...e...",
	  "on-failure closed intercept take-1 { from eth1 tcp any deliver "
	  "127.0.0.1:3129 }",
	  NULL },
	{ "replaced", MANGLE "-R PREROUTING 1 -i eth0 -p tcp " TAKE "\n", "n",
	  "", "-E and -R are not read: give the result" },
	{ "separators, quotes, redirections and leaders",
	  "sudo /sbin/iptables -w 5 -t mangle -A PREROUTING -i 'eth1' -p "
	  "tcp " TAKE " 2>/dev/null || true; ip rule add fwmark 1 lookup 100 "
	  "&& ip route add local default dev lo table 100 # here\n"
	  "if true; then " MANGLE "-C PREROUTING -i eth1 -p tcp " TAKE "; fi\n",
	  "e.",
	  "on-failure closed intercept take-1 { from eth1 tcp any deliver "
	  "127.0.0.1:3129 }",
	  NULL },
	{ "a quote over lines",
	  "nft 'add table ip t\n"
	  "add chain ip t c { type filter hook prerouting priority -150; }\n"
	  "add rule ip t c iifname \"eth1\" tcp dport 80 tproxy to :3129 meta "
	  "mark set 1'\n",
	  "eee",
	  "on-failure open intercept take-1 { from eth1 tcp 80 except dst ::/0 "
	  "deliver *:3129 }",
	  NULL },
	{ "an apostrophe",
	  "echo don't\n" MANGLE "-A PREROUTING -i eth1 -p tcp " TAKE "\n", ".e",
	  "on-failure closed intercept take-1 { from eth1 tcp any deliver "
	  "127.0.0.1:3129 }",
	  NULL },
	{ "variables",
	  "PORT=80\n" MANGLE "-A PREROUTING -i eth1 -p tcp --dport $PORT " TAKE
	  "\n"
	  "$IPT -t mangle -A PREROUTING -p tcp " TAKE "\n"
	  "ip rule add fwmark $MARK lookup 100\n"
	  "nft add rule ip t c tcp dport $PORT tproxy to :1\n"
	  "for p in 80; do " MANGLE "-A PREROUTING -p tcp --dport \"$p\" " TAKE
	  "; done\n"
	  "echo $PATH\n"
	  "ipset add x $Y\n",
	  ".nnnnn..", "", "it depends on a variable: give what the" },
	{ "commands of commands",
	  "ip netns exec a " MANGLE "-A PREROUTING -p tcp " TAKE "\n"
	  "ssh host '" MANGLE "-A PREROUTING -p tcp " TAKE "'\n",
	  "nn", "", "it is no plain command" },
	{ "a document inside",
	  "nft -f - <<END\n"
	  "table ip t {\n"
	  "\tchain c {\n"
	  "\t\ttype filter hook prerouting priority -150;\n"
	  "\t\tiifname eth1 tcp dport 80 tproxy to :3129 meta mark set 1\n"
	  "\t}\n"
	  "}\n"
	  "END\n"
	  "iptables-restore --noflush <<'EOF'\n"
	  "*mangle\n"
	  "-A PREROUTING -i eth2 -p tcp " TAKE "\n"
	  "COMMIT\n"
	  "EOF\n",
	  "....n.....e..",
	  "on-failure closed intercept take-1 { from eth2 tcp any deliver "
	  "127.0.0.1:3129 } intercept take-2 { from eth1 tcp 80 except dst "
	  "::/0 deliver *:3129 }",
	  "it lets packets pass while nobody listen" },
	{ "a file that is not given", "nft -f /etc/nftables.conf\n", "n", "",
	  "the file that it reads is not looked at:" },
	{ "ipset",
	  "ipset -exist create cn hash:net\n"
	  "ipset add cn 192.0.2.0/24 -exist\n"
	  "ipset -N old hash:ip\n" MANGLE
	  "-A PREROUTING -m set --match-set cn dst -j RETURN\n" MANGLE
	  "-A PREROUTING -i eth1 -p tcp " TAKE "\n",
	  "ee.ee",
	  "on-failure closed list cn { net 192.0.2.0/24 } intercept take-1 { "
	  "from eth1 tcp any except dst cn deliver 127.0.0.1:3129 }",
	  NULL },
	{ "what ip prints",
	  MANGLE
	  "-A PREROUTING -p tcp " TAKE "\n" MANGLE
	  "-A OUTPUT -p tcp -m owner ! --uid-owner 13 -j MARK --set-mark 5\n"
	  "0:\tfrom all lookup local\n"
	  "100:\tfrom all fwmark 0x5/0x5 lookup 7\n"
	  "32766:\tfrom all lookup main\n"
	  "local default dev lo table 7 scope host\n"
	  "local 192.0.2.1 dev eth0 table local proto kernel scope host\n"
	  "default via 192.0.2.1 dev eth0\n",
	  "ee.p.p..",
	  "on-failure closed intercept take-1 { from * tcp any deliver "
	  "127.0.0.1:3129 } intercept take-2 { from host tcp any except user "
	  "13 deliver 127.0.0.1:3129 }",
	  NULL },
	{ "a mark for another table",
	  MANGLE
	  "-A PREROUTING -p tcp " TAKE "\n" MANGLE
	  "-A OUTPUT -p tcp -m owner ! --uid-owner 13 -j MARK --set-mark 2\n"
	  "ip rule add fwmark 2 lookup vpn\n"
	  "ip rule add fwmark 1 lookup 100\n"
	  "ip route add local default dev lo table 100\n",
	  "e..pp",
	  "on-failure closed intercept take-1 { from * tcp any deliver "
	  "127.0.0.1:3129 }",
	  NULL },
	{ "Windows line ends",
	  MANGLE "-A PREROUTING -i eth1 -p tcp --dport 80 \\\r\n"
		 " " TAKE "\r\n",
	  "ee",
	  "on-failure closed intercept take-1 { from eth1 tcp 80 deliver "
	  "127.0.0.1:3129 }",
	  NULL },
};

static void commands_become_intercepts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(commands); i++)
		check_import(&commands[i]);
}

static void commands_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(commands); i++)
		check_import_cut(&commands[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_become_intercepts),
		cmocka_unit_test(commands_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
