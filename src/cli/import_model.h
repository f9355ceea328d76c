/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_model.h - rules of any packet filter, in one form.
 *
 * Private to import_*.c.  The readers (import_text.c, and behind it
 * import_shell.c, import_iptables.c, import_routing.c, import_nft.c) turn
 * text into chains of rules.  import_walk.c then sends all traffic at once
 * through the chains, as boxes (import_box.h), and notes which of it reaches a
 * TPROXY target.  import_take.c makes intercepts of that, import_write.c text.
 *
 * Conditions that waylay knows are terms.  Two kinds are none: those that only
 * hold for what waylay leaves alone anyway (is_self), and those that it has
 * not (unknown).  Rules of all tables are kept, but only chains that packets
 * reach through mangle PREROUTING and OUTPUT, or through base chains of nft at
 * these hooks, are walked.
 *
 * Everything is in one arena and lives as long as the import.
 */
#ifndef WL_CLI_IMPORT_MODEL_H
#define WL_CLI_IMPORT_MODEL_H

#include "cli/import.h"
#include "net/addr.h"
#include "policy/model.h"

#include <stdbool.h>

enum import_family { FAMILY_V4, FAMILY_V6, FAMILY_COUNT };

enum {
	FAMILIES_ALL = 1 << FAMILY_V4 | 1 << FAMILY_V6,
	PROTOS_ALL = 1 << PROTO_TCP | 1 << PROTO_UDP,
	IMPORT_BUCKETS = 16384,
	IMPORT_MARKS_MAX = 256, /* more of them are not looked at */
	IMPORT_SEARCHED_MAX = 50000000,
};

/* Lines of one command, by index. */
struct import_span {
	uint32_t first, last;
};

struct import_rule;

/* Lines, and those that were noted before; lists share their tails. */
struct import_cause {
	const struct import_cause *next;
	struct import_span at;
	const struct import_rule *rule; /* NULL: of a declaration */
};

/* --- values -------------------------------------------------------------- */

struct import_element {
	const char *text;
	uint32_t line;
};

/* What a term compares with, as written; what it means is asked for by kind.
 * A named set may be used before it is filled. */
struct import_values {
	struct import_values *next; /* in its bucket */
	const char *key;	    /* of a named set, with its table */
	const char *name;	    /* of a named set, or NULL */
	struct import_span at;	    /* of a named set: where it is defined */
	bool is_defined;
	bool is_unread;	  /* holds what cannot be read: maps, pairs */
	bool is_used;	  /* stands in the configuration */
	const char *list; /* there, by this name; or NULL */
	struct import_element *elements;
	size_t count, cap;
	/* made by import_values_nets() and import_values_ports() */
	bool has_nets, are_nets_bad, has_ports, are_ports_bad;
	struct net_set nets;
	struct port_set ports;
};

enum import_dim {
	DIM_PORT, /* destination port */
	DIM_IFNAME,
	DIM_OUT_IFNAME,
	DIM_SRC,
	DIM_DST,
	DIM_USER,
	DIM_CGROUP,
};

struct import_term {
	const struct import_term *next; /* lists share their tails */
	enum import_dim dim;
	bool is_negated;
	struct import_values *values;
};

/* --- rules --------------------------------------------------------------- */

struct import_match {
	uint8_t families; /* bits 1 << FAMILY_x */
	uint8_t protos;	  /* bits 1 << PROTO_x; 0: neither TCP nor UDP */
	bool is_self;	  /* holds only for what waylay leaves alone */
	bool is_socket;	  /* the same: has a socket, the DIVERT idiom */
	bool has_mark, is_mark_negated;
	uint32_t mark, mask;
	const struct import_term *terms;
	const char *unknown; /* NULL, or a clause: why we do not know it */
};

enum import_action {
	ACTION_NEXT, /* on to the next rule */
	ACTION_ACCEPT,
	ACTION_DROP,
	ACTION_RETURN,
	ACTION_JUMP,
	ACTION_GOTO,
	ACTION_TAKE,	 /* TPROXY */
	ACTION_REDIRECT, /* as another destination, to this host */
};

struct import_chain;

struct import_rule {
	struct import_rule *next;
	struct import_span at;
	struct import_chain *chain;
	struct import_match match;
	bool sets_mark; /* mark = (mark & ~mark_mask) ^ mark_value */
	uint32_t mark_mask, mark_value;
	bool is_bookkeeping; /* CONNMARK and the like */
	enum import_action action;
	struct import_chain *to; /* of ACTION_JUMP and ACTION_GOTO */
	struct addr deliver; /* family 0: of the interface; port 0: theirs */
	bool is_open;	     /* passes on while nobody listens */
	bool is_taken;	     /* a box has reached it */
	const char *text;    /* iptables: the words, to be deleted by */
};

enum import_hook { HOOK_NONE, HOOK_PREROUTING, HOOK_OUTPUT };

struct import_chain {
	struct import_chain *in_bucket;
	struct import_chain *next; /* all of them, in order of appearance */
	const char *key;
	struct import_rule *rules, *last;
	struct import_rule **hint; /* where one was inserted last; or NULL */
	size_t hint_place;
	enum import_hook hook;
	long priority;
	size_t number; /* in order of appearance */
	bool is_nat;
	bool is_walked; /* a box that was taken came through */
	/* import_walk.c: what can happen in it, and below it */
	bool is_asked, can_end, can_take;
	const struct import_rule *last_effect; /* but for RETURN; or NULL */
	bool is_being_walked;		       /* against circles */
	const struct import_cause *declared;
};

/* --- routing ------------------------------------------------------------- */

/* ip rule ... fwmark VALUE/MASK lookup TABLE */
struct import_fwmark {
	struct import_fwmark *next;
	struct import_span at;
	uint32_t value, mask;
	const char *table;
};

/* ip route ... local default dev lo table TABLE */
struct import_local_table {
	struct import_local_table *next;
	const char *table;
};

/* --- all of it ----------------------------------------------------------- */

struct import_take;

struct import {
	struct arena *arena;
	struct import_line *lines; /* not in the arena */
	size_t line_count, line_cap;
	bool is_out_of_memory;
	struct import_chain *chains, *last_chain;
	struct import_chain *chain_buckets[IMPORT_BUCKETS];
	struct import_values *set_buckets[IMPORT_BUCKETS];
	struct import_fwmark *fwmarks, *target_marks;
	struct import_local_table *local_tables;
	size_t rule_count;
	size_t searched; /* rules that were passed by, to insert or delete */
	size_t commented_out;	   /* comments that look like commands */
	struct import_take *takes; /* import_take.h */
	size_t take_count;
	size_t attempts;  /* to take, also those in vain */
	bool is_given_up; /* there were too many cases */
	bool is_open;	  /* on-failure */
};

/* --- import_model.c ------------------------------------------------------ */

/* Zeroed; NULL when memory is out, and then is_out_of_memory is set. */
void *import_alloc(struct import *im, size_t size);
const char *import_keep(struct import *im, const char *text, size_t len);
const char *import_keepf(struct import *im, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Room for one more element; the array, moved if need be, or NULL. */
void *import_grow(struct import *im, void *array, size_t count, size_t *cap,
		  size_t size);

void import_raise(struct import *im, struct import_span at,
		  enum import_status status);
/* Not expressed; the first reason of a line stays. */
void import_refuse(struct import *im, struct import_span at,
		   const char *reason);

/* Found or made; NULL when memory is out. */
struct import_chain *import_chain(struct import *im, const char *key);
void import_declare(struct import *im, struct import_chain *c,
		    struct import_span at);
struct import_values *import_set(struct import *im, const char *key,
				 const char *name);
/* place: 0 is the end, 1 the first. */
void import_add_rule(struct import *im, struct import_chain *c,
		     struct import_rule *r, size_t place);
/* The rule at this place, or, for NULL, all. */
void import_remove_rules(struct import_chain *c, struct import_rule **only);
/* Adds to *list, which has no order, unless it holds too many. */
void import_add_mark(struct import *im, struct import_fwmark **list,
		     const struct import_fwmark *mark);

/* --- import_values.c ----------------------------------------------------- */

struct import_values *import_values_new(struct import *im);
void import_values_add(struct import *im, struct import_values *v,
		       const char *text, uint32_t line);
/* Elements of a text, separated by commas. */
void import_values_split(struct import *im, struct import_values *v,
			 const char *text, uint32_t line);
/* NULL: they are no networks, or not known. */
const struct net_set *import_values_nets(struct import *im,
					 struct import_values *v);
const struct port_set *import_values_ports(struct import *im,
					   struct import_values *v);
/* One element more; the match is unchanged when memory is out. */
void import_match_add(struct import *im, struct import_match *m,
		      enum import_dim dim, bool is_negated,
		      struct import_values *v);
void import_match_unknown(struct import_match *m, const char *reason);
/* Everything of one family that is not in the set; sorted. */
struct net_set import_complement(struct import *im, enum import_family family,
				 const struct net_set *set);
/* "1", "0x1f": base 0 as strtoul() takes it, the whole of it. */
bool import_number(const char *text, uint32_t *out);
/* "0x1/0x1"; without a mask it is 0xffffffff. */
bool import_number_mask(const char *text, uint32_t *value, uint32_t *mask);

#endif
