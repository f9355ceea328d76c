/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_owner_test.c - users and cgroups that come and go.
 *
 * That an excepted user goes direct is in nft_host_test.c.
 */
#include "engine/host_world_test.h"
#include "engine/nft.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static void test_unknown_user(void **state)
{
	static const char text[] = "intercept own { from host; tcp any;"
				   " except user no-such-user }";
	struct messages m = { .errors = 0 };
	struct err e = { 0 };
	struct world w;

	(void)state; /* unused */
	world_begin(&w, &engine_nft);
	world_load(&w, "intercept own { from host; tcp any }");
	w.plan.config = config_parse("t", text, strlen(text), &m);
	assert_non_null(w.plan.config);
	messages_done(&m);
	assert_int_equal(w.engine->install(w.run, &w.plan, &e), -ENOENT);
	assert_non_null(strstr(e.text, "user no-such-user"));
	assert_int_equal(w.engine->is_intact(w.run, &e), 1);
	config_free((struct config *)w.plan.config);
	world_end(&w);
}

static const char *cgroup_root(void)
{
	static const char *const roots[] = { "/sys/fs/cgroup",
					     "/sys/fs/cgroup/unified" };
	struct statfs fs;

	for (size_t i = 0; i < 2; i++)
		if (!statfs(roots[i], &fs) &&
		    fs.f_type == CGROUP2_SUPER_MAGIC && !access(roots[i], W_OK))
			return roots[i];
	print_message("skipped: there is no cgroup2\n");
	skip();
	return NULL;
}

static void join(const char *cgroup)
{
	char path[128], pid[16];
	int len = snprintf(pid, sizeof(pid), "%d", getpid()), fd;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, pid, (size_t)len), len);
	close(fd);
}

/* From within a cgroup below the excepted one. */
static void expect_excepted(struct world *w, const char *parent,
			    const char *cgroup)
{
	struct addr src;
	struct client c;

	join(cgroup);
	c.fd = client_open(FAMILY_V4, PROTO_TCP, 0, NULL);
	join(parent);
	c = client_speak(c.fd, FAMILY_V4, PROTO_TCP, 80);
	assert_true(wan_has(w, &c, &src));
	close(c.fd);
}

static void test_cgroup(void **state)
{
	const char *root = cgroup_root();
	char text[160], parent[80], child[96];
	struct err e = { 0 };
	struct world w;

	(void)state; /* unused */
	world_begin(&w, &engine_nft);
	(void)snprintf(parent, sizeof(parent), "%s/waylay%d", root, getpid());
	(void)snprintf(child, sizeof(child), "%s/child", parent);
	(void)snprintf(text, sizeof(text),
		       "intercept own { from host; tcp any; except cgroup "
		       "waylay%d, other%d }",
		       getpid(), getpid());
	world_load(&w, text);
	assert_int_equal(w.engine->is_intact(w.run, &e), 1);
	assert_false(has_gone_direct(&w, FAMILY_V4, PROTO_TCP));
	assert_int_equal(mkdir(parent, 0755), 0);
	assert_int_equal(mkdir(child, 0755), 0);
	assert_int_equal(w.engine->is_intact(w.run, &e), 0);
	world_load(&w, text);
	assert_int_equal(w.engine->is_intact(w.run, &e), 1);
	expect_excepted(&w, root, child);
	assert_false(has_gone_direct(&w, FAMILY_V4, PROTO_TCP));
	assert_int_equal(rmdir(child), 0);
	assert_int_equal(rmdir(parent), 0);
	assert_int_equal(w.engine->is_intact(w.run, &e), 0);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_user),
		cmocka_unit_test(test_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
