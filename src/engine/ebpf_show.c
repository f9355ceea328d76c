/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_show.c - the ebpf engine in words; see ebpf_show.h.
 */
#include "engine/ebpf_show.h"

#include "abi/data_plane.h"
#include "engine/bpf_load.h"
#include "engine/bpf_pin.h"
#include "engine/select.h"
#include "policy/policy.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- selections ---------------------------------------------------------- */

static void put_ports(struct str *out, const struct port_set *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct port_range *r = &s->ranges[i];

		if (r->first == 1 && r->last == 65535)
			str_add(out, " any");
		else if (r->first == r->last)
			str_addf(out, i ? ", %u" : " %u", r->first);
		else
			str_addf(out, i ? ", %u-%u" : " %u-%u", r->first,
				 r->last);
	}
}

enum { NETS_SHOWN = 8 }; /* of a set that may have a million */

static void put_nets(struct str *out, const char *word,
		     const struct net_expr *e)
{
	const struct net_set *s = e ? &e->set : NULL;
	char text[ADDR_TEXT_MAX];

	if (!e || !e->count)
		return;
	str_addf(out, " %s", word);
	for (size_t i = 0; i < s->count && i < NETS_SHOWN; i++)
		str_addf(out, i ? ", %s" : " %s",
			 prefix_format(&s->prefixes[i], text));
	if (s->count > NETS_SHOWN)
		str_addf(out, " and %zu more", s->count - NETS_SHOWN);
}

static void put_protos(struct str *out, const struct intercept *it,
		       const struct rule *r)
{
	static const char *const names[PROTO_COUNT] = { "tcp", "udp" };

	for (int p = 0; p < PROTO_COUNT; p++) {
		if (!it->ports[p].count || (r && !(r->protos & 1 << p)))
			continue;
		str_addf(out, " %s", names[p]);
		put_ports(out, &it->ports[p]);
	}
	if (r && r->has_ports) {
		str_add(out, " and port");
		put_ports(out, &r->ports);
	}
}

static void put_excepts(struct str *out, const struct intercept *it)
{
	put_nets(out, "except src", &it->except_src);
	put_nets(out, "except dst", &it->except_dst);
	if (it->except_port.count) {
		str_add(out, " except port");
		put_ports(out, &it->except_port);
	}
	for (size_t i = 0; i < it->except_user_count; i++)
		str_addf(out, " except user %s", it->except_users[i]);
	for (size_t i = 0; i < it->except_cgroup_count; i++)
		str_addf(out, " except cgroup %s", it->except_cgroups[i]);
}

static void put_target(struct str *out, const struct plan *p,
		       const struct selection *s)
{
	static const char *const listen_on[] = { "127.0.0.1", "[::1]" };
	const struct intercept *it = &p->config->intercepts[s->intercept];
	char text[ADDR_TEXT_MAX];

	str_addf(out, " -> %s",
		 s->kind == VERDICT_PASS ? "direct" : verdict_name(s->kind));
	if (s->kind == VERDICT_DELIVER)
		str_addf(out, " to %s", deliver_format(&it->deliver, text));
	for (int proto = 0; proto < PROTO_COUNT; proto++)
		for (int f = 0; f < FAMILY_COUNT; f++)
			if (s->kind == VERDICT_RELAY &&
			    p->ports[s->intercept][proto][f] &&
			    it->ports[proto].count &&
			    (!s->rule || (s->rule->protos & 1 << proto)))
				str_addf(out, " %s/%s:%u",
					 proto == PROTO_TCP ? "tcp" : "udp",
					 listen_on[f],
					 p->ports[s->intercept][proto][f]);
}

static void put_selection(struct str *out, const struct plan *p,
			  const struct selection *s, size_t number)
{
	const struct intercept *it = &p->config->intercepts[s->intercept];

	str_addf(out, "%4zu  intercept %s from", number, it->name);
	for (size_t i = 0; i < it->ifname_count; i++)
		str_addf(out, i ? ", %s" : " %s", it->ifnames[i]);
	if (it->from_host)
		str_add(out, " host");
	put_protos(out, it, s->rule);
	if (s->rule) {
		put_nets(out, "src", &s->rule->src);
		put_nets(out, "dst", eval_rule_dst(s->rule));
	}
	put_excepts(out, it);
	put_target(out, p, s);
	str_add(out, "\n");
}

void ebpf_render(const struct plan *p, struct str *out)
{
	struct selections *all = malloc(sizeof(*all));
	struct err e = { 0 };

	str_addf(out,
		 "# BPF programs at TC ingress and egress and at sk_lookup; "
		 "mark 0x%x/0x%x, on-failure %s\n"
		 "# the first selection that holds decides; what none selects "
		 "passes\n",
		 p->config->mark, p->config->mask,
		 p->config->on_failure == ON_FAILURE_CLOSED ? "closed"
							    : "open");
	if (!all || selections_make(p->config, all, &e) < 0)
		str_addf(out, "# %s\n", all ? e.text : "no memory");
	else
		for (size_t i = 0; i < all->count; i++)
			put_selection(out, p, &all->of[i], i);
	free(all);
}

/* --- counters ------------------------------------------------------------ */

static const struct {
	const char *name, *sentence;
} counters[WL_COUNTERS] = {
#define X(name, sentence) [WL_COUNT_##name] = { #name, sentence },
#include "abi/counters.def"
#undef X
};

const char ebpf_hits_pin[] = "hits";

/* Called for each element of a map with one number for each CPU. */
typedef void (*number_fn)(struct str *out, uint32_t index, uint64_t number);

static int each_number(int fd, uint32_t count, number_fn fn, struct str *out,
		       struct err *e)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values =
		cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	int error = 0;

	if (!values)
		return err_set(e, ENOMEM, "no memory for the counters");
	for (uint32_t i = 0; i < count && !error; i++) {
		uint64_t sum = 0;

		if (bpf_map_lookup_elem(fd, &i, values) < 0)
			error = err_errno(e, errno, "cannot read the counters");
		for (int cpu = 0; cpu < cpus && !error; cpu++)
			sum += values[cpu];
		if (!error)
			fn(out, i, sum);
	}
	free(values);
	return error;
}

static void put_counter(struct str *out, uint32_t index, uint64_t number)
{
	str_addf(out, "%llu\t%s\t%s\n", (unsigned long long)number,
		 counters[index].name, counters[index].sentence);
}

static void put_hits(struct str *out, uint32_t index, uint64_t number)
{
	str_addf(out, "%llu\tselection_%u\tdecided by selection %u\n",
		 (unsigned long long)number, index, index);
}

/* All of a pinned map. */
static int put_pinned(const struct bpf_pins *pins, const char *name,
		      number_fn fn, struct str *out, struct err *e)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_pin_get(pins, name), error;

	if (fd < 0)
		return err_errno(e, -fd, "cannot open the pinned map %s", name);
	error = bpf_obj_get_info_by_fd(fd, &info, &len) < 0
			? err_errno(e, errno, "cannot ask the map %s", name)
			: each_number(fd, info.max_entries, fn, out, e);
	close(fd);
	return error;
}

int ebpf_counters(struct str *out, struct err *e)
{
	struct bpf_pins pins = { 0 };
	int error;

	if (bpf_pins_find(&pins) < 0)
		return 0; /* without a bpffs nothing is pinned */
	error = put_pinned(&pins, bpf_kept_names[BPF_KEPT_COUNTERS],
			   put_counter, out, e);
	return error ? error
		     : put_pinned(&pins, ebpf_hits_pin, put_hits, out, e);
}
