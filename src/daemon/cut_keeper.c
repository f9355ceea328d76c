/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_keeper.c - cut-through as the supervisor has it; see cut_keeper.h.
 *
 * cut_keeper_flows.c has the flows.
 */
#include "daemon/cut_keeper.h"

#include "base/log.h"
#include "daemon/cut_grace.h"

#include <stddef.h>
#include <string.h>

void cut_keeper_init(struct cut_keeper *k, const struct cut_keeper_args *args)
{
	*k = (struct cut_keeper){ .args = *args, .child.channel_fd = -1 };
}

bool cut_keeper_is_wanted(const struct config *c)
{
	if (c->cut_through != CUT_THROUGH_OFF)
		return true;
	for (size_t i = 0; i < c->rule_count; i++)
		if (c->rules[i].cut_through == RULE_CUT_ON)
			return true;
	return false;
}

/* --- trying -------------------------------------------------------------- */

static int try_grace(struct err *e)
{
	int error = cut_grace_check();

	return error < 0 ? err_errno(e, -error,
				     "this kernel does not tell when all CPUs "
				     "have gone on (membarrier)")
			 : 0;
}

static void on_look(struct timer *timer, uint64_t now_ms);
static void on_news(void *ctx);
static void on_begun(void *ctx);

static int begin_child(struct cut_keeper *k, const struct config *c,
		       uint32_t generation, struct err *e)
{
	const struct cutter_child_args args = {
		.loop = k->args.loop,
		.table = *cut_get_table(k->cut),
		.raw_fd = { k->args.raw_fd[0], k->args.raw_fd[1] },
		.flow_max = c->limits.cut_flows,
		.is_strict = k->args.is_strict,
		.on_news = on_news,
		.on_begun = on_begun,
		.ctx = k,
	};

	if (cutter_child_begin(&k->child, &args, generation, e) < 0)
		return -e->code;
	cut_orders_set_times(k->child.orders, &c->timeouts);
	return 0;
}

static int open_all(struct cut_keeper *k, const struct config *c,
		    uint32_t generation, struct err *e)
{
	int error = try_grace(e);

	if (error < 0)
		return error;
	k->own_mark = plan_own_mark(c);
	k->cut = cut_open(c->limits.cut_flows, k->own_mark, e);
	if (!k->cut)
		return -e->code;
	error = cut_attach(k->cut, e);
	if (!error)
		error = begin_child(k, c, generation, e);
	if (!error)
		return 0;
	cut_close(k->cut);
	k->cut = NULL;
	return error;
}

/* Nobody would see what a killed daemon has left, nor what was attached in
 * vain. */
static void remove_leftovers(const struct config *c)
{
	struct err e = { 0 };
	uint32_t count = 0;

	if (cut_remove(plan_own_mark(c), &count, &e) < 0)
		log_error("%s", e.text);
	else if (count)
		log_warning("reset %u flows that were cut through by a "
			    "waylayd that has died",
			    count);
}

int cut_keeper_try(struct cut_keeper *k, const struct config *c,
		   uint32_t generation, struct err *e)
{
	bool is_wanted = cut_keeper_is_wanted(c);
	int error;

	cut_book_draft(&k->book, k->config, c);
	k->why = (struct err){ 0 };
	if (k->cut || k->args.is_private)
		return 0;
	error = is_wanted ? open_all(k, c, generation, &k->why) : 0;
	if (!k->cut && (error || !k->config))
		remove_leftovers(c);
	if (!error)
		return 0;
	if (c->cut_through != CUT_THROUGH_ON)
		return 0;
	return err_set(e, -error, "cut-through on: %s", k->why.text);
}

static void look_later(struct cut_keeper *k)
{
	k->look.fn = on_look;
	wheel_set(&k->args.loop->wheel, &k->look,
		  k->args.loop->now_ms + CUT_THROUGH_LOOK_MS);
}

static void warn_of_limit(const struct cut_keeper *k, const struct config *c)
{
	if (c->limits.cut_flows != k->child.args.flow_max)
		log_warning("limits cut-flows: %u until waylayd is started "
			    "again",
			    k->child.args.flow_max);
}

void cut_keeper_hold(struct cut_keeper *k, const struct config *c,
		     uint32_t generation)
{
	bool is_on = k->cut && cut_keeper_is_wanted(c);
	bool is_news = !k->config || is_on != k->is_on;

	cut_book_turn(&k->book, generation);
	k->config = c;
	k->is_on = is_on;
	k->flows_ms = 0;
	if (k->cut) {
		warn_of_limit(k, c);
		cut_orders_set_times(k->child.orders, &c->timeouts);
		k->child.generation = generation;
		look_later(k);
	}
	if (is_news && !k->args.is_private)
		log_info("cut-through is %s: %s", is_on ? "on" : "off",
			 cut_keeper_why(k));
}

int cut_keeper_connect(struct cut_keeper *k, const struct config *c,
		       uint32_t generation)
{
	if (!k->cut || !cut_keeper_is_wanted(c))
		return -1;
	return cutter_child_connect(&k->child, generation);
}

/* --- while it holds ------------------------------------------------------ */

/* A trouble that lasts is found again at every look: say it once. */
static void attach(struct cut_keeper *k)
{
	struct err e = { 0 };

	if (cut_attach(k->cut, &e) == 0) {
		k->said = (struct err){ 0 };
		return;
	}
	if (strcmp(k->said.text, e.text) != 0)
		log_error("cut-through: %s", e.text);
	k->said = e;
}

void cut_keeper_follow_links(struct cut_keeper *k)
{
	if (k->cut)
		attach(k);
}

static void on_look(struct timer *timer, uint64_t now_ms)
{
	struct cut_keeper *k =
		(struct cut_keeper *)((char *)timer -
				      offsetof(struct cut_keeper, look));

	(void)now_ms;
	if (!cut_is_intact(k->cut)) {
		attach(k);
		if (!k->said.code) {
			(*k->args.repairs)++;
			log_warning("cut-through: attached again what another "
				    "program had taken away");
		}
	}
	look_later(k);
}

static void on_begun(void *ctx)
{
	struct cut_keeper *k = ctx;

	log_info("cutter %d started", (int)k->child.pid);
	k->args.on_begun(k->args.ctx);
}

/* A record in N is what the configuration asks for, and every flow of a `log`
 * rule, as in workers. */
static bool is_recorded(struct cut_keeper *k, const struct flow_record *r)
{
	const struct config *c = k->config;
	uint32_t every = c->log.flows_every;

	k->ended++;
	if (r->rule < c->rule_count && c->rules[r->rule].is_logged)
		return true;
	return every && k->ended % every == 0;
}

static void tell(struct cut_keeper *k, struct flow_record *r)
{
	cut_keeper_translate(k, r);
	if (is_recorded(k, r))
		k->args.on_record(k->args.ctx, r);
}

static void collect(struct cut_keeper *k)
{
	struct flow_record r;

	for (int i = 0; i < RING_SIZE; i++) {
		if (!shared_next_ended(k->child.shared, &r))
			return;
		tell(k, &r);
	}
}

static void on_news(void *ctx)
{
	struct cut_keeper *k = ctx;

	if (!k->config)
		return;
	collect(k);
	k->args.on_end(k->args.ctx);
}

void cut_keeper_reap(struct cut_keeper *k)
{
	if (k->cut)
		cutter_child_reap(&k->child);
}

/* --- the end ------------------------------------------------------------- */

static void tell_living(struct cut_keeper *k)
{
	struct flow_record r;

	for (uint32_t i = 0; i < cut_keeper_records(k); i++) {
		if (!shared_read(k->child.shared, i, &r))
			continue;
		r.end = END_SHUTDOWN;
		tell(k, &r);
	}
}

static void remove_all(struct cut_keeper *k)
{
	uint32_t count = 0, more = 0;
	struct err e = { 0 };
	int error = cut_end_all(cut_get_table(k->cut), k->own_mark, &count, &e);

	cut_close(k->cut);
	if (!error)
		error = cut_remove(k->own_mark, &more, &e);
	if (error < 0)
		log_error("%s", e.text);
	else if (count + more)
		log_info("reset %u flows that were cut through", count + more);
}

void cut_keeper_end(struct cut_keeper *k)
{
	if (k->cut) {
		wheel_cancel(&k->args.loop->wheel, &k->look);
		cutter_child_stop(&k->child);
		if (k->config) {
			collect(k);
			tell_living(k);
		}
		remove_all(k);
		cutter_child_done(&k->child);
	}
	cut_book_done(&k->book);
	k->cut = NULL;
	k->config = NULL;
}

int cut_keeper_clean(struct err *e)
{
	uint32_t count = 0;
	int error = cut_remove(0, &count, e);

	if (!error && count)
		log_info("reset %u flows that were cut through", count);
	return error;
}

/* --- for people ---------------------------------------------------------- */

const char *cut_keeper_why(const struct cut_keeper *k)
{
	if (k->args.is_private)
		return "a private waylayd has none";
	if (!k->config || !cut_keeper_is_wanted(k->config))
		return "the configuration says off";
	if (k->why.code)
		return k->why.text;
	return k->config->cut_through == CUT_THROUGH_AUTO
		       ? "it works here"
		       : "the configuration asks for it";
}

const char *cut_keeper_shortcoming(const struct cut_keeper *k)
{
	return k->cut ? cut_shortcoming(k->cut) : NULL;
}
