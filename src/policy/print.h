/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print.h - private to policy/: the parts of a printed configuration.
 *
 *	print.c            lists, intercepts, rules; the whole
 *	print_settings.c   what is said once
 *	print_upstream.c   upstreams and groups
 *
 * All append to `out`, one statement a line, without indentation: format.c
 * puts that in.
 */
#ifndef WL_POLICY_PRINT_H
#define WL_POLICY_PRINT_H

#include "policy/policy.h"

/* A comma separated list on its way out. */
struct print_items {
	struct str *out;
	const char *again; /* what begins the next statement; NULL: go on */
	size_t count;
	size_t line; /* where the line begins in out->text */
};

/* `head` begins the statement; it can be repeated if `can_repeat`. */
struct print_items print_items_begin(struct str *out, const char *head,
				     bool can_repeat);
/* What is added next is one more item. */
void print_items_next(struct print_items *i);
/* In quotes if it could be read as anything but one bare word. */
void print_word(const char *word, struct str *out);
/* An address, or a name with the port that is known already. */
void print_host_port(const struct addr *a, const char *name, struct str *out);
/* "file:/path" or "credential:name"; never what is in there. */
void print_secret(const struct secret_ref *s, struct str *out);

void print_settings(const struct config *c, struct str *out);
/* An upstream or a group. */
void print_upstream(const struct config *c, const struct upstream *u,
		    struct str *out);

#endif
