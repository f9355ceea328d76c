/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.c - what everybody knows of the upstreams; see board.h.
 *
 * The addresses of a name are written beside those that hold, and a step of
 * the version makes them hold: who reads meanwhile reads the older ones, and a
 * writer that dies half way leaves nothing behind.  A reader that was overtaken
 * sees it by the version, and reads again.
 *
 * Everything else is single numbers, on whose order nothing hangs.
 */
#include "relay/board.h"

#include "base/loop.h"

#include <string.h>
#include <sys/mman.h>

enum {
	READ_TRIES = 8,
	SMOOTH = 8, /* a new latency counts for an eighth */
};

/* --- the same upstream in two configurations ----------------------------- */

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool is_same(const struct upstream *a, const struct upstream *b)
{
	return !strcmp(a->name, b->name) && a->kind == b->kind &&
	       a->has_to == b->has_to && addr_equal(&a->to, &b->to) &&
	       is_same_text(a->to_name, b->to_name);
}

int board_find(const struct config *in, const struct config *c, size_t upstream)
{
	const struct upstream *u = &c->upstreams[upstream];

	for (size_t i = 0; i < in->upstream_count; i++)
		if (is_same(&in->upstreams[i], u))
			return (int)i;
	return -1;
}

/* --- checks -------------------------------------------------------------- */

static bool is_member(const struct group *g, size_t upstream)
{
	for (size_t i = 0; i < g->member_count; i++)
		if (g->members[i] == upstream)
			return true;
	return false;
}

/* A name can be told to a proxy only; who has a `to` is asked for that. */
static bool can_check(const struct health *h, const struct upstream *u)
{
	return h->is_on && (!h->to_name || u->has_to);
}

const struct group *board_checker(const struct config *c, size_t upstream)
{
	for (size_t i = 0; i < c->upstream_count; i++) {
		const struct group *g = c->upstreams[i].group;

		if (g && is_member(g, upstream) &&
		    can_check(&g->health, &c->upstreams[upstream]))
			return g;
	}
	return NULL;
}

/* --- beginning and end --------------------------------------------------- */

static size_t board_bytes(size_t count)
{
	return sizeof(struct board) + count * sizeof(struct board_upstream);
}

static void copy_addresses(const struct board_upstream *from,
			   struct board_upstream *to)
{
	uint32_t version = atomic_load(&from->addr_version);
	const struct board_addrs *names = &from->names[version % 2];

	if (!version)
		return;
	memcpy(to->names[0].addrs, names->addrs, sizeof(names->addrs));
	atomic_store(&to->names[0].count, atomic_load(&names->count));
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load(&from->addr_version) == version)
		atomic_store(&to->addr_version, 2);
	/* else: they are just changing, the resolver will tell us too */
}

/* `to` is ours alone still. */
static void take_over(const struct board_upstream *from,
		      struct board_upstream *to)
{
	to->want = from->want;
	to->health = from->health;
	to->pipeline = from->pipeline;
	to->last_end = from->last_end;
	to->last_reply = from->last_reply;
	to->fails = from->fails;
	to->check_fails = from->check_fails;
	to->check_passes = from->check_passes;
	to->latency_us = from->latency_us;
	to->changed_ms = from->changed_ms;
	to->checked_ms = from->checked_ms;
	to->retried_ms = from->retried_ms;
	to->probed_ms = from->probed_ms;
	to->opened = from->opened;
	to->failed = from->failed;
	copy_addresses(from, to);
}

struct board *board_new(const struct config *c, const struct board *old,
			const struct config *old_config)
{
	struct board *b =
		mmap(NULL, board_bytes(c->upstream_count),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (b == MAP_FAILED)
		return NULL;
	b->count = (uint32_t)c->upstream_count;
	for (size_t i = 0; i < c->upstream_count; i++) {
		int before = old ? board_find(old_config, c, i) : -1;

		b->upstreams[i].is_checked = board_checker(c, i);
		if (before >= 0)
			take_over(&old->upstreams[before], &b->upstreams[i]);
	}
	return b;
}

void board_free(struct board *b)
{
	if (b)
		(void)munmap(b, board_bytes(b->count));
}

/* --- health -------------------------------------------------------------- */

bool board_is_open(const struct board *b, size_t upstream)
{
	return atomic_load(&b->upstreams[upstream].want) == BOARD_ENABLED;
}

/* True: it was something else before.  Of two that see the same change one
 * makes it. */
static bool move_health(struct board_upstream *u, enum board_health to,
			uint64_t now_ms)
{
	if (atomic_exchange(&u->health, (uint8_t)to) == to)
		return false;
	atomic_store(&u->changed_ms, now_ms);
	return true;
}

static void note_latency(struct board_upstream *u, uint32_t latency_us)
{
	int64_t old = atomic_load(&u->latency_us);
	int64_t new = old ? old + ((int64_t)latency_us - old) / SMOOTH
			  : (int64_t)latency_us;

	if (latency_us)
		atomic_store(&u->latency_us, new ? (uint32_t) new : 1);
}

static void note_failure(struct board_upstream *u, enum flow_end why,
			 unsigned reply)
{
	atomic_store(&u->last_end, (uint8_t)why);
	atomic_store(&u->last_reply, (uint16_t)reply);
}

void board_opened(struct board *b, size_t upstream, uint32_t latency_us)
{
	struct board_upstream *u = &b->upstreams[upstream];

	atomic_fetch_add(&u->opened, 1);
	if (atomic_load(&u->fails))
		atomic_store(&u->fails, 0);
	if (u->is_checked)
		return;
	note_latency(u, latency_us);
	if (atomic_load(&u->health) != BOARD_UP)
		(void)move_health(u, BOARD_UP, clock_ms());
}

void board_failed(struct board *b, size_t upstream, enum flow_end why,
		  unsigned reply, uint32_t fall, uint64_t now_ms)
{
	struct board_upstream *u = &b->upstreams[upstream];

	atomic_fetch_add(&u->failed, 1);
	note_failure(u, why, reply);
	if (atomic_fetch_add(&u->fails, 1) + 1 < fall)
		return;
	if (move_health(u, BOARD_DOWN, now_ms))
		atomic_store(&u->check_passes, 0);
}

bool board_passed(struct board *b, const struct board_check *check)
{
	struct board_upstream *u = &b->upstreams[check->upstream];

	atomic_store(&u->checked_ms, check->now_ms);
	atomic_store(&u->check_fails, 0);
	note_latency(u, check->latency_us);
	if (atomic_fetch_add(&u->check_passes, 1) + 1 < check->rise)
		return false;
	return move_health(u, BOARD_UP, check->now_ms);
}

bool board_missed(struct board *b, const struct board_check *check)
{
	struct board_upstream *u = &b->upstreams[check->upstream];

	atomic_store(&u->checked_ms, check->now_ms);
	atomic_store(&u->check_passes, 0);
	note_failure(u, check->why, check->reply);
	if (atomic_fetch_add(&u->check_fails, 1) + 1 < check->fall)
		return false;
	return move_health(u, BOARD_DOWN, check->now_ms);
}

/* --- addresses ----------------------------------------------------------- */

static bool read_address(const struct board_upstream *u, uint32_t pick,
			 struct addr *out)
{
	for (int tries = 0; tries < READ_TRIES; tries++) {
		uint32_t version = atomic_load_explicit(&u->addr_version,
							memory_order_acquire);
		const struct board_addrs *names = &u->names[version % 2];
		uint32_t count = atomic_load(&names->count);
		struct addr a;

		if (!version || !count || count > BOARD_ADDRS_MAX)
			return false;
		a = names->addrs[pick % count];
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load(&u->addr_version) != version)
			continue;
		*out = a;
		return true;
	}
	return false;
}

bool board_address(const struct board *b, const struct config *c,
		   size_t upstream, uint32_t pick, struct addr *out)
{
	const struct upstream *u = &c->upstreams[upstream];

	if (!u->has_to)
		return false;
	if (u->to.family) {
		*out = u->to;
		return true;
	}
	return read_address(&b->upstreams[upstream], pick, out);
}

void board_set_addresses(struct board *b, size_t upstream,
			 const struct addr *addrs, size_t count)
{
	struct board_upstream *u = &b->upstreams[upstream];
	uint32_t next = atomic_load(&u->addr_version) + 1;
	struct board_addrs *names = &u->names[next % 2];

	if (count > BOARD_ADDRS_MAX)
		count = BOARD_ADDRS_MAX;
	/* The version that made the other ones hold comes before these. */
	atomic_thread_fence(memory_order_release);
	memcpy(names->addrs, addrs, count * sizeof(*addrs));
	atomic_store(&names->count, (uint32_t)count);
	atomic_store_explicit(&u->addr_version, next, memory_order_release);
}

/* --- names --------------------------------------------------------------- */

static const char *const want_names[] = {
	[BOARD_ENABLED] = "enabled",
	[BOARD_DRAINING] = "draining",
	[BOARD_DISABLED] = "disabled",
};

static const char *const health_names[] = {
	[BOARD_UNKNOWN] = "unknown",
	[BOARD_UP] = "up",
	[BOARD_DOWN] = "down",
};

static const char *const pipeline_names[] = {
	[BOARD_PIPELINE_UNKNOWN] = "unknown",
	[BOARD_PIPELINE_NO] = "no",
	[BOARD_PIPELINE_YES] = "yes",
};

const char *board_want_name(unsigned want)
{
	return want <= BOARD_DISABLED ? want_names[want] : "?";
}

const char *board_health_name(unsigned health)
{
	return health <= BOARD_DOWN ? health_names[health] : "?";
}

const char *board_pipeline_name(unsigned pipeline)
{
	return pipeline <= BOARD_PIPELINE_YES ? pipeline_names[pipeline] : "?";
}
