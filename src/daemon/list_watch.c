/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_watch.c - the files of lists with `reload on-change`; see
 * list_watch.h.
 */
#include "daemon/list_watch.h"

#include <errno.h>
#include <stdlib.h>

static size_t count_files(const struct config *c)
{
	size_t count = 0;

	for (size_t i = 0; i < c->list_count; i++)
		if (c->lists[i].is_reloaded)
			count += c->lists[i].file_count;
	return count;
}

int list_watch_begin(struct file_watch *w, const struct config *c,
		     const struct timespec *since)
{
	size_t most = c ? count_files(c) : 0;
	struct file_watch_set s = { 0 };
	const char **paths;

	if (!most) {
		file_watch_close(w);
		return 0;
	}
	paths = calloc(most, sizeof(*paths));
	if (!paths)
		return -ENOMEM;
	for (size_t i = 0; i < c->list_count; i++)
		for (size_t n = 0; n < c->lists[i].file_count; n++)
			if (c->lists[i].is_reloaded)
				paths[s.count++] = c->lists[i].files[n].path;
	s.paths = paths;
	s.since = *since;
	file_watch_begin(w, &s);
	free(paths);
	return 0;
}
