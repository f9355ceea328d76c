/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_flow.c - from WATCH to ON; see cut_flow.h, and cut_drain.c for the rest.
 *
 * The switch is one store for a flow of equal legs.  What has passed the
 * program before it is moved by cut_drain.c, what comes after it is rewritten,
 * and both by the same numbers: no moment without packets is needed.
 *
 * Of two entries one is on before the other, for microseconds.  Meanwhile
 * packets of one end are sent on, and those of the other still reach our
 * socket.  Bytes of those are late ones like any.  An acknowledgement among
 * them of what was sent on is beyond all that our socket has sent: the segment
 * is thrown away there and sent again by its end.  So the way on which much
 * goes is put on last: the other end has nothing new to acknowledge then.
 */
#include "daemon/cut_flow.h"

#include "daemon/cut_drain.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* --- watching ------------------------------------------------------------ */

static bool are_legs_equal(const struct cut_ask *ask)
{
	return addr_equal(&ask->peer[CUT_CLIENT], &ask->own[CUT_SERVER]) &&
	       addr_equal(&ask->own[CUT_CLIENT], &ask->peer[CUT_SERVER]);
}

static struct wl_cut new_entry(const struct cut_ask *ask)
{
	return (struct wl_cut){
		.begun_s = cut_now_s(),
		.intercept = (uint16_t)ask->record.intercept,
		.rule = (uint16_t)ask->record.rule,
		.upstream = (uint16_t)ask->record.upstream,
		.state = WL_CUT_WATCH,
	};
}

static int add_equal(struct cut_flow *f, const struct cut_ask *ask,
		     const bool is_low[2])
{
	struct wl_cut value = new_entry(ask);

	f->place[CUT_CLIENT] = !is_low[CUT_CLIENT];
	f->place[CUT_SERVER] = is_low[CUT_CLIENT];
	value.shape = is_low[CUT_CLIENT] ? WL_CUT_LOW : 0;
	return cut_table_add(f->shop->table, &f->key[CUT_CLIENT], &value);
}

/* What comes on a leg goes on as if the other leg had sent it. */
static int add_readdressed(struct cut_flow *f, const struct cut_ask *ask,
			   int leg, bool is_low)
{
	struct wl_cut value = new_entry(ask);

	value.shape = WL_CUT_READDRESSED | (is_low ? WL_CUT_LOW : 0) |
		      (leg == CUT_SERVER ? WL_CUT_SERVER_LEG : 0);
	cut_tuple(&ask->own[!leg], &ask->peer[!leg], &value.to);
	return cut_table_add(f->shop->table, &f->key[leg], &value);
}

static int add_two(struct cut_flow *f, const struct cut_ask *ask,
		   const bool is_low[2])
{
	int error = add_readdressed(f, ask, CUT_CLIENT, is_low[CUT_CLIENT]);

	if (error)
		return error;
	error = add_readdressed(f, ask, CUT_SERVER, is_low[CUT_SERVER]);
	if (error) /* gone is gone */
		(void)cut_table_drop(f->shop->table, &f->key[CUT_CLIENT]);
	return error;
}

static enum cut_cause cause_of(int error)
{
	switch (error) {
	case 0:
		return CUT_CAUSE_NONE;
	case -EEXIST:
		return CUT_CAUSE_TAKEN;
	case -E2BIG:
		return CUT_CAUSE_FULL;
	case -EAGAIN:
		return CUT_CAUSE_BUSY;
	default:
		return CUT_CAUSE_ERROR;
	}
}

enum cut_cause cut_flow_watch(struct cut_flow *f, struct cut_shop *shop,
			      const struct cut_ask *ask)
{
	int proto = ask->proto == PROTO_TCP ? IPPROTO_TCP : IPPROTO_UDP, error;
	bool is_low[2];

	*f = (struct cut_flow){ .shop = shop,
				.has_two = !are_legs_equal(ask),
				.proto = ask->proto,
				.fd = { -1, -1 },
				.slot = -1 };
	for (int leg = 0; leg < 2; leg++)
		is_low[leg] = cut_key(proto, &ask->peer[leg], &ask->own[leg],
				      &f->key[leg]);
	error = f->has_two ? add_two(f, ask, is_low)
			   : add_equal(f, ask, is_low);
	if (!error)
		f->state = CUT_FLOW_WATCH;
	return cause_of(error);
}

void cut_flow_forget(struct cut_flow *f)
{
	if (f->state != CUT_FLOW_WATCH)
		return;
	/* It may have gone by itself: a SYN came. */
	(void)cut_table_drop(f->shop->table, &f->key[CUT_CLIENT]);
	if (f->has_two)
		(void)cut_table_drop(f->shop->table, &f->key[CUT_SERVER]);
	f->state = CUT_FLOW_FREE;
}

/* --- looking ------------------------------------------------------------- */

static int read_ways(const struct cut_flow *f, struct wl_cut_way out[2])
{
	for (int leg = 0; leg < 2; leg++) {
		struct wl_cut value;
		int error = cut_table_get(f->shop->table, &f->key[leg], &value);

		if (error)
			return error;
		if (value.state != WL_CUT_WATCH || value.shape & WL_CUT_ENDING)
			return -ENOENT; /* somebody ends it */
		out[leg] = value.way[f->place[leg]];
	}
	return 0;
}

/*
 * The clocks of the ends are read before ours, so that what is translated is
 * rather ahead of ours than behind; what has come by (acknowledgements, marks)
 * after the sockets, so that the program has seen what they have.
 */
static int look(const struct cut_flow *f, struct repair_facts facts[2],
		struct wl_cut_way learnt[2])
{
	struct wl_cut_way before[2];
	int error = read_ways(f, before);

	for (int leg = 0; leg < 2 && !error; leg++)
		error = repair_look(f->fd[leg], &facts[leg]);
	if (!error)
		error = read_ways(f, learnt);
	for (int leg = 0; leg < 2 && !error; leg++)
		if (before[leg].marks & WL_CUT_HAS_TSVAL)
			learnt[leg].tsval = before[leg].tsval;
	return error;
}

/* --- switching ----------------------------------------------------------- */

static int start_equal(const struct cut_flow *f, const struct wl_cut_way way[2])
{
	struct wl_cut_change c = { .key = f->key[0], .op = WL_CUT_OP_START };

	for (int leg = 0; leg < 2; leg++)
		c.way[f->place[leg]] = way[leg];
	return cut_table_change(f->shop->table, &c);
}

static int start_leg(const struct cut_flow *f, const struct wl_cut_way *way,
		     int leg)
{
	struct wl_cut_change c = { .key = f->key[leg],
				   .op = WL_CUT_OP_START,
				   .way = { *way } };

	return cut_table_change(f->shop->table, &c);
}

/* 0; -errno: nothing has happened; 1: half of it has. */
static int start(const struct cut_flow *f, const struct wl_cut_way way[2],
		 const bool is_bulk[2])
{
	int first = is_bulk[CUT_SERVER] ? CUT_CLIENT : CUT_SERVER;
	int error;

	if (!f->has_two)
		return start_equal(f, way);
	error = start_leg(f, &way[first], first);
	if (error)
		return error;
	return start_leg(f, &way[!first], !first) ? 1 : 0;
}

static enum cut_cause switch_on(struct cut_flow *f, const struct cut_ask *ask,
				const struct wl_cut_way way[2])
{
	struct cut_ledger *ledger = f->shop->ledger;
	int started;

	f->slot = cut_ledger_add(ledger, &ask->record, f->key, f->has_two);
	if (f->slot < 0)
		return CUT_CAUSE_FULL;
	started = start(f, way, ask->is_bulk);
	if (started < 0) {
		cut_ledger_cancel(ledger, (uint32_t)f->slot);
		f->slot = -1;
		return CUT_CAUSE_ERROR;
	}
	for (int leg = 0; leg < 2; leg++)
		f->written[leg] = f->edge[leg] = way[leg].edge;
	cut_drain_begin(f);
	/* What was sent on by one entry alone, no socket knows of. */
	if (started == 1)
		cut_drain_abort(f, END_ERROR);
	return CUT_CAUSE_NONE;
}

static enum cut_cause try_cut(struct cut_flow *f, const struct cut_ask *ask)
{
	struct wl_cut_way learnt[2], way[2];
	struct repair_facts facts[2];
	enum cut_cause cause = cause_of(look(f, facts, learnt));

	if (cause == CUT_CAUSE_NONE)
		cause = cut_take(facts, learnt, ask->is_bulk, f->key[0].family,
				 way);
	return cause == CUT_CAUSE_NONE ? switch_on(f, ask, way) : cause;
}

enum cut_cause cut_flow_cut(struct cut_flow *f, const struct cut_ask *ask,
			    const int fd[2])
{
	enum cut_cause cause;

	memcpy(f->fd, fd, sizeof(f->fd));
	cause = try_cut(f, ask);
	if (cause == CUT_CAUSE_NONE)
		return cause;
	for (int leg = 0; leg < 2; leg++) {
		close(f->fd[leg]);
		f->fd[leg] = -1;
	}
	if (!cut_cause_is_passing(cause))
		cut_flow_forget(f);
	return cause;
}

void cut_flow_on_grace(struct cut_flow *f, uint64_t passed)
{
	cut_drain_on_grace(f, passed);
}
