/* SPDX-License-Identifier: Apache-2.0 */
/*
 * naive.h - what eval.h promises, said a second time for tests.
 *
 * Written from the words of the manual, slow and without a shared line, so
 * that a mistake in eval.c is not made twice.  Knows nothing of the addresses
 * that are never intercepted: that order is a table in eval_test.c, and
 * random_test.c adds it to what it draws.
 */
#ifndef WL_POLICY_NAIVE_H
#define WL_POLICY_NAIVE_H

#include "policy/eval.h"

/* For packets with ordinary addresses of other hosts. */
struct verdict naive_verdict(const struct config *c, const struct facts *f);
/* eval_flow(); the text's own names only, not those of files. */
int naive_flow(const struct config *c, const struct flow_facts *f,
	       bool *is_open);

#endif
