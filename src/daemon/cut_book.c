/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_book.c - what indexes of older generations mean; see cut_book.h.
 */
#include "daemon/cut_book.h"

#include "base/str.h"
#include "policy/print.h"
#include "relay/board.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* --- one generation in the next one -------------------------------------- */

static uint32_t find_intercept(const struct config *in, const char *name)
{
	for (uint32_t i = 0; i < in->intercept_count; i++)
		if (!strcmp(in->intercepts[i].name, name))
			return i;
	return UINT32_MAX;
}

static uint32_t find_upstream(const struct config *in, const struct config *c,
			      size_t upstream)
{
	int i = board_find(in, c, upstream);

	return i < 0 ? UINT32_MAX : (uint32_t)i;
}

/* What a rule says, in 64 bits: two that are alike decide alike. */
static uint64_t *hash_rules(const struct config *c)
{
	uint64_t *hashes = calloc(c->rule_count + 1, sizeof(*hashes));
	struct str text = { 0 };

	for (size_t i = 0; hashes && i < c->rule_count; i++) {
		str_reset(&text);
		config_print_rule(c, i, &text);
		hashes[i] = XXH3_64bits(str_get(&text), text.len);
	}
	str_done(&text);
	return hashes;
}

/* The same place first: most reloads change little. */
static uint32_t find_rule(const uint64_t *hashes, size_t count, uint64_t hash,
			  size_t place)
{
	if (place < count && hashes[place] == hash)
		return (uint32_t)place;
	for (size_t i = 0; i < count; i++)
		if (hashes[i] == hash)
			return (uint32_t)i;
	return UINT32_MAX;
}

static void match_rules(const struct config *old, const struct config *new,
			uint32_t *out)
{
	uint64_t *was = hash_rules(old), *is = hash_rules(new);

	for (size_t i = 0; i < old->rule_count; i++)
		out[i] = was && is ? find_rule(is, new->rule_count, was[i], i)
				   : UINT32_MAX;
	free(was);
	free(is);
}

/* --- pages --------------------------------------------------------------- */

static uint32_t *rules_of(const struct cut_page *p)
{
	return p->indexes + p->intercept_count;
}

static uint32_t *upstreams_of(const struct cut_page *p)
{
	return rules_of(p) + p->rule_count;
}

static void fill(struct cut_page *p, const struct config *old,
		 const struct config *new)
{
	for (uint32_t i = 0; i < p->intercept_count; i++)
		p->indexes[i] = find_intercept(new, old->intercepts[i].name);
	match_rules(old, new, rules_of(p));
	for (uint32_t i = 0; i < p->upstream_count; i++)
		upstreams_of(p)[i] = find_upstream(new, old, i);
}

static void open_page(struct cut_page *p, const struct config *old,
		      uint32_t generation)
{
	*p = (struct cut_page){
		.generation = generation,
		.intercept_count = (uint32_t)old->intercept_count,
		.rule_count = (uint32_t)old->rule_count,
		.upstream_count = (uint32_t)old->upstream_count,
	};
	p->indexes = calloc(old->intercept_count + old->rule_count +
				    old->upstream_count,
			    sizeof(*p->indexes));
}

static uint32_t look_up(const uint32_t *indexes, uint32_t count, uint32_t i)
{
	return i < count ? indexes[i] : UINT32_MAX;
}

static void advance(uint32_t *at, uint32_t count, const uint32_t *by,
		    uint32_t by_count)
{
	for (uint32_t i = 0; i < count; i++)
		at[i] = look_up(by, by_count, at[i]);
}

/* What led to `last` leads to where that leads. */
static void advance_page(struct cut_page *p, const struct cut_page *last)
{
	advance(p->indexes, p->intercept_count, last->indexes,
		last->intercept_count);
	advance(rules_of(p), p->rule_count, rules_of(last), last->rule_count);
	advance(upstreams_of(p), p->upstream_count, upstreams_of(last),
		last->upstream_count);
}

static void close_page(struct cut_page *p)
{
	free(p->indexes);
	*p = (struct cut_page){ 0 };
}

static void forget_all(struct cut_book *b)
{
	for (int i = 0; i < CUT_BOOK_PAGES; i++)
		close_page(&b->pages[i]);
}

void cut_book_draft(struct cut_book *b, const struct config *old,
		    const struct config *new)
{
	close_page(&b->draft);
	if (!old)
		return;
	open_page(&b->draft, old, b->current);
	if (b->draft.indexes)
		fill(&b->draft, old, new);
}

void cut_book_turn(struct cut_book *b, uint32_t generation)
{
	struct cut_page *draft = &b->draft;

	b->current = generation;
	if (!draft->indexes) { /* nothing to be known, or no memory */
		forget_all(b);
		return;
	}
	for (int i = 0; i < CUT_BOOK_PAGES; i++)
		if (b->pages[i].indexes)
			advance_page(&b->pages[i], draft);
	close_page(&b->pages[b->next]);
	b->pages[b->next] = *draft;
	b->next = (b->next + 1) % CUT_BOOK_PAGES;
	*draft = (struct cut_page){ 0 };
}

/* --- reading ------------------------------------------------------------- */

static const struct cut_page *find_page(const struct cut_book *b,
					uint32_t generation)
{
	for (int i = 0; i < CUT_BOOK_PAGES; i++)
		if (b->pages[i].indexes && b->pages[i].generation == generation)
			return &b->pages[i];
	return NULL;
}

void cut_book_translate(const struct cut_book *b, struct flow_record *r)
{
	const struct cut_page *p;

	if (r->generation == b->current)
		return;
	p = find_page(b, r->generation);
	r->generation = b->current;
	if (!p) {
		r->intercept = r->rule = r->upstream = UINT32_MAX;
		return;
	}
	r->intercept = look_up(p->indexes, p->intercept_count, r->intercept);
	r->rule = look_up(rules_of(p), p->rule_count, r->rule);
	r->upstream = look_up(upstreams_of(p), p->upstream_count, r->upstream);
}

void cut_book_done(struct cut_book *b)
{
	forget_all(b);
	close_page(&b->draft);
	*b = (struct cut_book){ 0 };
}
