/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.c - find waylayd; see find.h.
 */
#include "cli/find.h"

#include "base/err.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path, X_OK) == 0;
}

/* `dir_len` bytes of dir, then `rest`. */
static bool try_path(const char *dir, size_t dir_len, const char *rest,
		     char out[PATH_MAX])
{
	char path[PATH_MAX];
	int len =
		snprintf(path, sizeof(path), "%.*s%s", (int)dir_len, dir, rest);

	if (len < 0 || (size_t)len >= sizeof(path) || !is_program(path))
		return false;
	memcpy(out, path, (size_t)len + 1);
	return true;
}

static bool try_beside(char out[PATH_MAX])
{
	static const char *const places[] = { "/waylayd", "/../sbin/waylayd",
					      "/../daemon/waylayd" };
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *slash;

	if (len <= 0)
		return false;
	self[len] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(*places); i++)
		if (try_path(self, (size_t)(slash - self), places[i], out))
			return true;
	return false;
}

/* Empty parts of PATH mean the working directory; those are left out. */
static bool try_search(const char *dirs, char out[PATH_MAX])
{
	while (dirs && *dirs) {
		size_t len = strcspn(dirs, ":");

		if (len && try_path(dirs, len, "/waylayd", out))
			return true;
		dirs += len + (dirs[len] == ':');
	}
	return false;
}

int find_waylayd(char out[PATH_MAX], struct err *e)
{
	if (try_beside(out) || try_search(getenv("PATH"), out))
		return 0;
	return err_set(e, ENOENT,
		       "cannot find waylayd beside waylay or in "
		       "PATH (is it installed?)");
}
