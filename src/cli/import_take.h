/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_take.h - a box that reached a TPROXY target, as an intercept.
 *
 * An intercept says what it takes by interface, protocol and port, and what it
 * does not by address, user and cgroup.  So a term that must not hold becomes
 * an exception, and a network that must hold becomes exceptions for all others.
 */
#ifndef WL_CLI_IMPORT_TAKE_H
#define WL_CLI_IMPORT_TAKE_H

#include "cli/import_box.h"

enum { TAKES_MAX = 4 * INTERCEPTS_MAX };

/* Names in order, none twice. */
struct take_names {
	const char **names;
	size_t count, cap;
};

/* What is excepted: written out, and by name. */
struct take_nets {
	struct net_set set; /* normal */
	struct import_values **sets;
	size_t set_count, set_cap;
	const char *list; /* import_write.c: `set` stands in this one */
};

/* Lines that made it. */
struct take_part {
	struct take_part *next;
	const struct import_rule *rule;
	const struct import_cause *causes;
};

struct import_take {
	struct import_take *next;
	struct take_part *parts, *last_part;
	uint8_t families;
	bool is_host;
	bool is_doubtful; /* what must be excepted is not known: a comment */
	bool is_open;	  /* passes on while nobody listens */
	struct addr deliver;
	const uint64_t *ports[PROTO_COUNT]; /* NULL: nothing of this protocol */
	struct take_names ifnames, users, cgroups;
	struct take_nets src, dst;
};

/* The box has reached the rule.  What cannot be said is refused at its line;
 * else the lines that led there are expressed. */
void import_take(const struct import_view *v, const struct import_box *box,
		 const struct import_rule *rule, bool is_doubtful);
/* The same but for ports and protocol?  Then `from` becomes part of `into`. */
bool import_merge_ports(struct import *im, struct import_take *into,
			const struct import_take *from);
/* Those that differ only in ports, protocol or IP version become one; what is
 * more than a configuration can hold is refused.  Puts im->takes in order. */
void import_merge_takes(struct import *im);

#endif
