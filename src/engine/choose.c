/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choose.c - which engine; see choose.h.
 */
#include "engine/choose.h"

#include "policy/words.h"

#include <errno.h>

static bool is_permitted(const struct engine *engine, const struct config *c)
{
	return c->engine == ENGINE_AUTO || c->engine == engine->kind;
}

static int try(const struct choice *how, const struct engine *engine,
	       const struct config *c, struct err *e)
{
	int error = engine->check(c, e);

	return error || !how->try ? error : how->try(how->ctx, engine, e);
}

static void note(struct str *why, const struct engine *engine, const char *what)
{
	if (why)
		str_addf(why, "%s: %s\n", engine->name, what);
}

/* The sentence of the configured engine, or with `auto` those of all. */
static void refuse(const struct config *c, const struct str *sentences,
		   int code, struct err *e)
{
	const char *name = engine_words[c->engine];

	if (!sentences->len)
		(void)err_set(e, EOPNOTSUPP,
			      "engine %s is not part of this build", name);
	else if (c->engine == ENGINE_AUTO)
		(void)err_set(e, code, "no engine can carry it out: %s",
			      str_get(sentences));
	else
		(void)err_set(e, code, "engine %s", str_get(sentences));
}

const struct engine *choose_engine(const struct choice *how,
				   const struct config *c, struct str *why,
				   struct err *e)
{
	const struct engine *chosen = NULL;
	struct str sentences = { 0 };
	int code = 0;

	for (size_t i = 0; i < how->count; i++) {
		const struct engine *engine = how->engines[i];
		struct err one = { 0 };

		if (!is_permitted(engine, c))
			continue;
		if (chosen) {
			note(why, engine, "not needed");
		} else if (try(how, engine, c, &one) == 0) {
			chosen = engine;
			note(why, engine, "works");
		} else {
			note(why, engine, one.text);
			str_addf(&sentences, "%s%s: %s",
				 sentences.len ? "; " : "", engine->name,
				 one.text);
			code = code ? code : one.code;
		}
	}
	if (!chosen)
		refuse(c, &sentences, code, e);
	str_done(&sentences);
	return chosen;
}
