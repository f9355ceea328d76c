/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_life_test.c - what a daemon leaves, inherits and removes of cut-through.
 */
#include "engine/cut_life_test.h"

#include <signal.h>
#include <sys/wait.h>

/* --- one daemon after another -------------------------------------------- */

/* One that is killed when it has attached and cut a flow. */
static void live_and_be_killed(uint32_t flow_max, bool has_flow)
{
	int ends[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct err e;
		struct cut *c = cut_open(flow_max, OWN_MARK, &e);

		if (!c || cut_attach(c, &e) < 0)
			_exit(1);
		if (has_flow)
			add_flow(cut_get_table(c), IPPROTO_TCP, 1, WL_CUT_ON);
		if (write(ends[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause(); /* until it is killed */
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void begin_killed(uint32_t flow_max, bool has_flow)
{
	struct cut *c = begin();

	attach(c); /* skips */
	cut_close(c);
	live_and_be_killed(flow_max, has_flow);
}

static void flows_are_taken_over(void **state)
{
	struct bpf_pins pins;
	uint32_t link, program;
	int flows, counters;
	struct cut *c;

	(void)state; /* unused */
	begin_killed(FLOWS, true);
	expect_only("lan0", "cut_ether");
	link = id_of_link("lan0");
	program = look("lan0").ids[0];
	pins = pins_of(BPF_PIN_CUT);
	flows = bpf_pin_get(&pins, "flows");
	counters = bpf_pin_get(&pins, "counters");
	c = open_cut(2 * FLOWS); /* is not obeyed while there are flows */
	assert_true(has_flow(cut_get_table(c), IPPROTO_TCP, 1));
	assert_int_equal(id_of_map(cut_get_table(c)->flows_fd),
			 id_of_map(flows));
	assert_int_equal(entries_of_map(flows), FLOWS);
	assert_int_equal(id_of_map(cut_get_table(c)->counters_fd),
			 id_of_map(counters));
	assert_null(cut_shortcoming(c));
	attach(c);
	assert_int_equal(id_of_link("lan0"), link);
	assert_int_not_equal(look("lan0").ids[0], program);
	expect_only("lan0", "cut_ether");
	assert_int_equal(cut_is_intact(c), 1);
	cut_close(c);
	close(flows);
	close(counters);
}

static void an_empty_map_takes_the_new_size(void **state)
{
	struct bpf_pins pins;
	struct cut *c;
	int fd;

	(void)state; /* unused */
	begin_killed(FLOWS, false);
	c = open_cut(2 * FLOWS);
	attach(c);
	assert_int_equal(entries_of_map(cut_get_table(c)->flows_fd), 2 * FLOWS);
	pins = pins_of(BPF_PIN_CUT);
	fd = bpf_pin_get(&pins, "flows");
	assert_int_equal(id_of_map(fd), id_of_map(cut_get_table(c)->flows_fd));
	close(fd);
	cut_close(c);
}

/* The map of a version that has more to say of a flow. */
static int pin_other_shape(void)
{
	struct bpf_pins pins = pins_of(BPF_PIN_CUT);
	uint8_t key[sizeof(struct wl_cut_key)] = { 1 };
	uint8_t value[sizeof(struct wl_cut) + 8] = { 0 };
	struct err e;
	int fd = make_map(BPF_MAP_TYPE_HASH, sizeof(key), sizeof(value), FLOWS);

	assert_int_equal(bpf_map_update_elem(fd, key, value, BPF_ANY), 0);
	assert_int_equal(bpf_pin_put(&pins, "flows", fd, &e), 0);
	return fd;
}

static void flows_of_another_version_are_given_up(void **state)
{
	struct cut *c;
	int other;

	(void)state; /* unused */
	begin_killed(FLOWS, true);
	other = pin_other_shape();
	c = open_cut(FLOWS);
	assert_int_not_equal(id_of_map(cut_get_table(c)->flows_fd),
			     id_of_map(other));
	assert_false(has_flow(cut_get_table(c), IPPROTO_TCP, 1));
	assert_non_null(strstr(cut_shortcoming(c), "another version"));
	attach(c);
	assert_int_equal(cut_is_intact(c), 1);
	cut_close(c);
	close(other);
	c = open_cut(FLOWS); /* said once */
	assert_null(cut_shortcoming(c));
	cut_close(c);
}

static void an_interface_goes_between_two_lives(void **state)
{
	unsigned pins;
	struct cut *c;

	(void)state; /* unused */
	begin_killed(FLOWS, true);
	pins = count_pins(BPF_PIN_CUT);
	sh("ip link del lan0");
	c = open_cut(FLOWS);
	attach(c);
	assert_int_equal(count_pins(BPF_PIN_CUT), pins - 2);
	assert_int_equal(cut_is_intact(c), 1);
	cut_close(c);
}

static void without_bpffs_it_works_and_says_what_is_lost(void **state)
{
	struct cut *c;

	(void)state; /* unused */
	begin_without_bpffs();
	c = open_cut(FLOWS);
	attach(c);
	expect_only("lan0", "cut_ether");
	assert_int_equal(cut_is_intact(c), 1);
	assert_non_null(strstr(cut_shortcoming(c), "no bpffs is mounted"));
	cut_close(c);
	expect_none("lan0");
}

/* --- removing ------------------------------------------------------------ */

static void nothing_to_remove_is_no_error(void **state)
{
	uint32_t count = 99;
	struct err e;

	(void)state; /* unused */
	begin_without_bpffs();
	assert_int_equal(cut_remove(0, &count, &e), 0);
	assert_int_equal(count, 0);
	bpffs_mount(BPFFS_USUAL);
	count = 99;
	assert_int_equal(cut_remove(0, &count, &e), 0);
	assert_int_equal(count, 0);
}

static void what_a_killed_daemon_left_is_removed(void **state)
{
	uint32_t count = 99;
	struct cut *c;
	struct err e = { .code = 0 };

	(void)state; /* unused */
	begin_killed(FLOWS, true);
	c = open_cut(FLOWS);
	add_flow(cut_get_table(c), IPPROTO_TCP, 2, WL_CUT_ON);
	add_flow(cut_get_table(c), IPPROTO_TCP, 3, WL_CUT_WATCH);
	add_flow(cut_get_table(c), IPPROTO_UDP, 4, WL_CUT_ON);
	cut_close(c);
	if (cut_remove(0, &count, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(count, 3); /* what is only watched is none */
	expect_none("lan0");
	expect_none("lan1");
	expect_none("tun0");
	assert_int_equal(access(BPFFS_USUAL "/waylay", F_OK), -1);
	assert_int_equal(cut_remove(0, &count, &e), 0);
	assert_int_equal(count, 0);
}

static void another_versions_map_is_removed_unread(void **state)
{
	uint32_t count = 99;
	struct err e;

	(void)state; /* unused */
	begin_killed(FLOWS, true);
	close(pin_other_shape());
	assert_int_equal(cut_remove(0, &count, &e), 0);
	assert_int_equal(count, 0);
	expect_none("lan0");
	assert_int_equal(access(BPFFS_USUAL "/waylay", F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_are_taken_over),
		cmocka_unit_test(an_empty_map_takes_the_new_size),
		cmocka_unit_test(flows_of_another_version_are_given_up),
		cmocka_unit_test(an_interface_goes_between_two_lives),
		cmocka_unit_test(without_bpffs_it_works_and_says_what_is_lost),
		cmocka_unit_test(nothing_to_remove_is_no_error),
		cmocka_unit_test(what_a_killed_daemon_left_is_removed),
		cmocka_unit_test(another_versions_map_is_removed_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
