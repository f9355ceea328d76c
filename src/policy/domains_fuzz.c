/* SPDX-License-Identifier: Apache-2.0 */
/*
 * domains_fuzz.c - any bytes as patterns and names, a line each (libFuzzer).
 *
 * What is normal stays as it is when it is made normal again.  Each line is
 * asked as a name in the set of all lines, and the answer is that of a search
 * from end to end.
 */
#include "policy/domains.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATTERNS_MAX = 64 };

struct patterns {
	char of[PATTERNS_MAX][HOST_TEXT_MAX];
	size_t count;
};

/* Calls for each line. */
static void each_line(const char *text, size_t size, void *ctx,
		      void (*line)(void *ctx, const char *text, size_t len))
{
	for (const char *end = text + size; text < end;) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((newline ? newline : end) - text);

		line(ctx, text, len);
		text += len + 1;
	}
}

static void add(void *ctx, const char *text, size_t len)
{
	struct patterns *p = ctx;
	char again[HOST_TEXT_MAX];
	char *pattern = p->of[p->count % PATTERNS_MAX];

	if (p->count == PATTERNS_MAX || !domain_pattern(text, len, pattern))
		return;
	if (!domain_pattern(pattern, strlen(pattern), again) ||
	    strcmp(pattern, again) != 0)
		abort();
	p->count++;
}

static bool is_below(const char *name, const char *dot_parent)
{
	size_t len = strlen(name), bytes = strlen(dot_parent);

	return len > bytes && strcmp(name + len - bytes, dot_parent) == 0;
}

static bool matches(const char *pattern, const char *name)
{
	if (pattern[0] == '*')
		return is_below(name, pattern + 1);
	if (pattern[0] == '.')
		return is_below(name, pattern) ||
		       strcmp(name, pattern + 1) == 0;
	return strcmp(name, pattern) == 0;
}

struct question {
	const struct patterns *patterns;
	const struct domain_set *set;
};

static void ask(void *ctx, const char *text, size_t len)
{
	const struct question *q = ctx;
	char name[HOST_TEXT_MAX], again[HOST_TEXT_MAX];
	bool wanted = false;

	if (!domain_normalise(text, len, name))
		return;
	if (!domain_normalise(name, strlen(name), again) ||
	    strcmp(name, again) != 0)
		abort();
	for (size_t i = 0; i < q->patterns->count; i++)
		wanted = wanted || matches(q->patterns->of[i], name);
	if (domain_set_has(q->set, name) != wanted)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct patterns p = { .count = 0 };
	struct domain_builder *b = domain_builder_new();
	struct domain_set *s;
	struct question q;

	each_line((const char *)data, size, &p, add);
	for (size_t i = 0; i < p.count; i++) {
		if (domain_builder_add(b, p.of[i]) < 0)
			abort();
	}
	if (domain_builder_finish(b, &s) < 0 || !s != !p.count ||
	    !domain_set_equal(s, s))
		abort();
	q = (struct question){ &p, s };
	each_line((const char *)data, size, &q, ask);
	domain_set_free(s);
	return 0;
}
