/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - what a configuration means.
 *
 * The model is plain data in one arena: made by parse.c, completed and judged
 * by check.c, printed by print.c, evaluated by eval.c, and const after that.
 * It knows nothing of kernels, sockets or files.  Words are those of
 * doc/architecture.md.  Read eval.h next: it says what the model decides.
 *
 * Two forms live side by side where a person's words matter: the terms as
 * written ("private", a list's name) for printing, and the resolved set
 * (sorted, disjoint prefixes) for deciding.
 */
#ifndef WL_POLICY_MODEL_H
#define WL_POLICY_MODEL_H

#include "net/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct domain_set;
struct secret;

enum {
	NAME_TEXT_MAX = 32, /* of intercepts, lists, upstreams, with NUL */
	INTERCEPTS_MAX = 64,
	UPSTREAMS_MAX = 256, /* the three built in and groups included */
	GROUP_MEMBERS_MAX = 32,
	LIST_FILES_MAX = 16,	    /* of one list */
	HOST_TEXT_MAX = 254,	    /* a domain name, with NUL */
	CREDENTIAL_BYTES_MAX = 255, /* of a user's name and of a password */
	LISTS_MAX = 256,
	RULES_MAX = 4096,
	IFNAMES_MAX = 64,		     /* in one intercept */
	IFNAME_BYTES_MAX = 15,		     /* with the * of a pattern */
	USERS_MAX = 64,			     /* excepted by one intercept */
	CGROUPS_MAX = 16,		     /* the same */
	CONFIG_BYTES_MAX = 64 * 1024 * 1024, /* a million prefixes */
};

/* A place in the text, for messages.  line 0: not from the text. */
struct place {
	uint32_t line;	 /* from 1 */
	uint32_t column; /* in bytes, from 1 */
	uint32_t length; /* in bytes, what the caret line underlines */
};

/* --- sets ---------------------------------------------------------------- */

struct port_range {
	uint16_t first, last; /* 1..65535, first <= last */
};

/* Sorted, disjoint and not adjacent.  "any" is one range 1-65535. */
struct port_set {
	struct port_range *ranges;
	size_t count; /* 0: no port at all */
};

/* Sorted by prefix_compare(), disjoint (a covered prefix is dropped). */
struct net_set {
	struct prefix *prefixes;
	size_t count;
};

enum net_term_kind { NET_TERM_PREFIX, NET_TERM_PRIVATE, NET_TERM_LIST };

struct net_term {
	enum net_term_kind kind;
	struct prefix prefix; /* NET_TERM_PREFIX */
	size_t list;	      /* NET_TERM_LIST: index into config.lists */
	struct place at;
};

/* Addresses as written and as resolved by check.c. */
struct net_expr {
	struct net_term *terms;
	size_t count; /* 0: not given (a rule then matches every address) */
	struct net_set set;
};

/* --- names --------------------------------------------------------------- */

/* Lower case, no dot at the end: "example.org" is that name alone,
 * "*.example.org" every name below it, ".example.org" both. */
struct domain_term {
	const char *text;
	struct place at;
};

/* Names as written and as resolved by check.c. */
struct domain_expr {
	struct domain_term *terms;
	size_t count;		      /* 0: not given */
	const struct domain_set *set; /* domains.h; NULL: empty */
};

/* --- the parts of a configuration ---------------------------------------- */

enum engine_kind { ENGINE_AUTO, ENGINE_EBPF, ENGINE_NFT, ENGINE_IPTABLES };
enum on_failure { ON_FAILURE_OPEN, ON_FAILURE_CLOSED };
enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum proto { PROTO_TCP, PROTO_UDP, PROTO_COUNT };

/* `file PATH` of a list: a name or a network a line. */
struct list_file {
	const char *path; /* absolute */
	struct place at;
};

/* list NAME { net PREFIX...; domain NAME...; file PATH; reload on-change } */
struct list {
	const char *name;
	struct prefix *nets; /* as written, without those of the files */
	size_t count;
	struct domain_term *domains; /* the same */
	size_t domain_count;
	struct list_file *files;
	size_t file_count;
	bool is_reloaded; /* a changed file reloads the configuration */
	/* What all of it stands for, made by check.c. */
	struct net_set set;
	const struct domain_set *names; /* NULL: no name in it */
	struct place at;		/* the name */
};

/* intercept NAME { from ...; tcp ...; udp ...; except ...; deliver ...; } */
struct intercept {
	const char *name;
	const char **ifnames; /* "eth1", "veth-apps*" (trailing * only) */
	size_t ifname_count;
	bool from_host; /* `from host`: this machine's own traffic */
	/* `except user`, `except cgroup`: only with from_host.  Not looked up;
	 * none is there twice. */
	const char **except_users;   /* a name, or a number without zeros in */
	size_t except_user_count;    /* front: "proxy", "svc$", "1000" */
	const char **except_cgroups; /* paths below the root of cgroup2 */
	size_t except_cgroup_count;  /* without slashes at the ends */
	struct port_set ports[PROTO_COUNT];
	struct net_expr except_src, except_dst;
	struct port_set except_port; /* destination ports */
	bool has_deliver;
	/* Another program's transparent listener.  Family AF_UNSPEC
	 * (`deliver *:PORT`): at the first address of the interface where the
	 * packet arrives, as `--on-port` without `--on-ip` does. */
	struct addr deliver;
	bool require_listener;
	/*
	 * `listen ADDR:PORT` instead of `from`: a plain listener.  Either other
	 * proxies speak to it: they are those of proxy_from, and each says
	 * first, by the PROXY protocol, who its client is and whom it called.
	 * Or somebody's NAT rules bring the clients of redirected_from, and the
	 * kernel tells whom they called.  One of the two is given.
	 * Such an intercept takes nothing from the packet path: it has no
	 * interfaces, no ports, no exceptions and no deliver.
	 */
	bool has_listen;
	struct addr listen;
	struct net_expr proxy_from, redirected_from;
	struct place at;
};

enum upstream_kind {
	UPSTREAM_DIRECT,
	UPSTREAM_REJECT,
	UPSTREAM_DROP,
	UPSTREAM_PROXY_V1,
	UPSTREAM_PROXY_V2,
	UPSTREAM_SOCKS5,
	UPSTREAM_HTTP_CONNECT,
	UPSTREAM_GROUP, /* `group NAME { ... }`; shares the names' space */
};

enum upstream_source { SOURCE_CLIENT, SOURCE_SELF, SOURCE_ADDRESS };

/* `pipeline`: is the second word said before the first was answered? */
enum pipeline { PIPELINE_AUTO, PIPELINE_OFF, PIPELINE_ON };

/* The first three of every configuration are built in, not printed, and
 * named `direct` (source client), `reject` and `drop`. */
enum { UPSTREAM_BUILTIN_COUNT = 3 };

/* Where a secret is.  Its text is read by whoever may (policy.h), lies in
 * memory of its own (base/secret.h) and is never printed. */
enum secret_from { SECRET_NONE, SECRET_FILE, SECRET_CREDENTIAL };
struct secret_ref {
	enum secret_from from;
	const char *name; /* of the file, absolute, or of the credential */
	struct place at;
	struct secret *secret; /* NULL: not read */
};

struct upstream {
	const char *name;
	enum upstream_kind kind;
	enum upstream_source source; /* all but direct: default self */
	struct addr source_addr[2];  /* SOURCE_ADDRESS: IPv4, IPv6; port 0;
				      * family 0: none, then as `self` */
	bool has_to;	     /* direct: `to`; proxies: the proxy, always */
	struct addr to;	     /* port 0 (direct only): keep the client's port.
			      * family 0: to_name, and only the port is known */
	const char *to_name; /* of a proxy, to be looked up; or NULL */
	const char *user;    /* socks5, http-connect; NULL: none */
	struct secret_ref password;
	bool is_udp;	   /* socks5: `udp on` */
	bool is_resolving; /* `resolve on`: the proxy is told the name that was
			    * seen, if one was, instead of the address */
	enum pipeline pipeline; /* socks5 */
	struct group *group;	/* UPSTREAM_GROUP: never NULL */
	struct place at;
};

enum balance {
	BALANCE_FIRST,
	BALANCE_ROUND_ROBIN,
	BALANCE_LEAST_CONN,
	BALANCE_LEAST_LATENCY,
	BALANCE_HASH_CLIENT,
};

/* health connect HOST:PORT [every D] [timeout D] [rise N] [fall N]: through
 * the member, a connection to HOST:PORT can be opened. */
struct health {
	bool is_on;
	struct addr to; /* family 0: to_name */
	const char *to_name;
	uint32_t every_ms;   /* default 10 s */
	uint32_t timeout_ms; /* default 3 s, less than every_ms */
	uint32_t rise, fall; /* in a row; default 2 and 3 */
	struct place at;
};

/* group NAME { members ...; balance ...; health ...; fallback ... }.  Members
 * are upstreams, no groups, none of them reject or drop, none twice. */
struct group {
	size_t *members;      /* indexes into config.upstreams, as written */
	size_t member_count;  /* 1..GROUP_MEMBERS_MAX */
	enum balance balance; /* default first */
	struct health health;
	size_t fallback; /* index into config.upstreams; default `reject`.
			  * No circle of groups. */
};

/* [intercept NAME] [tcp|udp] [src ...] [dst ...] [list NAME] [port ...]
 *	[domain ...] [quic] -> UPSTREAM [log]
 * All given conditions must hold.  `list NAME` is a condition on dst, on the
 * name, or, if the list holds both, on either. */
/* Who decides whether a rule's flows may be cut through: doc/cut-through.md */
enum rule_cut_through { RULE_CUT_AS_FILE, RULE_CUT_ON, RULE_CUT_OFF };

struct rule {
	bool is_default; /* `default -> X`; has no conditions */
	bool has_intercept;
	size_t intercept; /* index into config.intercepts */
	uint8_t protos;	  /* bit (1 << PROTO_x); both when not given */
	struct net_expr src, dst;
	/* `domain ...`, or the names of `list`: then terms are empty. */
	struct domain_expr domains;
	bool is_dst_or_domain; /* `list` with networks and names */
	bool is_quic;	       /* `quic`: protos is UDP alone */
	bool has_ports;
	struct port_set ports; /* destination ports */
	size_t upstream;       /* index into config.upstreams, groups too */
	bool is_logged;	       /* `log`: a record even if log flows is off */
	uint8_t cut_through;   /* enum rule_cut_through */
	struct place at;
};

struct timeouts {	     /* milliseconds, > 0 unless said */
	uint32_t connect_ms; /* default 3 min */
	uint32_t idle_ms; /* TCP, both directions silent; default 2 h 5 min */
	uint32_t half_closed_ms; /* one direction finished; default idle_ms */
	uint32_t udp_ms;	 /* default 2 min */
	uint32_t dns_ms;	 /* UDP port 53; default 20 s */
	uint32_t upstream_ms; /* one proxy of several to answer; default 10 s */
	uint32_t drain_ms;    /* at SIGTERM, 0 (default): end flows at once */
};

struct limits {
	uint32_t tcp_flows;	 /* per worker; 0 (default): by descriptors */
	uint32_t udp_flows;	 /* per worker; default 4096 */
	uint32_t udp_per_client; /* per worker; default 512 */
	uint32_t cut_flows;	 /* cut-through at a time; default 65536 */
};

/* sniff { tls; http; quic; wait D }.  Without the block all three, 300 ms.
 * Nothing is looked at unless a rule needs a name. */
struct sniff {
	bool is_tls, is_http, is_quic;
	uint32_t wait_ms; /* > 0 */
	struct place at;  /* line 0: the block is not given */
};

struct log_conf {
	enum log_level level;	/* default info */
	enum log_format format; /* default text */
	uint32_t flows_every; /* one record in N; 1 = all (default), 0 = off */
};

/* auto: where the kernel can */
enum cut_through { CUT_THROUGH_AUTO, CUT_THROUGH_ON, CUT_THROUGH_OFF };

struct config {
	struct arena *arena; /* owns everything below */
	enum engine_kind engine;
	enum on_failure on_failure;   /* default open */
	enum cut_through cut_through; /* default auto */
	uint32_t mark, mask;	      /* default 0x1000/0x3000; see doc */
	uint32_t table;		      /* routing table, default 7700 */
	uint32_t workers;	      /* 0 (default): one per CPU; at most 64 */
	uint16_t port; /* first listener port; 0 (default): any free */
	struct log_conf log;
	struct timeouts timeouts;
	struct limits limits;
	struct sniff sniff;
	struct list *lists;
	size_t list_count;
	struct intercept *intercepts;
	size_t intercept_count;
	struct upstream *upstreams; /* built-ins first */
	size_t upstream_count;
	struct rule *rules; /* in order; check.c appends `default -> direct`
			     * (place.line 0) when the text has no default.
			     * eval_rule_kind() says what that means */
	size_t rule_count;
	bool has_admin_http;
	struct addr admin_http;
	struct secret_ref admin_token; /* not used yet */
};

#endif
