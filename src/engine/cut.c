/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut.c - cut-through in the kernel; see cut.h.
 *
 * Each start loads programs anew and goes on with the map that is pinned: so a
 * new version's programs carry on the flows of an older one, as long as the
 * layout of an entry is the same.  The programs take their place link by link:
 * a packet meets the old one or the new one.
 */
#include "engine/cut.h"

#include "abi/data_plane.h"
#include "engine/bpf_hook.h"
#include "engine/bpf_load.h"
#include "engine/cut_priv.h"
#include "net/link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "waylay_cut.skel.h"

struct cut_device {
	struct bpf_hook hook;
	bool is_raw; /* no link header */
	bool is_seen;
};

struct cut {
	struct bpf_pins pins;
	struct nl nl;
	struct waylay_cut *skel;
	struct cut_table table;
	struct cut_device *devices;
	size_t count;
	bool has_lost_flows;
};

/* --- what is pinned ------------------------------------------------------ */

bool cut_is_ours(int flows_fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(flows_fd, &info, &len) == 0 &&
	       info.type == BPF_MAP_TYPE_HASH &&
	       info.key_size == sizeof(struct wl_cut_key) &&
	       info.value_size == sizeof(struct wl_cut);
}

static bool has_flows(int flows_fd)
{
	struct wl_cut_key key;

	return bpf_map_get_next_key(flows_fd, NULL, &key) == 0;
}

/* An empty one is made anew, since its size may have changed. */
static int keep_flows(struct cut *c)
{
	int fd = bpf_pin_get(&c->pins, cut_flows_pin), error = 0;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (!cut_is_ours(fd))
		c->has_lost_flows = true;
	else if (has_flows(fd))
		error = bpf_map__reuse_fd(c->skel->maps.cuts, fd); /* a dup */
	close(fd);
	return error;
}

static void keep_counters(struct cut *c)
{
	struct bpf_map *m = c->skel->maps.cut_counters;
	int fd = bpf_pin_get(&c->pins, cut_counters_pin);
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	    info.type == (uint32_t)bpf_map__type(m) &&
	    info.key_size == bpf_map__key_size(m) &&
	    info.value_size == bpf_map__value_size(m) &&
	    info.max_entries == bpf_map__max_entries(m))
		(void)bpf_map__reuse_fd(m, fd); /* else it begins anew */
	close(fd);
}

static bool pins_are_there(const struct cut *c)
{
	return !c->pins.dir[0] || (bpf_pin_has(&c->pins, cut_flows_pin) &&
				   bpf_pin_has(&c->pins, cut_counters_pin));
}

static int pin_maps(const struct cut *c, struct err *e)
{
	int error = bpf_pin_put(&c->pins, cut_flows_pin, c->table.flows_fd, e);

	return error ? error
		     : bpf_pin_put(&c->pins, cut_counters_pin,
				   c->table.counters_fd, e);
}

/* --- loading ------------------------------------------------------------- */

static int load(struct cut *c, uint32_t flow_max, uint32_t own_mark,
		struct err *e)
{
	char *log = calloc(1, BPF_LOG_BYTES);
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log,
		    .kernel_log_size = BPF_LOG_BYTES, .kernel_log_level = 0);
	int error;

	if (!log)
		return err_set(e, ENOMEM, "no memory for the BPF programs");
	bpf_be_quiet();
	c->skel = waylay_cut__open_opts(&opts);
	error = c->skel ? bpf_map__set_max_entries(c->skel->maps.cuts, flow_max)
			: -errno;
	if (!error) {
		c->skel->rodata->own_mark = own_mark;
		keep_counters(c);
		error = keep_flows(c);
	}
	if (!error)
		error = waylay_cut__load(c->skel);
	if (error)
		error = bpf_load_failed(error, log, e);
	free(log);
	return error;
}

/* pins: open, or with an empty name: none. */
static struct cut *open_at(const struct bpf_pins *pins, uint32_t flow_max,
			   uint32_t own_mark, struct err *e)
{
	struct cut *c = calloc(1, sizeof(*c));
	int error;

	if (!c) {
		(void)err_set(e, ENOMEM, "no memory for cut-through");
		return NULL;
	}
	c->pins = *pins;
	error = nl_open(&c->nl, NETLINK_ROUTE, 0);
	if (error)
		(void)err_errno(e, -error, "cannot open netlink");
	else
		error = load(c, flow_max, own_mark, e);
	if (!error) {
		c->table = (struct cut_table){
			.flows_fd = bpf_map__fd(c->skel->maps.cuts),
			.counters_fd = bpf_map__fd(c->skel->maps.cut_counters),
			.change_fd = bpf_program__fd(c->skel->progs.cut_change),
		};
		/* for those who have no sysfs: it remembers */
		(void)libbpf_num_possible_cpus();
		error = cut_try_programs(
			&c->table, bpf_program__fd(c->skel->progs.cut_ether),
			e);
	}
	if (!error)
		error = pin_maps(c, e);
	if (!error)
		return c;
	cut_close(c);
	return NULL;
}

struct cut *cut_open(uint32_t flow_max, uint32_t own_mark, struct err *e)
{
	struct bpf_pins pins = { .owner = BPF_PIN_CUT };
	struct err none = { 0 };
	int error = cut_try_repair(e);

	if (error)
		return NULL;
	error = bpf_pins_open(&pins, &none);
	/* without a bpffs cut_shortcoming() says what is lost */
	if (!error || error == -ENODEV)
		return open_at(&pins, flow_max, own_mark, e);
	*e = none;
	return NULL;
}

void cut_close(struct cut *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		bpf_hook_close(&c->devices[i].hook);
	free(c->devices);
	waylay_cut__destroy(c->skel);
	nl_close(&c->nl);
	free(c);
}

const struct cut_table *cut_get_table(const struct cut *c)
{
	return &c->table;
}

const char *cut_shortcoming(const struct cut *c)
{
	if (!c->pins.dir[0])
		return "no bpffs is mounted: flows that are cut through end "
		       "when waylayd does; mount one (mount -t bpf bpf "
		       "/sys/fs/bpf) and restart";
	if (c->has_lost_flows)
		return "flows that another version of waylayd had cut through "
		       "could not be taken over, and have ended";
	return NULL;
}

/* --- interfaces ---------------------------------------------------------- */

static struct cut_device *find_device(const struct cut *c, int ifindex)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->devices[i].hook.ifindex == ifindex)
			return &c->devices[i];
	return NULL;
}

static struct cut_device *add_device(struct cut *c, int ifindex)
{
	struct cut_device *d =
		reallocarray(c->devices, c->count + 1, sizeof(*c->devices));

	if (!d)
		return NULL;
	c->devices = d;
	d += c->count++;
	*d = (struct cut_device){
		.hook = { .ifindex = ifindex, .way = BPF_IN, .link_fd = -1 }
	};
	return d;
}

struct look {
	struct cut *cut;
	int error;
};

/* What comes in by a port of a bridge or bond comes again on its master.  On a
 * device whose packets begin in another way the programs would misread them. */
static void see_link(void *ctx, const struct link *link)
{
	struct look *look = ctx;
	struct cut_device *d;

	if (link->index == WL_HOST_IFINDEX || link->is_port ||
	    link->head == LINK_HEAD_OTHER)
		return;
	d = find_device(look->cut, link->index);
	if (!d)
		d = add_device(look->cut, link->index);
	if (!d) {
		look->error = -ENOMEM;
		return;
	}
	d->is_seen = true;
	d->is_raw = link->head == LINK_HEAD_NONE;
}

static void forget_devices(struct cut *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->count; i++) {
		struct cut_device *d = &c->devices[i];

		if (d->is_seen)
			c->devices[kept++] = *d;
		else
			bpf_hook_clear(&d->hook, &c->pins);
	}
	c->count = kept;
}

/* An interface went, or became a port, while no daemon ran. */
static void prune_pin(void *ctx, const char *name)
{
	const struct cut *c = ctx;
	int ifindex = bpf_hook_of_pin(name);

	if (ifindex > 0 && !find_device(c, ifindex))
		bpf_pin_drop(&c->pins, name);
}

static int look_at_devices(struct cut *c, struct err *e)
{
	struct look look = { .cut = c };
	int error;

	for (size_t i = 0; i < c->count; i++)
		c->devices[i].is_seen = false;
	error = link_each(&c->nl, see_link, &look, e);
	if (!error && look.error)
		error = err_set(e, ENOMEM, "no memory for the interfaces");
	if (error)
		return error;
	forget_devices(c);
	bpf_pins_each(&c->pins, prune_pin, c);
	return 0;
}

static int attach_device(const struct cut *c, struct cut_device *d,
			 struct err *e)
{
	const struct bpf_program *program =
		d->is_raw ? c->skel->progs.cut_raw : c->skel->progs.cut_ether;
	int error = bpf_hook_set(&d->hook, &c->pins, bpf_program__fd(program),
				 BPF_HOOK_FIRST, e);

	return error == -ENODEV ? 0 : error; /* it has just gone */
}

int cut_attach(struct cut *c, struct err *e)
{
	int error = look_at_devices(c, e);

	if (!error && !pins_are_there(c))
		error = pin_maps(c, e);
	for (size_t i = 0; i < c->count && !error; i++)
		error = attach_device(c, &c->devices[i], e);
	return error;
}

int cut_is_intact(const struct cut *c)
{
	if (!pins_are_there(c))
		return 0;
	for (size_t i = 0; i < c->count; i++) {
		const struct bpf_hook *h = &c->devices[i].hook;

		if (h->is_attached && !bpf_hook_is_intact(h, &c->pins))
			return 0;
	}
	return 1;
}
