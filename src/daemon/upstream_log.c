/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_log.c - lines about upstreams; see upstream_log.h.
 */
#include "daemon/upstream_log.h"

#include "relay/group.h"

static bool is_empty(const struct upstream_log *l, size_t i)
{
	const struct group *g = l->config->upstreams[i].group;

	return g && !group_count_up(l->board, g);
}

/* A worker may write anything: what is no health is none. */
static uint8_t health_of(const struct upstream_log *l, size_t i)
{
	uint8_t health = atomic_load(&l->board->upstreams[i].health);

	return health <= BOARD_DOWN ? health : BOARD_UNKNOWN;
}

void upstream_log_begin(struct upstream_log *l, const struct config *c,
			const struct board *b)
{
	uint64_t now_ms;

	*l = (struct upstream_log){ .config = c, .board = b };
	for (size_t i = 0; c && i < c->upstream_count; i++) {
		now_ms = atomic_load(&b->upstreams[i].changed_ms);
		l->health[i] = health_of(l, i);
		l->down_ms[i] = now_ms;
	}
}

/* --- one upstream -------------------------------------------------------- */

/* "3 checks failed", and what a proxy said of the last one. */
static void say_why(const struct upstream_log *l, size_t i, struct str *out)
{
	const struct board_upstream *b = &l->board->upstreams[i];
	uint32_t checks = atomic_load(&b->check_fails);
	uint32_t count = checks ? checks : atomic_load(&b->fails);
	unsigned reply = atomic_load(&b->last_reply);
	bool is_http = l->config->upstreams[i].kind == UPSTREAM_HTTP_CONNECT;

	str_add(out, flow_end_name(atomic_load(&b->last_end)));
	if (reply)
		str_addf(out, ", %s %u", is_http ? "status" : "reply", reply);
	str_addf(out, " (%u %s%s failed)", count, checks ? "check" : "flow",
		 count == 1 ? "" : "s");
}

static void say_up(const struct upstream_log *l, size_t i, uint64_t now_ms,
		   struct str *out)
{
	uint64_t ms = now_ms > l->down_ms[i] ? now_ms - l->down_ms[i] : 0;

	str_addf(out, "upstream %s is up", l->config->upstreams[i].name);
	if (l->health[i] == BOARD_DOWN)
		str_addf(out, " again after %llu s",
			 (unsigned long long)(ms / 1000));
}

/* That who is not checked works is news only if it did not. */
static bool is_news(const struct upstream_log *l, size_t i, uint8_t health)
{
	if (health == l->health[i] || health == BOARD_UNKNOWN)
		return false;
	return health == BOARD_DOWN || l->health[i] == BOARD_DOWN ||
	       l->board->upstreams[i].is_checked;
}

static bool look_at_upstream(struct upstream_log *l, size_t i, uint64_t now_ms,
			     struct str *out, bool *is_warning)
{
	uint8_t health = health_of(l, i);

	if (!is_news(l, i, health)) {
		l->health[i] = health;
		return false;
	}
	if (health == BOARD_DOWN) {
		str_addf(out,
			 "upstream %s is down: ", l->config->upstreams[i].name);
		say_why(l, i, out);
		l->down_ms[i] = now_ms;
	} else {
		say_up(l, i, now_ms, out);
	}
	*is_warning = health == BOARD_DOWN;
	l->health[i] = health;
	return true;
}

/* --- groups -------------------------------------------------------------- */

void upstream_log_empty_group(const struct config *c, size_t group,
			      struct str *out)
{
	const struct upstream *u = &c->upstreams[group];

	str_addf(out,
		 "group %s has no member that is up: its traffic goes to %s "
		 "(fallback)",
		 u->name, c->upstreams[u->group->fallback].name);
}

static bool look_at_group(struct upstream_log *l, size_t i, struct str *out,
			  bool *is_warning)
{
	bool now = is_empty(l, i);

	if (now == l->is_empty[i])
		return false;
	l->is_empty[i] = now;
	*is_warning = now;
	if (now)
		upstream_log_empty_group(l->config, i, out);
	else
		str_addf(out, "group %s has a member that is up again",
			 l->config->upstreams[i].name);
	return true;
}

bool upstream_log_next(struct upstream_log *l, uint64_t now_ms, struct str *out,
		       bool *is_warning)
{
	for (size_t i = 0; l->config && i < l->config->upstream_count; i++) {
		bool is_said = l->config->upstreams[i].group
				       ? look_at_group(l, i, out, is_warning)
				       : look_at_upstream(l, i, now_ms, out,
							  is_warning);

		if (is_said)
			return true;
	}
	return false;
}
