/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.c - the rows; see commands.h.
 */
#include "cli/commands.h"

#include <string.h>

const struct cli_option cli_options[OPT_COUNT] = {
	[OPT_JSON] = { "json", 0, NULL, "print the result as JSON" },
	[OPT_RUN_DIR] = { "run-dir", 0, "DIR",
			  "where waylayd keeps its control socket" },
	[OPT_HELP] = { "help", 'h', NULL, "show this help" },
	[OPT_VERSION] = { "version", 'V', NULL, "show the version" },
	[OPT_ENDED] = { "ended", 0, "N", "show the last N ended flows too" },
	[OPT_WATCH] = { "watch", 'w', NULL, "show again every second" },
	[OPT_IN_PLACE] = { "in-place", 'i', NULL,
			   "rewrite the file instead of printing" },
	[OPT_ENGINE] = { "engine", 0, "ENGINE",
			 "for this engine: ebpf, nft, iptables" },
	[OPT_ALL] = { "all", 0, NULL, "show counters that are zero, too" },
	[OPT_FROM] = { "from", 0, "IFACE", "interface the clients are behind" },
	[OPT_TCP] = { "tcp", 0, "PORTS", "TCP ports, such as 80,443 or any" },
	[OPT_UDP] = { "udp", 0, "PORTS", "UDP ports, such as 53 or any" },
	[OPT_EXCEPT_DST] = { "except-dst", 0, "NETS",
			     "leave these destinations alone" },
	[OPT_SOURCE] = { "source", 0, "client|self",
			 "address the servers see (default client)" },
	[OPT_ON_FAILURE] = { "on-failure", 0, "open|closed",
			     "what traffic does without waylayd "
			     "(default open)" },
	[OPT_QUIET] = { "quiet", 'q', NULL,
			"do not print its flows at the end" },
	[OPT_NAME] = { "name", 0, "NAME",
		       "the name that the first bytes would tell" },
	[OPT_QUIC] = { "quic", 0, NULL, "the flow is QUIC" },
	[OPT_VIA] = { "via", 0, "URL",
		      "direct, or a proxy: "
		      "socks5|http://[USER:PASSWORD@]HOST:PORT" },
	[OPT_ALLOW] = { "allow", 0, "WHAT[:PORT]",
			"reach only this name, address or network; repeats" },
	[OPT_DENY] = { "deny", 0, "WHAT[:PORT]",
		       "do not reach this one; repeats, goes before --allow" },
	[OPT_LOG] = { "log", 0, "FILE",
		      "write each flow there when it ends; '-' is stderr" },
	[OPT_PCAP] = { "pcap", 0, "FILE",
		       "write the command's packets there, for tcpdump -r" },
	[OPT_USER] = { "user", 0, "USER", "run the command as this user" },
	/* Those of nc; their letters are those of OpenBSD's netcat. */
	[OPT_NC_IPV4] = { "ipv4", '4', NULL, "IPv4 only" },
	[OPT_NC_IPV6] = { "ipv6", '6', NULL, "IPv6 only" },
	[OPT_NC_CRLF] = { "crlf", 'C', NULL, "send LF as CR LF" },
	[OPT_NC_NO_STDIN] = { "no-stdin", 'd', NULL,
			      "do not read standard input" },
	[OPT_NC_KEEP_OPEN] = { "keep-open", 'k', NULL,
			       "with -l: one connection after the other" },
	[OPT_NC_LISTEN] = { "listen", 'l', NULL,
			    "accept instead of connecting" },
	[OPT_NC_SHUTDOWN] = { "shutdown", 'N', NULL,
			      "send FIN when standard input ends" },
	[OPT_NC_NUMERIC] = { "nodns", 'n', NULL, "look no names up" },
	[OPT_NC_SOURCE_PORT] = { "source-port", 'p', "PORT", "own port" },
	[OPT_NC_QUIT] = { "quit", 'q', "SECONDS",
			  "end so long after standard input; implies -N" },
	[OPT_NC_SOURCE] = { "bind", 's', "ADDR[:PORT]",
			    "speak with this address, also a foreign one" },
	[OPT_NC_UDP] = { "datagrams", 'u', NULL, "UDP instead of TCP" },
	[OPT_NC_VERBOSE] = { "verbose", 'v', NULL,
			     "say what happens, on standard error" },
	[OPT_NC_WAIT] = { "wait", 'w', "SECONDS",
			  "limit of connecting, and of silence" },
	[OPT_NC_ZERO] = { "zero", 'z', NULL,
			  "only try whether somebody listens" },
	[OPT_NC_TPROXY] = { "tproxy", 0, "PORT",
			    "with -l: accept for any address, at PORT" },
	[OPT_NC_ORIG_DST] = { "orig-dst", 0, NULL,
			      "with -l: say who came, and for which address" },
	[OPT_NC_TAKE] = { "take", 0, "PORTS",
			  "with -l --from: intercept these ports" },
	[OPT_NC_EXEC] = { "exec", 0, "COMMAND",
			  "give it the connection; split at blanks" },
	[OPT_NC_SH_EXEC] = { "sh-exec", 0, "COMMAND",
			     "the same, by /bin/sh -c" },
};

const struct cli_command cli_commands[COMMAND_COUNT] = {
	{
		.name = "status",
		.run = cli_status,
		.usage = "",
		.summary = "show what waylayd does and what troubles it",
		.text = "Shows the daemon, its intercepts and workers, the "
			"counters that are not zero,\nand problems.\n"
			"\n"
			"example:\n"
			"  waylay status\n",
	},
	{
		.name = "flows",
		.run = cli_flows,
		.options = 1ull << OPT_ENDED | 1ull << OPT_WATCH,
		.usage = "[--ended N] [-w]",
		.summary = "list the flows that are relayed",
		.text = "Lists the flows, newest last.  SOURCE is the address "
			"the server sees;\n'=' means the client's own.\n"
			"\n"
			"examples:\n"
			"  waylay flows --ended 20\n"
			"  waylay flows --json | jq '.flows[].server'\n",
	},
	{
		.name = "upstream",
		.run = cli_upstream,
		.usage = "[list] | drain|enable|disable NAME",
		.summary = "show upstreams, take one out of use and back",
		.text = "  list          show all: state, flows, what was "
			"counted; members below their\n"
			"                group\n"
			"  drain NAME    no new flows; running ones go on\n"
			"  disable NAME  no new flows; running ones are reset\n"
			"  enable NAME   use it again\n"
			"\n"
			"It holds until waylayd ends; a reload keeps it.\n"
			"\n"
			"examples:\n"
			"  waylay upstream\n"
			"  waylay upstream drain fra1\n",
	},
	{
		.name = "reload",
		.run = cli_reload,
		.usage = "",
		.summary = "make waylayd read its configuration again",
		.text = "Flows that exist go on with the workers they have.  "
			"An invalid configuration\nchanges nothing.\n"
			"\n"
			"example:\n"
			"  waylay config check && waylay reload\n",
	},
	{
		.name = "config",
		.run = cli_config,
		.options = 1ull << OPT_IN_PLACE,
		.usage = "check|show|format [FILE] | example [NAME [HALF]]",
		.summary = "check, show or format a configuration",
		.text = "  check [FILE]        say everything that is wrong "
			"with it\n"
			"  show [FILE]         print it in canonical form; "
			"without FILE, the one\n"
			"                      that the running waylayd has\n"
			"  format [FILE] [-i]  lay it out anew, comments "
			"kept\n"
			"  example [NAME]      print both halves of one that "
			"works with another\n"
			"                      proxy: ours and theirs; behind "
			"NAME one of these\n"
			"                      words for that half alone\n"
			"\n"
			"FILE is " CLI_CONFIG_FILE " unless given, '-' is "
			"standard input.\n"
			"\n"
			"examples:\n"
			"  waylay config check\n"
			"  waylay config format -i waylay.conf\n"
			"  waylay config example squid\n",
	},
	{
		.name = "rules",
		.run = cli_rules,
		.options = 1ull << OPT_ENGINE | 1ull << OPT_ALL,
		.usage = "show [--engine ENGINE] [--all] [FILE]",
		.summary = "print what is installed in the kernel",
		.text = "Prints it as text that a person can run or read, and "
			"what was counted.  With\nFILE, prints what would be "
			"installed for it; no daemon is needed.  With\n"
			"--engine, what that engine makes of it: ebpf, nft or "
			"iptables.\n"
			"\n"
			"example:\n"
			"  waylay rules show --engine nft waylay.conf\n",
	},
	{
		.name = "explain",
		.run = cli_explain,
		.options =
			1ull << OPT_FROM | 1ull << OPT_NAME | 1ull << OPT_QUIC,
		.usage = "tcp|udp SRC[:PORT] DST:PORT [OPTION...] [FILE]",
		.summary = "say which way a flow would go, and why",
		.text = "Prints the intercept that takes it, each rule up to "
			"the one that decides, and the\nupstream.  Without "
			"--from, as if it came from where an intercept takes "
			"it;\n'--from host' is this host itself.  With FILE, "
			"by that configuration; no\ndaemon is needed.\n"
			"\n"
			"examples:\n"
			"  waylay explain tcp 192.168.1.7 198.51.100.1:443 "
			"--name www.example.org\n"
			"  waylay explain udp 192.168.1.7 198.51.100.1:443 "
			"--quic waylay.conf\n",
	},
	{
		.name = "run",
		.run = cli_run,
		.options = 1ull << OPT_FROM | 1ull << OPT_TCP |
			   1ull << OPT_UDP | 1ull << OPT_EXCEPT_DST |
			   1ull << OPT_SOURCE | 1ull << OPT_ON_FAILURE,
		.usage = "--from IFACE [--tcp PORTS] [--udp PORTS] ...",
		.summary = "run waylayd in the foreground, without a file",
		.text = "Without --tcp and --udp all TCP is taken.  Several "
			"values are separated by\ncommas.  Ctrl-C ends it and "
			"removes everything.\n"
			"\n"
			"example:\n"
			"  waylay run --from eth1 --tcp 80,443 "
			"--except-dst private\n",
	},
	{
		.name = "exec",
		.run = cli_exec,
		.options = 1ull << OPT_QUIET | 1ull << OPT_VIA |
			   1ull << OPT_ALLOW | 1ull << OPT_DENY |
			   1ull << OPT_LOG | 1ull << OPT_PCAP |
			   1ull << OPT_USER,
		.is_verbatim = true,
		.usage = "[OPTION...] [--] COMMAND [ARGUMENT...]",
		.summary = "run one command with its traffic relayed",
		.text = "Runs COMMAND in a network namespace of its own; its "
			"TCP and UDP are relayed\nfrom this host's address, "
			"or through a proxy.  Its flows, and what was refused "
			"it,\nare printed at the end.  Needs no root where "
			"user namespaces are permitted.\n"
			"\n"
			"examples:\n"
			"  waylay exec -- curl https://example.org/\n"
			"  waylay exec --via socks5://192.0.2.1:1080 -- "
			"git fetch\n"
			"  waylay exec --allow .example.org --deny private -- "
			"./installer\n"
			"  waylay exec --log - --pcap out.pcap -- ssh host\n",
	},
	{
		.name = "import",
		.run = cli_import,
		.usage = "[FILE...]",
		.summary = "make a configuration of rules for TPROXY",
		.text = "Reads what iptables-save, ip6tables-save and 'nft "
			"list ruleset' print, or the shell\ncommands that make "
			"such rules, with 'ip rule' and 'ip route' if they are "
			"there.\nPrints a configuration that does the same.  "
			"Nothing is executed or installed.\n"
			"\n"
			"What it cannot express is named on standard error, "
			"and "
			"the exit status is 6.\nWithout FILE, or for '-', it "
			"reads standard input.\n"
			"\n"
			"examples:\n"
			"  iptables-save | waylay import > waylay.conf\n"
			"  waylay import tproxy.sh\n",
	},
	{
		.name = "nc",
		.run = cli_nc,
		.options = 1ull << OPT_NC_IPV4 | 1ull << OPT_NC_IPV6 |
			   1ull << OPT_NC_CRLF | 1ull << OPT_NC_NO_STDIN |
			   1ull << OPT_NC_KEEP_OPEN | 1ull << OPT_NC_LISTEN |
			   1ull << OPT_NC_SHUTDOWN | 1ull << OPT_NC_NUMERIC |
			   1ull << OPT_NC_SOURCE_PORT | 1ull << OPT_NC_QUIT |
			   1ull << OPT_NC_SOURCE | 1ull << OPT_NC_UDP |
			   1ull << OPT_NC_VERBOSE | 1ull << OPT_NC_WAIT |
			   1ull << OPT_NC_ZERO | 1ull << OPT_NC_TPROXY |
			   1ull << OPT_NC_ORIG_DST | 1ull << OPT_FROM |
			   1ull << OPT_NC_TAKE | 1ull << OPT_EXCEPT_DST |
			   1ull << OPT_ENGINE | 1ull << OPT_NC_EXEC |
			   1ull << OPT_NC_SH_EXEC,
		.usage = CLI_NC_USAGE,
		.summary = "netcat with foreign addresses",
		.text = "Copies standard input to a connection and the "
			"connection to standard output, as\nnetcat does.  With "
			"-s it speaks with an address that is not this host's; "
			"with -l\n--tproxy it accepts for any address, and "
			"says "
			"on standard error for which.\n"
			"\n"
			"With --from it intercepts as long as it runs: with "
			"-l, "
			"what comes in there for\nthe ports of --take; else "
			"the "
			"answers to the foreign address of -s.\n"
			"\n"
			"examples:\n"
			"  waylay nc -l --tproxy 50080\n"
			"  waylay nc -l -k --from eth1 --take 80 --exec "
			"/usr/local/bin/answer\n"
			"  waylay nc -s 192.0.2.4:5555 --from eth0 example.org "
			"80\n"
			"  waylay nc -u -l --from eth1 --take 53\n"
			"  waylay nc -z -v example.org 20-30\n",
	},
	{
		.name = "version",
		.run = cli_version,
		.usage = "",
		.summary = "show the version of this tool",
		.text = "example:\n"
			"  waylay version\n",
	},
	{
		.name = "help",
		.run = cli_help,
		.usage = "[COMMAND]",
		.summary = "show help, for one command or for all",
		.text = "example:\n"
			"  waylay help config\n",
	},
};

const struct cli_command *command_find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(cli_commands[i].name, name) == 0)
			return &cli_commands[i];
	return NULL;
}

int command_unknown(const char *name)
{
	const char *known[COMMAND_COUNT];

	for (size_t i = 0; i < COMMAND_COUNT; i++)
		known[i] = cli_commands[i].name;
	return cli_unknown("command", name, known, COMMAND_COUNT);
}
