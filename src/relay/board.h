/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.h - what everybody knows of the upstreams.
 *
 * One block of shared memory for each configuration, made by the supervisor
 * before its workers: the state of each upstream, by its index.  Workers note
 * what they meet, the checks of groups what they find, the resolver the
 * addresses of names, and the supervisor what the operator wants.  Every field
 * is atomic and stands for itself: two writers can at worst lose a count.
 *
 * Nothing here is trusted as an index or a length by the supervisor.
 *
 * What the operator wants (`waylay upstream enable|drain|disable`):
 *
 *	enabled   flows begin
 *	draining  none begins, running ones go on
 *	disabled  none begins, running ones end with RST
 *
 * Health:
 *
 *	unknown --rise--> up --fall failures in a row--> down --rise--> up
 *
 * An upstream that a group checks comes up by checks alone, and its latency is
 * theirs: they all ask for the same server.  Flows can bring it down.  Of all
 * others flows are the judges: one that succeeds brings it up, and of one that
 * is down a single flow is the next trial, each BOARD_RETRY_MS.
 */
#ifndef WL_RELAY_BOARD_H
#define WL_RELAY_BOARD_H

#include "policy/model.h"
#include "relay/shared.h"

enum {
	BOARD_ADDRS_MAX = 8, /* of one name */
	BOARD_RETRY_MS = 10000,
	BOARD_FALL = 3, /* where no group says it */
};

enum board_want { BOARD_ENABLED, BOARD_DRAINING, BOARD_DISABLED };
enum board_health { BOARD_UNKNOWN, BOARD_UP, BOARD_DOWN };
enum board_pipeline {
	BOARD_PIPELINE_UNKNOWN,
	BOARD_PIPELINE_NO,
	BOARD_PIPELINE_YES
};

/* Addresses of a name, one version of them. */
struct board_addrs {
	_Atomic uint32_t count;
	struct addr addrs[BOARD_ADDRS_MAX]; /* with port */
};

struct board_upstream {
	_Atomic uint8_t want, health, pipeline;
	_Atomic uint8_t last_end; /* enum flow_end of the last failure */
	_Atomic uint16_t last_reply;
	bool is_checked;	       /* set before the fork */
	_Atomic uint32_t fails;	       /* flows, in a row */
	_Atomic uint32_t check_fails;  /* checks, in a row */
	_Atomic uint32_t check_passes; /* the same */
	_Atomic uint32_t latency_us;   /* to open a leg, smoothed; 0: unknown */
	/* CLOCK_MONOTONIC; 0: never */
	_Atomic uint64_t changed_ms;	 /* of health */
	_Atomic uint64_t checked_ms;	 /* last check */
	_Atomic uint64_t retried_ms;	 /* last trial by a flow while down */
	_Atomic uint64_t probed_ms;	 /* last flow for its latency's sake */
	_Atomic uint64_t opened, failed; /* legs of flows */
	/* Of to_name: names[addr_version % 2] hold.  The other one is being
	 * written, or is what held before. */
	_Atomic uint32_t addr_version; /* 0: nothing is known yet */
	struct board_addrs names[2];
};

struct board {
	uint32_t count; /* of upstreams[], set before the fork */
	_Atomic uint32_t turns[UPSTREAMS_MAX]; /* of groups: round-robin */
	struct board_upstream upstreams[];
};

/* For this configuration; NULL: no memory.  What `old` (or NULL) knows of an
 * upstream of the same name and the same proxy is taken over. */
struct board *board_new(const struct config *c, const struct board *old,
			const struct config *old_config);
void board_free(struct board *b);

/* The index in `in` of what `c` has as `upstream`: the same name and the same
 * proxy; -1: it is not there. */
int board_find(const struct config *in, const struct config *c,
	       size_t upstream);
/* The group that checks this member: the first one that has it, has `health`,
 * and asks for something that can be asked of it.  NULL: nobody does. */
const struct group *board_checker(const struct config *c, size_t upstream);

/* May a flow begin there?  (Health is the group's affair.) */
bool board_is_open(const struct board *b, size_t upstream);

/* A leg was opened through it, in so many microseconds (0: not measured). */
void board_opened(struct board *b, size_t upstream, uint32_t latency_us);
/* It failed, and the upstream was to blame; `fall` in a row make it down. */
void board_failed(struct board *b, size_t upstream, enum flow_end why,
		  unsigned reply, uint32_t fall, uint64_t now_ms);

/* A check has ended. */
struct board_check {
	size_t upstream;
	uint32_t rise, fall;
	uint64_t now_ms;
	uint32_t latency_us; /* of one that passed */
	enum flow_end why;   /* of one that failed */
	unsigned reply;	     /* the same */
};

/* `rise` in a row make it up, `fall` down.  True: its health has changed. */
bool board_passed(struct board *b, const struct board_check *check);
bool board_missed(struct board *b, const struct board_check *check);

/* Where the proxy is: its address, or one that its name has, by turns of
 * `pick`.  False: the name is not known (yet). */
bool board_address(const struct board *b, const struct config *c,
		   size_t upstream, uint32_t pick, struct addr *out);
/* The resolver's side: one process at a time.  More than BOARD_ADDRS_MAX are
 * cut off. */
void board_set_addresses(struct board *b, size_t upstream,
			 const struct addr *addrs, size_t count);

const char *board_want_name(unsigned want); /* "?" for what is none */
const char *board_health_name(unsigned health);
const char *board_pipeline_name(unsigned pipeline);

#endif
