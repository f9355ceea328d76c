/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.c - which member of a group a flow gets; see group.h.
 */
#include "relay/group.h"

#include "policy/eval.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(GROUP_MEMBERS_MAX <= 32, "a member is a bit of group_path");

/* Those of a group that this flow may have. */
struct choice {
	const struct group_ask *ask;
	const struct group *group;
	_Atomic uint32_t *turns;
	bool is_first; /* this flow has not been in this group yet */
	size_t count;
	uint8_t at[GROUP_MEMBERS_MAX]; /* positions among the members */
};

static struct board_upstream *state_of(const struct choice *c, size_t i)
{
	return &c->ask->board->upstreams[c->group->members[c->at[i]]];
}

/* --- who may ------------------------------------------------------------- */

/* It is down, no check would see it come up, and its time has come. */
static bool is_due(const struct board_upstream *b, uint64_t now_ms)
{
	return !b->is_checked &&
	       now_ms >= atomic_load(&b->changed_ms) + BOARD_RETRY_MS &&
	       now_ms >= atomic_load(&b->retried_ms) + BOARD_RETRY_MS;
}

static bool may_have(const struct group_ask *a, size_t upstream)
{
	const struct board_upstream *b = &a->board->upstreams[upstream];

	if (!board_is_open(a->board, upstream))
		return false;
	if (a->is_udp &&
	    !eval_upstream_has_udp(&a->config->upstreams[upstream]))
		return false;
	return atomic_load(&b->health) != BOARD_DOWN || is_due(b, a->now_ms);
}

static void collect(const struct group_ask *a, const struct group *g,
		    uint32_t tried, struct choice *out)
{
	*out = (struct choice){ .ask = a, .group = g, .is_first = !tried };
	for (size_t i = 0; i < g->member_count; i++)
		if (!(tried >> i & 1) && may_have(a, g->members[i]))
			out->at[out->count++] = (uint8_t)i;
}

static void leave_out(struct choice *c, size_t i)
{
	c->count--;
	memmove(&c->at[i], &c->at[i + 1], c->count - i);
}

/* One flow, of all workers, each `every_ms`. */
static bool take_turn(_Atomic uint64_t *last_ms, uint64_t every_ms,
		      uint64_t now_ms)
{
	uint64_t last = atomic_load(last_ms);

	if (last && now_ms < last + every_ms)
		return false;
	return atomic_compare_exchange_strong(last_ms, &last, now_ms);
}

/* --- who is best --------------------------------------------------------- */

/* Each returns an index into c->at, of c->count > 0. */
typedef size_t (*pick_fn)(struct choice *c);

static size_t pick_first(struct choice *c)
{
	(void)c;
	return 0;
}

/* A flow that comes back takes no turn away from others. */
static size_t turn(struct choice *c)
{
	uint32_t now = c->is_first ? atomic_fetch_add(c->turns, 1)
				   : atomic_load(c->turns);

	c->is_first = false;
	return now % c->count;
}

static size_t pick_by_turns(struct choice *c)
{
	return turn(c);
}

/* Among equals the first one from where the turn stands. */
static size_t pick_least_conn(struct choice *c)
{
	size_t from = turn(c), best = from;
	uint32_t fewest = UINT32_MAX;

	for (size_t n = 0; n < c->count; n++) {
		size_t i = (from + n) % c->count;
		size_t upstream = c->group->members[c->at[i]];
		uint32_t flows = atomic_load(&c->ask->flows[upstream]);

		if (flows >= fewest)
			continue;
		fewest = flows;
		best = i;
	}
	return best;
}

static bool must_measure(struct choice *c, size_t i)
{
	struct board_upstream *b = state_of(c, i);

	return !b->is_checked &&
	       take_turn(&b->probed_ms, GROUP_PROBE_MS, c->ask->now_ms);
}

/* Who is not known comes last, but for the flow that measures it. */
static size_t pick_least_latency(struct choice *c)
{
	uint32_t least = UINT32_MAX;
	size_t best = 0;

	for (size_t i = 0; i < c->count; i++) {
		uint32_t us = atomic_load(&state_of(c, i)->latency_us);

		if (must_measure(c, i))
			return i;
		if (!us || us >= least)
			continue;
		least = us;
		best = i;
	}
	return best;
}

/* Of client and member together: each client has an order of its own of all
 * members.  By the member's name, which a reload does not move. */
static uint64_t weight(const struct choice *c, size_t i)
{
	const struct addr *client = c->ask->client;
	size_t upstream = c->group->members[c->at[i]];
	const char *name = c->ask->config->upstreams[upstream].name;
	struct {
		uint8_t ip[sizeof(client->ip)];
		char name[NAME_TEXT_MAX];
	} key = { 0 };

	memcpy(key.ip, client->ip, sizeof(key.ip));
	memcpy(key.name, name, strnlen(name, sizeof(key.name)));
	return XXH3_64bits_withSeed(&key, sizeof(key), c->ask->seed);
}

static size_t pick_by_client(struct choice *c)
{
	uint64_t most = 0;
	size_t best = 0;

	for (size_t i = 0; i < c->count; i++) {
		uint64_t w = weight(c, i);

		if (w < most)
			continue;
		most = w;
		best = i;
	}
	return best;
}

static const pick_fn picks[] = {
	[BALANCE_FIRST] = pick_first,
	[BALANCE_ROUND_ROBIN] = pick_by_turns,
	[BALANCE_LEAST_CONN] = pick_least_conn,
	[BALANCE_LEAST_LATENCY] = pick_least_latency,
	[BALANCE_HASH_CLIENT] = pick_by_client,
};

/* --- the way through groups ---------------------------------------------- */

/* Of those who are down and due, one flow tries. */
static bool is_taken(struct choice *c, size_t i)
{
	struct board_upstream *b = state_of(c, i);

	return atomic_load(&b->health) != BOARD_DOWN ||
	       take_turn(&b->retried_ms, BOARD_RETRY_MS, c->ask->now_ms);
}

static bool next_member(const struct group_ask *a, size_t group,
			struct group_path *path, size_t *out)
{
	struct choice c;

	collect(a, a->config->upstreams[group].group, path->tried, &c);
	c.turns = &a->board->turns[group];
	while (c.count) {
		size_t i = picks[c.group->balance](&c);

		if (is_taken(&c, i)) {
			path->tried |= 1u << c.at[i];
			*out = c.group->members[c.at[i]];
			return true;
		}
		leave_out(&c, i);
	}
	return false;
}

static bool next_itself(const struct group_ask *a, size_t upstream,
			struct group_path *path, size_t *out)
{
	if (path->tried || !board_is_open(a->board, upstream))
		return false;
	path->tried = 1;
	*out = upstream;
	return true;
}

static void enter(struct group_path *path, size_t upstream)
{
	*path = (struct group_path){ .at = (uint32_t)upstream + 1 };
}

static const struct group *group_at(const struct config *c,
				    const struct group_path *path)
{
	return path->at ? c->upstreams[path->at - 1].group : NULL;
}

bool group_next(const struct group_ask *a, size_t upstream,
		struct group_path *path, size_t *out)
{
	if (!path->at)
		enter(path, upstream);
	/* There is no circle of fallbacks; if there were, it would end. */
	for (size_t n = 0; n < a->config->upstream_count; n++) {
		const struct group *g = group_at(a->config, path);

		if (!g)
			return next_itself(a, path->at - 1, path, out);
		if (next_member(a, path->at - 1, path, out))
			return true;
		enter(path, g->fallback);
	}
	return false;
}

bool group_has_more(const struct group_ask *a, const struct group_path *path)
{
	const struct group *g = group_at(a->config, path);
	struct choice c;

	if (!g)
		return false;
	collect(a, g, path->tried, &c);
	return c.count > 0;
}

uint32_t group_fall(const struct config *c, const struct group_path *path)
{
	const struct group *g = group_at(c, path);

	return g && g->health.is_on ? g->health.fall : BOARD_FALL;
}

size_t group_count_up(const struct board *b, const struct group *g)
{
	size_t count = 0;

	for (size_t i = 0; i < g->member_count; i++) {
		const struct board_upstream *u = &b->upstreams[g->members[i]];

		count += atomic_load(&u->want) == BOARD_ENABLED &&
			 atomic_load(&u->health) != BOARD_DOWN;
	}
	return count;
}

bool group_is_closed(const struct config *c, const struct board *b,
		     size_t upstream)
{
	for (size_t n = 0; n < c->upstream_count; n++) {
		const struct upstream *u = &c->upstreams[upstream];

		if (!u->group)
			return eval_upstream_kind(u) != VERDICT_RELAY ||
			       !board_is_open(b, upstream);
		for (size_t i = 0; i < u->group->member_count; i++)
			if (board_is_open(b, u->group->members[i]))
				return false;
		upstream = u->group->fallback;
	}
	return true;
}
