/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_life_test.h - one life of cut-through, in a network and a mount namespace
 * of its own, and what lies on its hooks.
 *
 * No traffic: flows are entries that somebody wrote.
 *
 *	lan0 ---- veth ---- lan1	tun0	lo
 */
#ifndef WL_ENGINE_CUT_LIFE_TEST_H
#define WL_ENGINE_CUT_LIFE_TEST_H

#include "engine/bpf_pin.h"
#include "engine/bpffs_test.h"
#include "engine/cut.h"
#include "engine/cut_world_test.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	TCX_INGRESS = 46, /* older headers lack it */
	PROGRAMS_MAX = 8,
	FLOWS = 100,
	OWN_MARK = 0x77,
};

/* --- a life -------------------------------------------------------------- */

static inline void sh(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static inline struct cut *open_cut(uint32_t flow_max)
{
	struct err e = { .code = 0 };
	struct cut *c = cut_open(flow_max, OWN_MARK, &e);

	if (!c && e.code == EPERM) {
		print_message("skipped: %s\n", e.text);
		skip();
	}
	if (!c)
		fail_msg("%s", e.text);
	return c;
}

static inline void attach(struct cut *c)
{
	struct err e = { .code = 0 };
	int error = cut_attach(c, &e);

	if (error == -EOPNOTSUPP) {
		print_message("skipped: %s\n", e.text);
		skip();
	}
	if (error < 0)
		fail_msg("%s", e.text);
}

static inline void begin_without_bpffs(void)
{
	netns_begin();
	bpffs_begin();
	sh("ip link add lan0 up type veth peer name lan1 &&"
	   "ip tuntap add tun0 mode tun");
}

static inline struct cut *begin(void)
{
	begin_without_bpffs();
	bpffs_mount(BPFFS_USUAL);
	return open_cut(FLOWS);
}

static inline struct bpf_pins pins_of(enum bpf_pin_owner owner)
{
	struct bpf_pins pins = { .owner = owner };

	(void)bpf_pins_find(&pins); /* or there are none */
	return pins;
}

/* --- what lies on the hooks ---------------------------------------------- */

struct order {
	uint32_t count;
	char names[PROGRAMS_MAX][BPF_OBJ_NAME_LEN];
	uint32_t ids[PROGRAMS_MAX];
};

static inline void name_program(uint32_t id, char name[BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = { .id = 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	close(fd);
}

/* Programs at the ingress of an interface, in the order in which they run. */
static inline struct order look(const char *ifname)
{
	struct order found = { .count = 0 };
	LIBBPF_OPTS(bpf_prog_query_opts, o, .prog_ids = found.ids,
		    .prog_cnt = PROGRAMS_MAX);

	assert_int_equal(bpf_prog_query_opts((int)if_nametoindex(ifname),
					     (enum bpf_attach_type)TCX_INGRESS,
					     &o),
			 0);
	found.count = o.prog_cnt;
	for (uint32_t i = 0; i < found.count; i++)
		name_program(found.ids[i], found.names[i]);
	return found;
}

static inline void expect_only(const char *ifname, const char *program)
{
	struct order found = look(ifname);

	assert_int_equal(found.count, 1);
	assert_string_equal(found.names[0], program);
}

static inline void expect_none(const char *ifname)
{
	assert_int_equal(look(ifname).count, 0);
}

static inline uint32_t id_of_map(int fd)
{
	struct bpf_map_info info = { .id = 0 };
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	return info.id;
}

static inline uint32_t entries_of_map(int fd)
{
	struct bpf_map_info info = { .id = 0 };
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	return info.max_entries;
}

static inline uint32_t id_of_link(const char *ifname)
{
	struct bpf_pins pins = pins_of(BPF_PIN_CUT);
	struct bpf_link_info info = { .id = 0 };
	uint32_t len = sizeof(info);
	char name[NAME_MAX];
	int fd;

	(void)snprintf(name, sizeof(name), "in-%u", if_nametoindex(ifname));
	fd = bpf_pin_get(&pins, name);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	close(fd);
	return info.id;
}

static inline void tally(void *ctx, const char *name)
{
	(void)name; /* any */
	++*(unsigned *)ctx;
}

static inline unsigned count_pins(enum bpf_pin_owner owner)
{
	struct bpf_pins pins = pins_of(owner);
	unsigned count = 0;

	bpf_pins_each(&pins, tally, &count);
	return count;
}

/* --- flows --------------------------------------------------------------- */

static inline struct wl_cut_key key_of(int proto, uint16_t port)
{
	struct addr peer, own;
	struct wl_cut_key key;

	assert_int_equal(addr_parse("192.0.2.1:1", &peer), 0);
	assert_int_equal(addr_parse("198.51.100.1:80", &own), 0);
	peer.port = port;
	(void)cut_key(proto, &peer, &own, &key);
	return key;
}

static inline void add_flow(const struct cut_table *t, int proto, uint16_t port,
			    enum wl_cut_state state)
{
	struct wl_cut_key key = key_of(proto, port);
	struct wl_cut value = { .state = (uint8_t)state };

	value.way[0].seen_s = value.way[1].seen_s = cut_now_s() - 10;
	assert_int_equal(cut_table_add(t, &key, &value), 0);
}

static inline bool has_flow(const struct cut_table *t, int proto, uint16_t port)
{
	struct wl_cut_key key = key_of(proto, port);
	struct wl_cut value;
	int error = cut_table_get(t, &key, &value);

	assert_true(error == 0 || error == -ENOENT);
	return !error;
}

#endif
