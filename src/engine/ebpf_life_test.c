/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_life_test.c - what the ebpf engine leaves, inherits, notices, removes.
 *
 * No traffic: that is equal_test.c's.  Each test is one life in a network and
 * a mount namespace of its own; with pins, unless it says otherwise.
 *
 *	lan0 ---- veth ---- lan1	the intercept names lan0
 */
#include "engine/ebpf.h"

#include "engine/bpffs_test.h"
#include "engine/random_config_test.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <limits.h>

enum {
	TCX_INGRESS = 46, /* older headers lack it */
};

struct life {
	struct plan plan;
	struct engine_run *run;
	struct bpf_pins pins;
};

/* --- a life -------------------------------------------------------------- */

static void sh(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void begin(struct life *l, const char *bpffs, enum on_failure on_failure)
{
	struct str text = { .len = 0 };
	struct config *c;
	struct err e;

	*l = (struct life){ .plan = { .has_family = { true, true } } };
	memset(l->plan.fds, -1, sizeof(l->plan.fds));
	netns_begin();
	bpffs_begin();
	if (bpffs)
		bpffs_mount(bpffs);
	sh("ip link add lan0 up type veth peer name lan1");
	str_add(&text, "intercept a { from lan0; tcp any }\n");
	c = config_of(&text);
	c->on_failure = on_failure;
	l->plan.config = c;
	l->run = engine_ebpf.new(&e);
	assert_non_null(l->run);
	str_done(&text);
}

static void end(struct life *l)
{
	engine_ebpf.free(l->run);
	config_free((struct config *)l->plan.config);
}

static void install(struct life *l)
{
	struct err e = { .code = 0 };

	if (engine_ebpf.install(l->run, &l->plan, &e) < 0) {
		print_message("skipped: %s\n", e.text);
		skip();
	}
	(void)bpf_pins_find(&l->pins); /* or nothing is pinned */
}

/* The daemon dies, and another one begins. */
static void die(struct life *l)
{
	struct err e;

	engine_ebpf.free(l->run);
	l->run = engine_ebpf.new(&e);
	assert_non_null(l->run);
}

static bool is_intact(const struct life *l)
{
	struct err e;

	return engine_ebpf.is_intact(l->run, &e) == 1;
}

/* Programs at tcx of this side, or -errno. */
static int query_tcx(int ifindex, enum bpf_side_of_link way)
{
	LIBBPF_OPTS(bpf_prog_query_opts, o);
	int error = bpf_prog_query_opts(
		ifindex, (enum bpf_attach_type)(TCX_INGRESS + (int)way), &o);

	return error ? error : (int)o.prog_cnt;
}

static int count_tcx(const char *ifname, enum bpf_side_of_link way)
{
	int count = query_tcx((int)if_nametoindex(ifname), way);

	return count < 0 ? 0 : count;
}

static bool has_tcx(void)
{
	return query_tcx(1, BPF_IN) >= 0;
}

/* The name of the pin of an interface's ingress. */
static void name_of(const char *ifname, char name[NAME_MAX])
{
	(void)snprintf(name, NAME_MAX, "in-%u", if_nametoindex(ifname));
}

/* --- with pins ----------------------------------------------------------- */

static void test_inherited(void **state)
{
	struct life l;

	(void)state; /* unused */
	begin(&l, BPFFS_USUAL, ON_FAILURE_CLOSED);
	install(&l);
	assert_true(is_intact(&l));
	die(&l);
	if (has_tcx())
		assert_int_equal(count_tcx("lan0", BPF_IN), 1);
	assert_false(is_intact(&l)); /* this one has installed nothing */
	install(&l);
	assert_true(is_intact(&l));
	if (has_tcx()) {
		assert_int_equal(count_tcx("lan0", BPF_IN), 1);
		assert_int_equal(count_tcx("lan0", BPF_OUT), 1);
		assert_int_equal(count_tcx("lan1", BPF_IN), 1);
	}
	end(&l);
}

static void expect_nothing(void)
{
	struct bpf_pins pins = { .dir = "" };

	assert_int_equal(count_tcx("lan0", BPF_IN), 0);
	assert_int_equal(count_tcx("lan0", BPF_OUT), 0);
	assert_int_equal(count_tcx("lan1", BPF_IN), 0);
	assert_true(bpf_pins_find(&pins) < 0);
	assert_int_equal(access(BPFFS_USUAL "/waylay", F_OK), -1);
	sh("! tc filter show dev lan0 ingress | grep -q bpf");
	sh("! tc filter show dev lan1 ingress | grep -q bpf");
}

static void test_removed(void **state)
{
	struct life l;
	struct err e;

	(void)state; /* unused */
	begin(&l, BPFFS_USUAL, ON_FAILURE_CLOSED);
	install(&l);
	die(&l);
	assert_int_equal(engine_ebpf.remove(&e), 0);
	expect_nothing();
	assert_int_equal(engine_ebpf.remove(&e), 0); /* of nothing */
	end(&l);
}

static void test_filters_removed(void **state)
{
	static const struct bpf_options usual = { .match_any = false };
	struct life l;
	struct err e;

	(void)state; /* unused */
	begin(&l, BPFFS_USUAL, ON_FAILURE_CLOSED);
	install(&l); /* skips */
	assert_int_equal(engine_ebpf.remove(&e), 0);
	die(&l);
	assert_int_equal(
		ebpf_install_with(l.run, &l.plan, &usual, BPF_HOOK_CLSACT, &e),
		0);
	assert_true(is_intact(&l));
	sh("tc filter show dev lan0 ingress | grep -q bpf");
	sh("tc qdisc del dev lan0 clsact");
	assert_false(is_intact(&l));
	die(&l);
	assert_int_equal(engine_ebpf.remove(&e), 0);
	expect_nothing();
	end(&l);
}

/* What is taken away is noticed, and put back by the next install. */
static void expect_pin_restored(struct life *l, const char *name)
{
	assert_true(bpf_pin_has(&l->pins, name));
	bpf_pin_drop(&l->pins, name);
	assert_false(is_intact(l));
	install(l);
	assert_true(bpf_pin_has(&l->pins, name));
	assert_true(is_intact(l));
}

static void test_pins_restored(void **state)
{
	char name[NAME_MAX];
	struct life l;

	(void)state; /* unused */
	begin(&l, BPFFS_USUAL, ON_FAILURE_CLOSED);
	install(&l);
	expect_pin_restored(&l, "choose");
	name_of("lan0", name);
	if (has_tcx())
		expect_pin_restored(&l, name);
	end(&l);
}

/* Else its program, and the tables behind it, would never be freed. */
static void test_interface_gone(void **state)
{
	char lan0[NAME_MAX], lan1[NAME_MAX];
	struct life l;
	struct err e;

	(void)state; /* unused */
	begin(&l, BPFFS_USUAL, ON_FAILURE_CLOSED);
	install(&l);
	name_of("lan0", lan0);
	name_of("lan1", lan1);
	assert_int_equal(bpf_pin_has(&l.pins, lan0), has_tcx());
	sh("ip link del lan0");
	assert_int_equal(engine_ebpf.follow_links(l.run, &l.plan, &e), 0);
	assert_true(is_intact(&l));
	assert_false(bpf_pin_has(&l.pins, lan0));
	assert_false(bpf_pin_has(&l.pins, lan1));
	end(&l);
}

/* It goes while nobody looks. */
static void test_interface_gone_between_lives(void **state)
{
	char lan0[NAME_MAX];
	struct life l;

	(void)state; /* unused */
	begin(&l, BPFFS_USUAL, ON_FAILURE_CLOSED);
	install(&l);
	name_of("lan0", lan0);
	die(&l);
	sh("ip link del lan0");
	install(&l);
	assert_true(is_intact(&l));
	assert_false(bpf_pin_has(&l.pins, lan0));
	end(&l);
}

/* --- without ------------------------------------------------------------- */

static void test_closed_needs_pins(void **state)
{
	struct err e = { .code = 0 };
	struct life l;

	(void)state; /* unused */
	begin(&l, NULL, ON_FAILURE_CLOSED);
	assert_int_equal(engine_ebpf.install(l.run, &l.plan, &e), -ENODEV);
	assert_ptr_equal(strstr(e.text, "cannot hold `on-failure closed`: no "
					"bpffs is mounted"),
			 e.text);
	expect_nothing();
	end(&l);
}

static void test_open_needs_none(void **state)
{
	struct life l;

	(void)state; /* unused */
	begin(&l, NULL, ON_FAILURE_OPEN);
	install(&l);
	assert_true(is_intact(&l));
	if (has_tcx()) {
		assert_int_equal(count_tcx("lan0", BPF_IN), 1);
		die(&l); /* nothing outlives it */
		assert_int_equal(count_tcx("lan0", BPF_IN), 0);
	}
	end(&l);
}

static void test_private(void **state)
{
	struct bpf_pins pins = { .dir = "" };
	struct life l;

	(void)state; /* unused */
	begin(&l, BPFFS_USUAL, ON_FAILURE_CLOSED);
	l.plan.is_private = true;
	install(&l);
	assert_true(is_intact(&l));
	assert_int_equal(bpf_pins_find(&pins), -ENOENT);
	end(&l);
	assert_int_equal(count_tcx("lan0", BPF_IN), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inherited),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_filters_removed),
		cmocka_unit_test(test_pins_restored),
		cmocka_unit_test(test_interface_gone),
		cmocka_unit_test(test_interface_gone_between_lives),
		cmocka_unit_test(test_closed_needs_pins),
		cmocka_unit_test(test_open_needs_none),
		cmocka_unit_test(test_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
