/* SPDX-License-Identifier: Apache-2.0 */
/*
 * installed.c - what is installed, and by which engine; see installed.h.
 */
#include "daemon/installed.h"

#include "base/log.h"
#include "engine/choose.h"
#include "engine/probe.h"
#include "engine/routing.h"

#include <errno.h>
#include <string.h>

/* --- trying -------------------------------------------------------------- */

struct attempt {
	const struct installed *now;
	const struct plan *plan;
	struct installed *out;
};

/* Where nothing can be tried (no privilege to make a namespace), installing
 * will tell. */
static int probe(const struct engine *engine, struct err *e)
{
	int error = engine_probe(engine, e);

	if (error != -PROBE_NO_PLACE)
		return error;
	log_debug("engine %s %s", engine->name, e->text);
	return 0;
}

static int begin(const struct engine *engine, struct engine_run **run,
		 struct err *e)
{
	int error = probe(engine, e);

	if (error < 0 || !engine->new)
		return error;
	*run = engine->new (e);
	return *run ? 0 : -e->code;
}

static void end(const struct engine *engine, struct engine_run *run)
{
	if (engine && engine->free)
		engine->free(run);
}

/* Which has promised in its probe what it does not do here. */
static int install_new(const struct engine *engine, const struct plan *plan,
		       struct engine_run **out, struct err *e)
{
	struct engine_run *run = NULL;
	int error = begin(engine, &run, e);

	if (error < 0)
		return error;
	error = engine->install(run, plan, e);
	if (error < 0) {
		end(engine, run);
		return error;
	}
	*out = run;
	return 0;
}

static int try(void *ctx, const struct engine *engine, struct err *e)
{
	const struct attempt *a = ctx;
	struct engine_run *run = a->now->run;
	int error;

	if (engine == a->now->engine)
		error = engine->install(run, a->plan, e);
	else
		error = install_new(engine, a->plan, &run, e);
	if (error < 0)
		return error;
	a->out->engine = engine;
	a->out->run = run;
	return 0;
}

static void log_why(const struct str *why)
{
	const char *line = str_get(why);

	while (*line) {
		int len = (int)strcspn(line, "\n");

		log_info("engine auto: %.*s", len, line);
		line += len + 1;
	}
}

int installed_try(const struct installed *now, struct nl *nl,
		  const struct plan *plan, struct installed *out, struct err *e)
{
	struct installed next = { .plan = *plan };
	struct attempt a = { .now = now, .plan = plan, .out = &next };
	unsigned added = 0;
	int error = routing_check(nl, plan, e);

	if (!error)
		error = routing_install(nl, plan, &added, e);
	if (!error && !engine_choose_by(try, &a, plan->config, &next.why, e))
		error = -e->code;
	if (error < 0) {
		str_done(&next.why);
		return error;
	}
	if (plan->config->engine == ENGINE_AUTO)
		log_why(&next.why);
	*out = next;
	return 0;
}

/* --- keeping and undoing ------------------------------------------------- */

/* A program that is not there (nft, iptables) has left nothing behind. */
static int remove_one(const struct engine *engine, struct err *e)
{
	int error = engine->remove(e);

	return error == -ENOENT ? 0 : error;
}

static void remove_logged(const struct engine *engine)
{
	struct err e = { 0 };

	if (remove_one(engine, &e) < 0)
		log_error("%s", e.text);
}

static void remove_others(const struct engine *kept)
{
	const struct engine *engine;

	for (size_t i = 0; (engine = engine_at(i)); i++)
		if (engine != kept)
			remove_logged(engine);
}

void installed_keep(struct installed *now, struct installed *next,
		    struct nl *nl)
{
	struct err e = { 0 };

	if (now->engine != next->engine) {
		remove_others(next->engine);
		end(now->engine, now->run);
	}
	if (routing_prune(nl, &next->plan, &e) < 0)
		log_error("%s", e.text);
	str_done(&now->why);
	*now = *next;
	*next = (struct installed){ 0 };
}

void installed_undo(struct installed *now, struct installed *next,
		    struct nl *nl)
{
	struct err e = { 0 };

	if (next->engine && next->engine != now->engine) {
		remove_logged(next->engine);
		end(next->engine, next->run);
	} else if (next->engine &&
		   now->engine->install(now->run, &now->plan, &e) < 0) {
		log_error("cannot put the old rules back: %s", e.text);
	}
	str_done(&next->why);
	*next = (struct installed){ 0 };
	if (!now->engine && installed_clean(nl, &e) < 0)
		log_error("%s", e.text);
}

/* --- while it holds ------------------------------------------------------ */

void installed_end_listening(struct installed *in)
{
	struct err e = { 0 };

	memset(in->plan.ports, 0, sizeof(in->plan.ports));
	memset(in->plan.fds, -1, sizeof(in->plan.fds));
	if (in->engine->install(in->run, &in->plan, &e) < 0)
		log_error("engine %s: %s", in->engine->name, e.text);
}

void installed_follow_links(struct installed *in)
{
	struct err e = { 0 };

	if (in->engine && in->engine->follow_links &&
	    in->engine->follow_links(in->run, &in->plan, &e) < 0)
		log_error("engine %s: %s", in->engine->name, e.text);
}

/* --- the end ------------------------------------------------------------- */

void installed_remove(struct installed *in, struct nl *nl)
{
	struct err e = { 0 };

	if (!in->engine)
		return;
	remove_logged(in->engine);
	end(in->engine, in->run);
	if (routing_remove(nl, &e) < 0)
		log_error("%s", e.text);
	str_done(&in->why);
	*in = (struct installed){ 0 };
}

int installed_clean(struct nl *nl, struct err *e)
{
	const struct engine *engine;
	int error = 0;

	for (size_t i = 0; (engine = engine_at(i)); i++) {
		struct err one = { 0 };

		if (remove_one(engine, &one) < 0 && !error)
			error = err_set(e, one.code, "%s", one.text);
	}
	if (!error)
		return routing_remove(nl, e);
	(void)routing_remove(nl, NULL); /* the first failure is told */
	return error;
}
