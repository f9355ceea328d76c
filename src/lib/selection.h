/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selection.h - what a program wants intercepted, and as a configuration.
 *
 * Each setting is kept in the words in which it was said.  A configuration is
 * made from all of them by writing it as text and reading that with policy/:
 * one intercept with `deliver` for each listener.  So there is one grammar, and
 * one judge of it.
 */
#ifndef WL_LIB_SELECTION_H
#define WL_LIB_SELECTION_H

#include "base/err.h"
#include "base/str.h"
#include "engine/plan.h"

enum selection_setting {
	SETTING_ENGINE,
	SETTING_ON_FAILURE,
	SETTING_MARK,
	SETTING_TABLE,
	SETTING_FROM,
	SETTING_TCP,
	SETTING_UDP,
	SETTING_EXCEPT_SRC,
	SETTING_EXCEPT_DST,
	SETTING_EXCEPT_PORT,
	SETTING_COUNT
};

enum { SELECTION_VALUE_MAX = 65535 };

struct selection { /* zeros: nothing is said */
	char *values[SETTING_COUNT];
	/* family 0: none; the port is never 0 then */
	struct addr deliver[PROTO_COUNT][FAMILY_COUNT];
};

/* value NULL: no more said.  -ENOENT: no such name; -EINVAL, -ENOMEM. */
int selection_set(struct selection *s, const char *name, const char *value,
		  struct err *e);
/* A wildcard address stands for loopback, where engines look for it. */
void selection_deliver(struct selection *s, enum proto p,
		       const struct addr *at);
/* As a file for waylayd; what misses is left out. */
void selection_write(const struct selection *s, struct str *out);
/* NULL and e if something misses or does not fit. */
struct config *selection_config(const struct selection *s, struct err *e);
void selection_done(struct selection *s);

#endif
