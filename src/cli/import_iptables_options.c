/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_iptables_options.c - conditions and targets; see import_iptables.h.
 *
 * A row is an option that waylay has an equal for, or that says nothing about
 * which packets are meant.  What has no row is a condition that we do not
 * know, unless the target does nothing that matters.
 */
#include "cli/import_iptables.h"

#include <stdio.h>
#include <string.h>

typedef void (*option_fn)(struct import_iptables_rule *r, const char *value,
			  bool is_negated);

static void add_values(struct import_iptables_rule *r, enum import_dim dim,
		       const char *value, bool is_negated)
{
	struct import_values *v = import_values_new(r->im);

	if (v)
		import_values_split(r->im, v, value, r->command->at.first);
	import_match_add(r->im, &r->rule->match, dim, is_negated, v);
}

static void set_unknown(struct import_iptables_rule *r, const char *option)
{
	import_match_unknown(&r->rule->match,
			     import_keepf(r->im,
					  "waylay has no condition like %.60s",
					  option));
}

/* --- plain conditions ---------------------------------------------------- */

static void read_proto(struct import_iptables_rule *r, const char *value,
		       bool is_negated)
{
	static const struct {
		const char *name;
		uint8_t protos;
	} names[] = {
		{ "tcp", 1 << PROTO_TCP }, { "6", 1 << PROTO_TCP },
		{ "udp", 1 << PROTO_UDP }, { "17", 1 << PROTO_UDP },
		{ "all", PROTOS_ALL },	   { "0", PROTOS_ALL },
	};
	uint8_t protos = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].name, value) == 0)
			protos = names[i].protos;
	}
	if (is_negated)
		protos = (uint8_t)(PROTOS_ALL & ~protos);
	r->rule->match.protos &= protos;
}

static void read_src(struct import_iptables_rule *r, const char *value,
		     bool is_negated)
{
	add_values(r, DIM_SRC, value, is_negated);
}

static void read_dst(struct import_iptables_rule *r, const char *value,
		     bool is_negated)
{
	add_values(r, DIM_DST, value, is_negated);
}

static void read_dports(struct import_iptables_rule *r, const char *value,
			bool is_negated)
{
	add_values(r, DIM_PORT, value, is_negated);
}

static void read_user(struct import_iptables_rule *r, const char *value,
		      bool is_negated)
{
	add_values(r, DIM_USER, value, is_negated);
}

static void read_cgroup(struct import_iptables_rule *r, const char *value,
			bool is_negated)
{
	add_values(r, DIM_CGROUP, value, is_negated);
}

/* "eth+" is "eth*" here. */
static void add_interface(struct import_iptables_rule *r, enum import_dim dim,
			  const char *value, bool is_negated)
{
	size_t len = strlen(value);

	if (len && value[len - 1] == '+')
		value = import_keepf(r->im, "%.*s*", (int)len - 1, value);
	add_values(r, dim, value, is_negated);
}

static void read_in(struct import_iptables_rule *r, const char *value,
		    bool is_negated)
{
	add_interface(r, DIM_IFNAME, value, is_negated);
}

static void read_out(struct import_iptables_rule *r, const char *value,
		     bool is_negated)
{
	add_interface(r, DIM_OUT_IFNAME, value, is_negated);
}

static void read_mark(struct import_iptables_rule *r, const char *value,
		      bool is_negated)
{
	struct import_match *m = &r->rule->match;

	/* waylay knows new flows only, and these have no connmark yet */
	if (r->match_module && strcmp(r->match_module, "connmark") == 0) {
		m->is_self |= !is_negated;
		return;
	}
	if (m->has_mark || !import_number_mask(value, &m->mark, &m->mask)) {
		set_unknown(r, "this mark");
		return;
	}
	m->has_mark = true;
	m->is_mark_negated = is_negated;
}

/* --- conditions that are about what waylay leaves alone ------------------ */

static void read_socket(struct import_iptables_rule *r, const char *value,
			bool is_negated)
{
	(void)is_negated; /* -m takes no ! */
	r->match_module = value;
	if (strcmp(value, "socket") == 0)
		r->rule->match.is_self = r->rule->match.is_socket = true;
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (;;) {
		size_t part = strcspn(list, ",");

		if (part == len && memcmp(list, word, len) == 0)
			return true;
		if (!list[part])
			return false;
		list += part + 1;
	}
}

/* States of connections: what is not new, waylay has seen or never will. */
static void read_state(struct import_iptables_rule *r, const char *value,
		       bool is_negated)
{
	r->rule->match.is_self |= has_word(value, "NEW") == is_negated;
}

static void read_direction(struct import_iptables_rule *r, const char *value,
			   bool is_negated)
{
	r->rule->match.is_self |= has_word(value, "REPLY") != is_negated;
}

/* Types of addresses that waylay never takes. */
static void read_dst_type(struct import_iptables_rule *r, const char *value,
			  bool is_negated)
{
	r->rule->match.is_self |= has_word(value, "UNICAST") == is_negated;
}

static void read_syn(struct import_iptables_rule *r, const char *value,
		     bool is_negated)
{
	(void)value; /* takes none */
	r->rule->match.is_self |= is_negated;
}

static void read_tcp_flags(struct import_iptables_rule *r, const char *value,
			   bool is_negated)
{
	if (strcmp(value, "SYN") == 0)
		r->rule->match.is_self |= is_negated;
	else
		set_unknown(r, "--tcp-flags");
}

/* --- conditions that need words of their own ----------------------------- */

static void read_sport(struct import_iptables_rule *r, const char *value,
		       bool is_negated)
{
	(void)value;
	(void)is_negated; /* it is not expressed either way */
	import_match_unknown(&r->rule->match,
			     "waylay cannot choose by the source port");
}

static void read_group(struct import_iptables_rule *r, const char *value,
		       bool is_negated)
{
	(void)value;
	(void)is_negated; /* the same */
	import_match_unknown(&r->rule->match,
			     "waylay excepts users and cgroups, not groups of "
			     "users");
}

static void read_nothing(struct import_iptables_rule *r, const char *value,
			 bool is_negated)
{
	(void)r;
	(void)value;
	(void)is_negated; /* no condition */
}

/* --- targets ------------------------------------------------------------- */

static void read_jump(struct import_iptables_rule *r, const char *value,
		      bool is_negated)
{
	(void)is_negated; /* takes no ! */
	r->target = value;
}

static void read_goto(struct import_iptables_rule *r, const char *value,
		      bool is_negated)
{
	(void)is_negated; /* takes no ! */
	r->target = value;
	r->is_goto = true;
}

static void read_on_port(struct import_iptables_rule *r, const char *value,
			 bool is_negated)
{
	uint32_t port;

	(void)is_negated; /* takes no ! */
	if (import_number(value, &port) && port <= 65535)
		r->rule->deliver.port = (uint16_t)port;
}

static void read_on_ip(struct import_iptables_rule *r, const char *value,
		       bool is_negated)
{
	static const struct addr none;
	struct addr a;

	(void)is_negated; /* takes no ! */
	if (strchr(value, '%') || addr_parse_ip(value, &a) < 0) {
		import_match_unknown(&r->rule->match,
				     "the address of --on-ip is none");
		return;
	}
	if (memcmp(a.ip, none.ip, sizeof(a.ip)) == 0)
		return; /* 0.0.0.0 and ::, as if it were not given */
	a.port = r->rule->deliver.port;
	r->rule->deliver = a;
}

static void read_target_mark(struct import_iptables_rule *r, const char *value,
			     bool is_negated)
{
	struct import_fwmark m = { .at = r->command->at };

	(void)is_negated; /* takes no ! */
	if (import_number_mask(value, &m.value, &m.mask))
		import_add_mark(r->im, &r->im->target_marks, &m);
}

static void set_mark(struct import_rule *rule, uint32_t mask, uint32_t value)
{
	rule->sets_mark = true;
	rule->mark_mask = mask;
	rule->mark_value = value;
}

static void read_set_mark(struct import_iptables_rule *r, const char *value,
			  bool is_negated)
{
	uint32_t bits, mask;

	(void)is_negated; /* takes no ! */
	if (import_number_mask(value, &bits, &mask))
		set_mark(r->rule, mask | bits, bits);
}

static void read_set_xmark(struct import_iptables_rule *r, const char *value,
			   bool is_negated)
{
	uint32_t bits, mask;

	(void)is_negated; /* takes no ! */
	if (import_number_mask(value, &bits, &mask))
		set_mark(r->rule, mask, bits);
}

static void read_or_mark(struct import_iptables_rule *r, const char *value,
			 bool is_negated)
{
	uint32_t bits;

	(void)is_negated; /* takes no ! */
	if (import_number(value, &bits))
		set_mark(r->rule, bits, bits);
}

static void read_and_mark(struct import_iptables_rule *r, const char *value,
			  bool is_negated)
{
	uint32_t bits;

	(void)is_negated; /* takes no ! */
	if (import_number(value, &bits))
		set_mark(r->rule, ~bits, 0);
}

static void read_to_address(struct import_iptables_rule *r, const char *value,
			    bool is_negated)
{
	(void)is_negated; /* takes no ! */
	r->to_address = value;
}

/* --- the table ----------------------------------------------------------- */

/* Values a row takes; of two the last one is handed on, or the set. */
enum arity { NONE, ONE, TWO, SET };

static const struct {
	const char *name;
	enum arity arity;
	option_fn read;
} options[] = {
	{ "-p", ONE, read_proto },
	{ "--protocol", ONE, read_proto },
	{ "--proto", ONE, read_proto },
	{ "-s", ONE, read_src },
	{ "--source", ONE, read_src },
	{ "--src", ONE, read_src },
	{ "--src-range", ONE, read_src },
	{ "-d", ONE, read_dst },
	{ "--destination", ONE, read_dst },
	{ "--dst", ONE, read_dst },
	{ "--dst-range", ONE, read_dst },
	{ "-i", ONE, read_in },
	{ "--in-interface", ONE, read_in },
	{ "-o", ONE, read_out },
	{ "--out-interface", ONE, read_out },
	{ "--dport", ONE, read_dports },
	{ "--destination-port", ONE, read_dports },
	{ "--dports", ONE, read_dports },
	{ "--destination-ports", ONE, read_dports },
	{ "--sport", ONE, read_sport },
	{ "--source-port", ONE, read_sport },
	{ "--sports", ONE, read_sport },
	{ "--source-ports", ONE, read_sport },
	{ "--ports", ONE, read_sport },
	{ "-m", ONE, read_socket },
	{ "--match", ONE, read_socket },
	{ "--transparent", NONE, read_nothing },
	{ "--nowildcard", NONE, read_nothing },
	{ "--restore-skmark", NONE, read_nothing },
	{ "--comment", ONE, read_nothing },
	{ "-c", TWO, read_nothing },
	{ "--set-counters", TWO, read_nothing },
	{ "--mark", ONE, read_mark },
	{ "--ctstate", ONE, read_state },
	{ "--state", ONE, read_state },
	{ "--ctdir", ONE, read_direction },
	{ "--dst-type", ONE, read_dst_type },
	{ "--syn", NONE, read_syn },
	{ "--tcp-flags", TWO, read_tcp_flags },
	{ "--uid-owner", ONE, read_user },
	{ "--gid-owner", ONE, read_group },
	{ "--path", ONE, read_cgroup },
	{ "--match-set", SET, NULL },
	{ "-j", ONE, read_jump },
	{ "--jump", ONE, read_jump },
	{ "-g", ONE, read_goto },
	{ "--goto", ONE, read_goto },
	{ "--on-port", ONE, read_on_port },
	{ "--on-ip", ONE, read_on_ip },
	{ "--tproxy-mark", ONE, read_target_mark },
	{ "--set-mark", ONE, read_set_mark },
	{ "--set-xmark", ONE, read_set_xmark },
	{ "--or-mark", ONE, read_or_mark },
	{ "--and-mark", ONE, read_and_mark },
	{ "--to-destination", ONE, read_to_address },
};

enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

/* --match-set NAME src|dst */
static void read_match_set(struct import_iptables_rule *r, const char *name,
			   const char *side, bool is_negated)
{
	char key[128];
	bool is_src = strcmp(side, "src") == 0;

	if (!is_src && strcmp(side, "dst") != 0) {
		set_unknown(r, "a set of pairs");
		return;
	}
	(void)snprintf(key, sizeof(key), "ipset %.100s", name); /* may cut */
	import_match_add(r->im, &r->rule->match, is_src ? DIM_SRC : DIM_DST,
			 is_negated, import_set(r->im, key, name));
}

/* "--dport=80" is "--dport 80". */
static size_t find_option(const char *word, const char **value)
{
	const char *equal = *word == '-' ? strchr(word, '=') : NULL;
	size_t len = equal ? (size_t)(equal - word) : strlen(word);

	*value = equal ? equal + 1 : NULL;
	for (size_t i = 0; i < OPTIONS; i++) {
		if (strlen(options[i].name) == len &&
		    memcmp(options[i].name, word, len) == 0)
			return i;
	}
	return OPTIONS;
}

size_t import_iptables_option(struct import_iptables_rule *r,
			      const char *const *words, size_t count,
			      bool is_negated)
{
	static const size_t takes[] = {
		[NONE] = 0, [ONE] = 1, [TWO] = 2, [SET] = 2
	};
	const char *value;
	size_t i = find_option(words[0], &value);
	size_t wanted, skip = 1;

	if (i == OPTIONS) {
		if (*words[0] == '-')
			set_unknown(r, words[0]);
		return 1;
	}
	wanted = takes[options[i].arity];
	if (value)
		wanted = 0;
	else if (count > 1 && strcmp(words[1], "!") == 0)
		is_negated = ++skip; /* the older form: -s ! ADDRESS */
	if (count < skip + wanted) {
		set_unknown(r, "an option without its value");
		return count;
	}
	if (!value)
		value = wanted ? words[skip + wanted - 1] : "";
	if (options[i].arity == SET && wanted)
		read_match_set(r, words[skip], value, is_negated);
	else if (options[i].read)
		options[i].read(r, value, is_negated);
	return skip + wanted;
}
