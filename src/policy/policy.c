/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.c - the way in: text to configuration; see policy.h.
 *
 * Only memory and messages are handled here.  parse.c reads, check.c judges.
 */
#include "policy/policy.h"
#include "base/arena.h"
#include "base/secret.h"
#include "policy/domains.h"
#include "policy/parse.h"
#include "policy/words.h"

#include <stdlib.h>

static const struct upstream builtins[UPSTREAM_BUILTIN_COUNT] = {
	[UPSTREAM_DIRECT] = { .name = "direct", .kind = UPSTREAM_DIRECT },
	[UPSTREAM_REJECT] = { .name = "reject", .kind = UPSTREAM_REJECT },
	[UPSTREAM_DROP] = { .name = "drop", .kind = UPSTREAM_DROP },
};

/* An empty configuration in an arena of its own, or NULL. */
static struct config *new_config(void)
{
	struct arena *arena = arena_new();
	struct config *c = arena ? arena_alloc(arena, sizeof(*c)) : NULL;

	if (!c) {
		arena_free(arena);
		return NULL;
	}
	c->arena = arena;
	config_set_defaults(c);
	return c;
}

static void add_builtins(struct parser *p)
{
	struct config *c = p->config;

	for (size_t i = 0; i < UPSTREAM_BUILTIN_COUNT; i++) {
		struct upstream *u = parse_grow(p, c->upstreams, i, sizeof(*u));

		if (!u)
			return;
		u[i] = builtins[i];
		c->upstreams = u;
		c->upstream_count++;
	}
}

static void read_config(struct parser *p, const char *text, size_t len)
{
	if (len > CONFIG_BYTES_MAX) {
		(void)report_error(p->report, (struct place){ 0 },
				   "the file is larger than 64 MiB");
		return;
	}
	lex_init(&p->lexer, text, len);
	add_builtins(p);
	if (!p->is_out_of_memory)
		parse_file(p);
	if (!p->is_out_of_memory)
		check_config(p);
	free(p->words);
	str_done(&p->bytes);
}

struct config *config_parse_with(const char *file, const char *text, size_t len,
				 const struct policy_files *files,
				 struct messages *out)
{
	struct report *report = calloc(1, sizeof(*report));
	struct config *c = new_config();
	struct parser p = { .report = report, .config = c, .files = files };

	if (report && c)
		read_config(&p, text, len);
	if (!report || !c || p.is_out_of_memory) {
		str_addf(&out->text, "%s: error: out of memory\n", file);
		out->errors++;
	} else {
		report_render(report, file, text, len, out);
	}
	if (!report || p.is_out_of_memory || report->errors) {
		config_free(c);
		c = NULL;
	}
	free(report);
	return c;
}

struct config *config_parse(const char *file, const char *text, size_t len,
			    struct messages *out)
{
	return config_parse_with(file, text, len, NULL, out);
}

/* A rule with `list` only borrows the names. */
static void free_names(const struct config *c)
{
	for (size_t i = 0; i < c->list_count; i++)
		domain_set_free((struct domain_set *)c->lists[i].names);
	for (size_t i = 0; i < c->rule_count; i++) {
		const struct domain_expr *e = &c->rules[i].domains;

		if (e->count)
			domain_set_free((struct domain_set *)e->set);
	}
}

void config_free(struct config *c)
{
	if (!c)
		return;
	free_names(c);
	for (size_t i = 0; i < c->upstream_count; i++)
		secret_free(c->upstreams[i].password.secret);
	secret_free(c->admin_token.secret);
	arena_free(c->arena);
}

void messages_done(struct messages *m)
{
	str_done(&m->text);
	m->errors = 0;
	m->warnings = 0;
}
