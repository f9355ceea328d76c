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
 *	enabled   flows begin					`upstream
 *enable` draining  none begins, running ones go on		`upstream drain`
 *	disabled  none begins, running ones end with RST	`upstream
 *disable`
 *
 *	unknown --rise--> up --fall failures in a row--> down --rise--> up
 *
 * Where a group has no check, a member that is down is tried again by a flow
 * after BOARD_RETRY_MS.
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

struct board_upstream {
	_Atomic uint8_t want, health, pipeline;
	_Atomic uint8_t last_end; /* enum flow_end of the last failure */
	_Atomic uint16_t last_reply;
	_Atomic uint32_t fails, passes; /* in a row */
	_Atomic uint32_t latency_us; /* to open a leg, smoothed; 0: unknown */
	_Atomic uint64_t changed_ms; /* of health, CLOCK_MONOTONIC */
	_Atomic uint64_t checked_ms; /* last check; 0: never */
	_Atomic uint64_t opened, failed; /* legs */
	/* Of to_name; version is odd while they change. */
	_Atomic uint32_t addr_version, addr_count;
	struct addr addrs[BOARD_ADDRS_MAX]; /* with port */
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

/* May a flow begin there?  (Health is the group's affair.) */
bool board_is_open(const struct board *b, size_t upstream);

/* A leg was opened through it, in so many microseconds. */
void board_opened(struct board *b, size_t upstream, uint32_t latency_us);
/* It failed, and the upstream was to blame; `fall` in a row make it down. */
void board_failed(struct board *b, size_t upstream, enum flow_end why,
		  unsigned reply, uint32_t fall, uint64_t now_ms);
/* A check passed; `rise` in a row make it up. */
void board_passed(struct board *b, size_t upstream, uint32_t rise,
		  uint64_t now_ms);

/* Where the proxy is: its address, or one that its name has, by turns of
 * `pick`.  False: the name is not known (yet). */
bool board_address(const struct board *b, const struct config *c,
		   size_t upstream, uint32_t pick, struct addr *out);
/* The resolver's side. */
void board_set_addresses(struct board *b, size_t upstream,
			 const struct addr *addrs, size_t count);

const char *board_want_name(unsigned want); /* "?" for what is none */
const char *board_health_name(unsigned health);

#endif
