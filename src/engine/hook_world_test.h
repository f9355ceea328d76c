/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_world_test.h - an interface, programs for its hooks, and packets.
 *
 * The programs only go on to the next one; the kernel counts how often each
 * ran.  tun0 is a TUN device: a write has been through ingress when it
 * returns, and a datagram that is sent to its network through egress.
 */
#ifndef WL_ENGINE_HOOK_WORLD_TEST_H
#define WL_ENGINE_HOOK_WORLD_TEST_H

#include "engine/bpf_hook.h"
#include "engine/bpffs_test.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <stdlib.h>

enum {
	TCX_INGRESS = 46, /* older headers lack them */
	GONE = 4711,	  /* an index that no interface has */
};

struct world {
	enum bpf_hook_how how;
	enum bpf_side_of_link way;
	struct bpf_pins pins;
	int stats; /* as long as it is open, runs are counted */
	int tun, udp;
	int ifindex;
	int ours, newer, before, behind; /* programs */
};

/* --- the world ----------------------------------------------------------- */

static inline void sh(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* `return TC_ACT_UNSPEC`. */
static inline int load_program(void)
{
	static const struct bpf_insn go_on[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = -1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "go_on", "GPL", go_on,
			       2, NULL);

	if (fd < 0) {
		print_message("skipped: cannot load a BPF program: %s\n",
			      strerror(errno));
		skip();
	}
	return fd;
}

static inline int open_tun(void)
{
	struct ifreq ifr = { .ifr_name = "tun0",
			     .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		print_message("skipped: there is no /dev/net/tun\n");
		skip();
	}
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static inline void begin(struct world *w)
{
	struct err e;

	netns_begin();
	bpffs_begin();
	bpffs_mount(BPFFS_USUAL);
	assert_int_equal(bpf_pins_open(&w->pins, &e), 0);
	(void)libbpf_set_print(NULL);
	w->stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	assert_true(w->stats >= 0);
	/* IPv6 would send packets of its own */
	sh("! [ -e /proc/sys/net/ipv6 ] ||"
	   "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
	w->tun = open_tun();
	sh("ip addr add 192.0.2.1/24 dev tun0 && ip link set tun0 up");
	w->ifindex = (int)if_nametoindex("tun0");
	w->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	w->ours = load_program();
	w->newer = load_program();
	w->before = load_program();
	w->behind = load_program();
}

static inline void end(struct world *w)
{
	const int fds[] = { w->stats, w->tun,	 w->udp,   w->ours,
			    w->newer, w->before, w->behind };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		close(fds[i]);
}

/* A packet through the hook. */
static inline void pass_packet(const struct world *w)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_port = htons(9),
					.sin_addr.s_addr = htonl(0xc0000202) };
	const uint8_t packet[] = { 0x45, 0, 0,	 20, 0, 0, 0,	0, 64, 253,
				   0,	 0, 192, 0,  2, 2, 192, 0, 2,  1 };

	if (w->way == BPF_IN)
		assert_int_equal(write(w->tun, packet, sizeof(packet)),
				 sizeof(packet));
	else
		assert_int_equal(sendto(w->udp, "x", 1, 0,
					(const struct sockaddr *)&to,
					sizeof(to)),
				 1);
}

static inline struct bpf_prog_info program_info(int fd)
{
	struct bpf_prog_info info = { .id = 0 };
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	return info;
}

/* Does exactly one of the next packets' programs run, and once? */
static inline bool runs(const struct world *w, int program)
{
	uint64_t already = program_info(program).run_cnt, count;

	pass_packet(w);
	count = program_info(program).run_cnt - already;
	assert_in_range(count, 0, 1);
	return count;
}

static inline void set(struct bpf_hook *h, const struct world *w, int program)
{
	struct err e = { .code = 0 };

	if (bpf_hook_set(h, &w->pins, program, w->how, &e) < 0)
		fail_msg("%s", e.text);
}

static inline struct bpf_hook new_hook(const struct world *w)
{
	return (struct bpf_hook){ .ifindex = w->ifindex,
				  .way = w->way,
				  .link_fd = -1 };
}

/* Does this kernel have tcx?  Then the name of the pin, which is a link. */
static inline bool has_tcx(const struct world *w)
{
	struct bpf_hook h = new_hook(w);
	bool has;

	set(&h, w, w->ours);
	has = h.link_fd >= 0;
	bpf_hook_clear(&h, &w->pins);
	return has;
}

/* --- what lies on the hook ----------------------------------------------- */

/* Programs at tcx of the interface; 0 too where there is no tcx. */
static inline unsigned count_tcx(const struct world *w)
{
	LIBBPF_OPTS(bpf_prog_query_opts, o);

	if (bpf_prog_query_opts(w->ifindex, TCX_INGRESS + w->way, &o) < 0)
		return 0;
	return o.prog_cnt;
}

/* Others' filters of clsact: at priority 10 and 100 of any handle. */
static inline void add_filter(const struct world *w, int program,
			      unsigned priority)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = w->ifindex,
		    .attach_point =
			    w->way == BPF_IN ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, o, .prog_fd = program, .priority = priority);
	int error = bpf_tc_hook_create(&hook);

	assert_true(error == 0 || error == -EEXIST);
	assert_int_equal(bpf_tc_attach(&hook, &o), 0);
}

static inline int add_link(const struct world *w, int program)
{
	int fd = bpf_link_create(program, w->ifindex, TCX_INGRESS + w->way,
				 NULL);

	assert_true(fd >= 0);
	return fd;
}

static inline void see(void *ctx, const char *name)
{
	(void)name; /* any */
	++*(unsigned *)ctx;
}

static inline unsigned count_pins(const struct world *w)
{
	unsigned count = 0;

	bpf_pins_each(&w->pins, see, &count);
	return count;
}

/* Of the only pin. */
static inline void copy_name(void *ctx, const char *name)
{
	(void)snprintf(ctx, NAME_MAX, "%s", name);
}

static inline int get_pinned(const struct world *w)
{
	char name[NAME_MAX] = "";

	assert_int_equal(count_pins(w), 1);
	bpf_pins_each(&w->pins, copy_name, name);
	return bpf_pin_get(&w->pins, name);
}

static inline uint32_t id_of_pinned_link(const struct world *w)
{
	struct bpf_link_info info = { .id = 0 };
	uint32_t len = sizeof(info);
	int fd = get_pinned(w);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	close(fd);
	return info.id;
}

#endif
