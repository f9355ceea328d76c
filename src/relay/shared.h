/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared.h - what a worker lets its supervisor see.
 *
 * One block of shared memory for each worker, made by the supervisor before
 * the fork: counters, a record for each flow, and a ring of records of flows
 * that have ended.  One writer, the worker; the supervisor reads without
 * asking, so that `waylay flows` works also while a worker is busy.
 *
 * The supervisor trusts nothing it reads here: indexes are checked before
 * use, and the one text, a name, is judged again.  Numbers are plain 64-bit
 * stores; the identity of a flow is guarded by `version`, odd while it changes.
 */
#ifndef WL_RELAY_SHARED_H
#define WL_RELAY_SHARED_H

#include "policy/model.h"
#include "relay/counters.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum flow_state {
	FLOW_FREE,	  /* the slot is not used */
	FLOW_HEADER,	  /* TCP: a PROXY header must come first */
	FLOW_SNIFFING,	  /* a rule needs a name */
	FLOW_CONNECTING,  /* the server leg has not answered yet */
	FLOW_HANDSHAKE,	  /* the upstream has not agreed yet */
	FLOW_RELAYING,	  /* bytes move both ways */
	FLOW_HALF_CLOSED, /* TCP: one direction has ended with FIN */
	FLOW_CUT,	  /* cut through: it has no socket */
	FLOW_STATE_COUNT
};

enum flow_end {
	END_NONE,
	END_FINISHED, /* FIN both ways */
	END_CLIENT_RESET,
	END_SERVER_RESET,
	END_SERVER_REFUSED,
	END_SERVER_UNREACHABLE,
	END_CONNECT_TIMEOUT,
	END_IDLE_TIMEOUT,
	END_REJECTED,
	END_DROPPED,
	END_NO_PORT,	 /* no address and port to speak from */
	END_EVICTED,	 /* UDP: made room */
	END_SHUTDOWN,	 /* waylay was told to stop */
	END_WORKER_DIED, /* said by the supervisor */
	END_ERROR,
	END_UPSTREAM_UNREACHABLE, /* the proxy itself */
	END_UPSTREAM_TIMEOUT,	  /* it did not answer */
	END_UPSTREAM_REFUSED,	  /* it said no */
	END_UPSTREAM_AUTH,	  /* user or password are wrong */
	END_UPSTREAM_PROTOCOL,	  /* it said what it must not */
	END_NO_UPSTREAM,	  /* nobody of the group is left */
	END_UPSTREAM_DISABLED,	  /* the operator's word, before or since */
	END_UPSTREAM_LOST,	  /* UDP: the association has ended */
	END_LOOP,		  /* it would come back to us */
	END_BAD_HEADER, /* no valid PROXY header, or from a stranger */
	END_COUNT
};

enum flow_mover {
	MOVER_NONE,
	MOVER_COPY,
	MOVER_SPLICE,
	MOVER_CUT, /* in the packet path: daemon/cutter.h */
	MOVER_COUNT
};

struct flow_record {
	_Atomic uint32_t version;   /* odd: being written */
	uint8_t proto;		    /* enum proto */
	uint8_t state;		    /* enum flow_state */
	uint8_t end;		    /* enum flow_end */
	uint8_t mover;		    /* enum flow_mover */
	uint64_t name;		    /* pool_name() */
	struct addr client, server; /* server: the original destination */
	struct addr source; /* what the server sees; family 0: unknown yet */
	/* Indexes of the configuration.  upstream: while no leg is opened what
	 * the rule says, a group perhaps; then the member that has it.
	 * UINT32_MAX: not known (daemon/cut_book.h). */
	uint32_t intercept, rule, upstream;
	uint32_t generation; /* whose indexes these are; of cut flows only */
	uint32_t error;	   /* errno behind `end`, or 0 */
	uint16_t reply;	   /* the upstream's last answer: REP, status; or 0 */
	uint8_t attempts;  /* upstreams that were tried */
	uint8_t name_kind; /* enum name_kind: where `host` is from */
	uint32_t open_ms;  /* from begun_ms until bytes could move; 0: never */
	uint64_t begun_ms, last_ms; /* CLOCK_MONOTONIC */
	uint64_t begun_unix_ms;
	uint64_t bytes[2];	  /* 0 client to server, 1 server to client */
	char host[HOST_TEXT_MAX]; /* the name that was seen, or "" */
};

enum { RING_SIZE = 2048 }; /* a power of two */

struct ring {
	_Atomic uint32_t head; /* next to write, worker */
	_Atomic uint32_t tail; /* next to read, supervisor */
	struct flow_record records[RING_SIZE];
};

struct shared {
	_Atomic uint64_t counters[COUNTER_COUNT];
	_Atomic uint32_t tcp_flows, udp_flows;		/* alive now */
	_Atomic uint32_t upstream_flows[UPSTREAMS_MAX]; /* of them */
	_Atomic bool is_accept_paused;
	uint32_t flow_max; /* length of flows[], set before the fork */
	struct ring ended;
	struct flow_record flows[];
};

/* Shared memory for a worker with flow_max flows; NULL when memory is out.
 * Pages are not used before they are touched. */
struct shared *shared_new(uint32_t flow_max);
void shared_free(struct shared *s);

/* --- the worker's side --------------------------------------------------- */

static inline void count_add(struct shared *s, enum counter c, uint64_t n)
{
	uint64_t old =
		atomic_load_explicit(&s->counters[c], memory_order_relaxed);

	/* one writer: no locked instruction needed */
	atomic_store_explicit(&s->counters[c], old + n, memory_order_relaxed);
}

static inline void count(struct shared *s, enum counter c)
{
	count_add(s, c, 1);
}

/* Fill slot `i` (its version is kept) or empty it (record NULL). */
void shared_publish(struct shared *s, uint32_t i, const struct flow_record *r);
/* Append to the ring of ended flows.  True if the reader should be woken. */
bool shared_end(struct shared *s, const struct flow_record *r);

/* --- the supervisor's side ----------------------------------------------- */

/* A consistent copy of slot i; false if it is free. */
bool shared_read(const struct shared *s, uint32_t i, struct flow_record *out);
/* The next ended flow; false if there is none. */
bool shared_next_ended(struct shared *s, struct flow_record *out);

const char *flow_state_name(unsigned state); /* "?" for what is no state */
const char *flow_end_name(unsigned end);
const char *flow_mover_name(unsigned mover);

#endif
