/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_model.c - memory, lines, chains and sets; see import_model.h.
 */
#include "cli/import_model.h"

#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- memory -------------------------------------------------------------- */

struct import *import_new(void)
{
	struct import *im = calloc(1, sizeof(*im));

	if (!im)
		return NULL;
	im->arena = arena_new();
	if (!im->arena) {
		free(im);
		return NULL;
	}
	return im;
}

void import_free(struct import *im)
{
	if (!im)
		return;
	arena_free(im->arena);
	free(im->lines);
	free(im);
}

void *import_alloc(struct import *im, size_t size)
{
	void *p = arena_alloc(im->arena, size);

	if (!p)
		im->is_out_of_memory = true;
	return p;
}

const char *import_keep(struct import *im, const char *text, size_t len)
{
	const char *kept = arena_strn(im->arena, text, len);

	if (kept)
		return kept;
	im->is_out_of_memory = true;
	return "";
}

const char *import_keepf(struct import *im, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* may cut */
	va_end(ap);
	return import_keep(im, text, strlen(text));
}

void *import_grow(struct import *im, void *array, size_t count, size_t *cap,
		  size_t size)
{
	size_t wanted = *cap ? *cap * 2 : 8;
	void *grown;

	if (count < *cap)
		return array;
	grown = import_alloc(im, wanted * size);
	if (!grown)
		return NULL;
	if (count)
		memcpy(grown, array, count * size);
	*cap = wanted;
	return grown;
}

/* --- lines --------------------------------------------------------------- */

size_t import_line_count(const struct import *im)
{
	return im->line_count;
}

const struct import_line *import_line(const struct import *im, size_t i)
{
	return &im->lines[i];
}

void import_raise(struct import *im, struct import_span at,
		  enum import_status status)
{
	for (uint32_t i = at.first; i <= at.last; i++) {
		if (im->lines[i].status < status)
			im->lines[i].status = status;
	}
}

void import_refuse(struct import *im, struct import_span at, const char *reason)
{
	import_raise(im, at, IMPORT_NOT_EXPRESSED);
	for (uint32_t i = at.first; i <= at.last; i++) {
		if (im->lines[i].reason)
			continue;
		im->lines[i].reason = reason;
		im->lines[i].is_continued = i > at.first;
	}
}

bool import_is_commented_out(const struct import *im)
{
	for (size_t i = 0; i < im->line_count; i++) {
		if (im->lines[i].status != IMPORT_FOREIGN)
			return false;
	}
	return im->commented_out > 0;
}

/* --- chains and sets ----------------------------------------------------- */

/* FNV-1a: nobody but the user's own files can make it slow. */
static size_t bucket_of(const char *key)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3;
	return (hash ^ hash >> 32) % IMPORT_BUCKETS;
}

struct import_chain *import_chain(struct import *im, const char *key)
{
	struct import_chain **bucket = &im->chain_buckets[bucket_of(key)];
	struct import_chain *c;

	for (c = *bucket; c; c = c->in_bucket) {
		if (strcmp(c->key, key) == 0)
			return c;
	}
	c = import_alloc(im, sizeof(*c));
	if (!c)
		return NULL;
	c->key = import_keep(im, key, strlen(key));
	c->number = im->last_chain ? im->last_chain->number + 1 : 0;
	c->in_bucket = *bucket;
	*bucket = c;
	if (im->last_chain)
		im->last_chain->next = c;
	else
		im->chains = c;
	im->last_chain = c;
	return c;
}

void import_declare(struct import *im, struct import_chain *c,
		    struct import_span at)
{
	struct import_cause *cause = import_alloc(im, sizeof(*cause));

	if (!cause)
		return;
	*cause = (struct import_cause){ c->declared, at, NULL };
	c->declared = cause;
}

struct import_values *import_set(struct import *im, const char *key,
				 const char *name)
{
	struct import_values **bucket = &im->set_buckets[bucket_of(key)];
	struct import_values *v;

	for (v = *bucket; v; v = v->next) {
		if (strcmp(v->key, key) == 0)
			return v;
	}
	v = import_values_new(im);
	if (!v)
		return NULL;
	v->key = import_keep(im, key, strlen(key));
	v->name = import_keep(im, name, strlen(name));
	v->next = *bucket;
	*bucket = v;
	return v;
}

/* Rules are often inserted one behind the other: begin at the last place. */
static struct import_rule **find_place(struct import *im,
				       struct import_chain *c, size_t place)
{
	bool is_hinted = c->hint && c->hint_place <= place;
	struct import_rule **at = is_hinted ? c->hint : &c->rules;

	for (size_t n = is_hinted ? c->hint_place : 1; n < place && *at; n++) {
		at = &(*at)->next;
		im->searched++;
	}
	c->hint = at;
	c->hint_place = place;
	return at;
}

void import_add_rule(struct import *im, struct import_chain *c,
		     struct import_rule *r, size_t place)
{
	struct import_rule **at;

	im->rule_count++;
	r->chain = c;
	if (place)
		at = find_place(im, c, place);
	else
		at = c->last ? &c->last->next : &c->rules;
	r->next = *at;
	*at = r;
	if (!r->next)
		c->last = r;
}

void import_remove_rules(struct import_chain *c, struct import_rule **only)
{
	bool is_last = only && *only == c->last;

	c->hint = NULL;
	if (only)
		*only = (*only)->next;
	else
		c->rules = c->last = NULL;
	if (!is_last)
		return;
	c->last = c->rules;
	while (c->last && c->last->next)
		c->last = c->last->next;
}

void import_add_mark(struct import *im, struct import_fwmark **list,
		     const struct import_fwmark *mark)
{
	struct import_fwmark *m = *list;
	size_t count = 0;

	for (; m && count < IMPORT_MARKS_MAX; m = m->next, count++) {
		if (!mark->table && m->value == mark->value &&
		    m->mask == mark->mask)
			return; /* of another rule for TPROXY */
	}
	m = count < IMPORT_MARKS_MAX ? import_alloc(im, sizeof(*m)) : NULL;
	if (!m)
		return;
	*m = *mark;
	m->next = *list;
	*list = m;
}
