/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_watch.h - the files of lists with `reload on-change`.
 */
#ifndef WL_DAEMON_LIST_WATCH_H
#define WL_DAEMON_LIST_WATCH_H

#include "daemon/file_watch.h"
#include "policy/model.h"

/* Watch those of c, which was read after `since`; see file_watch.h.  NULL:
 * none.  0 or -ENOMEM. */
int list_watch_begin(struct file_watch *w, const struct config *c,
		     const struct timespec *since);

#endif
