// SPDX-License-Identifier: Apache-2.0
/*
 * Load one BPF object, attach its programs, and hold them until stdin ends.
 *
 *   load OBJECT [KIND NAME VALUE]...
 *
 *   set     VARIABLE NUMBER      a const volatile value, before the load
 *   enum    VARIABLE ENUMERATOR  the same, the number taken from kernel BTF
 *   socket  MAP:INDEX FD         move an inherited socket into a SOCKMAP
 *   ingress IFNAME PROGRAM       attach by tcx; by clsact before Linux 6.6
 *   egress  IFNAME PROGRAM       likewise
 *   lookup  -      PROGRAM       attach sk_lookup to this network namespace
 *
 * Only the programs that are attached are loaded.  It prints "ready", then
 * answers each line "VARIABLE" or "VARIABLE:INDEX" on stdin by the present
 * value of that global, or of that element of an array, 64 bits each.
 *
 * All links end with the process, whatever its end; clsact filters are taken
 * away when stdin ends.  A tool of the lab: any failure is a line on stderr
 * and exit 1, and the kernel frees what was made.
 * Next: bpf.py, which compiles, starts and asks it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

enum { TCX_INGRESS = 46, TCX_EGRESS = 47 }; /* unknown to old headers */

struct variable {
	struct bpf_map *map; /* the whole section */
	size_t offset;
	size_t size;
};

struct filter { /* of clsact, which outlives us unless detached */
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
};

struct step {
	const char *kind;
	void (*before_load)(struct bpf_object *, const char *, const char *);
	void (*after_load)(struct bpf_object *, const char *, const char *);
};

enum { MAX_FILTERS = 8 };

static struct filter filters[MAX_FILTERS];
static size_t filter_count;

static _Noreturn void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

/* --- global variables, found by name in the object's own BTF ------------ */

static bool section_find(const struct bpf_object *object,
			 const struct btf_type *section, const char *name,
			 struct variable *found)
{
	const struct btf *btf = bpf_object__btf(object);
	const char *title = btf__name_by_offset(btf, section->name_off);
	const struct btf_var_secinfo *info = btf_var_secinfos(section);

	for (int i = 0; i < btf_vlen(section); i++, info++) {
		const struct btf_type *v = btf__type_by_id(btf, info->type);

		if (strcmp(btf__name_by_offset(btf, v->name_off), name) != 0)
			continue;
		found->map = bpf_object__find_map_by_name(object, title);
		if (!found->map)
			return false;
		found->offset = info->offset;
		found->size = info->size;
		return true;
	}
	return false;
}

static struct variable variable_find(const struct bpf_object *object,
				     const char *name)
{
	const struct btf *btf = bpf_object__btf(object);
	struct variable found;

	for (__u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (btf_is_datasec(t) && section_find(object, t, name, &found))
			return found;
	}
	fail("no variable %s", name);
}

static void variable_set(const struct bpf_object *object, const char *name,
			 __u64 number)
{
	struct variable v = variable_find(object, name);
	size_t all;
	const char *initial = bpf_map__initial_value(v.map, &all);
	char *section = malloc(all);

	if (!section)
		fail("no memory");
	if (v.size > sizeof(number))
		fail("%s is no number", name);
	memcpy(section, initial, all);
	memcpy(section + v.offset, &number, v.size); /* little endian */
	if (bpf_map__set_initial_value(v.map, section, all) != 0)
		fail("cannot set %s", name);
	free(section);
}

/* The initial value is not the map: only a lookup sees what BPF wrote. */
static __u64 variable_get(const struct bpf_object *object, const char *what)
{
	char name[64];
	unsigned int index = 0;
	__u32 zero = 0;
	__u64 number;

	if (sscanf(what, "%63[^:]:%u", name, &index) < 1)
		fail("no variable");
	struct variable v = variable_find(object, name);
	char *section = malloc(bpf_map__value_size(v.map));

	if ((index + 1) * sizeof(number) > v.size)
		fail("%s is smaller", name);
	if (!section ||
	    bpf_map_lookup_elem(bpf_map__fd(v.map), &zero, section) != 0)
		fail("cannot read %s: %s", name, strerror(errno));
	memcpy(&number, section + v.offset + index * sizeof(number),
	       sizeof(number));
	free(section);
	return number;
}

static void set(struct bpf_object *object, const char *name, const char *value)
{
	variable_set(object, name, strtoull(value, NULL, 0));
}

/* The enum has no name: look through all of them. */
static void set_enum(struct bpf_object *object, const char *name,
		     const char *enumerator)
{
	struct btf *btf = btf__load_vmlinux_btf();

	for (__u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const struct btf_enum *e = btf_enum(t);

		for (int i = 0; btf_is_enum(t) && i < btf_vlen(t); i++, e++) {
			const char *n = btf__name_by_offset(btf, e->name_off);

			if (strcmp(n, enumerator) != 0)
				continue;
			variable_set(object, name, e->val);
			btf__free(btf);
			return;
		}
	}
	fail("%s is not in the kernel's BTF", enumerator);
}

/* --- sockets and programs ----------------------------------------------- */

static void put_socket(struct bpf_object *object, const char *where,
		       const char *fd_text)
{
	char name[64];
	__u32 index;
	__u64 fd = strtoull(fd_text, NULL, 0);

	if (sscanf(where, "%63[^:]:%" SCNu32, name, &index) != 2)
		fail("no MAP:INDEX: %s", where);
	int map = bpf_object__find_map_fd_by_name(object, name);

	if (map < 0 || bpf_map_update_elem(map, &index, &fd, BPF_ANY) != 0)
		fail("cannot put a socket into %s: %s", where, strerror(errno));
	close((int)fd); /* the map does not keep it open */
}

static struct bpf_program *program(struct bpf_object *object, const char *name)
{
	struct bpf_program *p = bpf_object__find_program_by_name(object, name);

	if (!p)
		fail("no program %s", name);
	return p;
}

static void want(struct bpf_object *object, const char *where, const char *name)
{
	(void)where;
	bpf_program__set_autoload(program(object, name), true);
}

static void attach_clsact(int prog, int ifindex, bool is_ingress)
{
	if (filter_count == MAX_FILTERS)
		fail("too many filters");
	struct filter *f = &filters[filter_count++];
	int err;

	*f = (struct filter){
		.hook = { .sz = sizeof(f->hook),
			  .ifindex = ifindex,
			  .attach_point =
				  is_ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS },
		.opts = { .sz = sizeof(f->opts), .prog_fd = prog },
	};
	err = bpf_tc_hook_create(&f->hook);
	if (err != 0 && err != -EEXIST)
		fail("cannot add clsact: %s", strerror(-err));
	err = bpf_tc_attach(&f->hook, &f->opts); /* fills in which one it is */
	if (err != 0)
		fail("cannot attach to clsact: %s", strerror(-err));
}

static void filters_detach(void)
{
	for (size_t i = 0; i < filter_count; i++) {
		filters[i].opts.flags = 0;
		filters[i].opts.prog_fd = 0;
		filters[i].opts.prog_id = 0;
		(void)bpf_tc_detach(&filters[i].hook, &filters[i].opts);
	}
}

static void attach(struct bpf_object *object, const char *ifname,
		   const char *name, int direction)
{
	int prog = bpf_program__fd(program(object, name));
	int ifindex = (int)if_nametoindex(ifname);

	if (bpf_link_create(prog, ifindex, direction, NULL) >= 0)
		return; /* held by the process */
	if (errno != EINVAL && errno != EOPNOTSUPP)
		fail("cannot attach to %s: %s", ifname, strerror(errno));
	attach_clsact(prog, ifindex, direction == TCX_INGRESS);
}

static void ingress(struct bpf_object *object, const char *ifname,
		    const char *name)
{
	attach(object, ifname, name, TCX_INGRESS);
}

static void egress(struct bpf_object *object, const char *ifname,
		   const char *name)
{
	attach(object, ifname, name, TCX_EGRESS);
}

static void lookup(struct bpf_object *object, const char *unused,
		   const char *name)
{
	int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int prog = bpf_program__fd(program(object, name));

	(void)unused;
	if (bpf_link_create(prog, netns, BPF_SK_LOOKUP, NULL) < 0)
		fail("cannot attach sk_lookup: %s", strerror(errno));
}

/* --- the steps, before and after the load ------------------------------- */

static const struct step steps[] = {
	{ "set", set, NULL },		{ "enum", set_enum, NULL },
	{ "socket", NULL, put_socket }, { "ingress", want, ingress },
	{ "egress", want, egress },	{ "lookup", want, lookup },
};

static const struct step *step_find(const char *kind)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (strcmp(steps[i].kind, kind) == 0)
			return &steps[i];
	fail("unknown: %s", kind);
}

static void object_load(struct bpf_object *object, char **words)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, object)
		bpf_program__set_autoload(p, false);
	for (char **w = words; *w; w += 3) {
		const struct step *s = step_find(w[0]);

		if (s->before_load)
			s->before_load(object, w[1], w[2]);
	}
	if (bpf_object__load(object) != 0)
		fail("cannot load: %s", strerror(errno));
	for (char **w = words; *w; w += 3) {
		const struct step *s = step_find(w[0]);

		if (s->after_load)
			s->after_load(object, w[1], w[2]);
	}
}

int main(int argc, char **argv)
{
	char line[128];

	if (argc < 2 || argc % 3 != 2)
		fail("usage: load OBJECT [KIND NAME VALUE]...");
	struct bpf_object *object = bpf_object__open(argv[1]);

	if (!object)
		fail("cannot open %s: %s", argv[1], strerror(errno));
	object_load(object, argv + 2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ready\n");
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		printf("%" PRIu64 "\n", (uint64_t)variable_get(object, line));
	}
	filters_detach();
	return 0;
}
