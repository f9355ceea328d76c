/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_load.c - one generation of the BPF programs; see bpf_load.h.
 */
#include "engine/bpf_load.h"

#include "engine/bpf_fill.h"
#include "engine/bpf_intervals.h"
#include "engine/bpf_senders.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "waylay.skel.h"

struct bpf_generation {
	struct waylay_bpf *skel;
	const struct bpf_tables *tables; /* borrowed */
	struct bpf_senders senders;
	struct bpf_intervals intervals[BPF_SIDE_COUNT]; /* while it is filled */
};

const char *const bpf_kept_names[BPF_KEPT_COUNT] = {
	[BPF_KEPT_COUNTERS] = "counters",   [BPF_KEPT_EXPECTED] = "expected",
	[BPF_KEPT_INBOUND] = "inbound",	    [BPF_KEPT_HOSTED] = "hosted",
	[BPF_KEPT_FRAGMENTS] = "fragments",
};

static const char *const entry_names[BPF_ENTRY_COUNT] = {
	[BPF_ENTRY_IN_ETHER] = "in_ether",   [BPF_ENTRY_IN_RAW] = "in_raw",
	[BPF_ENTRY_OUT_ETHER] = "out_ether", [BPF_ENTRY_OUT_RAW] = "out_raw",
	[BPF_ENTRY_IN_HOST] = "in_host",     [BPF_ENTRY_CHOOSE] = "choose",
};

/* --- settings ------------------------------------------------------------ */

/* The number of a bit that differs between kernels; in an enum without a
 * name.  64 if this kernel has none: then it has a field instead. */
static uint32_t find_transparent_bit(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	uint32_t found = 64, count = btf ? btf__type_cnt(btf) : 0;

	for (uint32_t id = 1; id < count && found == 64; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const struct btf_enum *e = btf_enum(t);

		for (int i = 0; btf_is_enum(t) && i < btf_vlen(t); i++)
			if (!strcmp(btf__name_by_offset(btf, e[i].name_off),
				    "INET_FLAGS_TRANSPARENT"))
				found = (uint32_t)e[i].val;
	}
	btf__free(btf);
	return found;
}

/* Without a secret nothing is known: slower, not wrong. */
static uint64_t draw_secret(void)
{
	uint64_t secret;

	return getrandom(&secret, sizeof(secret), 0) == sizeof(secret) ? secret
								       : 0;
}

static void set_constants(const struct bpf_generation *g, const struct plan *p,
			  const struct bpf_options *o)
{
	const struct bpf_tables *t = g->tables;
	struct waylay_bpf *skel = g->skel;
	const struct config *c = p->config;

	skel->rodata->mark_value = c->mark;
	skel->rodata->mark_mask = c->mask;
	skel->rodata->words = (uint32_t)(t->selections.count + 63) / 64;
	skel->rodata->is_closed = c->on_failure == ON_FAILURE_CLOSED;
	skel->rodata->has_host = plan_has_host(c);
	skel->rodata->cgroup_count = (uint32_t)g->senders.cgroup_count;
	skel->rodata->transparent_bit = find_transparent_bit();
	/* a restored mark may look as if the packet passed */
	if (!o->may_not_know && !o->restore_mark)
		skel->rodata->known_secret = draw_secret();
	skel->rodata->may_assign = !o->may_not_assign;
	skel->rodata->match_any = o->match_any;
	skel->rodata->match_wildcard = o->match_wildcard;
	skel->rodata->restore_mark = o->restore_mark;
	skel->rodata->src6_outside =
		t->prefixes[BPF_SIDE_SRC][FAMILY_V6].outside;
	skel->rodata->dst6_outside =
		t->prefixes[BPF_SIDE_DST][FAMILY_V6].outside;
	for (enum proto proto = 0; proto < PROTO_COUNT; proto++)
		skel->rodata->some_port[proto] = t->some_port_class[proto];
	static_assert(sizeof(skel->bss->port_class) == sizeof(t->port_class),
		      "one class a port and protocol");
	memcpy(skel->bss->port_class, t->port_class, sizeof(t->port_class));
}

static uint32_t at_least_one(size_t count)
{
	return count ? (uint32_t)count : 1;
}

static uint32_t line_count(const struct bpf_intervals *i)
{
	return (uint32_t)((i->count + WL_LINE_INTERVALS - 1) /
			  WL_LINE_INTERVALS);
}

static int set_sizes(const struct bpf_generation *g)
{
	const struct bpf_tables *t = g->tables;
	struct waylay_bpf *skel = g->skel;
	struct bpf_map *tries[BPF_SIDE_COUNT] = { skel->maps.src6,
						  skel->maps.dst6 };
	struct bpf_map *lines[BPF_SIDE_COUNT] = { skel->maps.intervals4_src,
						  skel->maps.intervals4_dst };
	size_t count = t->selections.count;
	int error = 0;

	for (int side = 0; side < BPF_SIDE_COUNT; side++) {
		error |= bpf_map__set_max_entries(
			tries[side],
			at_least_one(t->prefixes[side][FAMILY_V6].count));
		error |= bpf_map__set_max_entries(
			lines[side], line_count(&g->intervals[side]));
	}
	error |= bpf_map__set_max_entries(skel->maps.users,
					  at_least_one(g->senders.user_count));
	if (!plan_has_host(t->selections.config))
		error |= bpf_map__set_max_entries(skel->maps.hosted, 1);
	error |= bpf_map__set_max_entries(skel->maps.classes,
					  at_least_one(t->class_count));
	error |= bpf_map__set_max_entries(skel->maps.selections,
					  at_least_one(count));
	error |= bpf_map__set_max_entries(skel->maps.hits, at_least_one(count));
	return error ? -EINVAL : 0;
}

/* --- maps that go on ----------------------------------------------------- */

static struct bpf_map *kept_map(const struct waylay_bpf *skel,
				enum bpf_kept_map map)
{
	return bpf_object__find_map_by_name(skel->obj, bpf_kept_names[map]);
}

/* Only if it is what this version would make. */
static void keep_map(struct waylay_bpf *skel, enum bpf_kept_map map, int fd)
{
	struct bpf_map *m = kept_map(skel, map);
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0 ||
	    info.type != (uint32_t)bpf_map__type(m) ||
	    info.key_size != bpf_map__key_size(m) ||
	    info.value_size != bpf_map__value_size(m) ||
	    info.max_entries != bpf_map__max_entries(m))
		return;
	(void)bpf_map__reuse_fd(m, fd); /* else it begins anew */
}

/* --- loading ------------------------------------------------------------- */

static int print_nothing(enum libbpf_print_level level, const char *format,
			 va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

void bpf_be_quiet(void)
{
	(void)libbpf_set_print(print_nothing); /* returns the one before */
}

/* The line that says why; below it stand only figures. */
static const char *last_line(char *log)
{
	char *line = NULL, *save = NULL;

	for (char *l = strtok_r(log, "\n", &save); l;
	     l = strtok_r(NULL, "\n", &save))
		if (strncmp(l, "processed ", 10) != 0)
			line = l;
	return line;
}

int bpf_load_failed(int error, char *log, struct err *e)
{
	const char *line = last_line(log);

	if (error == -EPERM)
		return err_set(e, EPERM,
			       "cannot load the BPF programs: not permitted "
			       "(CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are "
			       "needed, and a kernel that allows bpf())");
	if (line)
		return err_set(e, -error,
			       "the kernel refused a BPF program; its last "
			       "word: %.400s",
			       line);
	return err_errno(e, -error, "cannot load the BPF programs");
}

static int load(struct bpf_generation *g, const struct plan *p,
		const int kept[BPF_KEPT_COUNT], const struct bpf_options *o,
		struct err *e)
{
	char *log = calloc(1, BPF_LOG_BYTES);
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log,
		    .kernel_log_size = BPF_LOG_BYTES, .kernel_log_level = 0);
	int error;

	if (!log)
		return err_set(e, ENOMEM, "no memory for the BPF programs");
	g->skel = waylay_bpf__open_opts(&opts);
	error = g->skel ? set_sizes(g) : -errno;
	if (!error) {
		set_constants(g, p, o);
		for (int i = 0; i < BPF_KEPT_COUNT; i++)
			keep_map(g->skel, i, kept[i]);
		error = waylay_bpf__load(g->skel);
	}
	if (error)
		error = bpf_load_failed(error, log, e);
	free(log);
	return error;
}

static int make_intervals(struct bpf_generation *g, struct err *e)
{
	int error = 0;

	for (int side = 0; side < BPF_SIDE_COUNT && !error; side++)
		error = bpf_intervals_make(
			&g->tables->prefixes[side][FAMILY_V4],
			&g->intervals[side]);
	return error ? err_set(e, -error, "no memory for the BPF tables") : 0;
}

static void drop_intervals(struct bpf_generation *g)
{
	for (int side = 0; side < BPF_SIDE_COUNT; side++)
		bpf_intervals_done(&g->intervals[side]);
}

/* Into the programs that are loaded. */
static int fill(struct bpf_generation *g, const struct plan *p, struct err *e)
{
	int error = bpf_fill(g->skel, g->tables, g->intervals, p, e);

	return error ? error : bpf_fill_senders(g->skel, &g->senders, e);
}

struct bpf_generation *bpf_generation_load(const struct bpf_tables *t,
					   const struct plan *p,
					   const int kept[BPF_KEPT_COUNT],
					   const struct bpf_options *o,
					   struct err *e)
{
	struct bpf_generation *g = calloc(1, sizeof(*g));
	int error;

	if (!g) {
		(void)err_set(e, ENOMEM, "no memory for the BPF programs");
		return NULL;
	}
	g->tables = t;
	error = bpf_senders_make(&t->selections, &g->senders, e);
	if (!error)
		error = make_intervals(g, e);
	if (!error)
		error = load(g, p, kept, o, e);
	if (!error)
		error = fill(g, p, e);
	drop_intervals(g);
	if (!error)
		return g;
	bpf_generation_free(g);
	return NULL;
}

void bpf_generation_free(struct bpf_generation *g)
{
	if (!g)
		return;
	waylay_bpf__destroy(g->skel);
	bpf_senders_done(&g->senders);
	free(g);
}

/* --- its parts ----------------------------------------------------------- */

int bpf_generation_entry(const struct bpf_generation *g, enum bpf_entry entry)
{
	return bpf_program__fd(bpf_object__find_program_by_name(
		g->skel->obj, entry_names[entry]));
}

int bpf_generation_kept(const struct bpf_generation *g, enum bpf_kept_map map)
{
	return bpf_map__fd(kept_map(g->skel, map));
}

int bpf_generation_hits(const struct bpf_generation *g)
{
	return bpf_map__fd(g->skel->maps.hits);
}

int bpf_generation_map(const struct bpf_generation *g, const char *name)
{
	return bpf_object__find_map_fd_by_name(g->skel->obj, name);
}

int bpf_generation_set_link(struct bpf_generation *g, uint32_t ifindex,
			    const struct wl_interface *value, struct err *e)
{
	int fd = bpf_map__fd(g->skel->maps.interfaces);

	if (bpf_map_update_elem(fd, &ifindex, value, BPF_ANY) < 0)
		return err_errno(e, errno,
				 "cannot tell the BPF programs about "
				 "an interface");
	return 0;
}

void bpf_generation_drop_link(struct bpf_generation *g, uint32_t ifindex)
{
	/* it may never have been one of an intercept */
	(void)bpf_map_delete_elem(bpf_map__fd(g->skel->maps.interfaces),
				  &ifindex);
}

int bpf_generation_add_local(struct bpf_generation *g,
			     const struct prefix *prefix, struct err *e)
{
	uint32_t one = 1;

	return bpf_fill_prefix(g->skel->maps.local4, g->skel->maps.local6,
			       prefix, &one, e);
}

void bpf_generation_drop_local(struct bpf_generation *g,
			       const struct prefix *prefix)
{
	(void)bpf_fill_prefix(g->skel->maps.local4, g->skel->maps.local6,
			      prefix, NULL, NULL); /* gone is gone */
}

bool bpf_generation_is_outdated(const struct bpf_generation *g)
{
	return bpf_senders_changed(&g->tables->selections, &g->senders);
}
