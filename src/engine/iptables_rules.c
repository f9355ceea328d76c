/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_rules.c - our part of the tables; see iptables_rules.h.
 *
 * iptables-restore --noflush knows no "delete if present": a script has to fit
 * what is there.  Declaring a chain makes it, or empties the one of that name;
 * so a table is replaced by taking out the rules that lead to us, emptying all
 * our chains, deleting those that are not wanted any more, and filling the
 * others.  The kernel sees only the end of it.
 */
#include "engine/iptables_rules.h"

#include <string.h>

static const char *const table_names[IPTABLES_TABLES] = {
	[IPTABLES_FILTER] = "filter",
	[IPTABLES_MANGLE] = "mangle",
	[IPTABLES_RAW] = "raw",
};

static const char prefix[] = "waylay-";

static bool is_ours(const char *name)
{
	return !strncmp(name, prefix, strlen(prefix));
}

/* --- reading ------------------------------------------------------------- */

static enum iptables_table find_table(const char *line, size_t len)
{
	enum iptables_table t = 0;

	while (t < IPTABLES_TABLES && (strlen(table_names[t]) != len ||
				       strncmp(table_names[t], line, len) != 0))
		t++;
	return t;
}

/* Does the rule lead to a chain of ours?  Words in quotes are other people's
 * comments and log prefixes. */
static bool leads_to_us(const char *line, size_t len)
{
	bool is_quoted = false;

	for (size_t i = 0; i + 4 < len; i++) {
		const char *at = line + i;

		if (is_quoted && *at == '\\')
			i++;
		else if (*at == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted &&
			 (!strncmp(at, " -j ", 4) || !strncmp(at, " -g ", 4)))
			return is_ours(at + 4);
	}
	return false;
}

/* [12:345] in front of a rule, with iptables-save -c */
static void skip_counters(const char **line, size_t *len)
{
	const char *end = **line == '[' ? memchr(*line, ']', *len) : NULL;

	if (!end || (size_t)(end - *line) + 2 > *len)
		return;
	*len -= (size_t)(end + 2 - *line);
	*line = end + 2;
}

static void read_line(struct iptables_part *part, const char *line, size_t len)
{
	skip_counters(&line, &len);
	if (line[0] == ':' && is_ours(line + 1)) {
		str_addn(&part->chains, line, strcspn(line, " \n"));
		str_add(&part->chains, " - [0:0]\n");
	} else if (!strncmp(line, "-A ", 3) && is_ours(line + 3)) {
		str_addn(&part->rules, line, len);
		str_add(&part->rules, "\n");
	} else if (!strncmp(line, "-A ", 3) && leads_to_us(line, len)) {
		str_addn(&part->hooks, line + 3, len - 3);
		str_add(&part->hooks, "\n");
	}
}

void iptables_rules_read(const char *listing, struct iptables_rules *out)
{
	enum iptables_table table = IPTABLES_TABLES;

	while (*listing) {
		size_t len = strcspn(listing, "\n");

		if (*listing == '*')
			table = find_table(listing + 1, len - 1);
		else if (table < IPTABLES_TABLES)
			read_line(&out->parts[table], listing, len);
		listing += len + (listing[len] == '\n');
	}
}

static bool is_part_empty(const struct iptables_part *p)
{
	return !p->chains.len && !p->hooks.len;
}

bool iptables_rules_are_none(const struct iptables_rules *r)
{
	for (int i = 0; i < IPTABLES_TABLES; i++)
		if (!is_part_empty(&r->parts[i]))
			return false;
	return true;
}

bool iptables_rules_ok(const struct iptables_rules *r)
{
	for (int i = 0; i < IPTABLES_TABLES; i++)
		if (!str_ok(&r->parts[i].chains) ||
		    !str_ok(&r->parts[i].rules) || !str_ok(&r->parts[i].hooks))
			return false;
	return true;
}

void iptables_rules_done(struct iptables_rules *r)
{
	for (int i = 0; i < IPTABLES_TABLES; i++) {
		str_done(&r->parts[i].chains);
		str_done(&r->parts[i].rules);
		str_done(&r->parts[i].hooks);
	}
}

/* --- writing ------------------------------------------------------------- */

void iptables_rules_print(const struct iptables_rules *r, struct str *out)
{
	for (int i = 0; i < IPTABLES_TABLES; i++)
		str_addf(out, "*%s\n%s%s%s", table_names[i],
			 str_get(&r->parts[i].chains),
			 str_get(&r->parts[i].rules),
			 str_get(&r->parts[i].hooks));
}

/* Each line of `lines` with something in front. */
static void put_lines(struct str *out, const char *front,
		      const struct str *lines)
{
	const char *line = str_get(lines);

	while (*line) {
		size_t len = strcspn(line, "\n") + 1;

		str_add(out, front);
		str_addn(out, line, len);
		line += len;
	}
}

static bool has_line(const struct str *lines, const char *line, size_t len)
{
	const char *at = str_get(lines);

	while (*at) {
		size_t at_len = strcspn(at, "\n") + 1;

		if (at_len == len && !memcmp(at, line, len))
			return true;
		at += at_len;
	}
	return false;
}

/* Chains of a that b has not, as they are declared or as their deletion. */
static void put_difference(struct str *out, const struct str *a,
			   const struct str *b, bool is_deletion)
{
	const char *line = str_get(a);

	for (; *line; line += strcspn(line, "\n") + 1) {
		size_t len = strcspn(line, "\n") + 1;

		if (has_line(b, line, len))
			continue;
		if (!is_deletion) {
			str_addn(out, line, len);
			continue;
		}
		str_add(out, "-X ");
		str_addn(out, line + 1, strcspn(line, " ") - 1);
		str_add(out, "\n");
	}
}

static void put_part(struct str *out, const char *name,
		     const struct iptables_part *now,
		     const struct iptables_part *want)
{
	if (is_part_empty(now) && is_part_empty(want))
		return;
	str_addf(out, "*%s\n", name);
	put_lines(out, "-D ", &now->hooks);
	put_lines(out, "", &now->chains); /* empties them */
	put_difference(out, &want->chains, &now->chains, false);
	put_difference(out, &now->chains, &want->chains, true);
	put_lines(out, "", &want->rules);
	put_lines(out, "-I ", &want->hooks);
	str_add(out, "COMMIT\n");
}

void iptables_rules_script(const struct iptables_rules *now,
			   const struct iptables_rules *want, struct str *out)
{
	bool is_end = iptables_rules_are_none(want);

	for (int i = 0; i < IPTABLES_TABLES; i++) {
		int t = is_end ? IPTABLES_TABLES - 1 - i : i;

		put_part(out, table_names[t], &now->parts[t], &want->parts[t]);
	}
}
