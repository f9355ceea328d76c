/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpffs_test.h - a view of the file system where bpffs is where a test wants.
 *
 * Mounts are those of a namespace of this process, and go with it; directories
 * for them are on a tmpfs of its own.
 */
#ifndef WL_ENGINE_BPFFS_TEST_H
#define WL_ENGINE_BPFFS_TEST_H

#include "net/netns_test.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define BPFFS_USUAL	"/sys/fs/bpf"
#define BPFFS_ELSEWHERE "/mnt/bpf here" /* a blank is escaped in mounts */

/* One that is mounted, or false. */
static inline bool bpffs_find(char *out, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent entry;
	char line[4096];
	bool found = false;

	assert_non_null(mounts);
	while (getmntent_r(mounts, &entry, line, sizeof(line)) && !found) {
		found = strcmp(entry.mnt_type, "bpf") == 0;
		(void)snprintf(out, size, "%s", entry.mnt_dir);
	}
	(void)endmntent(mounts); /* always 1 */
	return found;
}

/* From now on there is none, and nothing that is mounted leaks. */
static inline void bpffs_begin(void)
{
	char dir[256];

	if (unshare(CLONE_NEWNS) < 0) {
		print_message("skipped: cannot make a mount namespace\n");
		skip();
	}
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL),
			 0);
	while (bpffs_find(dir, sizeof(dir)))
		assert_int_equal(umount2(dir, MNT_DETACH), 0);
	assert_int_equal(mount("none", "/mnt", "tmpfs", 0, NULL), 0);
	assert_int_equal(mkdir(BPFFS_ELSEWHERE, 0700), 0);
}

static inline void bpffs_mount(const char *at)
{
	if (mount("bpf", at, "bpf", 0, NULL) == 0)
		return;
	print_message("skipped: cannot mount a bpffs: %s\n", strerror(errno));
	skip();
}

#endif
