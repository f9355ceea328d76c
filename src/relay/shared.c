/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared.c - memory between worker and supervisor; see shared.h.
 */
#include "relay/shared.h"

#include <string.h>
#include <sys/mman.h>

enum { READ_TRIES = 8 };

static size_t shared_bytes(uint32_t flow_max)
{
	return sizeof(struct shared) +
	       (size_t)flow_max * sizeof(struct flow_record);
}

struct shared *shared_new(uint32_t flow_max)
{
	struct shared *s =
		mmap(NULL, shared_bytes(flow_max), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (s == MAP_FAILED)
		return NULL;
	s->flow_max = flow_max;
	return s;
}

void shared_free(struct shared *s)
{
	if (s)
		(void)munmap(s, shared_bytes(s->flow_max));
}

/* Everything behind the version. */
static void copy_body(struct flow_record *to, const struct flow_record *from)
{
	size_t at = sizeof(to->version);

	memcpy((char *)to + at, (const char *)from + at, sizeof(*to) - at);
}

void shared_publish(struct shared *s, uint32_t i, const struct flow_record *r)
{
	struct flow_record *slot = &s->flows[i];

	atomic_fetch_add_explicit(&slot->version, 1, memory_order_acq_rel);
	if (r)
		copy_body(slot, r);
	else
		slot->state = FLOW_FREE;
	atomic_fetch_add_explicit(&slot->version, 1, memory_order_release);
}

bool shared_end(struct shared *s, const struct flow_record *r)
{
	struct ring *ring = &s->ended;
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

	if (head - tail >= RING_SIZE) {
		count(s, COUNTER_log_lost);
		return true;
	}
	copy_body(&ring->records[head % RING_SIZE], r);
	atomic_store_explicit(&ring->head, head + 1, memory_order_seq_cst);
	/* The reader was idle if it had read all that came before. */
	return atomic_load_explicit(&ring->tail, memory_order_seq_cst) == head;
}

bool shared_read(const struct shared *s, uint32_t i, struct flow_record *out)
{
	const struct flow_record *slot = &s->flows[i];

	for (int tries = 0; tries < READ_TRIES; tries++) {
		uint32_t before = atomic_load_explicit(&slot->version,
						       memory_order_acquire);

		if (before & 1)
			continue;
		copy_body(out, slot);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&slot->version,
					 memory_order_relaxed) == before)
			return out->state != FLOW_FREE;
	}
	return false;
}

bool shared_next_ended(struct shared *s, struct flow_record *out)
{
	struct ring *ring = &s->ended;
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (tail == atomic_load_explicit(&ring->head, memory_order_seq_cst))
		return false;
	copy_body(out, &ring->records[tail % RING_SIZE]);
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_seq_cst);
	return true;
}

static const char *const state_names[] = {
	[FLOW_FREE] = "free",
	[FLOW_HEADER] = "header",
	[FLOW_SNIFFING] = "sniffing",
	[FLOW_CONNECTING] = "connecting",
	[FLOW_HANDSHAKE] = "handshake",
	[FLOW_RELAYING] = "relaying",
	[FLOW_HALF_CLOSED] = "half-closed",
	[FLOW_CUT] = "cut-through",
};
_Static_assert(sizeof(state_names) / sizeof(*state_names) == FLOW_STATE_COUNT,
	       "one name a state");

static const char *const end_names[] = {
	[END_NONE] = "",
	[END_FINISHED] = "finished",
	[END_CLIENT_RESET] = "client-reset",
	[END_SERVER_RESET] = "server-reset",
	[END_SERVER_REFUSED] = "server-refused",
	[END_SERVER_UNREACHABLE] = "server-unreachable",
	[END_CONNECT_TIMEOUT] = "connect-timeout",
	[END_IDLE_TIMEOUT] = "idle-timeout",
	[END_REJECTED] = "rejected",
	[END_DROPPED] = "dropped",
	[END_NO_PORT] = "no-port",
	[END_EVICTED] = "evicted",
	[END_SHUTDOWN] = "shutdown",
	[END_WORKER_DIED] = "worker-died",
	[END_ERROR] = "error",
	[END_UPSTREAM_UNREACHABLE] = "upstream-unreachable",
	[END_UPSTREAM_TIMEOUT] = "upstream-timeout",
	[END_UPSTREAM_REFUSED] = "upstream-refused",
	[END_UPSTREAM_AUTH] = "upstream-auth",
	[END_UPSTREAM_PROTOCOL] = "upstream-protocol",
	[END_NO_UPSTREAM] = "no-upstream",
	[END_UPSTREAM_DISABLED] = "upstream-disabled",
	[END_UPSTREAM_LOST] = "upstream-lost",
	[END_LOOP] = "loop",
	[END_BAD_HEADER] = "bad-header",
};
_Static_assert(sizeof(end_names) / sizeof(*end_names) == END_COUNT,
	       "one name an end");

static const char *const mover_names[] = {
	[MOVER_NONE] = "-",
	[MOVER_COPY] = "copy",
	[MOVER_SPLICE] = "splice",
	[MOVER_CUT] = "cut-through",
};
_Static_assert(sizeof(mover_names) / sizeof(*mover_names) == MOVER_COUNT,
	       "one name a mover");

const char *flow_state_name(unsigned state)
{
	return state < FLOW_STATE_COUNT ? state_names[state] : "?";
}

const char *flow_end_name(unsigned end)
{
	return end < END_COUNT ? end_names[end] : "?";
}

const char *flow_mover_name(unsigned mover)
{
	return mover < MOVER_COUNT ? mover_names[mover] : "?";
}
