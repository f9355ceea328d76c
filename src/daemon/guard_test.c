/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_test.c - when the guard looks, and what it does then.
 *
 * With an engine of paper, in a network of its own.  Each test turns the loop
 * until what it waits for has happened; what never happens ends with the
 * test's time.
 */
#include "daemon/guard.h"

#include "base/child.h"
#include "net/link.h"
#include "net/netns_test.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <signal.h>

/* --- an engine ----------------------------------------------------------- */

enum { ANSWERS_MAX = 8 };

struct engine_run {
	struct loop *loop;
	struct guard *guard;
	int intact[ANSWERS_MAX];    /* what is_intact() returns, in order */
	int installed[ANSWERS_MAX]; /* and install() */
	unsigned looks, installs;
	unsigned looks_wanted; /* then the loop ends */
	char culprit[sizeof(((struct guard *)0)->culprit)];
};

static int answer(const int answers[ANSWERS_MAX], unsigned number,
		  struct err *e)
{
	int is = number < ANSWERS_MAX ? answers[number] : 1;

	return is < 0 ? err_set(e, -is, "no") : is;
}

static int is_intact(struct engine_run *run, struct err *e)
{
	int is = answer(run->intact, run->looks++, e);

	memcpy(run->culprit, run->guard->culprit, sizeof(run->culprit));
	if (run->looks == run->looks_wanted)
		loop_stop(run->loop);
	return is;
}

static int install(struct engine_run *run, const struct plan *p, struct err *e)
{
	(void)p; /* unused */
	return answer(run->installed, run->installs++, e);
}

static const struct engine polled = {
	.name = "polled",
	.is_intact = is_intact,
	.install = install,
};

static const struct engine told = {
	.name = "told",
	.event_groups = 1 << (NFNLGRP_NFTABLES - 1),
	.is_intact = is_intact,
	.install = install,
};

/* --- a host -------------------------------------------------------------- */

struct host {
	struct loop loop;
	struct guard guard;
	struct engine_run run;
	struct installed in;
	struct intercept intercept;
	struct config config;
	unsigned links_seen;
	bool had_settled; /* when links were seen */
};

static void see_links(void *ctx)
{
	struct host *h = ctx;

	h->links_seen++;
	h->had_settled = h->guard.in && !timer_is_set(&h->guard.settle);
	loop_stop(&h->loop);
}

static void begin(struct host *h, const struct engine *engine)
{
	struct err e = { 0 };

	*h = (struct host){ .in.engine = engine,
			    .in.run = &h->run,
			    .in.plan.config = &h->config,
			    .config.intercepts = &h->intercept,
			    .config.intercept_count = 1 };
	netns_begin();
	assert_int_equal(loop_open(&h->loop), 0);
	if (guard_open(&h->guard, &h->loop, see_links, h, &e))
		fail_msg("%s", e.text);
	h->guard.poll_ms = 1;
	h->run.loop = &h->loop;
	h->run.guard = &h->guard;
	guard_set(&h->guard, &h->in);
}

static void end(struct host *h)
{
	guard_close(&h->guard);
	loop_close(&h->loop);
}

static void turn_until_looked(struct host *h, unsigned looks)
{
	h->run.looks_wanted = looks;
	loop_run(&h->loop);
	assert_int_equal(h->run.looks, looks);
}

/* --- the engine's part --------------------------------------------------- */

static void what_nobody_tells_of_is_asked_for(void **state)
{
	struct host h;

	(void)state; /* unused */
	begin(&h, &polled);
	h.run = (struct engine_run){ .loop = &h.loop,
				     .guard = &h.guard,
				     .intact = { 1, 0, 1, 1 } };
	turn_until_looked(&h, 4);
	assert_int_equal(h.run.installs, 1);
	assert_int_equal(h.guard.repairs, 1);
	guard_set(&h.guard, NULL);
	assert_false(timer_is_set(&h.guard.poll));
	end(&h);
}

static void a_repair_that_fails_is_tried_again(void **state)
{
	struct host h;

	(void)state; /* unused */
	begin(&h, &polled);
	h.run = (struct engine_run){ .loop = &h.loop,
				     .guard = &h.guard,
				     .intact = { -EIO, 0, 0, 0, 1 },
				     .installed = { -EPERM, -EPERM, 0 } };
	turn_until_looked(&h, 5);
	assert_int_equal(h.run.installs, 3);
	assert_int_equal(h.guard.repairs, 1);
	end(&h);
}

static void run_nft(const char *script)
{
	const char *const argv[] = { "nft", "-f", "-", NULL };
	struct str complaint = { 0 };
	int status = child_run(argv, script, NULL, &complaint, NULL);

	str_done(&complaint);
	if (status) {
		print_message("skipped: nft does not work here\n");
		skip();
	}
}

static void what_the_kernel_tells_of_is_not_asked_for(void **state)
{
	struct host h;

	(void)state; /* unused */
	begin(&h, &told);
	assert_false(timer_is_set(&h.guard.poll));
	run_nft("add table inet theirs\n");
	turn_until_looked(&h, 1);
	assert_int_equal(strncmp(h.run.culprit, "nft (pid ", 9), 0);
	assert_int_equal(h.guard.repairs, 1);
	end(&h);
}

static void cgroups_are_asked_for_all_the_same(void **state)
{
	struct host h;

	(void)state; /* unused */
	begin(&h, &told);
	h.intercept.except_cgroup_count = 1;
	guard_set(&h.guard, &h.in);
	h.run.intact[0] = 1;
	turn_until_looked(&h, 1);
	assert_int_equal(h.guard.event_groups, told.event_groups);
	end(&h);
}

static void a_change_of_engine_changes_the_way(void **state)
{
	struct host h;

	(void)state; /* unused */
	begin(&h, &told);
	h.in.engine = &polled;
	guard_set(&h.guard, &h.in);
	assert_int_equal(h.guard.event_groups, 0);
	turn_until_looked(&h, 1);
	h.in.engine = &told;
	guard_set(&h.guard, &h.in);
	assert_false(timer_is_set(&h.guard.poll));
	assert_int_equal(h.guard.event_groups, told.event_groups);
	end(&h);
}

/* --- interfaces and addresses -------------------------------------------- */

static void an_interface_is_told_of_at_once(void **state)
{
	int here = -1;
	struct err e = { 0 };
	struct host h;

	(void)state; /* unused */
	begin(&h, &told);
	here = netns_open();
	assert_int_equal(link_add_veth(&h.guard.ask, "a", "b", here, &e), 0);
	loop_run(&h.loop);
	assert_int_equal(h.links_seen, 1);
	assert_int_equal(h.run.looks, 0); /* not only after the settle time */
	close(here);
	end(&h);
}

static void addresses_are_told_of_together(void **state)
{
	struct addr a = { .family = AF_INET, .ip = { 192, 0, 2, 1 } };
	struct err e = { 0 };
	struct host h;

	(void)state; /* unused */
	begin(&h, &told);
	for (int i = 0; i < 3; i++, a.ip[3]++)
		assert_int_equal(link_add_addr(&h.guard.ask, "lo", &a, 32, &e),
				 0);
	loop_run(&h.loop);
	assert_int_equal(h.links_seen, 1);
	assert_true(h.had_settled);
	end(&h);
}

/* Here `ip` has no new address, the kernel has a new way to be addressed. */
static void a_local_route_is_told_of(void **state)
{
	const char *const argv[] = { "ip",	     "route", "add", "local",
				     "192.0.2.0/24", "dev",   "lo",  "table",
				     "local",	     NULL };
	struct host h;

	(void)state; /* unused */
	begin(&h, &told);
	assert_int_equal(child_run(argv, NULL, NULL, NULL, NULL), 0);
	loop_run(&h.loop);
	assert_int_equal(h.links_seen, 1);
	end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_tells_of_is_asked_for),
		cmocka_unit_test(a_repair_that_fails_is_tried_again),
		cmocka_unit_test(what_the_kernel_tells_of_is_not_asked_for),
		cmocka_unit_test(cgroups_are_asked_for_all_the_same),
		cmocka_unit_test(a_change_of_engine_changes_the_way),
		cmocka_unit_test(an_interface_is_told_of_at_once),
		cmocka_unit_test(addresses_are_told_of_together),
		cmocka_unit_test(a_local_route_is_told_of),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
