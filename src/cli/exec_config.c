/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_config.c - options into a configuration; see exec_config.h.
 *
 * Order of the rules: name servers of this host's resolv.conf, which the
 * command needs whatever it may reach; what is denied; what is allowed; the
 * rest.  Networks stand before names, so that the kernel decides all that it
 * can (waylay.conf(5), Rules that ask for a name).
 */
#include "cli/exec_config.h"

#include "cli/enclave.h"
#include "cli/exec_options.h"
#include "cli/resolv.h"

#include <string.h>

/* How flows go that nothing refuses. */
static const char *out_name(const struct exec_options *o)
{
	return o->via.kind == EXEC_VIA_DIRECT ? "out" : "proxy";
}

static void put_quoted(const char *text, struct str *out)
{
	str_add(out, "\"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			str_add(out, "\\");
		str_addn(out, text, 1);
	}
	str_add(out, "\"");
}

static void put_proxy(const struct exec_via *v, int secret_fd, struct str *out)
{
	bool is_socks = v->kind == EXEC_VIA_SOCKS5;

	str_addf(out, EXEC_CONFIG_PROXY " {\nvia %s %s:%u\n",
		 is_socks ? "socks5" : "http-connect", v->host, v->port);
	/* A proxy that carries none says so, and the command is told. */
	if (is_socks)
		str_add(out, "udp on\n");
	if (v->has_user) {
		str_add(out, "user ");
		put_quoted(v->user, out);
		str_addf(out, "\npassword file:/proc/self/fd/%d\n", secret_fd);
	}
	str_add(out, "}\n");
}

static void put_upstreams(const struct exec_options *o, const struct resolv *r,
			  int secret_fd, struct str *out)
{
	char text[ADDR_TEXT_MAX];

	str_add(out, "upstream out { via direct; source self }\n");
	if (o->via.kind != EXEC_VIA_DIRECT)
		put_proxy(&o->via, secret_fd, out);
	for (size_t i = 0; i < r->count; i++)
		str_addf(out,
			 "upstream dns%zu { via direct; source self; to %s }\n",
			 i, addr_format_ip(&r->real[i], text));
}

/* Name servers are asked directly, also with a proxy: few carry UDP. */
static void put_name_servers(const struct resolv *r, struct str *out)
{
	char text[ADDR_TEXT_MAX];
	struct addr a;

	for (size_t i = 0; i < r->count; i++) {
		resolv_stand_in(i, &a);
		str_addf(out, "dst %s port 53 -> dns%zu\n",
			 addr_format_ip(&a, text), i);
	}
	for (size_t i = 0; i < r->far_count; i++)
		str_addf(out, "dst %s port 53 -> out\n",
			 addr_format_ip(&r->far[i], text));
}

static void put_rules(const struct str *conditions, const char *to,
		      struct str *out)
{
	const char *line = str_get(conditions);

	while (*line) {
		size_t len = strcspn(line, "\n");

		str_addf(out, "%.*s -> %s\n", (int)len, line, to);
		line += len + 1;
	}
}

static bool is_empty(const struct exec_conditions *c)
{
	return !c->nets.len && !c->names.len;
}

/* Engine nft begins a quarter of a second sooner than ebpf, which every command
 * would wait for; all that ebpf does better is of no use to one client. */
void exec_config_write(const struct exec_options *o, const struct resolv *r,
		       int secret_fd, struct str *out)
{
	const char *to = out_name(o);

	str_add(out,
		"engine nft\non-failure closed\nworkers 1\n"
		"log { format json }\n"
		"intercept exec { from " ENCLAVE_LINK "; tcp any; udp any }\n");
	put_upstreams(o, r, secret_fd, out);
	str_add(out, "rules {\n");
	put_name_servers(r, out);
	put_rules(&o->deny.nets, "reject", out);
	put_rules(&o->deny.names, "reject", out);
	put_rules(&o->allow.nets, to, out);
	put_rules(&o->allow.names, to, out);
	str_addf(out, "default -> %s\n}\n",
		 is_empty(&o->allow) ? to : "reject");
}
