/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_routing.c - policy routing; see import_shell.h.
 *
 * A mark leads to this host if a rule of routing sends it to a table with a
 * local route; without such rules, if a TPROXY target sets it.
 */
#include "cli/import_shell.h"

#include <string.h>

/* The word behind `name`, or NULL. */
static const char *value_of(const struct import_words *w, size_t first,
			    const char *name)
{
	for (size_t i = first; i + 1 < w->count; i++) {
		if (strcmp(w->words[i], name) == 0)
			return w->words[i + 1];
	}
	return NULL;
}

void import_ip_rule(struct import *im, const struct import_words *w,
		    size_t first)
{
	const char *mark = value_of(w, first, "fwmark");
	const char *table = value_of(w, first, "lookup");
	struct import_fwmark m = { .at = w->at };

	if (!table)
		table = value_of(w, first, "table");
	if (!mark || !table || !import_number_mask(mark, &m.value, &m.mask))
		return;
	m.table = table;
	import_add_mark(im, &im->fwmarks, &m);
}

void import_ip_route(struct import *im, const struct import_words *w,
		     size_t first)
{
	static const char *const all[] = { "default", "0.0.0.0/0", "0/0",
					   "::/0" };
	const char *net = value_of(w, first, "local");
	const char *table = value_of(w, first, "table");
	struct import_local_table *t;
	bool is_all = false;
	size_t count = 0;

	for (size_t i = 0; net && i < sizeof(all) / sizeof(all[0]); i++)
		is_all |= strcmp(net, all[i]) == 0;
	if (!is_all)
		return;
	import_raise(im, w->at, IMPORT_PLUMBING);
	if (!table)
		return; /* of `ip route show table N` */
	for (t = im->local_tables; t; t = t->next) {
		if (strcmp(t->table, table) == 0 || ++count == IMPORT_MARKS_MAX)
			return;
	}
	t = import_alloc(im, sizeof(*t));
	if (!t)
		return;
	*t = (struct import_local_table){ im->local_tables, table };
	im->local_tables = t;
}

static bool is_prefix_of(const char *word, const char *full, size_t least)
{
	size_t len = strlen(word);

	return len >= least && len <= strlen(full) &&
	       strncmp(word, full, len) == 0;
}

/* ip [-4|-6|-f FAMILY] rule|route add|replace|append ... */
void import_ip(struct import *im, const struct import_words *w, size_t first)
{
	while (first < w->count && *w->words[first] == '-') {
		first += strcmp(w->words[first], "-f") == 0 ||
			 strcmp(w->words[first], "-family") == 0;
		first++;
	}
	if (first + 1 >= w->count)
		return;
	if (is_prefix_of(w->words[first], "rule", 2))
		import_ip_rule(im, w, first + 1);
	else if (is_prefix_of(w->words[first], "route", 1))
		import_ip_route(im, w, first + 1);
}

/* --- marks --------------------------------------------------------------- */

static bool is_local_table(const struct import *im, const char *table)
{
	const struct import_local_table *t = im->local_tables;

	while (t && strcmp(t->table, table) != 0)
		t = t->next;
	return t || !im->local_tables;
}

static bool is_in(const struct import_fwmark *m, uint32_t mark)
{
	return (mark & m->mask) == (m->value & m->mask);
}

bool import_is_target_mark(const struct import *im, uint32_t mark)
{
	const struct import_fwmark *m = im->target_marks;

	while (m && m->value != mark)
		m = m->next;
	return m != NULL;
}

static bool leads_here(const struct import *im, const struct import_fwmark *m)
{
	return is_local_table(im, m->table) &&
	       (im->local_tables || import_is_target_mark(im, m->value));
}

bool import_is_our_mark(const struct import *im, uint32_t mark)
{
	if (!mark)
		return false;
	for (const struct import_fwmark *m = im->fwmarks; m; m = m->next) {
		if (is_in(m, mark))
			return leads_here(im, m);
	}
	return import_is_target_mark(im, mark);
}

void import_judge_routing(struct import *im)
{
	for (const struct import_fwmark *m = im->fwmarks; m; m = m->next) {
		if (leads_here(im, m))
			import_raise(im, m->at, IMPORT_PLUMBING);
	}
}
