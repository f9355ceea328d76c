/* SPDX-License-Identifier: Apache-2.0 */
/*
 * example_texts.c - the texts of `waylay config example`; see example.h.
 *
 * One line of a file is one line here, so clang-format stays out of it.  The
 * clients are behind eth1 in all of them, and a proxy elsewhere is at
 * 198.51.100.10: addresses for documentation (RFC 5737) that nobody has.
 */
#include "cli/example.h"

/* clang-format off */

static const char squid_ours[] =
	"# Web requests of the clients behind eth1 go to Squid on this host, packets\n"
	"# unchanged: it sees who asks and whom, and asks with the client's address.\n"
	"engine      auto\n"
	"on-failure  open                # Squid is not there: requests go direct\n"
	"\n"
	"intercept web {\n"
	"    from    eth1                # where the clients are\n"
	"    tcp     80\n"
	"    deliver 127.0.0.1:3129\n"
	"}\n"
	"intercept web6 {\n"
	"    from    eth1\n"
	"    tcp     80\n"
	"    deliver [::1]:3129\n"
	"}\n";

static const char squid_theirs[] =
	"# Debian's squid.conf includes this file.  Squid needs its start as root:\n"
	"# with tproxy it keeps CAP_NET_ADMIN for itself.\n"
	"http_port 127.0.0.1:3129 tproxy name=waylay\n"
	"http_port [::1]:3129 tproxy name=waylay6\n"
	"\n"
	"# Nobody but waylay can reach these two ports, and waylay's `from` says whose\n"
	"# requests come.  What is addressed to this host itself never does.\n"
	"acl waylay myportname waylay waylay6\n"
	"http_access deny waylay to_localhost\n"
	"http_access allow waylay\n";

static const char haproxy_ours[] =
	"# TLS connections of the clients behind eth1 go to HAProxy on this host.\n"
	"engine      auto\n"
	"on-failure  open                # HAProxy is not there: they go direct\n"
	"\n"
	"intercept tls {\n"
	"    from    eth1                # where the clients are\n"
	"    tcp     443\n"
	"    deliver 127.0.0.1:3143\n"
	"}\n"
	"intercept tls6 {\n"
	"    from    eth1\n"
	"    tcp     443\n"
	"    deliver [::1]:3143\n"
	"}\n";

static const char haproxy_theirs[] =
	"# The whole file.  No `user`: to speak with a client's address HAProxy has to\n"
	"# stay root, or to keep CAP_NET_RAW (`setcap cap_net_raw`, from 2.9 on).\n"
	"defaults\n"
	"    mode tcp\n"
	"    timeout connect 10s\n"
	"    timeout client  2h\n"
	"    timeout server  2h\n"
	"\n"
	"listen tls\n"
	"    bind   127.0.0.1:3143 transparent\n"
	"    source 0.0.0.0 usesrc clientip      # the server sees the client\n"
	"    server original *                   # where the client wanted to go\n"
	"\n"
	"listen tls6\n"
	"    bind   [::1]:3143 transparent\n"
	"    source [::]:0 usesrc clientip\n"
	"    server original *\n";

static const char envoy_ours[] =
	"# TCP of the clients behind eth1 goes to Envoy on this host.\n"
	"engine      auto\n"
	"on-failure  open                # Envoy is not there: it goes direct\n"
	"\n"
	"intercept mesh {\n"
	"    from    eth1                # where the clients are\n"
	"    tcp     any\n"
	"    except  port 22\n"
	"    deliver 127.0.0.1:15006\n"
	"}\n";

static const char envoy_theirs[] =
	"# IPv4; for IPv6 a second listener at ::1, and a second intercept.  Envoy needs\n"
	"# CAP_NET_ADMIN for `transparent` and for original_src.\n"
	"static_resources:\n"
	"  listeners:\n"
	"  - name: waylay\n"
	"    address:\n"
	"      socket_address: { address: 127.0.0.1, port_value: 15006 }\n"
	"    transparent: true\n"
	"    listener_filters:\n"
	"    - name: envoy.filters.listener.original_dst   # where the client wanted to go\n"
	"      typed_config:\n"
	"        \"@type\": type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst\n"
	"    - name: envoy.filters.listener.original_src   # the server sees the client\n"
	"      typed_config:\n"
	"        \"@type\": type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc\n"
	"    filter_chains:\n"
	"    - filters:\n"
	"      - name: envoy.filters.network.tcp_proxy\n"
	"        typed_config:\n"
	"          \"@type\": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy\n"
	"          stat_prefix: waylay\n"
	"          cluster: original\n"
	"  clusters:\n"
	"  - name: original\n"
	"    type: ORIGINAL_DST\n"
	"    lb_policy: CLUSTER_PROVIDED\n"
	"    connect_timeout: 10s\n";

static const char mitmproxy_ours[] =
	"# Web traffic of the clients behind eth1 goes through mitmproxy on this host.\n"
	"# Its mode `transparent` understands REDIRECT only, so waylay takes the flows\n"
	"# itself and tells mitmproxy by SOCKS5 where they go.  Instead of the client\n"
	"# mitmproxy sees this host, and so does the server.\n"
	"engine      auto\n"
	"on-failure  closed              # nobody looks: nothing passes\n"
	"\n"
	"intercept web {\n"
	"    from eth1                   # where the clients are\n"
	"    tcp  80, 443\n"
	"    udp  443                    # QUIC, which browsers do without\n"
	"}\n"
	"\n"
	"upstream mitm { via socks5 127.0.0.1:1080 }\n"
	"\n"
	"rules {\n"
	"    udp     -> reject\n"
	"    default -> mitm\n"
	"}\n";

static const char mitmproxy_theirs[] =
	"#!/bin/sh\n"
	"# Clients have to trust the certificate in ~/.mitmproxy/mitmproxy-ca-cert.pem.\n"
	"# For the program with windows write `mitmproxy` instead of `mitmdump`.\n"
	"exec mitmdump --mode socks5 --showhost \\\n"
	"    --listen-host 127.0.0.1 --listen-port 1080\n";

static const char sing_box_ours[] =
	"# Everything from the clients behind eth1 goes to sing-box on this host.\n"
	"engine      auto\n"
	"on-failure  closed              # sing-box is not there: nothing passes\n"
	"\n"
	"intercept all {\n"
	"    from    eth1                # where the clients are\n"
	"    tcp     any\n"
	"    udp     any\n"
	"    except  dst private\n"
	"    deliver 127.0.0.1:3159\n"
	"}\n"
	"intercept all6 {\n"
	"    from    eth1\n"
	"    tcp     any\n"
	"    udp     any\n"
	"    except  dst private\n"
	"    deliver [::1]:3159\n"
	"}\n";

static const char sing_box_theirs[] =
	"{\n"
	"  \"inbounds\": [\n"
	"    { \"type\": \"tproxy\", \"listen\": \"127.0.0.1\", \"listen_port\": 3159 },\n"
	"    { \"type\": \"tproxy\", \"listen\": \"::1\", \"listen_port\": 3159 }\n"
	"  ],\n"
	"  \"outbounds\": [\n"
	"    {\n"
	"      \"type\": \"socks\",\n"
	"      \"server\": \"198.51.100.10\",\n"
	"      \"server_port\": 1080,\n"
	"      \"version\": \"5\"\n"
	"    }\n"
	"  ]\n"
	"}\n";

static const char redsocks_ours[] =
	"# waylay in the place of redsocks, for a host whose NAT rules exist already\n"
	"# (`-j REDIRECT --to-ports 12345`) and stay as they are.\n"
	"engine      auto\n"
	"on-failure  open\n"
	"\n"
	"intercept nat  { listen 0.0.0.0:12345; redirected from private }\n"
	"intercept nat6 { listen [::]:12345; redirected from private }\n"
	"\n"
	"# redsocks' own UDP part understands TPROXY (IPv4 only), so packets can go there.\n"
	"intercept udp {\n"
	"    from    eth1                # where the clients are\n"
	"    udp     any\n"
	"    except  dst private\n"
	"    deliver 127.0.0.1:10053\n"
	"}\n"
	"\n"
	"upstream proxy { via socks5 198.51.100.10:1080 }\n"
	"rules { default -> proxy }\n";

static const char redsocks_theirs[] =
	"// The whole file.  No section `redsocks`: waylay has its port.  No `user`: to\n"
	"// answer with a server's address redudp has to stay root.\n"
	"base {\n"
	"    log_info   = on;\n"
	"    log        = stderr;\n"
	"    daemon     = off;\n"
	"    redirector = iptables;\n"
	"}\n"
	"\n"
	"redudp {\n"
	"    local_ip    = 127.0.0.1;\n"
	"    local_port  = 10053;\n"
	"    ip          = 198.51.100.10;        // the SOCKS5 proxy, with UDP\n"
	"    port        = 1080;\n"
	"    udp_timeout = 30;\n"
	"    // No dest_ip: a datagram goes where its client sent it.  One socket of a\n"
	"    // client speaks with one server: redudp knows flows by the client alone.\n"
	"}\n";

const struct example examples[EXAMPLE_COUNT] = {
	{
		.name = "envoy",
		.summary = "all TCP, both addresses kept, through Envoy",
		.halves = { { "/etc/waylay/waylay.conf", envoy_ours },
			    { "/etc/envoy/envoy.yaml", envoy_theirs } },
	},
	{
		.name = "haproxy",
		.summary = "TLS connections (port 443) through HAProxy in TCP mode",
		.halves = { { "/etc/waylay/waylay.conf", haproxy_ours },
			    { "/etc/haproxy/haproxy.cfg", haproxy_theirs } },
	},
	{
		.name = "mitmproxy",
		.summary = "web and TLS, looked into by mitmproxy, by SOCKS5",
		.halves = { { "/etc/waylay/waylay.conf", mitmproxy_ours },
			    { "~/.mitmproxy/run", mitmproxy_theirs } },
	},
	{
		.name = "redsocks",
		.summary = "waylay for TCP under redsocks' NAT rules, redudp for UDP",
		.halves = { { "/etc/waylay/waylay.conf", redsocks_ours },
			    { "/etc/redsocks.conf", redsocks_theirs } },
	},
	{
		.name = "sing-box",
		.summary = "all TCP and UDP to a tproxy inbound of sing-box",
		.halves = { { "/etc/waylay/waylay.conf", sing_box_ours },
			    { "/etc/sing-box/config.json", sing_box_theirs } },
	},
	{
		.name = "squid",
		.summary = "web requests (HTTP), answered and logged by Squid",
		.halves = { { "/etc/waylay/waylay.conf", squid_ours },
			    { "/etc/squid/conf.d/waylay.conf", squid_theirs } },
	},
};
/* clang-format on */
