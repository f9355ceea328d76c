/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery.h - does a program listen where an intercept delivers?
 *
 * Asked once, when a configuration comes into force, and only where it says
 * `require-listener`.
 */
#ifndef WL_DAEMON_DELIVERY_H
#define WL_DAEMON_DELIVERY_H

#include "base/err.h"
#include "policy/model.h"

/* 0, or -ENOTCONN with the first place where none does. */
int delivery_check(const struct config *c, struct err *e);

#endif
