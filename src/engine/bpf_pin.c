/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_pin.c - what must live on; see bpf_pin.h.
 */
#include "engine/bpf_pin.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usual_mount[] = "/sys/fs/bpf";

/* In front of the names; the engine's begin with none of the others. */
static const char *const owner_words[BPF_PIN_OWNERS] = {
	[BPF_PIN_ENGINE] = "",
	[BPF_PIN_CUT] = "cut-",
};

/* --- the directory ------------------------------------------------------- */

/* A later mount of the usual place hides an earlier one, and wins anyhow. */
static bool find_bpffs(char *out, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent entry;
	char line[4096];
	bool found = false;

	while (mounts &&
	       getmntent_r(mounts, &entry, line, sizeof(line)) != NULL) {
		if (strcmp(entry.mnt_type, "bpf") != 0 ||
		    access(entry.mnt_dir, W_OK) != 0)
			continue;
		if (found && strcmp(entry.mnt_dir, usual_mount) != 0)
			continue;
		found = (size_t)snprintf(out, size, "%s", entry.mnt_dir) < size;
	}
	if (mounts)
		(void)endmntent(mounts); /* always 1 */
	return found;
}

/* The directory's name, and that of its parent. */
static int make_names(char *parent, char *dir)
{
	char bpffs[BPF_PIN_PATH_MAX / 2];
	struct stat ns;

	if (!find_bpffs(bpffs, sizeof(bpffs)))
		return -ENODEV;
	if (stat("/proc/self/ns/net", &ns) < 0)
		return -errno;
	(void)snprintf(parent, BPF_PIN_PATH_MAX, "%s/waylay", bpffs);
	(void)snprintf(dir, BPF_PIN_PATH_MAX, "%s/waylay/%llu", bpffs,
		       (unsigned long long)ns.st_ino); /* both fit */
	return 0;
}

static int make_dir(const char *path)
{
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int bpf_pins_open(struct bpf_pins *p, struct err *e)
{
	char parent[BPF_PIN_PATH_MAX], dir[BPF_PIN_PATH_MAX];
	int error = make_names(parent, dir);

	if (error == -ENODEV)
		return err_set(e, ENODEV,
			       "no bpffs is mounted, so nothing can outlive "
			       "this process; mount one: mount -t bpf bpf %s",
			       usual_mount);
	if (!error)
		error = make_dir(parent);
	if (!error)
		error = make_dir(dir);
	if (error)
		return err_errno(e, -error, "cannot make a directory for pins");
	memcpy(p->dir, dir, sizeof(dir));
	return 0;
}

int bpf_pins_find(struct bpf_pins *p)
{
	char parent[BPF_PIN_PATH_MAX], dir[BPF_PIN_PATH_MAX];
	int error = make_names(parent, dir);

	if (error)
		return error;
	if (access(dir, F_OK) < 0)
		return -ENOENT;
	memcpy(p->dir, dir, sizeof(dir));
	return 0;
}

/* --- names --------------------------------------------------------------- */

static bool make_path(const struct bpf_pins *p, const char *name,
		      char path[2 * BPF_PIN_PATH_MAX])
{
	(void)snprintf(path, 2 * BPF_PIN_PATH_MAX, "%s/%s%.128s", p->dir,
		       owner_words[p->owner], name); /* fits */
	return p->dir[0];
}

int bpf_pin_put(const struct bpf_pins *p, const char *name, int fd,
		struct err *e)
{
	char path[2 * BPF_PIN_PATH_MAX];

	if (!make_path(p, name, path))
		return 0;
	(void)unlink(path); /* usually there is none */
	if (bpf_obj_pin(fd, path) < 0)
		return err_errno(e, errno, "cannot pin %s", path);
	return 0;
}

int bpf_pin_get(const struct bpf_pins *p, const char *name)
{
	char path[2 * BPF_PIN_PATH_MAX];
	int fd;

	if (!make_path(p, name, path))
		return -ENOENT;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

bool bpf_pin_has(const struct bpf_pins *p, const char *name)
{
	char path[2 * BPF_PIN_PATH_MAX];

	return make_path(p, name, path) && access(path, F_OK) == 0;
}

void bpf_pin_drop(const struct bpf_pins *p, const char *name)
{
	char path[2 * BPF_PIN_PATH_MAX];

	if (make_path(p, name, path))
		(void)unlink(path); /* gone is gone */
}

/* --- all of them --------------------------------------------------------- */

static enum bpf_pin_owner owner_of(const char *file)
{
	for (int i = BPF_PIN_OWNERS - 1; i > BPF_PIN_ENGINE; i--)
		if (!strncmp(file, owner_words[i], strlen(owner_words[i])))
			return i;
	return BPF_PIN_ENGINE;
}

void bpf_pins_each(const struct bpf_pins *p, bpf_pin_fn fn, void *ctx)
{
	DIR *d = p->dir[0] ? opendir(p->dir) : NULL;
	struct dirent *entry;

	while (d && (entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.' &&
		    owner_of(entry->d_name) == p->owner)
			fn(ctx, entry->d_name + strlen(owner_words[p->owner]));
	if (d)
		(void)closedir(d); /* fails only for a bad one */
}

static void drop(void *ctx, const char *name)
{
	bpf_pin_drop(ctx, name);
}

static void note(void *ctx, const char *name)
{
	(void)name; /* any */
	*(bool *)ctx = true;
}

static bool has_other_owner(const struct bpf_pins *p)
{
	struct bpf_pins other = *p;
	bool has = false;

	for (other.owner = 0; other.owner < BPF_PIN_OWNERS; other.owner++)
		if (other.owner != p->owner)
			bpf_pins_each(&other, note, &has);
	return has;
}

int bpf_pins_remove(struct bpf_pins *p, struct err *e)
{
	bool has_other;
	char *slash;

	if (!p->dir[0])
		return 0;
	bpf_pins_each(p, drop, p);
	has_other = has_other_owner(p);
	if (!has_other && rmdir(p->dir) < 0 && errno != ENOENT)
		return err_errno(e, errno, "cannot remove %s", p->dir);
	slash = strrchr(p->dir, '/');
	*slash = '\0';
	(void)rmdir(p->dir); /* unless it is used */
	p->dir[0] = '\0';
	return 0;
}
