/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - the table of engines, and what all have in common.
 */
#include "engine/engine.h"

#include "engine/choose.h"
#include "engine/ebpf.h"
#include "engine/iptables.h"
#include "engine/nft.h"
#include "engine/probe.h"
#include "engine/routing.h"

#include <string.h>

/* --- the table ----------------------------------------------------------- */

/* Best first: what needs least of the kernel and asks each packet least. */
static const struct engine *const engines[] = {
	&engine_ebpf,
	&engine_nft,
	&engine_iptables,
};

enum { ENGINES = sizeof(engines) / sizeof(*engines) };

const struct engine *engine_at(size_t i)
{
	return i < ENGINES ? engines[i] : NULL;
}

const struct engine *engine_find(const char *name)
{
	for (size_t i = 0; i < ENGINES; i++)
		if (!strcmp(engines[i]->name, name))
			return engines[i];
	return NULL;
}

/* --- choosing ------------------------------------------------------------ */

int engine_probe(const struct engine *engine, struct err *e)
{
	return probe_run(engine, PROBE_LIMIT_MS, e);
}

static int try_probe(void *ctx, const struct engine *engine, struct err *e)
{
	(void)ctx;
	return engine_probe(engine, e);
}

const struct engine *engine_choose_by(choose_try_fn try, void *ctx,
				      const struct config *c, struct str *why,
				      struct err *e)
{
	struct choice how = {
		.engines = engines,
		.count = ENGINES,
		.try = try,
		.ctx = ctx,
	};

	return choose_engine(&how, c, why, e);
}

const struct engine *engine_choose(const struct config *c, struct str *why,
				   struct err *e)
{
	return engine_choose_by(try_probe, NULL, c, why, e);
}

/* --- a configuration ----------------------------------------------------- */

static const struct engine *check(const char *file, const struct config *c,
				  struct messages *m)
{
	struct err e = { 0 };
	const struct engine *engine = engine_choose_by(NULL, NULL, c, NULL, &e);

	if (engine)
		return engine;
	m->errors++;
	str_addf(&m->text, "%s: error: %s\n", file, e.text);
	return NULL;
}

struct config *engine_parse(const char *file, const char *text, size_t len,
			    const struct policy_files *files,
			    struct messages *m)
{
	struct config *c = config_parse_with(file, text, len, files, m);

	if (c && !check(file, c, m)) {
		config_free(c);
		return NULL;
	}
	return c;
}

void engine_render(const struct engine *engine, const struct plan *p,
		   struct str *out)
{
	routing_render(p, out);
	engine->render(p, out);
}
