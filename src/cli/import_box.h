/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_box.h - a part of all traffic: a product of conditions.
 *
 * A box is one IP version's packets of these protocols, to these ports, for
 * which all of its terms hold.  A rule cuts a box into the part that it
 * matches and the rest, which is one box for each condition that the box did
 * not decide already:
 *
 *	box and not (a and b)  =  box and not a,  box and a and not b
 *
 * Boxes cut from one are disjoint, so the order of what is made of them has no
 * meaning.
 */
#ifndef WL_CLI_IMPORT_BOX_H
#define WL_CLI_IMPORT_BOX_H

#include "cli/import_model.h"

enum { PORT_BYTES = 65536 / 8, PORT_WORDS = 65536 / 64, BOX_OPEN_MAX = 16 };

struct import_box {
	struct import_box *next;
	uint64_t ports[PORT_WORDS];
	uint8_t protos;
	uint32_t mark;
	bool is_cut; /* changed since the flag was taken back */
	/* none is about ports; those that must hold, and those that must not */
	const struct import_term *held, *excluded;
	const struct import_cause *causes;
};

/* Where the packets are. */
enum import_place {
	PLACE_ARRIVING, /* from an interface, in prerouting */
	PLACE_SENT,	/* by this host, in output */
	PLACE_RETURNED, /* the same, marked, now from lo in prerouting */
};

struct import_view {
	struct import *im;
	enum import_family family;
	enum import_place place;
};

enum import_relation { MATCHES_NONE, MATCHES_SOME, MATCHES_ALL };

/* What of the rule's match the box leaves open. */
struct import_open {
	enum import_relation relation;
	const char *unknown; /* then nobody knows; relation is NONE */
	bool is_own_mark;    /* asks for a mark that only a proxy's own have */
	bool are_protos_open, are_ports_open;
	uint64_t ports[PORT_WORDS]; /* if are_ports_open */
	const struct import_term *terms[BOX_OPEN_MAX];
	size_t term_count;
};

void import_box_relate(const struct import_view *v,
		       const struct import_box *box,
		       const struct import_match *m, struct import_open *out);

/* The first term for NULL, or the next one; first those that must hold. */
const struct import_term *import_box_term(const struct import_box *box,
					  const struct import_term *t);
/* How many boxes the rest will be. */
size_t import_open_count(const struct import_open *o);
/* Cut by the condition of this number: it holds, or it does not. */
void import_box_cut(struct import *im, struct import_box *box,
		    const struct import_match *m, const struct import_open *o,
		    size_t which, bool holds);

/* --- import_compare.c: sets of values ------------------------------------ */

/* Is each of `inner` in `outer`?  False also if it takes long to say. */
bool import_values_cover(struct import *im, enum import_dim dim,
			 struct import_values *outer,
			 struct import_values *inner);
bool import_values_meet(struct import *im, enum import_dim dim,
			struct import_values *a, struct import_values *b);
/* Names of interfaces, with * at the end of a pattern. */
bool import_ifname_covers(const char *outer, const char *inner);
bool import_ifname_meets(const char *a, const char *b);

#endif
