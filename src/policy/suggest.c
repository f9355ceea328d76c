/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suggest.c - edit distance with swaps of neighbours; see suggest.h.
 */
#include "policy/suggest.h"

#include <string.h>

enum { SUGGEST_BYTES_MAX = 64 };

void suggest_init(struct suggestion *s, const char *wrong)
{
	*s = (struct suggestion){ .wrong = wrong };
	s->distance = strlen(wrong) / 3 + 1; /* this far and no farther */
	if (s->distance > 3)
		s->distance = 3;
	s->distance++;
}

void suggest_offer(struct suggestion *s, const char *known)
{
	size_t distance = suggest_distance(s->wrong, known);

	if (distance >= s->distance || distance >= strlen(known))
		return;
	s->distance = distance;
	s->best = known;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t suggest_distance(const char *a, const char *b)
{
	/* Three rows of the table: for i - 2, i - 1 and i letters of a. */
	size_t rows[3][SUGGEST_BYTES_MAX + 1] = { 0 };
	size_t *older = rows[0], *old = rows[1], *row = rows[2];
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > SUGGEST_BYTES_MAX || b_len > SUGGEST_BYTES_MAX)
		return SUGGEST_BYTES_MAX;
	for (size_t j = 0; j <= b_len; j++)
		old[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *free_row = older;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = least(old[j], row[j - 1]) + 1;
			row[j] = least(row[j],
				       old[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = least(row[j], older[j - 2] + 1);
		}
		older = old;
		old = row;
		row = free_row;
	}
	return old[b_len];
}
