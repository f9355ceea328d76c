/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_owner.c - users and cgroups as this host knows them; see nft_text.h.
 *
 * nft(8) turns names into numbers when it loads a rule: a user by passwd(5),
 * a cgroup by its directory below /sys/fs/cgroup, whose inode number is what
 * the kernel compares.
 */
#include "engine/nft_text.h"

#include <errno.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

bool nft_is_user_number(const char *user)
{
	return !user[strspn(user, "0123456789")];
}

int nft_check_users(const struct config *c, struct err *e)
{
	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *it = &c->intercepts[i];

		for (size_t n = 0; n < it->except_user_count; n++) {
			const char *user = it->except_users[n];

			if (!nft_is_user_number(user) && !getpwnam(user))
				return err_set(e, ENOENT,
					       "intercept %s excepts user %s, "
					       "and this host has no such user",
					       it->name, user);
		}
	}
	return 0;
}

/* Where cgroup2 is, below /sys/fs/cgroup; NULL: not where nft looks. */
static const char *cgroup_root(void)
{
	struct statfs fs;

	if (!statfs("/sys/fs/cgroup", &fs) && fs.f_type == CGROUP2_SUPER_MAGIC)
		return "";
	if (!statfs("/sys/fs/cgroup/unified", &fs) &&
	    fs.f_type == CGROUP2_SUPER_MAGIC)
		return "unified/"; /* beside version 1, as systemd mounts it */
	return NULL;
}

bool nft_find_cgroup(const char *path, struct nft_cgroup *out)
{
	static const char base[] = "/sys/fs/cgroup/";
	const char *root = cgroup_root();
	char whole[sizeof(base) + NFT_CGROUP_MAX];
	struct nft_cgroup g = { .level = 1 };
	struct stat st;

	if (!root || snprintf(g.path, sizeof(g.path), "%s%s", root, path) >=
			     (int)sizeof(g.path))
		return false;
	(void)snprintf(whole, sizeof(whole), "%s%s", base, g.path); /* fits */
	if (stat(whole, &st) < 0 || !S_ISDIR(st.st_mode))
		return false;
	for (const char *at = path; (at = strchr(at, '/')); at++)
		g.level++;
	g.id = st.st_ino;
	*out = g;
	return true;
}

void nft_list_cgroups(const struct config *c, struct str *out)
{
	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *it = &c->intercepts[i];

		for (size_t n = 0; n < it->except_cgroup_count; n++)
			str_addf(out, "%s\n", it->except_cgroups[n]);
	}
}

/* One id in a line, 0 for what is not there. */
void nft_identify_cgroups(const char *list, struct str *out)
{
	char path[NFT_CGROUP_MAX];
	struct nft_cgroup g;

	for (size_t len; *list; list += len + 1) {
		len = strcspn(list, "\n");
		(void)snprintf(path, sizeof(path), "%.*s", (int)len, list);
		g.id = 0;
		(void)nft_find_cgroup(path, &g); /* not there: 0 */
		str_addf(out, "%llu\n", (unsigned long long)g.id);
	}
}

bool nft_are_cgroups_same(const char *list, const char *ids)
{
	struct str now = { 0 };
	bool are_same;

	nft_identify_cgroups(list, &now);
	are_same = !strcmp(str_get(&now), ids);
	str_done(&now);
	return are_same;
}
