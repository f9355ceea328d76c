/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_senders.c - who sends; see bpf_senders.h.
 */
#include "engine/bpf_senders.h"

#include <errno.h>
#include <mntent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CGROUP_PATH_MAX = 1024, PASSWD_BYTES = 4096 };

/* Take the selections of an intercept out of bits. */
static void forbid(const struct selections *s, size_t intercept,
		   struct wl_bits *bits)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->of[i].intercept == intercept)
			bits->word[i / 64] &= ~((__u64)1 << i % 64);
}

/* --- users --------------------------------------------------------------- */

static int find_uid(const char *name, uint32_t *uid, struct err *e)
{
	struct passwd entry, *found = NULL;
	char buf[PASSWD_BYTES], *end;
	unsigned long number = strtoul(name, &end, 10);
	int error;

	if (*name && !*end) {
		*uid = (uint32_t)number; /* the grammar has checked it */
		return 0;
	}
	error = getpwnam_r(name, &entry, buf, sizeof(buf), &found);
	if (error)
		return err_errno(e, error, "cannot look up user %s", name);
	if (!found)
		return err_set(e, ENOENT,
			       "`except user %s`: this host has no such user",
			       name);
	*uid = found->pw_uid;
	return 0;
}

static struct bpf_user *add_user(struct bpf_senders *out, uint32_t uid)
{
	struct bpf_user *users;

	for (size_t i = 0; i < out->user_count; i++)
		if (out->users[i].uid == uid)
			return &out->users[i];
	users = reallocarray(out->users, out->user_count + 1, sizeof(*users));
	if (!users)
		return NULL;
	out->users = users;
	users += out->user_count++;
	users->uid = uid;
	memset(&users->bits, 0xff, sizeof(users->bits));
	return users;
}

static int except_user(const struct selections *s, size_t intercept,
		       const char *name, struct bpf_senders *out, struct err *e)
{
	struct bpf_user *user;
	uint32_t uid;
	int error = find_uid(name, &uid, e);

	if (error)
		return error;
	user = add_user(out, uid);
	if (!user)
		return err_set(e, ENOMEM, "no memory for users");
	forbid(s, intercept, &user->bits);
	return 0;
}

/* --- cgroups ------------------------------------------------------------- */

static bool find_cgroup_root(char *out, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent entry;
	char line[4096];
	bool found = false;

	while (mounts && !found &&
	       getmntent_r(mounts, &entry, line, sizeof(line)) != NULL)
		if (strcmp(entry.mnt_type, "cgroup2") == 0)
			found = (size_t)snprintf(out, size, "%s",
						 entry.mnt_dir) < size;
	if (mounts)
		(void)endmntent(mounts); /* always 1 */
	return found;
}

/* The id of a cgroup is the number of its directory's inode; 0: none. */
static uint64_t find_cgroup(const char *path)
{
	char root[CGROUP_PATH_MAX / 2], full[CGROUP_PATH_MAX];
	struct stat st;

	if (!find_cgroup_root(root, sizeof(root)))
		return 0;
	(void)snprintf(full, sizeof(full), "%s/%.400s", root, path); /* fits */
	return stat(full, &st) < 0 ? 0 : st.st_ino;
}

static uint32_t level_of(const char *path)
{
	uint32_t level = 1;

	for (; *path; path++)
		level += *path == '/';
	return level;
}

static int except_cgroup(const struct selections *s, size_t intercept,
			 const char *path, struct bpf_senders *out,
			 struct err *e)
{
	uint64_t id = find_cgroup(path);
	size_t i = 0;

	if (!id)
		return 0;
	while (i < out->cgroup_count && out->cgroups[i].id != id)
		i++;
	if (i == WL_CGROUPS_MAX)
		return err_set(e, E2BIG,
			       "engine ebpf knows at most %d cgroups in "
			       "`except cgroup`",
			       WL_CGROUPS_MAX);
	if (i == out->cgroup_count) {
		out->cgroups[i] =
			(struct wl_cgroup){ .id = id, .level = level_of(path) };
		memset(&out->cgroups[i].bits, 0xff, sizeof(struct wl_bits));
		out->cgroup_count++;
	}
	forbid(s, intercept, &out->cgroups[i].bits);
	return 0;
}

/* --- all of them --------------------------------------------------------- */

static int add_excepts(const struct selections *s, size_t intercept,
		       struct bpf_senders *out, struct err *e)
{
	const struct intercept *it = &s->config->intercepts[intercept];
	int error = 0;

	for (size_t i = 0; i < it->except_user_count && !error; i++)
		error = except_user(s, intercept, it->except_users[i], out, e);
	for (size_t i = 0; i < it->except_cgroup_count && !error; i++)
		error = except_cgroup(s, intercept, it->except_cgroups[i], out,
				      e);
	return error;
}

int bpf_senders_make(const struct selections *s, struct bpf_senders *out,
		     struct err *e)
{
	struct bpf_senders made = { 0 };
	int error = 0;

	for (size_t i = 0; i < s->config->intercept_count && !error; i++)
		error = add_excepts(s, i, &made, e);
	if (error)
		bpf_senders_done(&made);
	else
		*out = made;
	return error;
}

void bpf_senders_done(struct bpf_senders *s)
{
	free(s->users);
	*s = (struct bpf_senders){ 0 };
}

bool bpf_senders_changed(const struct selections *s,
			 const struct bpf_senders *then)
{
	struct bpf_senders now;
	bool has_changed;

	if (bpf_senders_make(s, &now, NULL) < 0)
		return false; /* a user that has gone is no reason */
	has_changed = now.cgroup_count != then->cgroup_count ||
		      memcmp(now.cgroups, then->cgroups, sizeof(now.cgroups));
	bpf_senders_done(&now);
	return has_changed;
}
