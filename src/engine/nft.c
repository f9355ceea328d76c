/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft.c - install, remove and watch over the table; see nft.h.
 */
#include "engine/nft.h"

#include "base/child.h"
#include "engine/nft_look.h"
#include "engine/nft_missing.h"
#include "engine/nft_text.h"
#include "engine/trial.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

/* --- installing ---------------------------------------------------------- */

/* Run `nft -f -`; the first line of its complaint goes into e. */
static int run_script(const char *script, const char *what, struct err *e)
{
	const char *const argv[] = { "nft", "-f", "-", NULL };
	struct str complaint = { 0 };
	int status = child_run(argv, script, NULL, &complaint, e);

	if (status > 0) {
		size_t line = strcspn(str_get(&complaint), "\n");

		err_set(e,
			strstr(str_get(&complaint), "not permitted") ? EPERM
								     : EPROTO,
			"cannot %s: nft says: %.*s", what, (int)line,
			str_get(&complaint));
		status = -e->code;
	}
	str_done(&complaint);
	return status;
}

/* What stays when rules are replaced, beside the counters: sets of what rules
 * have noted, for connections must go on, and big sets that stay the same. */
struct keep {
	const struct nft_sets *sets;
	const char *rules; /* the new ones */
	const json_t *old; /* the table as it is */
};

static bool has_definition(const char *rules, const char *kind,
			   const char *name)
{
	struct str line = { 0 };
	bool is_there;

	str_addf(&line, "\t%s %s {\n", kind, name);
	is_there = strstr(rules, str_get(&line));
	str_done(&line);
	return is_there;
}

static bool is_kept_set(const struct keep *k, const char *kind,
			const char *name)
{
	const struct nft_set *set = nft_sets_find(k->sets, name);

	if (set)
		return set->count > NFT_BIG_SET;
	/* deaf_N is of the listeners that were */
	return strncmp(name, "deaf_", 5) != 0 &&
	       has_definition(k->rules, kind, name);
}

/* nft_kept_fn: is it there, and is it to stay? */
static bool is_kept(void *ctx, const char *name)
{
	const struct keep *k = ctx;
	json_t *item;
	size_t i;

	if (!is_kept_set(k, "set", name))
		return false;
	json_array_foreach(k->old, i, item)
	{
		const char *other = json_string_value(
			json_object_get(json_object_get(item, "set"), "name"));

		if (other && !strcmp(other, name))
			return true;
	}
	return false;
}

/* Chains and sets that the new rules do not have any more. */
static void put_deletions(const struct keep *k, struct str *out)
{
	json_t *item, *body;
	const char *kind;
	size_t i;

	json_array_foreach(k->old, i, item)
	{
		json_object_foreach(item, kind, body)
		{
			const char *name = json_string_value(
				json_object_get(body, "name"));
			bool is_chain = !strcmp(kind, "chain");
			bool is_set =
				!strcmp(kind, "set") || !strcmp(kind, "map");

			if ((is_chain &&
			     !has_definition(k->rules, kind, name)) ||
			    (is_set && !is_kept_set(k, kind, name)))
				str_addf(out, "delete %s inet waylay %s\n",
					 kind, name);
		}
	}
}

/* One transaction: all of it or nothing.  Not `delete table`: what is kept
 * would be lost. */
static void put_script(struct nft_text *t, const json_t *old, struct str *out)
{
	struct str rules = { 0 };
	struct keep keep = { .sets = &t->sets, .old = old };

	t->out = &rules;
	nft_put_rules(t);
	keep.rules = str_get(&rules);
	str_add(out, "add table inet waylay\nflush table inet waylay\n");
	put_deletions(&keep, out);
	str_add(out, "table inet waylay {\n");
	nft_sets_put(&t->sets, is_kept, &keep, out);
	str_add(out, str_get(&rules));
	str_add(out, "}\n");
	out->is_failed |= rules.is_failed;
	str_done(&rules);
}

static int replace(struct nft_text *t, struct err *e)
{
	json_t *old = nft_list(true, e);
	struct str script = { 0 };
	int error;

	if (!old)
		return -e->code;
	put_script(t, old, &script);
	json_decref(old);
	if (!str_ok(&script))
		error = err_set(e, ENOMEM, "no memory for the nft rules");
	else
		error = run_script(str_get(&script),
				   "install the table `inet waylay`", e);
	str_done(&script);
	return error == -EPROTO ? nft_name_missing(e) : error;
}

int nft_install(const struct plan *p, struct err *e)
{
	struct err cause = { 0 };
	struct nft_text t;
	int error = nft_check_users(p->config, &cause);

	if (!error)
		error = nft_text_init(&t, p, NULL, &cause);
	if (!error) {
		error = replace(&t, &cause);
		nft_text_done(&t);
	}
	if (error && e)
		*e = cause;
	return error;
}

int nft_snapshot(struct str *out, struct err *e)
{
	return nft_list_stable(false, out, e);
}

int nft_remove(struct err *e)
{
	struct err cause = { 0 };
	json_t *now = nft_list(true, &cause);
	size_t count = json_array_size(now);

	json_decref(now);
	if (now && !count)
		return 0;
	if (now)
		return run_script("delete table inet waylay\n",
				  "remove the table `inet waylay`", e);
	if (e)
		*e = cause;
	return -cause.code;
}

/* --- as an engine -------------------------------------------------------- */

struct engine_run {
	bool is_terse;	     /* there are too many elements to look at */
	struct str expected; /* the table after installing */
	struct str cgroups;  /* those that are excepted... */
	struct str ids;	     /* ...and what they were then */
};

static int check(const struct config *c, struct err *e)
{
	struct selections all;

	return selections_make(c, &all, e);
}

static struct engine_run *new_run(struct err *e)
{
	struct engine_run *run = calloc(1, sizeof(*run));

	if (!run)
		(void)err_set(e, ENOMEM, "no memory for engine nft");
	return run;
}

static void free_run(struct engine_run *run)
{
	if (!run)
		return;
	str_done(&run->expected);
	str_done(&run->cgroups);
	str_done(&run->ids);
	free(run);
}

static bool has_many_prefixes(const struct config *c)
{
	struct nft_sets sets;
	bool has_many;

	if (nft_sets_init(&sets, c) < 0)
		return true;
	has_many = sets.prefixes > NFT_BIG_SET;
	nft_sets_done(&sets);
	return has_many;
}

static int install(struct engine_run *run, const struct plan *p, struct err *e)
{
	struct engine_run next = { .is_terse = has_many_prefixes(p->config) };
	int error;

	nft_list_cgroups(p->config, &next.cgroups);
	nft_identify_cgroups(str_get(&next.cgroups), &next.ids);
	error = nft_install(p, e);
	if (error)
		goto out;
	error = nft_list_stable(next.is_terse, &next.expected, e);
	if (!error) {
		struct engine_run old = *run;

		*run = next;
		next = old;
	}
out:
	str_done(&next.expected);
	str_done(&next.cgroups);
	str_done(&next.ids);
	return error;
}

static int is_intact(struct engine_run *run, struct err *e)
{
	struct str now = { 0 };
	bool is_same;
	int error;

	if (!nft_are_cgroups_same(str_get(&run->cgroups), str_get(&run->ids)))
		return 0;
	error = nft_list_stable(run->is_terse, &now, e);
	is_same = !strcmp(str_get(&now), str_get(&run->expected));
	str_done(&now);
	return error ? error : is_same;
}

static void render(const struct plan *p, struct str *out)
{
	str_add(out, "nft -f - <<'END'\n");
	nft_render(p, out);
	str_add(out, "END\n");
}

static int probe(struct err *e)
{
	return trial_run(&engine_nft, e);
}

const struct engine engine_nft = {
	.name = "nft",
	.kind = ENGINE_NFT,
	.event_groups = 1u << (NFNLGRP_NFTABLES - 1),
	.check = check,
	.probe = probe,
	.new = new_run,
	.free = free_run,
	.install = install,
	.is_intact = is_intact,
	.remove = nft_remove,
	.render = render,
	.counters = nft_counters,
};
