/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_rules.c - the answer to `rules`; see report_rules.h.
 */
#include "daemon/report_rules.h"

#include "daemon/supervisor.h"

#include <stdlib.h>
#include <string.h>

/* "VALUE\tNAME\tSENTENCE", which ends after len bytes. */
static json_t *counter(const char *line, size_t len)
{
	size_t value = strcspn(line, "\t") + 1;
	size_t name = strcspn(line + value, "\t");
	size_t sentence = value + name + 1;

	if (sentence > len)
		return NULL;
	return json_pack("{s:I, s:s%, s:s%}", "value",
			 (json_int_t)strtoll(line, NULL, 10), "name",
			 line + value, name, "meaning", line + sentence,
			 len - sentence);
}

static json_t *counters_of(const struct str *lines)
{
	const char *line = str_get(lines);
	json_t *list = json_array();

	while (*line) {
		size_t len = strcspn(line, "\n");

		(void)json_array_append_new(list, counter(line, len));
		line += len + (line[len] == '\n');
	}
	return list;
}

static int read_counters(const struct supervisor *s,
			 const struct engine *engine, struct str *out,
			 struct err *e)
{
	if (engine != s->now.engine || !engine->counters)
		return 0;
	return engine->counters(out, e);
}

json_t *report_rules(struct supervisor *s, const json_t *request)
{
	const char *name =
		json_string_value(json_object_get(request, "engine"));
	const struct engine *engine = name ? engine_find(name) : s->now.engine;
	struct str text = { 0 }, lines = { 0 };
	struct err e = { 0 };
	json_t *j = NULL;

	if (!engine)
		return control_error(CONTROL_USAGE, "there is no such engine");
	if (engine->check(s->now.plan.config, &e) < 0 ||
	    read_counters(s, engine, &lines, &e) < 0) {
		j = control_error(CONTROL_FAILED, e.text);
	} else {
		engine_render(engine, &s->now.plan, &text);
		j = json_pack("{s:b, s:s, s:b, s:o, s:o}", "ok", 1, "engine",
			      engine->name, "is_running",
			      engine == s->now.engine, "text",
			      control_text(str_get(&text)), "counters",
			      counters_of(&lines));
	}
	str_done(&text);
	str_done(&lines);
	return j;
}
