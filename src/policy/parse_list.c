/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_list.c - `list NAME { ... }`; see parse.h.
 *
 * Files are only named here; check_files.c reads them.
 */
#include "policy/parse.h"

#include <string.h>

static void check_new_name(struct parser *p, const struct word *w)
{
	static const char *const reserved[] = { "private", "any", "host" };
	const struct config *c = p->config;

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (strcmp(w->text, reserved[i]) == 0)
			(void)report_error(p->report, w->at,
					   "a list cannot be named \"%s\": "
					   "the word has a meaning already",
					   w->text);
	}
	for (size_t i = 0; i < c->list_count; i++) {
		if (strcmp(c->lists[i].name, w->text) == 0)
			(void)report_error(p->report, w->at,
					   "list \"%s\" is defined twice; "
					   "first on line %u",
					   w->text, c->lists[i].at.line);
	}
}

static void *open_list(struct parser *p)
{
	struct config *c = p->config;
	const struct word *w;
	struct list *l;

	if (!value_name(p, "a name", &w))
		return NULL;
	check_new_name(p, w); /* read on to find what else is wrong */
	if (c->list_count == LISTS_MAX) {
		(void)report_error(p->report, w->at,
				   "too many lists; %d are allowed", LISTS_MAX);
		return NULL;
	}
	l = parse_grow(p, c->lists, c->list_count, sizeof(*l));
	if (!l)
		return NULL;
	c->lists = l;
	l += c->list_count++;
	l->name = parse_keep(p, w->text);
	l->at = w->at;
	return l;
}

static bool parse_net(struct parser *p, const struct keyword *k, void *subject)
{
	struct list *l = subject;
	const struct word *w;

	(void)k; /* has no more to say */
	do {
		struct prefix *nets;

		w = word_take_item(p, "addresses or networks");
		if (!w)
			return false;
		nets = parse_grow(p, l->nets, l->count, sizeof(*nets));
		if (!nets)
			return false;
		l->nets = nets;
		if (!value_prefix(p, w, &nets[l->count]))
			return false;
		l->count++;
	} while (w->has_comma);
	return true;
}

static bool parse_domain(struct parser *p, const struct keyword *k,
			 void *subject)
{
	struct list *l = subject;

	(void)k; /* has no more to say */
	return value_domains(p, &l->domains, &l->domain_count);
}

static bool parse_files(struct parser *p, const struct keyword *k,
			void *subject)
{
	(void)k; /* has no more to say */
	return value_files(p, subject);
}

static bool parse_reload(struct parser *p, const struct keyword *k,
			 void *subject)
{
	static const char *const words[] = { "on-change", NULL };
	struct list *l = subject;
	unsigned choice;

	if (!value_choice(p, k->name, words, &choice))
		return false;
	l->is_reloaded = true;
	return true;
}

static void close_list(struct parser *p, void *subject)
{
	const struct list *l = subject;

	if (l->is_reloaded && !l->file_count)
		(void)report_error(p->report, parse_said(p, "reload"),
				   "list \"%s\" has no file that could change: "
				   "\"reload\" needs \"file\"",
				   l->name);
}

static const struct keyword list_keywords[] = {
	{ .name = "net", .parse = parse_net, .may_repeat = true },
	{ .name = "domain", .parse = parse_domain, .may_repeat = true },
	{ .name = "file", .parse = parse_files, .may_repeat = true },
	{ .name = "reload", .parse = parse_reload },
	{ .name = NULL },
};

const struct block list_block = {
	.noun = "list",
	.keywords = list_keywords,
	.open = open_list,
	.close = close_list,
};
