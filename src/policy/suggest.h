/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suggest.h - "did you mean": the known word that looks most like a wrong one.
 *
 * Two words look alike when few letters must be put in, left out, exchanged
 * or swapped with their neighbour.  Nothing is guessed for words that are
 * far from all known ones.
 */
#ifndef WL_POLICY_SUGGEST_H
#define WL_POLICY_SUGGEST_H

#include <stddef.h>

/* The nearest of the words given so far. */
struct suggestion {
	const char *wrong; /* kept */
	const char *best;  /* NULL: none is near enough; kept */
	size_t distance;
};

void suggest_init(struct suggestion *s, const char *wrong);
void suggest_offer(struct suggestion *s, const char *known);
/* Letters to change to get from a to b; words over 64 bytes are far. */
size_t suggest_distance(const char *a, const char *b);

#endif
