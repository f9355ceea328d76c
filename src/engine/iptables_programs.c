/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_programs.c - run them, and say what they say; see
 * iptables_programs.h.
 */
#include "engine/iptables_programs.h"

#include "base/child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const save_names[IPTABLES_VARIANTS][FAMILY_COUNT] = {
	[IPTABLES_PLAIN] = { "iptables-save", "ip6tables-save" },
	[IPTABLES_NFT] = { "iptables-nft-save", "ip6tables-nft-save" },
	[IPTABLES_LEGACY] = { "iptables-legacy-save", "ip6tables-legacy-save" },
};
static const char *const restore_names[IPTABLES_VARIANTS][FAMILY_COUNT] = {
	[IPTABLES_PLAIN] = { "iptables-restore", "ip6tables-restore" },
	[IPTABLES_NFT] = { "iptables-nft-restore", "ip6tables-nft-restore" },
	[IPTABLES_LEGACY] = { "iptables-legacy-restore",
			      "ip6tables-legacy-restore" },
};

enum iptables_variant iptables_other(void)
{
	static const char *const argv[] = { "iptables", "--version", NULL };
	struct str version = { 0 };
	bool is_nft;

	/* iptables v1.8.9 (nf_tables) */
	is_nft = child_run(argv, NULL, &version, NULL, NULL) == 0 &&
		 strstr(str_get(&version), "nf_tables");
	str_done(&version);
	return is_nft ? IPTABLES_LEGACY : IPTABLES_NFT;
}

/* --- complaints ---------------------------------------------------------- */

static bool is_denial(const char *complaint)
{
	return strstr(complaint, "ermission denied") ||
	       strstr(complaint, "not permitted");
}

/* The line of the script that a complaint is about, without its end; NULL. */
static const char *find_line(const char *script, const char *complaint,
			     size_t *len)
{
	const char *at = strstr(complaint, "line ");
	long number = at ? strtol(at + strlen("line "), NULL, 10) : 0;

	for (; number > 1 && *script; number--)
		script += strcspn(script, "\n") + 1;
	*len = strcspn(script, "\n");
	return number == 1 && *script == '-' ? script : NULL;
}

/* "PROGRAM v1.8.9 (nf_tables): \nline 10: RULE_APPEND failed ...": in one
 * line, and with the rule. */
static int refuse(const char *program, const char *script,
		  const char *complaint, struct err *e)
{
	size_t len, line_len = 0;
	const char *line = find_line(script, complaint, &line_len);
	char text[256];

	len = strnlen(complaint, sizeof(text) - 1);
	memcpy(text, complaint, len);
	while (len && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = ' ';
	return err_set(e, is_denial(complaint) ? EPERM : EPROTO,
		       "cannot load %s%.*s%s: %s says: %s",
		       line ? "the rule `" : "rules", line ? (int)line_len : 0,
		       line ? line : "", line ? "`" : "", program, text);
}

static int restore(enum iptables_variant v, enum family_index f,
		   const char *script, struct err *e)
{
	const char *const argv[] = { restore_names[v][f], "--noflush", "-w",
				     NULL };
	struct str complaint = { 0 };
	int status = child_run(argv, script, NULL, &complaint, e);

	if (status > 0)
		status = refuse(argv[0], script, str_get(&complaint), e);
	str_done(&complaint);
	return status;
}

/* --- what a kernel may lack ---------------------------------------------- */

/* What this engine asks for, tried one by one when the whole is refused, so
 * that the message can name what is missing. */
struct need {
	enum iptables_table table;
	const char *word; /* only if the script has it */
	const char *rule;
	const char *rule6; /* NULL: the same */
	const char *name;  /* Kconfig symbol */
};

static const struct need needs[] = {
	{ IPTABLES_RAW, "*raw", "-j RETURN", NULL, "IP_NF_RAW" },
	{ IPTABLES_MANGLE, "*mangle", "-j RETURN", NULL, "IP_NF_MANGLE" },
	{ IPTABLES_RAW, "-m mark", "-m mark --mark 1", NULL,
	  "NETFILTER_XT_MARK" },
	{ IPTABLES_RAW, "-m comment", "-m comment --comment waylay", NULL,
	  "NETFILTER_XT_MATCH_COMMENT" },
	{ IPTABLES_RAW, "-m socket", "-m socket --transparent", NULL,
	  "NETFILTER_XT_MATCH_SOCKET" },
	{ IPTABLES_MANGLE, "-j TPROXY", "-p tcp -j TPROXY --on-port 1", NULL,
	  "NETFILTER_XT_TARGET_TPROXY" },
	{ IPTABLES_RAW, "-j CT", "-j CT --notrack", NULL,
	  "NETFILTER_XT_TARGET_CT" },
	{ IPTABLES_MANGLE, "-m conntrack", "-m conntrack --ctdir REPLY", NULL,
	  "NETFILTER_XT_MATCH_CONNTRACK" },
	{ IPTABLES_MANGLE, "CONNMARK",
	  "-m connmark --mark 1 -j CONNMARK --set-mark 1", NULL,
	  "NETFILTER_XT_CONNMARK" },
	{ IPTABLES_RAW, "-m addrtype", "-m addrtype --dst-type LOCAL", NULL,
	  "NETFILTER_XT_MATCH_ADDRTYPE" },
	{ IPTABLES_RAW, "-m multiport", "-p tcp -m multiport --dports 1,2",
	  NULL, "NETFILTER_XT_MATCH_MULTIPORT" },
	{ IPTABLES_RAW, "-m recent", "-m recent --rcheck --name waylay-try",
	  NULL, "NETFILTER_XT_MATCH_RECENT" },
	{ IPTABLES_MANGLE, "-m owner", "-m owner --uid-owner 1", NULL,
	  "NETFILTER_XT_MATCH_OWNER" },
	{ IPTABLES_MANGLE, "-m cgroup", "-m cgroup --path /", NULL,
	  "NETFILTER_XT_MATCH_CGROUP" },
	{ IPTABLES_FILTER, "-j REJECT",
	  "-p udp -j REJECT --reject-with icmp-port-unreachable",
	  "-p udp -j REJECT --reject-with icmp6-port-unreachable",
	  "IP_NF_TARGET_REJECT" },
};

/* In a chain that nothing leads to, so it harms nobody. */
static bool has_need(enum iptables_variant v, enum family_index f,
		     const struct need *need)
{
	const char *rule =
		f == FAMILY_V6 && need->rule6 ? need->rule6 : need->rule;
	struct iptables_rules none = { 0 }, tried = { 0 };
	struct iptables_part *part = &tried.parts[need->table];
	struct str script = { 0 };
	bool is_there;

	str_add(&part->chains, ":waylay-try - [0:0]\n");
	str_addf(&part->rules, "-A waylay-try %s\n", rule);
	iptables_rules_script(&none, &tried, &script);
	is_there = restore(v, f, str_get(&script), NULL) == 0;
	str_reset(&script);
	iptables_rules_script(&tried, &none, &script);
	if (is_there)
		(void)restore(v, f, str_get(&script), NULL);
	str_done(&script);
	iptables_rules_done(&tried);
	return is_there;
}

static const struct need *find_missing(enum iptables_variant v,
				       enum family_index f, const char *script)
{
	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++)
		if (strstr(script, needs[i].word) && !has_need(v, f, &needs[i]))
			return &needs[i];
	return NULL;
}

/* --- reading and loading ------------------------------------------------- */

int iptables_list(enum iptables_variant v, enum family_index f,
		  bool has_counters, struct str *out, struct err *e)
{
	const char *const argv[] = { save_names[v][f],
				     has_counters ? "-c" : NULL, NULL };
	struct str complaint = { 0 };
	int status = child_run(argv, NULL, out, &complaint, e);

	if (status > 0)
		status = err_set(
			e, is_denial(str_get(&complaint)) ? EPERM : EPROTO,
			"cannot read the rules: %s says: %.*s", argv[0],
			(int)strcspn(str_get(&complaint), "\n"),
			str_get(&complaint));
	str_done(&complaint);
	return status;
}

int iptables_read(enum iptables_variant v, enum family_index f,
		  struct iptables_rules *out, struct err *e)
{
	struct str listing = { 0 };
	int error = iptables_list(v, f, false, &listing, e);

	if (!error)
		iptables_rules_read(str_get(&listing), out);
	if (!error && !iptables_rules_ok(out))
		error = err_set(e, ENOMEM, "no memory for iptables rules");
	str_done(&listing);
	return error;
}

int iptables_load(enum iptables_variant v, enum family_index f,
		  const struct iptables_rules *now,
		  const struct iptables_rules *want, struct err *e)
{
	const struct need *missing = NULL;
	struct str script = { 0 };
	int error = 0;

	iptables_rules_script(now, want, &script);
	if (!str_ok(&script))
		error = err_set(e, ENOMEM, "no memory for iptables rules");
	else if (script.len)
		error = restore(v, f, str_get(&script), e);
	if (error == -EPROTO)
		missing = find_missing(v, f, str_get(&script));
	str_done(&script);
	if (!missing)
		return error;
	return err_set(e, EOPNOTSUPP,
		       "this kernel or this iptables lacks what CONFIG_%s "
		       "gives; load its module or choose another engine",
		       missing->name);
}

int iptables_clean(enum iptables_variant v, enum family_index f, struct err *e)
{
	struct iptables_rules now = { 0 }, none = { 0 };
	struct err unread = { 0 };
	int error = 0;

	/* What cannot be listed holds nothing of ours. */
	if (iptables_read(v, f, &now, &unread) == 0)
		error = iptables_load(v, f, &now, &none, e);
	else if (unread.code == EPERM)
		error = err_set(e, EPERM, "%s", unread.text);
	iptables_rules_done(&now);
	return error;
}
