/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_test.c - the programs of cut-through on real hooks: where, in which
 * order, and beside whom.  What outlives a daemon: cut_life_test.c.
 */
#include "engine/cut.h"

#include "engine/cut_life_test.h"
#include "engine/ebpf.h"
#include "engine/random_config_test.h"
#include "engine/tun_test.h"

#include <net/if_arp.h>
#include <sys/wait.h>

enum { MANY = 100000 };

/* --- attaching ----------------------------------------------------------- */

static void everywhere_but_at_lo(void **state)
{
	struct cut *c = begin();

	(void)state; /* unused */
	expect_none("lan0");
	attach(c);
	expect_only("lan0", "cut_ether");
	expect_only("lan1", "cut_ether");
	expect_only("tun0", "cut_raw");
	expect_none("lo");
	assert_int_equal(cut_is_intact(c), 1);
	attach(c); /* changes nothing */
	expect_only("lan0", "cut_ether");
	assert_null(cut_shortcoming(c));
	cut_close(c);
}

/* As the kind of device `type` says it of itself. */
static void make_tun(const char *name, unsigned type)
{
	int fd = tun_open(name);

	assert_int_equal(ioctl(fd, TUNSETLINK, type), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
}

static void only_where_it_is_known_how_packets_begin(void **state)
{
	static const struct {
		unsigned type;
		bool is_known;
	} rows[] = {
		{ ARPHRD_NONE, true },	  { ARPHRD_RAWIP, true },
		{ ARPHRD_PPP, true },	  { ARPHRD_TUNNEL, true },
		{ ARPHRD_TUNNEL6, true }, { ARPHRD_SIT, true },
		{ ARPHRD_IPGRE, false },  { ARPHRD_LOOPBACK, false },
		{ ARPHRD_CAN, false },	  { ARPHRD_INFINIBAND, false },
		{ ARPHRD_VOID, false },
	};
	struct cut *c = begin();

	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_tun("tun1", rows[i].type);
		attach(c);
		if (rows[i].is_known)
			expect_only("tun1", "cut_raw");
		else
			expect_none("tun1");
		sh("ip link del tun1");
	}
	assert_int_equal(cut_is_intact(c), 1);
	cut_close(c);
}

/* Its packets come again on the bridge. */
static void a_port_is_left_alone(void **state)
{
	struct cut *c = begin();

	(void)state; /* unused */
	attach(c);
	sh("ip link add br0 type bridge && ip link set lan0 master br0");
	attach(c);
	expect_none("lan0");
	expect_only("br0", "cut_ether");
	sh("ip link set lan0 nomaster");
	attach(c);
	expect_only("lan0", "cut_ether");
	cut_close(c);
}

static void interfaces_come_and_go(void **state)
{
	struct cut *c = begin();
	unsigned pins;

	(void)state; /* unused */
	attach(c);
	pins = count_pins(BPF_PIN_CUT);
	sh("ip link add lan2 type veth peer name lan3");
	attach(c);
	expect_only("lan2", "cut_ether");
	expect_only("lan3", "cut_ether");
	assert_int_equal(count_pins(BPF_PIN_CUT), pins + 2);
	sh("ip link del lan2");
	attach(c);
	assert_int_equal(count_pins(BPF_PIN_CUT), pins);
	assert_int_equal(cut_is_intact(c), 1);
	cut_close(c);
}

static void what_is_taken_away_is_noticed_and_put_back(void **state)
{
	struct bpf_pins pins;
	struct cut *c = begin();
	char name[NAME_MAX];
	int fd;

	(void)state; /* unused */
	attach(c);
	pins = pins_of(BPF_PIN_CUT);
	(void)snprintf(name, sizeof(name), "in-%u", if_nametoindex("lan0"));
	fd = bpf_pin_get(&pins, name);
	assert_int_equal(bpf_link_detach(fd), 0);
	close(fd);
	assert_int_equal(cut_is_intact(c), 0);
	attach(c);
	assert_int_equal(cut_is_intact(c), 1);
	expect_only("lan0", "cut_ether");
	bpf_pin_drop(&pins, name);
	assert_int_equal(cut_is_intact(c), 0);
	attach(c);
	assert_int_equal(cut_is_intact(c), 1);
	bpf_pin_drop(&pins, "flows");
	assert_int_equal(cut_is_intact(c), 0);
	attach(c);
	assert_int_equal(cut_is_intact(c), 1);
	cut_close(c);
}

/* --- beside an engine ---------------------------------------------------- */

static struct engine_run *install_ebpf(struct plan *p)
{
	struct engine_run *run;
	struct str text = { .len = 0 };
	struct err e = { .code = 0 };

	*p = (struct plan){ .has_family = { true, true } };
	memset(p->fds, -1, sizeof(p->fds));
	str_add(&text, "intercept a { from lan0; tcp any }\n");
	p->config = config_of(&text);
	str_done(&text);
	run = engine_ebpf.new(&e);
	assert_non_null(run);
	if (engine_ebpf.install(run, p, &e) < 0)
		fail_msg("%s", e.text);
	return run;
}

static void free_ebpf(struct engine_run *run, const struct plan *p)
{
	engine_ebpf.free(run);
	config_free((struct config *)p->config);
}

static void expect_both(void)
{
	struct order found = look("lan0");

	assert_int_equal(found.count, 2);
	assert_string_equal(found.names[0], "cut_ether");
	assert_string_equal(found.names[1], "in_ether");
}

static void in_front_of_an_engine_that_was_there(void **state)
{
	struct engine_run *run;
	struct plan plan;
	struct cut *c;

	(void)state; /* unused */
	c = begin();
	run = install_ebpf(&plan);
	attach(c);
	expect_both();
	cut_close(c);
	c = open_cut(FLOWS);
	attach(c);
	expect_both();
	cut_close(c);
	free_ebpf(run, &plan);
}

static void in_front_of_an_engine_that_comes(void **state)
{
	struct engine_run *run;
	struct plan plan;
	struct err e;
	struct cut *c;

	(void)state; /* unused */
	c = begin();
	attach(c);
	run = install_ebpf(&plan);
	expect_both();
	assert_int_equal(engine_ebpf.install(run, &plan, &e), 0);
	expect_both();
	cut_close(c);
	free_ebpf(run, &plan);
}

/* `engine` changes at a reload, or the daemon ends: each takes its own. */
static void an_engine_goes_and_cut_through_stays(void **state)
{
	struct engine_run *run;
	struct plan plan;
	unsigned pins;
	struct err e;
	struct cut *c;

	(void)state; /* unused */
	c = begin();
	attach(c);
	pins = count_pins(BPF_PIN_CUT);
	assert_int_equal(pins, 2 + 3);
	run = install_ebpf(&plan);
	assert_int_equal(count_pins(BPF_PIN_CUT), pins);
	free_ebpf(run, &plan);
	assert_int_equal(engine_ebpf.remove(&e), 0);
	assert_int_equal(count_pins(BPF_PIN_ENGINE), 0);
	assert_int_equal(count_pins(BPF_PIN_CUT), pins);
	assert_int_equal(cut_is_intact(c), 1);
	expect_only("lan0", "cut_ether");
	cut_close(c);
	expect_only("lan0", "cut_ether");
}

static void cut_through_goes_and_an_engine_stays(void **state)
{
	uint32_t count = 99;
	struct engine_run *run;
	struct plan plan;
	struct err e;
	struct cut *c;

	(void)state; /* unused */
	c = begin();
	attach(c);
	run = install_ebpf(&plan);
	assert_int_equal(cut_remove(0, &count, &e), 0);
	assert_int_equal(count, 0);
	assert_int_equal(count_pins(BPF_PIN_CUT), 0);
	expect_only("lan0", "in_ether");
	assert_int_equal(engine_ebpf.is_intact(run, &e), 1);
	cut_close(c);
	free_ebpf(run, &plan);
	assert_int_equal(engine_ebpf.remove(&e), 0);
	assert_int_equal(access(BPFFS_USUAL "/waylay", F_OK), -1);
}

/* --- entries ------------------------------------------------------------- */

static struct wl_cut get_flow(const struct cut *c, uint16_t port)
{
	struct wl_cut_key key = key_of(IPPROTO_TCP, port);
	struct wl_cut value;

	assert_int_equal(cut_table_get(cut_get_table(c), &key, &value), 0);
	return value;
}

static int change(const struct cut *c, uint16_t port, enum wl_cut_op op,
		  uint32_t which, uint32_t number)
{
	struct wl_cut_change change = {
		.key = key_of(IPPROTO_TCP, port),
		.way = { { .seq_add = number, .edge = number, .shift = -3 },
			 { .seq_add = number + 1,
			   .edge = number + 1,
			   .is_draining = 1 } },
		.op = op,
		.which = which,
	};

	return cut_table_change(cut_get_table(c), &change);
}

static void an_entry_is_changed_in_place(void **state)
{
	struct cut *c = begin();
	struct wl_cut value;

	(void)state; /* unused */
	add_flow(cut_get_table(c), IPPROTO_TCP, 1, WL_CUT_WATCH);
	assert_int_equal(change(c, 1, WL_CUT_OP_START, 0, 5), 0);
	value = get_flow(c, 1);
	assert_int_equal(value.state, WL_CUT_ON);
	assert_int_equal(value.way[0].seq_add, 5);
	assert_int_equal(value.way[0].shift, -3);
	assert_int_equal(value.way[1].edge, 6);
	assert_int_equal(value.way[1].is_draining, 1);
	assert_int_equal(change(c, 1, WL_CUT_OP_EDGE, 1, 99), 0);
	value = get_flow(c, 1);
	assert_int_equal(value.way[0].edge, 5);
	assert_int_equal(value.way[1].edge, 100);
	assert_int_equal(value.way[1].seq_add, 6);
	assert_int_equal(change(c, 1, WL_CUT_OP_SETTLE, 1, 0), 0);
	assert_int_equal(get_flow(c, 1).way[1].is_draining, 0);
	assert_int_equal(change(c, 2, WL_CUT_OP_SETTLE, 1, 0), -ENOENT);
	cut_close(c);
}

/* As the kernel accounts for it. */
static long bytes_of_map(int fd)
{
	char path[64], line[128];
	long bytes = -1;
	FILE *info;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	assert_non_null(info);
	while (fgets(line, sizeof(line), info))
		(void)sscanf(line, "memlock: %ld", &bytes); /* one of them */
	(void)fclose(info);				    /* was read */
	assert_true(bytes >= 0);
	return bytes;
}

static void add_many(const struct cut_table *t, uint32_t count)
{
	struct wl_cut_key key = key_of(IPPROTO_TCP, 1);
	struct wl_cut value = { .state = WL_CUT_ON };

	for (uint32_t i = 0; i < count; i++) {
		memcpy(key.low, &i, sizeof(i));
		assert_int_equal(cut_table_add(t, &key, &value), 0);
	}
}

/* A flow with equal legs is one entry. */
static void a_flow_costs_at_most_256_bytes(void **state)
{
	long empty, full;
	struct cut *c;
	int fd;

	(void)state; /* unused */
	begin_without_bpffs();
	c = open_cut(MANY);
	fd = cut_get_table(c)->flows_fd;
	empty = bytes_of_map(fd);
	add_many(cut_get_table(c), MANY);
	full = bytes_of_map(fd);
	print_message("%.2f bytes a flow, and %.2f for the room of each\n",
		      (double)(full - empty) / MANY, (double)empty / MANY);
	assert_true(full > empty);
	assert_true(full - empty <= 256L * MANY);
	cut_close(c);
}

/* --- trying -------------------------------------------------------------- */

static uint32_t count_entries(const struct cut_table *t)
{
	struct cut_walk *w = calloc(1, sizeof(*w));
	uint32_t count;

	assert_non_null(w);
	assert_int_equal(cut_table_walk(t, w), 0);
	count = w->count;
	free(w);
	return count;
}

static void trying_leaves_nothing_in_the_map(void **state)
{
	struct cut *c = begin();

	(void)state; /* unused */
	assert_int_equal(count_entries(cut_get_table(c)), 0);
	add_flow(cut_get_table(c), IPPROTO_TCP, 1, WL_CUT_ON);
	cut_close(c);
	c = open_cut(FLOWS);
	assert_int_equal(count_entries(cut_get_table(c)), 1);
	assert_true(has_flow(cut_get_table(c), IPPROTO_TCP, 1));
	cut_close(c);
}

static void a_full_map_of_a_killed_daemon_is_taken_over(void **state)
{
	struct cut *c;

	(void)state; /* unused */
	begin_without_bpffs();
	bpffs_mount(BPFFS_USUAL);
	c = open_cut(1);
	add_flow(cut_get_table(c), IPPROTO_TCP, 1, WL_CUT_ON);
	cut_close(c);
	c = open_cut(1);
	assert_true(has_flow(cut_get_table(c), IPPROTO_TCP, 1));
	cut_close(c);
}

/* Packets that are not for this host's link address are not rewritten, and so
 * the segment is not, if lo has another than the segment. */
static void break_trying(void)
{
	sh("ip link set lo address 02:00:00:00:00:01");
}

static void expect_failed_try(void)
{
	struct err e = { .code = 0 };

	assert_null(cut_open(FLOWS, OWN_MARK, &e));
	assert_int_equal(e.code, EPROTO);
	assert_non_null(strstr(e.text, "rewrite a segment wrongly"));
}

static void what_fails_when_it_is_tried_leaves_nothing(void **state)
{
	(void)state;	    /* unused */
	cut_close(begin()); /* skips */
	begin_without_bpffs();
	bpffs_mount(BPFFS_USUAL);
	break_trying();
	expect_failed_try();
	assert_int_equal(count_pins(BPF_PIN_CUT), 0);
	expect_none("lan0");
}

static void what_fails_when_it_is_tried_leaves_flows_alone(void **state)
{
	struct cut *c = begin();
	uint32_t program;
	unsigned pins;

	(void)state; /* unused */
	attach(c);
	add_flow(cut_get_table(c), IPPROTO_TCP, 1, WL_CUT_ON);
	pins = count_pins(BPF_PIN_CUT);
	program = look("lan0").ids[0];
	break_trying();
	expect_failed_try();
	assert_int_equal(count_entries(cut_get_table(c)), 1);
	assert_int_equal(count_pins(BPF_PIN_CUT), pins);
	assert_int_equal(look("lan0").ids[0], program);
	assert_int_equal(cut_is_intact(c), 1);
	cut_close(c);
}

static void without_privilege_it_says_what_is_missing(void **state)
{
	int status;
	pid_t pid;

	(void)state; /* unused */
	begin_without_bpffs();
	pid = fork();
	if (pid == 0) {
		struct err e;

		if (setuid(65534) < 0)
			_exit(1);
		_exit(cut_open(FLOWS, OWN_MARK, &e) || e.code != EPERM ||
		      !strstr(e.text, "needs CAP_NET_ADMIN"));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everywhere_but_at_lo),
		cmocka_unit_test(only_where_it_is_known_how_packets_begin),
		cmocka_unit_test(a_port_is_left_alone),
		cmocka_unit_test(interfaces_come_and_go),
		cmocka_unit_test(what_is_taken_away_is_noticed_and_put_back),
		cmocka_unit_test(in_front_of_an_engine_that_was_there),
		cmocka_unit_test(in_front_of_an_engine_that_comes),
		cmocka_unit_test(an_engine_goes_and_cut_through_stays),
		cmocka_unit_test(cut_through_goes_and_an_engine_stays),
		cmocka_unit_test(an_entry_is_changed_in_place),
		cmocka_unit_test(a_flow_costs_at_most_256_bytes),
		cmocka_unit_test(trying_leaves_nothing_in_the_map),
		cmocka_unit_test(a_full_map_of_a_killed_daemon_is_taken_over),
		cmocka_unit_test(what_fails_when_it_is_tried_leaves_nothing),
		cmocka_unit_test(
			what_fails_when_it_is_tried_leaves_flows_alone),
		cmocka_unit_test(without_privilege_it_says_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
