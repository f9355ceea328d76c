/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew_upstreams.c - upstreams, over all workers and the cutter; see crew.h.
 */
#include "daemon/crew.h"

#include "daemon/cut_keeper.h"

/* --- upstreams ----------------------------------------------------------- */

/* Older generations may have it at another index, or not at all. */
static int index_in(const struct crew *crew, const struct member *m,
		    size_t upstream)
{
	if (m->generation == crew->current)
		return (int)upstream;
	return board_find(m->generation->config, crew->current->config,
			  upstream);
}

uint32_t crew_upstream_flows(const struct crew *crew, size_t upstream)
{
	uint32_t sum = 0;

	for (const struct member *m = crew->members; m; m = m->next) {
		int i = m->shared ? index_in(crew, m, upstream) : -1;

		if (i >= 0)
			sum += atomic_load(&m->shared->upstream_flows[i]);
	}
	return sum + cut_keeper_upstream_flows(crew->cut, upstream);
}

void crew_want(struct crew *crew, size_t upstream, enum board_want want)
{
	for (struct member *m = crew->members; m; m = m->next) {
		int i = index_in(crew, m, upstream);

		if (i < 0)
			continue;
		atomic_store(&m->generation->board->upstreams[i].want,
			     (uint8_t)want);
		crew_command(m, WORKER_LOOK, -1);
	}
	if (want == BOARD_DISABLED)
		cut_keeper_end_upstream(crew->cut, upstream);
}

void crew_end_disabled(struct crew *crew)
{
	const struct generation *g = crew->current;

	for (size_t i = 0; i < g->board->count; i++)
		if (atomic_load(&g->board->upstreams[i].want) == BOARD_DISABLED)
			cut_keeper_end_upstream(crew->cut, i);
}
