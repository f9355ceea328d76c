/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_hook.c - one program at one side of one interface; see bpf_hook.h.
 */
#include "engine/bpf_hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	/* enum bpf_attach_type; headers older than the kernel lack them */
	TCX_INGRESS = 46,
	TCX_EGRESS = 47,
	TCX_BEFORE = 1 << 3, /* BPF_F_BEFORE; of nobody: of all */
	/* of our filters of clsact, by which they are found again */
	FILTER_HANDLE = 0x7761,
	FILTER_PRIORITY = 77,
	PIN_NAME_MAX = 32,
};

/* struct bpf_link_info of a tcx link, which old headers do not describe. */
struct tcx_info {
	uint32_t type, id, prog_id;
	uint32_t pad;
	uint32_t ifindex, attach_type; /* ifindex 0: the interface has gone */
};

static const int attach_types[BPF_WAYS] = { TCX_INGRESS, TCX_EGRESS };
static const char *const way_names[BPF_WAYS] = { "in", "out" };

static void make_name(const struct bpf_hook *h, char name[PIN_NAME_MAX])
{
	(void)snprintf(name, PIN_NAME_MAX, "%s-%d", way_names[h->way],
		       h->ifindex); /* fits */
}

int bpf_hook_of_pin(const char *name)
{
	int ifindex;

	for (int way = 0; way < BPF_WAYS; way++) {
		size_t len = strlen(way_names[way]);

		if (!strncmp(name, way_names[way], len) &&
		    sscanf(name + len, "-%d", &ifindex) == 1)
			return ifindex;
	}
	return 0;
}

static uint32_t id_of_prog(int prog_fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &len) < 0 ? 0 : info.id;
}

static int fail(struct err *e, const struct bpf_hook *h, int error)
{
	char ifname[IF_NAMESIZE] = "?";

	if (error == -ENODEV || !if_indextoname((unsigned)h->ifindex, ifname))
		return err_set(e, ENODEV, "interface %d has gone", h->ifindex);
	return err_errno(e, -error, "cannot attach the BPF program to %s",
			 ifname);
}

/* --- tcx ----------------------------------------------------------------- */

static bool link_is_alive(int link_fd, int ifindex, uint32_t *prog_id)
{
	struct tcx_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(link_fd, &info, &len) < 0)
		return false;
	*prog_id = info.prog_id;
	return info.ifindex == (uint32_t)ifindex;
}

/* What a killed daemon has left on this interface. */
static void adopt(struct bpf_hook *h, const struct bpf_pins *pins)
{
	char name[PIN_NAME_MAX];
	uint32_t id;

	make_name(h, name);
	h->link_fd = bpf_pin_get(pins, name);
	if (h->link_fd < 0) {
		h->link_fd = -1;
		return;
	}
	if (link_is_alive(h->link_fd, h->ifindex, &id))
		return;
	bpf_hook_close(h);
	bpf_pin_drop(pins, name);
}

static int set_link(struct bpf_hook *h, const struct bpf_pins *pins,
		    int prog_fd, enum bpf_hook_how how, struct err *e)
{
	LIBBPF_OPTS(bpf_link_create_opts, place,
		    .flags = how == BPF_HOOK_FIRST ? TCX_BEFORE : 0);
	char name[PIN_NAME_MAX];
	int error;

	if (h->link_fd < 0)
		adopt(h, pins);
	make_name(h, name);
	if (h->link_fd >= 0 && !bpf_link_update(h->link_fd, prog_fd, NULL))
		return bpf_pin_has(pins, name)
			       ? 0
			       : bpf_pin_put(pins, name, h->link_fd, e);
	bpf_hook_close(h); /* detached by somebody, or with its interface */
	h->link_fd = bpf_link_create(prog_fd, h->ifindex,
				     (enum bpf_attach_type)attach_types[h->way],
				     &place);
	if (h->link_fd < 0) {
		h->link_fd = -1;
		return -errno;
	}
	error = bpf_pin_put(pins, name, h->link_fd, e);
	if (error < 0)
		bpf_hook_close(h);
	return error;
}

/* --- clsact -------------------------------------------------------------- */

static void make_filter(int ifindex, enum bpf_side_of_link way,
			struct bpf_tc_hook *hook, struct bpf_tc_opts *opts)
{
	*hook = (struct bpf_tc_hook){
		.sz = sizeof(*hook),
		.ifindex = ifindex,
		.attach_point = way == BPF_IN ? BPF_TC_INGRESS : BPF_TC_EGRESS,
	};
	*opts = (struct bpf_tc_opts){
		.sz = sizeof(*opts),
		.handle = FILTER_HANDLE,
		.priority = FILTER_PRIORITY,
	};
}

static int set_filter(const struct bpf_hook *h, int prog_fd)
{
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
	int error;

	make_filter(h->ifindex, h->way, &hook, &opts);
	opts.prog_fd = prog_fd;
	opts.flags = BPF_TC_F_REPLACE;
	error = bpf_tc_hook_create(&hook);
	if (error < 0 && error != -EEXIST)
		return error;
	return bpf_tc_attach(&hook, &opts);
}

static uint32_t filter_prog(int ifindex, enum bpf_side_of_link way)
{
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;

	make_filter(ifindex, way, &hook, &opts);
	return bpf_tc_query(&hook, &opts) < 0 ? 0 : opts.prog_id;
}

static void clear_filter(int ifindex, enum bpf_side_of_link way)
{
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;

	make_filter(ifindex, way, &hook, &opts);
	(void)bpf_tc_detach(&hook, &opts); /* gone is gone */
}

void bpf_hook_sweep(int ifindex)
{
	clear_filter(ifindex, BPF_IN);
	clear_filter(ifindex, BPF_OUT);
}

/* --- the hook ------------------------------------------------------------ */

/* What kernels without tcx say. */
static bool is_unknown(int error)
{
	return error == -EINVAL || error == -EOPNOTSUPP;
}

int bpf_hook_set(struct bpf_hook *h, const struct bpf_pins *pins, int prog_fd,
		 enum bpf_hook_how how, struct err *e)
{
	struct err pinning = { 0 };
	int error = -EOPNOTSUPP;

	if (how != BPF_HOOK_CLSACT)
		error = set_link(h, pins, prog_fd, how, &pinning);
	if (pinning.code) {
		*e = pinning;
		return error;
	}
	if (is_unknown(error) && how == BPF_HOOK_FIRST)
		return err_set(e, EOPNOTSUPP,
			       "this kernel has no tcx (Linux 6.6), so no "
			       "program can be in front of all others");
	if (is_unknown(error))
		error = set_filter(h, prog_fd);
	if (error < 0)
		return fail(e, h, error);
	h->prog_id = id_of_prog(prog_fd);
	h->is_attached = true;
	return 0;
}

bool bpf_hook_is_intact(const struct bpf_hook *h, const struct bpf_pins *pins)
{
	char name[PIN_NAME_MAX];
	uint32_t id = 0;

	if (h->link_fd < 0)
		return filter_prog(h->ifindex, h->way) == h->prog_id;
	make_name(h, name);
	return link_is_alive(h->link_fd, h->ifindex, &id) && id == h->prog_id &&
	       (!pins->dir[0] || bpf_pin_has(pins, name));
}

void bpf_hook_close(struct bpf_hook *h)
{
	if (h->link_fd >= 0)
		close(h->link_fd);
	h->link_fd = -1;
	h->is_attached = false;
}

void bpf_hook_clear(struct bpf_hook *h, const struct bpf_pins *pins)
{
	char name[PIN_NAME_MAX];

	make_name(h, name);
	if (h->link_fd >= 0)
		(void)bpf_link_detach(h->link_fd); /* may have gone before */
	else if (h->is_attached)
		clear_filter(h->ifindex, h->way);
	bpf_pin_drop(pins, name);
	bpf_hook_close(h);
}
