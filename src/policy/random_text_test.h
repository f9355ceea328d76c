/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_text_test.h - texts drawn from the grammar, for random_test.c.
 *
 * Lists l0.. hold networks and may stand wherever addresses may; n0.. hold
 * names, too, and only rules can name them.
 */
#ifndef WL_POLICY_RANDOM_TEXT_TEST_H
#define WL_POLICY_RANDOM_TEXT_TEST_H

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

enum { LISTS = 3, NAME_LISTS = 2, INTERCEPTS = 3, UPSTREAMS = 3 };

static inline unsigned draw(unsigned short rnd[3], unsigned below)
{
	return (unsigned)nrand48(rnd) % below;
}

static const char *pick(unsigned short rnd[3], const char *const *from,
			size_t count)
{
	return from[draw(rnd, (unsigned)count)];
}

#define PICK(rnd, table) pick(rnd, table, sizeof(table) / sizeof((table)[0]))

/* --- a text -------------------------------------------------------------- */

static const char *const nets[] = {
	"198.51.100.0/24",
	"198.51.100.7",
	"198.51.100.0/30",
	"203.0.113.0/25",
	"203.0.113.128/25",
	"10.0.0.0/8",
	"2001:db8::/32",
	"2001:db8::7",
	"2001:db8:1::/48",
	"0.0.0.0/0",
	"::/0",
	"192.0.2.1",
};

static inline void add_nets(unsigned short rnd[3], struct str *out,
			    bool is_pure)
{
	unsigned count = 1 + draw(rnd, 4);

	for (unsigned i = 0; i < count; i++) {
		unsigned kind = is_pure ? 0 : draw(rnd, 6);

		str_add(out, i ? ", " : " ");
		if (kind < 4)
			str_add(out, PICK(rnd, nets));
		else if (kind == 4)
			str_add(out, "private");
		else
			str_addf(out, "l%u", draw(rnd, LISTS));
	}
}

static inline void add_ports(unsigned short rnd[3], struct str *out)
{
	unsigned count = 1 + draw(rnd, 3);

	if (!draw(rnd, 4)) {
		str_add(out, " any");
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		unsigned first = 1 + draw(rnd, 12);

		str_addf(out, i ? ",\n%u" : " %u", first);
		if (draw(rnd, 2))
			str_addf(out, "-%u", first + draw(rnd, 5));
	}
}

static const char *const domains[] = {
	"a.test",   "*.a.test", ".b.test",    "b.test", "x.a.test",
	"*.x.test", "test",	"*.x.a.test", ".test",	"C.Test.",
};

static inline void add_domains(unsigned short rnd[3], struct str *out)
{
	unsigned count = 1 + draw(rnd, 3);

	for (unsigned i = 0; i < count; i++)
		str_addf(out, i ? ", %s" : " %s", PICK(rnd, domains));
}

static inline void add_settings(unsigned short rnd[3], struct str *out)
{
	static const char *const settings[] = {
		"engine nft\n",
		"on-failure closed;",
		"cut-through off;",
		"mark 0x10/0x30\n",
		"table 9\n",
		"workers 3\n",
		"port 4000;",
		"log { level debug; flows sampled 3 }\n",
		"timeouts { idle 5m; drain 1500ms }\n",
		"timeouts { half-closed 1d }\n",
		"limits { udp-flows 7 }\n",
		"admin { http [::1]:9095 }\n",
		"log { format json; flows off }",
		"sniff { tls; wait 50ms }\n",
		"sniff { quic; http }\n",
	};
	static const char *const heads[] = { "timeouts", "log", "sniff" };

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		bool is_taken = false;

		for (size_t n = 0; n < 3; n++) {
			if (strncmp(settings[i], heads[n], strlen(heads[n])) ==
			    0)
				is_taken = strstr(str_get(out), heads[n]);
		}
		if (!is_taken && draw(rnd, 3) == 0)
			str_add(out, settings[i]);
	}
}

/* Some of them, each once. */
static inline void add_owners(unsigned short rnd[3], const char *keyword,
			      const char *const *owners, struct str *out)
{
	for (bool is_open = false; *owners; owners++) {
		if (draw(rnd, 3))
			continue;
		if (!is_open || draw(rnd, 2))
			str_addf(out, "; except %s %s", keyword, *owners);
		else
			str_addf(out, ", %s", *owners);
		is_open = true;
	}
}

static inline void add_source(unsigned short rnd[3], struct str *out)
{
	static const char *const froms[] = { "eth0", "eth1", "eth*, \"a,b\"",
					     "*", "et*, v0" };
	static const char *const users[] = { "alice", "1000", "007", "svc$",
					     NULL };
	static const char *const cgroups[] = { "/system.slice/",
					       "system.slice/a.service",
					       "\"/a b/\"", "user.slice/\\x2d",
					       NULL };

	if (draw(rnd, 4)) {
		str_addf(out, "from %s", PICK(rnd, froms));
		return;
	}
	str_add(out, "from host");
	add_owners(rnd, "user", users, out);
	add_owners(rnd, "cgroup", cgroups, out);
}

static inline void add_intercept(unsigned short rnd[3], unsigned index,
				 struct str *out)
{
	static const char *const listeners[] = { "127.0.0.1:7", "[::1]:7",
						 "*:7" };
	unsigned udp = draw(rnd, 3);

	str_addf(out, "intercept i%u { ", index);
	if (index && !draw(rnd, 6)) { /* one of them is of the kernel */
		str_addf(out, "listen 192.0.2.1:%u; %s from", 100 + index,
			 index % 2 ? "proxy-protocol" : "redirected");
		add_nets(rnd, out, false);
		str_add(out, " }\n");
		return;
	}
	add_source(rnd, out);
	str_add(out, "; tcp");
	add_ports(rnd, out);
	if (udp)
		str_add(out, udp == 1 ? "; udp" : "; udp off");
	if (udp == 1)
		add_ports(rnd, out);
	for (unsigned i = draw(rnd, 3); i; i--) {
		str_addf(out, "; except %s", draw(rnd, 2) ? "src" : "dst");
		add_nets(rnd, out, false);
	}
	if (!draw(rnd, 3)) {
		str_add(out, "; except port");
		add_ports(rnd, out);
	}
	if (!draw(rnd, 4))
		str_addf(out, "; deliver %s", PICK(rnd, listeners));
	str_add(out, " } # intercept\n");
}

static inline void add_upstream(unsigned short rnd[3], unsigned index,
				struct str *out)
{
	static const char *const bodies[] = {
		"via direct",
		"via direct; source self; to 192.0.2.1",
		"to [2001:db8::1]:53; via direct",
		"via reject",
		"via drop",
		"via proxy-protocol-v1 192.0.2.1:80; source client",
		"source self; via proxy-protocol-v2 [2001:db8::1]:80",
	};

	str_addf(out, "upstream u%u { %s }\n", index, PICK(rnd, bodies));
}

/* Two that may be members, and a group of them. */
static inline void add_group(unsigned short rnd[3], struct str *out)
{
	static const char *const proxies[] = {
		"via socks5 192.0.2.8:1080; udp on",
		"via socks5 proxy.test:1080; pipeline off; resolve on",
		"via http-connect [2001:db8::8]:3128; source 192.0.2.1",
		"via http-connect proxy.test:3128; resolve on",
		"via proxy-protocol-v2 192.0.2.9:80",
		"via direct; source self",
	};
	static const char *const more[] = {
		"",
		"; balance least-latency",
		"; balance hash client; fallback direct",
		"; health connect 192.0.2.1:80 every 5s rise 1; fallback drop",
		"; health connect [2001:db8::9]:80 timeout 1s; balance "
		"round-robin",
	};

	str_addf(out, "upstream p0 { %s }\n", PICK(rnd, proxies));
	str_addf(out, "upstream p1 { %s }\n", PICK(rnd, proxies));
	str_addf(out, "group g { members p1, p0%s }\n", PICK(rnd, more));
}

/* Addresses, names, or both. */
static inline void add_whom(unsigned short rnd[3], struct str *out)
{
	unsigned kind = draw(rnd, 7);

	if (kind == 0)
		str_addf(out, " list l%u", draw(rnd, LISTS));
	if (kind == 1)
		str_addf(out, " list n%u", draw(rnd, NAME_LISTS));
	if (kind == 2 || kind == 3) {
		str_add(out, " dst");
		add_nets(rnd, out, false);
	}
	if (kind == 3 || kind == 4) {
		str_add(out, " domain");
		add_domains(rnd, out);
	}
}

static inline void add_rule(unsigned short rnd[3], struct str *out)
{
	static const char *const targets[] = { "u0",
					       "u1",
					       "u2",
					       "direct",
					       "direct log",
					       "drop log",
					       "direct cut-through on",
					       "u0 log cut-through off",
					       "g",
					       "p0" };
	size_t start = out->len;

	if (draw(rnd, 2)) {
		str_add(out, " src");
		add_nets(rnd, out, false);
	}
	if (!draw(rnd, 5))
		str_add(out, draw(rnd, 2) ? " udp quic" : " quic");
	else if (!draw(rnd, 3))
		str_add(out, draw(rnd, 2) ? " tcp" : " udp");
	add_whom(rnd, out);
	if (!draw(rnd, 3))
		str_addf(out, " intercept i%u", draw(rnd, INTERCEPTS));
	if (!draw(rnd, 3) || out->len == start) {
		str_add(out, " port");
		add_ports(rnd, out);
	}
	str_addf(out, " -> %s\n", PICK(rnd, targets));
}

static inline void draw_text(unsigned short rnd[3], struct str *out)
{
	static const char *const ends[] = { "default -> u1 }",
					    "default -> direct }", "}" };

	add_settings(rnd, out);
	for (unsigned i = 0; i < LISTS; i++) {
		str_addf(out, "\nlist l%u { net", i);
		add_nets(rnd, out, true);
		str_add(out, " }");
	}
	str_add(out, " # lists\n\nlist n0 { domain");
	add_domains(rnd, out);
	str_add(out, "; file /list; reload on-change }\nlist n1 { domain");
	add_domains(rnd, out);
	str_add(out, "; net");
	add_nets(rnd, out, true);
	str_add(out, "\ndomain");
	add_domains(rnd, out);
	str_add(out, " }\n");
	for (unsigned i = 0; i < INTERCEPTS; i++)
		add_intercept(rnd, i, out);
	for (unsigned i = 0; i < UPSTREAMS; i++)
		add_upstream(rnd, i, out);
	add_group(rnd, out);
	if (!draw(rnd, 8))
		return;
	str_add(out, "rules {\n");
	for (unsigned i = draw(rnd, 6); i; i--)
		add_rule(rnd, out);
	str_add(out, PICK(rnd, ends));
}

#endif
