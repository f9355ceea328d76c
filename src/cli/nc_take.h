/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_take.h - the interception that `waylay nc` needs, as long as it runs.
 *
 * A guard, a child that does nothing else, waits for our end: if we are killed
 * it removes what the library has left, also with an engine that cannot see
 * whether somebody listens.  It is made before anything is installed, so that
 * it does not hold the library's lock.
 */
#ifndef WL_CLI_NC_TAKE_H
#define WL_CLI_NC_TAKE_H

#include "base/err.h"
#include "cli/nc_options.h"

#include <waylay.h>

struct nc_take {
	struct waylay_intercept *intercept; /* NULL: none */
	int guard_fd;			    /* its end tells the guard; or -1 */
	int guard_pid;			    /* 0: none */
	bool is_verbose;
	bool has_complained;
};

#define NC_TAKE_NONE ((struct nc_take){ .guard_fd = -1 })

static inline bool nc_take_is_there(const struct nc_take *t)
{
	return t->intercept;
}

/* -EINVAL: a value of --from, --take, --except-dst or --engine is wrong. */
int nc_take_judge(const struct nc_options *o, struct err *e);
/* What --from and --take say, brought to these listeners. */
int nc_take_traffic(struct nc_take *t, const struct nc_options *o,
		    const int *listeners, size_t count, struct err *e);
/* Nothing but the answers to a foreign address, which come in by --from. */
int nc_take_answers(struct nc_take *t, const struct nc_options *o,
		    struct err *e);
/* Put back what somebody else took away; says so. */
void nc_take_check(struct nc_take *t);
/* Take away all of it.  A failure is said; -errno. */
int nc_take_remove(struct nc_take *t, struct err *e);

#endif
