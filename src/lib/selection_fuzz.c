/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selection_fuzz.c - any bytes as settings: a line each, the name, a blank, the
 * value (libFuzzer).
 *
 * Whatever is set, a configuration delivers to the listeners that were given
 * and to nobody else, and knows no more intercepts than these.
 */
#include "lib/selection.h"

#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set(struct selection *s, const char *line, size_t len)
{
	char *copy = strndup(line, len);
	char *value = copy ? strchr(copy, ' ') : NULL;
	struct err e = { 0 };

	if (value)
		*value++ = '\0';
	if (copy && selection_set(s, copy, value, &e) < 0 && !e.text[0])
		abort();
	free(copy);
}

static void set_all(struct selection *s, const char *text, size_t size)
{
	for (const char *end = text + size; text < end;) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((newline ? newline : end) - text);

		set(s, text, len);
		text += len + 1;
	}
}

static bool is_given(const struct selection *s, const struct intercept *i)
{
	for (enum proto p = 0; p < PROTO_COUNT; p++)
		for (enum family_index f = 0; f < FAMILY_COUNT; f++)
			if (i->ports[p].count && !i->ports[!p].count &&
			    addr_equal(&s->deliver[p][f], &i->deliver))
				return true;
	return false;
}

static void check(const struct selection *s, const struct config *c)
{
	if (c->intercept_count > PROTO_COUNT * FAMILY_COUNT ||
	    c->upstream_count != UPSTREAM_BUILTIN_COUNT || c->list_count)
		abort();
	for (size_t i = 0; i < c->intercept_count; i++)
		if (!c->intercepts[i].has_deliver ||
		    c->intercepts[i].has_listen ||
		    !is_given(s, &c->intercepts[i]))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct selection s = { 0 };
	struct config *c;
	struct err e = { 0 };
	struct addr at;

	set_all(&s, (const char *)data, size);
	(void)addr_parse("127.0.0.1:3129", &at);
	if (s.values[SETTING_TCP])
		selection_deliver(&s, PROTO_TCP, &at);
	(void)addr_parse("[::]:53", &at);
	if (s.values[SETTING_UDP])
		selection_deliver(&s, PROTO_UDP, &at);
	c = selection_config(&s, &e);
	if (c)
		check(&s, c);
	else if (!e.text[0])
		abort();
	config_free(c);
	selection_done(&s);
	return 0;
}
