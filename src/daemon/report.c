/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - answers on the control socket; see report.h.
 */
#include "daemon/report.h"

#include "daemon/report_explain.h"
#include "daemon/report_rules.h"
#include "daemon/report_upstream.h"
#include "daemon/supervisor.h"
#include "engine/select.h"
#include "net/sysctl.h"
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void set(json_t *j, const char *key, json_t *value)
{
	(void)json_object_set_new(j, key, value); /* NULL: without memory */
}

static void set_number(json_t *j, const char *key, uint64_t value)
{
	set(j, key, json_integer((json_int_t)value));
}

static json_t *ok(void)
{
	return json_pack("{s:b}", "ok", 1);
}

/* --- status -------------------------------------------------------------- */

/* Settings of the host that defeat interception, or what is left alone, in
 * silence.  tcp_fwmark_accept and fwmark_reflect are not among them: the
 * detour of engine/routing.h makes them harmless. */
static const struct {
	const char *sysctl;
	int bad;
	bool is_about_bridges;
	const char *problem;
} traps[] = {
	{ "net/bridge/bridge-nf-call-iptables", 1, true,
	  "net.bridge.bridge-nf-call-iptables=1: IPv4 clients behind a bridge "
	  "cannot be intercepted by netfilter; set it to 0, or choose engine "
	  "ebpf" },
	{ "net/bridge/bridge-nf-call-ip6tables", 1, true,
	  "net.bridge.bridge-nf-call-ip6tables=1: IPv6 clients behind a "
	  "bridge cannot be intercepted by netfilter; set it to 0, or choose "
	  "engine ebpf" },
	{ "net/ipv4/ip_forward", 0, false,
	  "net.ipv4.ip_forward=0: IPv4 traffic that is not intercepted is not "
	  "forwarded either; set it to 1" },
	{ "net/ipv6/conf/all/forwarding", 0, false,
	  "net.ipv6.conf.all.forwarding=0: IPv6 traffic that is not "
	  "intercepted is not forwarded either; set it to 1" },
};

static json_t *problems(const struct supervisor *s)
{
	bool fears_bridges =
		s->links.has_bridge && s->now.engine->kind != ENGINE_EBPF;
	const struct engine *engine = s->now.engine;
	const char *shortcoming =
		engine->shortcoming ? engine->shortcoming(s->now.run) : NULL;
	json_t *list = json_array();

	if (shortcoming)
		(void)json_array_append_new(list, json_string(shortcoming));
	shortcoming = cut_keeper_shortcoming(&s->cut);
	if (shortcoming)
		(void)json_array_append_new(list, json_string(shortcoming));
	for (size_t i = 0; i < sizeof(traps) / sizeof(*traps); i++)
		if ((!traps[i].is_about_bridges || fears_bridges) &&
		    sysctl_read(traps[i].sysctl) == traps[i].bad)
			(void)json_array_append_new(
				list, json_string(traps[i].problem));
	if (!s->now.plan.has_family[FAMILY_V6])
		(void)json_array_append_new(
			list, json_string("IPv6 does not work on this host: "
					  "it is not intercepted"));
	report_group_problems(s, list);
	return list;
}

static json_t *workers(const struct supervisor *s)
{
	json_t *list = json_array();

	for (const struct member *m = s->crew.members; m; m = m->next) {
		json_t *j = json_object();

		set_number(j, "pid", (uint64_t)m->pid);
		set_number(j, "slot", m->slot);
		set_number(j, "generation", m->generation->number);
		set(j, "state",
		    json_string(!m->pid			    ? "restarting"
				: m->generation->is_current ? "serving"
							    : "draining"));
		set_number(j, "tcp_flows",
			   m->shared ? atomic_load(&m->shared->tcp_flows) : 0);
		set_number(j, "udp_flows",
			   m->shared ? atomic_load(&m->shared->udp_flows) : 0);
		set(j, "is_accept_paused",
		    json_boolean(m->shared &&
				 atomic_load(&m->shared->is_accept_paused)));
		set_number(j, "restarts", m->restarts);
		(void)json_array_append_new(list, j);
	}
	return list;
}

static json_t *ports_text(const struct port_set *ports)
{
	struct str text = { 0 };
	json_t *j;

	for (size_t i = 0; i < ports->count; i++) {
		const struct port_range *r = &ports->ranges[i];

		if (r->first <= 1 && r->last == 65535)
			str_add(&text, "any");
		else if (r->first == r->last)
			str_addf(&text, i ? ", %u" : "%u", r->first);
		else
			str_addf(&text, i ? ", %u-%u" : "%u-%u", r->first,
				 r->last);
	}
	j = json_string(ports->count ? str_get(&text) : "off");
	str_done(&text);
	return j;
}

static json_t *intercepts(const struct supervisor *s)
{
	const struct config *c = s->now.plan.config;
	json_t *list = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *it = &c->intercepts[i];
		json_t *j = json_object(), *names = json_array();

		for (size_t n = 0; n < it->ifname_count; n++)
			(void)json_array_append_new(
				names,
				json_pack("{s:s, s:b}", "name", it->ifnames[n],
					  "is_present",
					  (int)(s->links.present[i] >> n & 1)));
		if (it->from_host)
			(void)json_array_append_new(
				names, json_pack("{s:s, s:b}", "name", "host",
						 "is_present", 1));
		set(j, "name", json_string(it->name));
		set(j, "interfaces", names);
		set(j, "listen",
		    it->has_listen ? json_string(addr_format(&it->listen, text))
				   : json_null());
		set(j, "tcp",
		    it->has_listen ? json_string("any")
				   : ports_text(&it->ports[PROTO_TCP]));
		set(j, "udp", ports_text(&it->ports[PROTO_UDP]));
		set(j, "deliver",
		    it->has_deliver
			    ? json_string(deliver_format(&it->deliver, text))
			    : json_null());
		(void)json_array_append_new(list, j);
	}
	return list;
}

static json_t *counters(const struct supervisor *s)
{
	uint64_t sum[COUNTER_COUNT];
	json_t *j = json_object();

	crew_counters(&s->crew, sum);
	for (enum counter i = 0; i < COUNTER_COUNT; i++)
		set_number(j, counter_name(i), sum[i]);
	set_number(j, "repairs", s->guard.repairs);
	return j;
}

/* From the lines "NAME: FINDING" of choose_engine(). */
static json_t *engines(const struct supervisor *s)
{
	const char *line = str_get(&s->now.why);
	json_t *list = json_array();

	while (*line) {
		size_t len = strcspn(line, "\n"), name = strcspn(line, ":");
		size_t finding = name + strlen(": ");

		(void)json_array_append_new(
			list,
			json_pack("{s:s%, s:s%}", "name", line, name, "finding",
				  line + finding, len - finding));
		line += len + strlen("\n");
	}
	return list;
}

static json_t *cut_through(const struct supervisor *s)
{
	json_t *j = json_object();

	set(j, "is_on", json_boolean(s->cut.is_on));
	set(j, "reason", json_string(cut_keeper_why(&s->cut)));
	set_number(j, "flows", cut_keeper_flows(&s->cut));
	set_number(j, "flow_max", cut_keeper_flow_max(&s->cut));
	set_number(j, "restarts", s->cut.child.restarts);
	return j;
}

enum moved_by { MOVED_BY_RELAY, MOVED_BY_CUT, MOVED_BY_COUNT };

struct moved {
	uint64_t flows; /* now */
	uint64_t bytes; /* since the start */
};

static void count_moved(const struct supervisor *s,
			struct moved out[MOVED_BY_COUNT])
{
	struct moved *relay = &out[MOVED_BY_RELAY], *cut = &out[MOVED_BY_CUT];
	uint64_t sum[COUNTER_COUNT];

	crew_counters(&s->crew, sum);
	relay->bytes = sum[COUNTER_tcp_bytes_up] + sum[COUNTER_tcp_bytes_down] +
		       sum[COUNTER_udp_bytes_up] + sum[COUNTER_udp_bytes_down];
	cut->bytes = sum[COUNTER_cut_bytes_up] + sum[COUNTER_cut_bytes_down];
	cut->flows = cut_keeper_flows(&s->cut);
	relay->flows = 0;
	for (const struct member *m = s->crew.members; m; m = m->next)
		if (m->shared)
			relay->flows += atomic_load(&m->shared->tcp_flows) +
					atomic_load(&m->shared->udp_flows);
}

static uint64_t percent(uint64_t part, uint64_t other)
{
	double all = (double)part + (double)other;

	return all > 0 ? (uint64_t)(100 * (double)part / all + 0.5) : 0;
}

static json_t *movers(const struct supervisor *s)
{
	static const char *const names[MOVED_BY_COUNT] = {
		[MOVED_BY_RELAY] = "relay",
		[MOVED_BY_CUT] = "cut-through",
	};
	struct moved by[MOVED_BY_COUNT];
	json_t *list = json_array();

	count_moved(s, by);
	for (int i = 0; i < MOVED_BY_COUNT; i++) {
		const struct moved *it = &by[i], *other = &by[!i];
		json_t *j = json_object();

		set(j, "name", json_string(names[i]));
		set_number(j, "flows", it->flows);
		set_number(j, "flows_percent",
			   percent(it->flows, other->flows));
		set_number(j, "bytes", it->bytes);
		set_number(j, "bytes_percent",
			   percent(it->bytes, other->bytes));
		(void)json_array_append_new(list, j);
	}
	return list;
}

static size_t count_selections(const struct config *c)
{
	struct selections all;

	return selections_make(c, &all, NULL) < 0 ? 0 : all.count;
}

static json_t *answer_status(struct supervisor *s, const json_t *request)
{
	const struct config *c = s->now.plan.config;
	json_t *j = ok();

	(void)request;
	set(j, "version", json_string(WAYLAY_VERSION));
	set_number(j, "pid", (uint64_t)getpid());
	set_number(j, "uptime_ms", s->loop.now_ms - s->begun_ms);
	set_number(j, "generation", s->crew.generations);
	set(j, "config_file", json_string(s->options.config_file));
	set(j, "engine", json_string(s->now.engine->name));
	set(j, "engine_reason",
	    json_string(c->engine == ENGINE_AUTO
				? "engine auto: the best that works here"
				: "the configuration asks for it"));
	set(j, "engines", engines(s));
	set_number(j, "selections", count_selections(c));
	set(j, "on_failure",
	    json_string(c->on_failure == ON_FAILURE_CLOSED ? "closed"
							   : "open"));
	set(j, "cut_through", cut_through(s));
	set(j, "movers", movers(s));
	set(j, "problems", problems(s));
	set(j, "workers", workers(s));
	set(j, "intercepts", intercepts(s));
	set(j, "groups", report_groups(s));
	set(j, "counters", counters(s));
	return j;
}

/* --- flows --------------------------------------------------------------- */

static void add_living(const struct supervisor *s, const struct member *m,
		       json_t *list)
{
	for (uint32_t i = 0; i < m->shared->flow_max; i++) {
		struct history_entry entry;
		struct flow_record r;

		if (!shared_read(m->shared, i, &r))
			continue;
		r.end = END_NONE;
		history_name(m->generation->config, &r, &entry);
		(void)json_array_append_new(
			list, history_json(&entry, s->loop.now_ms));
	}
}

static void add_cut(const struct supervisor *s, json_t *list)
{
	const struct config *c = crew_config(&s->crew);
	struct history_entry entry;
	struct flow_record r;

	for (uint32_t i = 0; i < cut_keeper_records(&s->cut); i++) {
		if (!cut_keeper_read(&s->cut, i, &r))
			continue;
		history_name(c, &r, &entry);
		(void)json_array_append_new(
			list, history_json(&entry, s->loop.now_ms));
	}
}

static json_t *answer_flows(struct supervisor *s, const json_t *request)
{
	json_int_t ended =
		json_integer_value(json_object_get(request, "ended"));
	json_t *j = ok(), *list = json_array();

	crew_collect(&s->crew);
	for (const struct member *m = s->crew.members; m; m = m->next)
		if (m->shared)
			add_living(s, m, list);
	add_cut(s, list);
	set(j, "flows", list);
	set(j, "ended",
	    history_list(&s->history, ended > 0 ? (size_t)ended : 0,
			 s->loop.now_ms));
	return j;
}

/* --- the rest ------------------------------------------------------------ */

static json_t *answer_reload(struct supervisor *s, const json_t *request)
{
	struct str text = { 0 };
	json_t *j;

	(void)request;
	int error = supervisor_reload(s, &text);

	if (error < 0) {
		j = control_error(error == -EINVAL ? CONTROL_CONFIG
						   : CONTROL_FAILED,
				  str_get(&text));
	} else {
		j = ok();
		set_number(j, "generation", s->crew.generations);
		set(j, "warnings", control_text(str_get(&text)));
	}
	str_done(&text);
	return j;
}

static json_t *answer_config(struct supervisor *s, const json_t *request)
{
	struct str text = { 0 };
	json_t *j = ok();

	(void)request;
	config_print(s->now.plan.config, &text);
	set(j, "text", control_text(str_get(&text)));
	str_done(&text);
	return j;
}

static const struct {
	const char *name;
	json_t *(*answer)(struct supervisor *s, const json_t *request);
} commands[] = {
	{ "status", answer_status },	 { "flows", answer_flows },
	{ "reload", answer_reload },	 { "config", answer_config },
	{ "explain", report_explain },	 { "rules", report_rules },
	{ "upstream", report_upstream },
};

json_t *report_answer(void *ctx, const json_t *request)
{
	const char *name =
		json_string_value(json_object_get(request, "command"));

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, name))
			return commands[i].answer(ctx, request);
	return control_error(CONTROL_USAGE, "there is no such command");
}
