/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_guard.c - count flows that wait by their server; see loop_guard.h.
 */
#include "relay/loop_guard.h"

#include <assert.h>
#include <errno.h>

/* The server's row, else a free one, else -1. */
static int find_row(const struct loop_guard *g, const struct addr *server)
{
	int unused = -1;

	for (int i = 0; i < LOOP_GUARD_SERVERS; i++) {
		if (!g->rows[i].flows)
			unused = i;
		else if (addr_equal(&g->rows[i].server, server))
			return i;
	}
	return unused;
}

int loop_guard_enter(struct loop_guard *g, const struct addr *server)
{
	int i = find_row(g, server);

	if (i < 0)
		return 0;
	if (g->rows[i].flows >= LOOP_GUARD_MAX)
		return -ELOOP;
	g->rows[i].server = *server;
	g->rows[i].flows++;
	return i + 1;
}

void loop_guard_leave(struct loop_guard *g, int row)
{
	if (!row)
		return;
	assert(g->rows[row - 1].flows);
	g->rows[row - 1].flows--;
}
