/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - from our errors to those that a program reads.
 *
 * Inside the library a failure is a struct err, as everywhere; what leaves it
 * is a struct waylay_error of the length that the caller knows.
 */
#ifndef WL_LIB_ERROR_H
#define WL_LIB_ERROR_H

#include "base/err.h"

struct waylay_error;

/* Fill out (NULL and too short are allowed) from e; returns -e->code. */
int error_tell(struct waylay_error *out, const struct err *e);
/* error_tell() if result is negative; returns result. */
int error_pass(struct waylay_error *out, const struct err *e, int result);

#endif
