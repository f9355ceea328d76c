/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_write.c - the configuration; see import_take.h.
 *
 * Whatever the input was, this is a configuration that waylay reads: names are
 * made here, and text of others stands only in comments, escaped.
 */
#include "cli/import_take.h"

#include "policy/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	INLINE_NETS_MAX = 8,
	NETS_A_LINE = 3,
	PORTS_A_LINE = 6,
	QUOTED_BYTES_MAX = 160,
	RANGES_SAID_MAX = 8,
	RULES_SAID_MAX = 8,
};

struct writer {
	struct import *im;
	struct str *out;
	size_t list_count;
	const char *lists[LISTS_MAX]; /* names that are taken */
};

/* --- lists --------------------------------------------------------------- */

static bool is_taken(const struct writer *w, const char *name)
{
	static const char *const words[] = { "any", "host", "private" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i], name) == 0)
			return true;
	}
	for (size_t i = 0; i < w->list_count; i++) {
		if (strcmp(w->lists[i], name) == 0)
			return true;
	}
	return false;
}

static bool is_letter(char c)
{
	return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* As much of the name as a list can have. */
static void clean_name(const char *name, char *out)
{
	size_t len = 0;

	for (; *name && len < NAME_TEXT_MAX - 8; name++) {
		bool is_plain = is_letter(*name) ||
				(len && *name >= '0' && *name <= '9');

		if (is_plain || (len && strchr("_.-", *name)))
			out[len++] = *name;
	}
	out[len] = '\0';
	if (!len)
		(void)strcpy(out, "set");
}

static const char *new_list(struct writer *w, const char *wanted)
{
	char base[NAME_TEXT_MAX], name[NAME_TEXT_MAX];

	clean_name(wanted, base);
	(void)snprintf(name, sizeof(name), "%s", base);
	for (unsigned n = 2; is_taken(w, name); n++)
		(void)snprintf(name, sizeof(name), "%.23s-%u", base, n);
	w->lists[w->list_count] = import_keep(w->im, name, strlen(name));
	return w->lists[w->list_count++];
}

static void put_nets(struct str *out, const char *statement,
		     const struct net_set *set)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < set->count; i++) {
		str_addf(out, i % NETS_A_LINE ? ", " : "    %s ", statement);
		str_add(out, prefix_format(&set->prefixes[i], text));
		if (i % NETS_A_LINE == NETS_A_LINE - 1 || i + 1 == set->count)
			str_add(out, "\n");
	}
}

static void put_list(struct writer *w, const char *name,
		     const struct net_set *set)
{
	str_addf(w->out, "list %s {\n", name);
	put_nets(w->out, "net", set);
	str_add(w->out, "}\n\n");
}

static bool same_set(const struct net_set *a, const struct net_set *b)
{
	return a->count == b->count &&
	       memcmp(a->prefixes, b->prefixes,
		      a->count * sizeof(*a->prefixes)) == 0;
}

/* Another intercept's list of the same networks, or NULL. */
static const char *find_list(const struct writer *w, const struct take_nets *n)
{
	for (const struct import_take *t = w->im->takes; t; t = t->next) {
		const struct take_nets *both[] = { &t->src, &t->dst };

		for (size_t i = 0; i < 2; i++) {
			if (both[i]->list && same_set(&both[i]->set, &n->set))
				return both[i]->list;
		}
	}
	return NULL;
}

static void put_lists_of(struct writer *w, struct take_nets *n)
{
	for (size_t i = 0; i < n->set_count; i++) {
		struct import_values *v = n->sets[i];
		const struct net_set *set = import_values_nets(w->im, v);

		if (v->list || !set || w->list_count == LISTS_MAX)
			continue;
		v->list = new_list(w, v->name);
		put_list(w, v->list, set);
	}
	if (n->set.count <= INLINE_NETS_MAX)
		return;
	n->list = find_list(w, n);
	if (n->list || w->list_count == LISTS_MAX)
		return;
	n->list = new_list(w, "nets");
	put_list(w, n->list, &n->set);
}

/* --- ports --------------------------------------------------------------- */

static bool has_port(const uint64_t *ports, unsigned port)
{
	return ports[port / 64] >> port % 64 & 1;
}

/* The next range of ports from *at on that are in, or are not; false: none. */
static bool next_range(const uint64_t *ports, bool is_in, unsigned *at,
		       struct port_range *out)
{
	unsigned first = *at, last;

	while (first < 65536 && has_port(ports, first) != is_in)
		first++;
	if (first == 65536)
		return false;
	for (last = first; last < 65535 && has_port(ports, last + 1) == is_in;)
		last++;
	*out = (struct port_range){ (uint16_t)first, (uint16_t)last };
	*at = last + 1;
	return true;
}

static size_t count_ranges(const uint64_t *ports, bool is_in)
{
	struct port_range r;
	unsigned at = 1;
	size_t count = 0;

	while (next_range(ports, is_in, &at, &r))
		count++;
	return count;
}

static void put_ranges(struct str *out, const char *statement,
		       const uint64_t *ports, bool is_in)
{
	struct port_range r;
	unsigned at = 1;
	size_t count = 0;

	str_addf(out, "    %s ", statement);
	while (next_range(ports, is_in, &at, &r)) {
		if (count)
			str_add(out, count % PORTS_A_LINE ? ", "
							  : ",\n            ");
		count++;
		if (r.first == r.last)
			str_addf(out, "%u", (unsigned)r.first);
		else
			str_addf(out, "%u-%u", (unsigned)r.first,
				 (unsigned)r.last);
	}
	str_add(out, "\n");
}

/* "any; except port 22" if that is shorter, and both protocols agree. */
static void put_ports(struct str *out, const struct import_take *t)
{
	static const char *const words[] = {
		[PROTO_TCP] = "tcp    ", [PROTO_UDP] = "udp    "
	};
	const uint64_t *one =
		t->ports[PROTO_TCP] ? t->ports[PROTO_TCP] : t->ports[PROTO_UDP];
	bool is_same = true;
	size_t without = count_ranges(one, false);

	for (size_t i = 0; i < PROTO_COUNT; i++)
		is_same &=
			!t->ports[i] || memcmp(t->ports[i], one,
					       PORT_WORDS * sizeof(*one)) == 0;
	is_same &= without < count_ranges(one, true) || !without;
	for (size_t i = 0; i < PROTO_COUNT; i++) {
		if (!t->ports[i])
			continue;
		if (is_same || !count_ranges(t->ports[i], false))
			str_addf(out, "    %s any\n", words[i]);
		else
			put_ranges(out, words[i], t->ports[i], true);
	}
	if (is_same && without)
		put_ranges(out, "except  port", one, false);
}

/* --- where it is from ---------------------------------------------------- */

static int compare_lines(const void *left, const void *right)
{
	const uint32_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static void put_quoted(struct writer *w, uint32_t line)
{
	const struct import_line *l = &w->im->lines[line];
	size_t len = l->len;
	const char *text = l->text;

	while (len && (*text == ' ' || *text == '\t')) {
		text++;
		len--;
	}
	str_add(w->out, "# ");
	excerpt_text(w->out, l->file, strlen(l->file));
	str_addf(w->out, ":%u: ", l->number);
	excerpt_text(w->out, text,
		     len > QUOTED_BYTES_MAX ? QUOTED_BYTES_MAX : len);
	str_add(w->out, len > QUOTED_BYTES_MAX ? "...\n" : "\n");
}

/* Sorted lines as "a.sh:3-5,9". */
static void put_line_ranges(struct writer *w, const uint32_t *lines,
			    size_t count)
{
	const struct import_line *all = w->im->lines;
	const char *file = "";
	size_t said = 0;

	for (size_t i = 0; i < count;) {
		const struct import_line *l = &all[lines[i]];
		size_t first = i;

		while (i + 1 < count && lines[i + 1] <= lines[i] + 1 &&
		       all[lines[i + 1]].file == l->file)
			i++;
		if (said++ == RANGES_SAID_MAX) {
			str_add(w->out, " and others");
			break;
		}
		if (l->file != file) {
			str_add(w->out, " ");
			excerpt_text(w->out, l->file, strlen(l->file));
			str_add(w->out, ":");
		} else {
			str_add(w->out, ",");
		}
		file = l->file;
		str_addf(w->out, "%u", l->number);
		if (lines[i] != lines[first])
			str_addf(w->out, "-%u", all[lines[i]].number);
		i++;
	}
}

static void put_causes(struct writer *w, const struct import_take *t)
{
	size_t count = 0, filled = 0;
	uint32_t *lines;

	for (const struct take_part *p = t->parts; p; p = p->next) {
		for (const struct import_cause *c = p->causes; c; c = c->next)
			count += c->rule->action != ACTION_TAKE;
	}
	if (!count)
		return;
	lines = reallocarray(NULL, count, sizeof(*lines));
	if (!lines) {
		w->im->is_out_of_memory = true;
		return;
	}
	for (const struct take_part *p = t->parts; p; p = p->next) {
		for (const struct import_cause *c = p->causes; c; c = c->next) {
			if (c->rule->action != ACTION_TAKE)
				lines[filled++] = c->at.first;
		}
	}
	qsort(lines, count, sizeof(*lines), compare_lines);
	str_add(w->out, "# with");
	put_line_ranges(w, lines, count);
	str_add(w->out, "\n");
	free(lines);
}

static bool is_said_before(const struct import_take *t,
			   const struct take_part *part)
{
	const struct take_part *p = t->parts;

	while (p != part && p->rule != part->rule)
		p = p->next;
	return p != part;
}

/* The rules that take, each once, and the lines that had a say in it. */
static void put_origin(struct writer *w, const struct import_take *t)
{
	const struct take_part *p = t->parts;
	size_t said = 0;

	for (; p && said < RULES_SAID_MAX; p = p->next) {
		if (is_said_before(t, p))
			continue;
		put_quoted(w, p->rule->at.first);
		said++;
	}
	if (p)
		str_add(w->out, "# and others\n");
	put_causes(w, t);
}

/* --- intercepts ---------------------------------------------------------- */

/* "lan0" and "*" need no quotes, most others neither. */
static bool is_plain(const char *name)
{
	for (; *name; name++) {
		if (!is_letter(*name) && !strchr("0123456789_.*-/", *name))
			return false;
	}
	return true;
}

static void put_name(struct str *out, const char *name)
{
	str_addf(out, is_plain(name) ? "%s" : "\"%s\"", name);
}

static void put_names(struct str *out, const char *statement,
		      const struct take_names *n)
{
	for (size_t i = 0; i < n->count; i++) {
		str_addf(out, "    %s ", statement);
		put_name(out, n->names[i]);
		str_add(out, "\n");
	}
}

static void put_from(struct str *out, const struct import_take *t)
{
	str_add(out, "    from    ");
	if (t->is_host)
		str_add(out, "host");
	for (size_t i = 0; i < t->ifnames.count; i++) {
		str_add(out, i ? ", " : "");
		put_name(out, t->ifnames.names[i]);
	}
	str_add(out, "\n");
}

static void put_excepted(struct str *out, const char *statement,
			 const struct take_nets *n)
{
	for (size_t i = 0; i < n->set_count; i++) {
		const struct import_values *v = n->sets[i];

		if (v->list)
			str_addf(out, "    %s %s\n", statement, v->list);
		else
			put_nets(out, statement, &v->nets);
	}
	if (n->list)
		str_addf(out, "    %s %s\n", statement, n->list);
	else
		put_nets(out, statement, &n->set);
}

/* Without an address the listener is of both IP versions. */
static void put_deliver(struct str *out, const struct import_take *t)
{
	char text[ADDR_TEXT_MAX];

	if (t->deliver.family) {
		str_addf(out, "    deliver %s\n",
			 addr_format(&t->deliver, text));
		return;
	}
	if (t->families == 1 << FAMILY_V4)
		str_add(out, "    except  dst ::/0 # only IPv4\n");
	if (t->families == 1 << FAMILY_V6)
		str_add(out, "    except  dst 0.0.0.0/0 # only IPv6\n");
	str_addf(out, "    deliver *:%u\n", (unsigned)t->deliver.port);
}

static void put_block(struct str *out, const struct import_take *t,
		      size_t number)
{
	str_addf(out, "intercept take-%zu {\n", number);
	put_from(out, t);
	put_ports(out, t);
	put_excepted(out, "except  src", &t->src);
	put_excepted(out, "except  dst", &t->dst);
	put_names(out, "except  user", &t->users);
	put_names(out, "except  cgroup", &t->cgroups);
	put_deliver(out, t);
	str_add(out, "}\n");
}

static void put_commented(struct str *out, const struct import_take *t,
			  size_t number)
{
	struct str block = { 0 };
	const char *line;

	put_block(&block, t, number);
	line = str_get(&block);
	str_add(out, "# What excepts the proxy's own traffic is not known; "
		     "without it these flows\n# would come back for ever.  "
		     "Name its user or cgroup, and take the marks away:\n");
	while (*line) {
		size_t len = strcspn(line, "\n") + 1;

		str_add(out, "# ");
		str_addn(out, line, len);
		line += len;
		if (strncmp(line, "    deliver", 11) == 0)
			str_add(out, "#     except  user THE-PROXYS-USER\n");
	}
	out->is_failed |= !str_ok(&block);
	str_done(&block);
}

/* --- all ----------------------------------------------------------------- */

static const char head[] = "# Made by \"waylay import\".  Unlike packet "
			   "filters waylay never takes "
			   "what is\n# sent to addresses of this host itself; "
			   "see \"intercept\" in "
			   "waylay.conf(5).\n\n";

void import_write(struct import *im, struct str *out)
{
	struct writer w = { .im = im, .out = out };
	size_t number = 0;

	str_add(out, head);
	if (!im->takes)
		str_add(out, "# Nothing is intercepted.\n");
	else
		str_addf(out, "engine     auto\non-failure %s\n\n",
			 im->is_open ? "open" : "closed");
	for (struct import_take *t = im->takes; t; t = t->next) {
		put_lists_of(&w, &t->src);
		put_lists_of(&w, &t->dst);
	}
	for (const struct import_take *t = im->takes; t; t = t->next) {
		if (number++)
			str_add(out, "\n");
		put_origin(&w, t);
		if (t->is_doubtful)
			put_commented(out, t, number);
		else
			put_block(out, t, number);
	}
	out->is_failed |= im->is_out_of_memory;
}
