/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_text.h - what the parts that write nft rules share with one another.
 *
 * nft_render.c has the whole and what comes from interfaces, nft_host.c what
 * this host itself sends, nft_rules.c what both have in common: ports,
 * exceptions and selections; nft_sets.c sets of addresses.
 */
#ifndef WL_ENGINE_NFT_TEXT_H
#define WL_ENGINE_NFT_TEXT_H

#include "base/str.h"
#include "engine/plan.h"
#include "engine/select.h"

/* --- nft_sets.c ---------------------------------------------------------- */

enum {
	/* Up to this many prefixes stand in the rule, where a reader sees
	 * them; more are a named set. */
	NFT_INLINE_MAX = 16,
	/* A set above this is not loaded anew while its content stays. */
	NFT_BIG_SET = 4096,
	NFT_SET_NAME_MAX = 32,
};

/* The prefixes of one family in one net_set, which it borrows. */
struct nft_set {
	const struct net_set *nets;
	enum family_index family;
	size_t count;
	char name[NFT_SET_NAME_MAX]; /* made of the content */
	bool is_repeated;	     /* one before it has the same name */
};

struct nft_sets {
	struct nft_set *of;
	size_t count, room;
	size_t prefixes; /* in all of them, repetitions left out */
};

/* All that c needs; 0 or -ENOMEM. */
int nft_sets_init(struct nft_sets *s, const struct config *c);
void nft_sets_done(struct nft_sets *s);
/* NULL: c needs none of this name. */
const struct nft_set *nft_sets_find(const struct nft_sets *s, const char *name);
/* Their definitions with elements, but for those that is_kept() names. */
typedef bool (*nft_kept_fn)(void *ctx, const char *name);
void nft_sets_put(const struct nft_sets *s, nft_kept_fn is_kept, void *ctx,
		  struct str *out);

bool nft_has_family(const struct net_set *nets, enum family_index f);
/* "ip saddr @nets4_... " or "ip saddr { ... } "; `key` is saddr or daddr.
 * nets is one of the configuration and has the family. */
void nft_put_nets(const struct nft_sets *s, const struct net_set *nets,
		  enum family_index f, const char *key, struct str *out);

/* --- nft_render.c -------------------------------------------------------- */

struct nft_text {
	const struct plan *plan;
	struct nft_sets sets;
	struct selections selections;
	struct str *out; /* for all nft_put_...() */
};

/* 0, or -errno and e; keeps p and out. */
int nft_text_init(struct nft_text *t, const struct plan *p, struct str *out,
		  struct err *e);
void nft_text_done(struct nft_text *t);
/* All but the sets of addresses. */
void nft_put_rules(struct nft_text *t);
/* The counters that rules name. */
void nft_put_counters(struct str *out);

/* --- nft_rules.c --------------------------------------------------------- */

extern const char *const nft_prefix_key[FAMILY_COUNT]; /* "ip", "ip6" */
extern const char *const nft_proto_key[PROTO_COUNT];   /* "tcp", "udp" */

/* Lines of protocol and port that go to chain `to`_N. */
void nft_put_ports(struct nft_text *t, size_t intercept, const char *to);
/* Lines that return for what the intercept excepts by address and port. */
void nft_put_exceptions(struct nft_text *t, size_t intercept);
/* A line or more for each selection; what is taken goes to chain `take`_N. */
void nft_put_selections(struct nft_text *t, size_t intercept, const char *take);

/* Where an intercept's packets of one family and protocol are taken to. */
struct nft_listener {
	enum family_index family;
	enum proto proto;
	char to[ADDR_TEXT_MAX]; /* "127.0.0.1:3129", or ":3129" */
};

enum { NFT_LISTENERS_MAX = PROTO_COUNT * FAMILY_COUNT };

/* Returns how many there are. */
size_t nft_listeners(const struct plan *p, size_t intercept,
		     struct nft_listener out[NFT_LISTENERS_MAX]);
/* "meta nfproto ipv4 meta l4proto tcp " */
void nft_put_kind(struct nft_text *t, const struct nft_listener *l);

/* --- nft_owner.c --------------------------------------------------------- */

enum { NFT_CGROUP_MAX = 320 };

struct nft_cgroup {
	char path[NFT_CGROUP_MAX]; /* as nft wants it */
	unsigned level;		   /* below the root of cgroup2, from 1 */
	uint64_t id;
};

/* Is it there now?  `path` is that of the configuration. */
bool nft_find_cgroup(const char *path, struct nft_cgroup *out);
/* Those that c excepts, a path in each line. */
void nft_list_cgroups(const struct config *c, struct str *out);
/* What they are now: equal texts, equal rules.  `list` as above. */
void nft_identify_cgroups(const char *list, struct str *out);
/* Do they still say `ids`?  One that came or went is another exception. */
bool nft_are_cgroups_same(const char *list, const char *ids);
bool nft_is_user_number(const char *user);
/* -ENOENT and e if c excepts a user that this host does not know. */
int nft_check_users(const struct config *c, struct err *e);

/* --- nft_host.c ---------------------------------------------------------- */

void nft_put_host(struct nft_text *t);
/* In the base chain of prerouting: what is on its way round. */
void nft_put_host_arrival(struct nft_text *t);

#endif
