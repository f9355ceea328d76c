/* SPDX-License-Identifier: Apache-2.0 */
/*
 * domains.h - a set of domain names, for a handful or for a million.
 *
 * Built once, const afterwards, in memory of its own (not the arena: a million
 * names are tens of megabytes, and building takes more than what stays).  An
 * entry is a name alone ("example.org"), every name below it ("*.example.org")
 * or both (".example.org").  A look-up costs one hash over the name from its
 * end and one probe for each label, whatever the number of entries; it compares
 * the bytes, so a hash that meets another decides nothing.  The hash is keyed,
 * new for each set, since names come from the network (T15); getrandom() is the
 * one system call of this rank.
 *
 * Names here are in lower case, without a dot at the end.  What is a name at
 * all is said by domain_normalise().
 */
#ifndef WL_POLICY_DOMAINS_H
#define WL_POLICY_DOMAINS_H

#include "policy/model.h"

struct domain_set;

/*
 * Lower case, without a dot at the end, in `out` of HOST_TEXT_MAX bytes.
 * Labels of 1 to 63 letters, digits, '-' and '_', at most 253 bytes in all, no
 * address literal (R-TLS-4).  False: it is no name, out is not touched.
 */
bool domain_normalise(const char *text, size_t len, char *out);
/* The same, with "*." or "." in front allowed. */
bool domain_pattern(const char *text, size_t len, char *out);

struct domain_builder; /* collects patterns, any number, any order, twice */
struct domain_builder *domain_builder_new(void); /* NULL: no memory */
/* A pattern that domain_pattern() has made.  0 or -ENOMEM, also when all names
 * together have a gigabyte. */
int domain_builder_add(struct domain_builder *b, const char *pattern);
/* 0 or -ENOMEM; ends the builder in any case.  *out is NULL if there was no
 * pattern. */
int domain_builder_finish(struct domain_builder *b, struct domain_set **out);
void domain_builder_free(struct domain_builder *b);

/* Is the (normal) name in it?  NULL is the empty set. */
bool domain_set_has(const struct domain_set *s, const char *name);
/* Of different names: "a.example" and "*.a.example" are one. */
size_t domain_set_count(const struct domain_set *s);
size_t domain_set_bytes(const struct domain_set *s); /* of memory */
/* The same names in the same forms; what one entry covers of another is not
 * asked. */
bool domain_set_equal(const struct domain_set *a, const struct domain_set *b);
void domain_set_free(struct domain_set *s);

#endif
