/* SPDX-License-Identifier: Apache-2.0 */
/*
 * installed_test.c - trying, keeping and undoing, with engines of paper.
 *
 * The table of engines is this file's: it stands in for engine/engine.c,
 * which is therefore not linked.  What the engines are told is written down
 * as one line of words, and compared with that.
 */
#include "daemon/installed.h"

#include "engine/choose.h"
#include "net/netns_test.h"
#include "net/route.h"

#include <errno.h>
#include <stdio.h>

/* --- engines ------------------------------------------------------------- */

static struct {
	char told[512]; /* "probe a; install a; ..." */
	/* Names of those that fail in it, or "" */
	const char *no_probe, *no_install, *no_place;
	bool is_stuck;	   /* a cannot be removed */
	bool has_listener; /* as b was told last */
} world;

static void tell(const char *what, const char *who)
{
	size_t used = strlen(world.told);

	(void)snprintf(world.told + used, sizeof(world.told) - used, "%s%s %s",
		       used ? "; " : "", what, who); /* room enough */
}

static void expect_told(const char *words)
{
	assert_string_equal(world.told, words);
	world.told[0] = '\0';
}

static int check(const struct config *c, struct err *e)
{
	(void)c; /* unused */
	(void)e; /* unused */
	return 0;
}

static int install(const char *who, struct err *e)
{
	tell("install", who);
	return strstr(world.no_install, who)
		       ? err_set(e, EINVAL, "%s cannot attach", who)
		       : 0;
}

static int install_a(struct engine_run *run, const struct plan *p,
		     struct err *e)
{
	assert_ptr_equal(run, world.told); /* what new_a() gave */
	assert_non_null(p->config);
	return install("a", e);
}

static int install_b(struct engine_run *run, const struct plan *p,
		     struct err *e)
{
	assert_null(run);
	assert_non_null(p->config);
	world.has_listener = p->ports[0][0][0] && p->fds[0][0][0] >= 0;
	return install("b", e);
}

static struct engine_run *new_a(struct err *e)
{
	(void)e; /* unused */
	tell("new", "a");
	return (struct engine_run *)world.told; /* any pointer will do */
}

static void free_a(struct engine_run *run)
{
	assert_ptr_equal(run, world.told);
	tell("free", "a");
}

static int remove_a(struct err *e)
{
	tell("remove", "a");
	return world.is_stuck ? err_set(e, EBUSY, "a does not go") : 0;
}

static int remove_b(struct err *e)
{
	tell("remove", "b");
	return err_set(e, ENOENT, "cannot find the program `b`");
}

static const struct engine a = {
	.name = "a",
	.kind = ENGINE_EBPF,
	.check = check,
	.new = new_a,
	.free = free_a,
	.install = install_a,
	.remove = remove_a,
};

/* Keeps nothing, and its program is not there when it is to be removed. */
static const struct engine b = {
	.name = "b",
	.kind = ENGINE_NFT,
	.check = check,
	.install = install_b,
	.remove = remove_b,
};

static const struct engine *const engines[] = { &a, &b };

const struct engine *engine_at(size_t i)
{
	return i < 2 ? engines[i] : NULL;
}

int engine_probe(const struct engine *engine, struct err *e)
{
	tell("probe", engine->name);
	if (strstr(world.no_place, engine->name))
		return err_set(e, ENONET, "cannot be tried");
	return strstr(world.no_probe, engine->name)
		       ? err_set(e, EPERM, "the kernel has no %s", engine->name)
		       : 0;
}

const struct engine *engine_choose_by(choose_try_fn try, void *ctx,
				      const struct config *c, struct str *why,
				      struct err *e)
{
	struct choice how = { engines, 2, try, ctx };

	return choose_engine(&how, c, why, e);
}

/* --- a host -------------------------------------------------------------- */

static struct config automatic = {
	.engine = ENGINE_AUTO, .mark = 0x1000, .mask = 0x3000, .table = 7700
};
static struct config only_a, only_b;

struct host {
	struct nl nl;
	struct installed now, next;
	struct err e;
};

static void begin(struct host *h)
{
	*h = (struct host){ 0 };
	world.told[0] = '\0';
	world.no_probe = world.no_install = world.no_place = "";
	world.is_stuck = false;
	netns_begin();
	assert_int_equal(nl_open(&h->nl, NETLINK_ROUTE, 0), 0);
	only_a = only_b = automatic;
	only_a.engine = ENGINE_EBPF;
	only_b.engine = ENGINE_NFT;
}

static void end(struct host *h)
{
	installed_remove(&h->now, &h->nl);
	nl_close(&h->nl);
}

static int try(struct host *h, const struct config *c)
{
	struct plan plan = { .config = c,
			     .has_family = { true, false },
			     .ports[0][0][0] = 50000,
			     .fds[0][0][0] = STDIN_FILENO };

	return installed_try(&h->now, &h->nl, &plan, &h->next, &h->e);
}

static void keep(struct host *h)
{
	installed_keep(&h->now, &h->next, &h->nl);
}

static void start(struct host *h, const struct config *c)
{
	begin(h);
	assert_int_equal(try(h, c), 0);
	keep(h);
	world.told[0] = '\0';
}

/* --- the beginning ------------------------------------------------------- */

static void a_start_removes_what_others_left(void **state)
{
	struct host h;

	(void)state; /* unused */
	begin(&h);
	assert_int_equal(try(&h, &automatic), 0);
	expect_told("probe a; new a; install a");
	keep(&h);
	expect_told("remove b");
	assert_ptr_equal(h.now.engine, &a);
	assert_string_equal(str_get(&h.now.why), "a: works\nb: not needed\n");
	end(&h);
	expect_told("remove a; free a");
}

static void auto_goes_on_where_installing_fails(void **state)
{
	struct host h;

	(void)state; /* unused */
	begin(&h);
	world.no_install = "a";
	assert_int_equal(try(&h, &automatic), 0);
	expect_told("probe a; new a; install a; free a; probe b; install b");
	keep(&h);
	expect_told("remove a");
	assert_ptr_equal(h.now.engine, &b);
	assert_string_equal(str_get(&h.now.why),
			    "a: a cannot attach\nb: works\n");
	end(&h);
}

static void the_configured_one_fails_by_its_probe(void **state)
{
	struct host h;

	(void)state; /* unused */
	begin(&h);
	world.no_probe = "b";
	assert_int_equal(try(&h, &only_b), -EPERM);
	expect_told("probe b");
	assert_string_equal(h.e.text, "engine b: the kernel has no b");
	installed_undo(&h.now, &h.next, &h.nl);
	expect_told("remove a; remove b"); /* as before any start */
	assert_null(h.now.engine);
	end(&h);
	expect_told("");
}

static void where_nothing_can_be_tried_installing_tells(void **state)
{
	struct host h;

	(void)state; /* unused */
	begin(&h);
	world.no_place = "ab";
	assert_int_equal(try(&h, &only_b), 0);
	expect_told("probe b; install b");
	keep(&h);
	end(&h);
}

/* --- the end ------------------------------------------------------------- */

static void the_engine_is_told_that_nobody_listens(void **state)
{
	struct host h;

	(void)state; /* unused */
	start(&h, &only_b);
	assert_true(world.has_listener);
	installed_end_listening(&h.now);
	expect_told("install b");
	assert_false(world.has_listener);
	end(&h);
}

/* --- cleaning ------------------------------------------------------------ */

static void what_has_no_program_is_clean(void **state)
{
	struct host h;

	(void)state; /* unused */
	begin(&h);
	assert_int_equal(installed_clean(&h.nl, &h.e), 0);
	expect_told("remove a; remove b");
	end(&h);
}

static void what_does_not_go_keeps_no_other(void **state)
{
	struct host h;

	(void)state;	    /* unused */
	start(&h, &only_b); /* which has made routes, too */
	world.is_stuck = true;
	assert_int_equal(installed_clean(&h.nl, &h.e), -EBUSY);
	expect_told("remove a; remove b");
	assert_string_equal(h.e.text, "a does not go");
	assert_int_equal(route_has_local_default(&h.nl, AF_INET, 7700,
						 PLAN_PROTOCOL, &h.e),
			 0);
	end(&h);
}

/* --- a reload ------------------------------------------------------------ */

static void the_same_engine_replaces_its_own(void **state)
{
	struct host h;

	(void)state; /* unused */
	start(&h, &automatic);
	assert_int_equal(try(&h, &automatic), 0);
	keep(&h);
	expect_told("install a");
	end(&h);
}

static void another_engine_comes_before_the_old_one_goes(void **state)
{
	struct host h;

	(void)state; /* unused */
	start(&h, &only_a);
	assert_int_equal(try(&h, &only_b), 0);
	expect_told("probe b; install b");
	keep(&h);
	expect_told("remove a; free a");
	assert_ptr_equal(h.now.engine, &b);
	assert_int_equal(try(&h, &only_a), 0);
	keep(&h);
	expect_told("probe a; new a; install a; remove b");
	end(&h);
}

static void what_is_undone_leaves_the_old_engine(void **state)
{
	struct host h;

	(void)state; /* unused */
	start(&h, &only_b);
	assert_int_equal(try(&h, &only_a), 0);
	installed_undo(&h.now, &h.next, &h.nl);
	expect_told("probe a; new a; install a; remove a; free a");
	assert_ptr_equal(h.now.engine, &b);
	assert_ptr_equal(h.now.plan.config, &only_b);
	end(&h);
}

static void what_is_undone_gets_its_old_rules(void **state)
{
	struct host h;

	(void)state; /* unused */
	start(&h, &only_a);
	assert_int_equal(try(&h, &automatic), 0);
	installed_undo(&h.now, &h.next, &h.nl);
	expect_told("install a; install a");
	assert_ptr_equal(h.now.plan.config, &only_a);
	end(&h);
}

static void what_is_refused_changes_nothing(void **state)
{
	struct host h;

	(void)state; /* unused */
	start(&h, &only_a);
	world.no_install = "a";
	assert_int_equal(try(&h, &only_a), -EINVAL);
	installed_undo(&h.now, &h.next, &h.nl);
	expect_told("install a");
	assert_ptr_equal(h.now.engine, &a);
	end(&h);
}

static void the_running_engine_fails_and_auto_goes_on(void **state)
{
	struct host h;

	(void)state; /* unused */
	start(&h, &automatic);
	world.no_install = "a";
	assert_int_equal(try(&h, &automatic), 0);
	keep(&h);
	expect_told("install a; probe b; install b; remove a; free a");
	end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_removes_what_others_left),
		cmocka_unit_test(auto_goes_on_where_installing_fails),
		cmocka_unit_test(the_configured_one_fails_by_its_probe),
		cmocka_unit_test(where_nothing_can_be_tried_installing_tells),
		cmocka_unit_test(the_engine_is_told_that_nobody_listens),
		cmocka_unit_test(what_has_no_program_is_clean),
		cmocka_unit_test(what_does_not_go_keeps_no_other),
		cmocka_unit_test(the_same_engine_replaces_its_own),
		cmocka_unit_test(another_engine_comes_before_the_old_one_goes),
		cmocka_unit_test(what_is_undone_leaves_the_old_engine),
		cmocka_unit_test(what_is_undone_gets_its_old_rules),
		cmocka_unit_test(what_is_refused_changes_nothing),
		cmocka_unit_test(the_running_engine_fails_and_auto_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
