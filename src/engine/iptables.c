/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables.c - install, remove, read back; see iptables.h.
 *
 * Each call reads what is there and makes the script that leads from it to
 * what is wanted, so nothing is ever there twice, whoever left it.
 */
#include "engine/iptables.h"

#include "abi/data_plane.h"
#include "engine/iptables_programs.h"
#include "engine/iptables_render.h"
#include "engine/nft_text.h"
#include "engine/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What holds of one family. */
struct installed {
	bool is_there;
	bool has_lease;
	struct str listing; /* to compare with */
};

struct engine_run {
	struct installed families[FAMILY_COUNT];
	struct str cgroups; /* those that are excepted... */
	struct str ids;	    /* ...and what they were then */
};

static struct engine_run *new_run(struct err *e)
{
	struct engine_run *run = calloc(1, sizeof(*run));

	if (!run)
		(void)err_set(e, ENOMEM, "no memory for engine iptables");
	return run;
}

static void forget(struct engine_run *run)
{
	for (int f = 0; f < FAMILY_COUNT; f++)
		str_done(&run->families[f].listing);
	str_done(&run->cgroups);
	str_done(&run->ids);
	*run = (struct engine_run){ 0 };
}

static void free_run(struct engine_run *run)
{
	if (run)
		forget(run);
	free(run);
}

/* --- the lease ----------------------------------------------------------- */

/* iptables-extensions(8), recent: the kernel notes when it was written. */
static int renew_lease(enum family_index f, struct err *e)
{
	const char *path = iptables_lease_path(f);
	const char *text = iptables_lease_text(f);
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		error = err_errno(e, errno,
				  "cannot say in %s that somebody listens",
				  path);
	if (fd >= 0)
		close(fd);
	return error;
}

static int renew_leases(const struct engine_run *run, struct err *e)
{
	int error = 0;

	for (enum family_index f = 0; f < FAMILY_COUNT && !error; f++)
		if (run->families[f].has_lease)
			error = renew_lease(f, e);
	return error;
}

static bool has_lease(const char *rules)
{
	return strstr(rules, " -m recent ") != NULL;
}

/* --- reading back -------------------------------------------------------- */

static int look(enum family_index f, struct installed *out, struct err *e)
{
	struct iptables_rules now = { 0 };
	int error = iptables_read(IPTABLES_PLAIN, f, &now, e);

	*out = (struct installed){ .is_there = true };
	iptables_rules_print(&now, &out->listing);
	out->has_lease = has_lease(str_get(&out->listing));
	if (!error && !str_ok(&out->listing))
		error = err_set(e, ENOMEM, "no memory for iptables rules");
	iptables_rules_done(&now);
	return error;
}

static int is_family_intact(const struct installed *expected,
			    enum family_index f, struct err *e)
{
	struct installed now = { 0 };
	int error = look(f, &now, e);
	bool is_same =
		!strcmp(str_get(&now.listing), str_get(&expected->listing));

	str_done(&now.listing);
	return error ? error : is_same;
}

static int is_intact(struct engine_run *run, struct err *e)
{
	struct err lease = { 0 };
	int result = nft_are_cgroups_same(str_get(&run->cgroups),
					  str_get(&run->ids));

	/* First, since listing may take its time.  It also fails where the
	 * rules are gone. */
	(void)renew_leases(run, &lease);
	for (enum family_index f = 0; f < FAMILY_COUNT && result > 0; f++)
		if (run->families[f].is_there)
			result = is_family_intact(&run->families[f], f, e);
	if (result > 0 && lease.code)
		return err_set(e, lease.code, "%s", lease.text);
	return result;
}

/* --- installing ---------------------------------------------------------- */

struct change {
	const struct plan *plan;
	struct iptables_rules want[FAMILY_COUNT], old[FAMILY_COUNT];
	struct engine_run now; /* what is there afterwards */
};

static int render_all(struct change *ch, struct err *e)
{
	const struct config *c = ch->plan->config;
	struct selections s;
	int error = nft_check_users(c, e);

	if (!error)
		error = selections_make(c, &s, e);
	if (error)
		return error;
	nft_list_cgroups(c, &ch->now.cgroups);
	nft_identify_cgroups(str_get(&ch->now.cgroups), &ch->now.ids);
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		if (!ch->plan->has_family[f])
			continue;
		iptables_render(ch->plan, &s, f, &ch->want[f]);
		if (!iptables_rules_ok(&ch->want[f]))
			return err_set(e, ENOMEM,
				       "no memory for iptables rules");
	}
	return 0;
}

static int read_all(struct change *ch, struct err *e)
{
	int error = 0;

	for (enum family_index f = 0; f < FAMILY_COUNT && !error; f++)
		if (ch->plan->has_family[f])
			error = iptables_read(IPTABLES_PLAIN, f, &ch->old[f],
					      e);
	return error;
}

static int load_all(struct change *ch, struct err *e)
{
	int error = 0;

	for (enum family_index f = 0; f < FAMILY_COUNT && !error; f++) {
		if (!ch->plan->has_family[f])
			continue;
		error = iptables_load(IPTABLES_PLAIN, f, &ch->old[f],
				      &ch->want[f], e);
		if (!error)
			error = look(f, &ch->now.families[f], e);
	}
	return error ? error : renew_leases(&ch->now, e);
}

/* Why it failed is known; that this fails too cannot be helped. */
static void put_back(struct change *ch)
{
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		struct iptables_rules now = { 0 };

		if (ch->plan->has_family[f] &&
		    iptables_read(IPTABLES_PLAIN, f, &now, NULL) == 0)
			(void)iptables_load(IPTABLES_PLAIN, f, &now,
					    &ch->old[f], NULL);
		iptables_rules_done(&now);
	}
}

/* What a killed process left with the other variant, or of a family that is
 * not wanted any more, would take packets as well. */
static void clean_others(const struct plan *p)
{
	enum iptables_variant other = iptables_other();

	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		(void)iptables_clean(other, f, NULL);
		if (!p->has_family[f])
			(void)iptables_clean(IPTABLES_PLAIN, f, NULL);
	}
}

static int install(struct engine_run *run, const struct plan *p, struct err *e)
{
	struct change ch = { .plan = p };
	int error = render_all(&ch, e);

	if (!error)
		error = read_all(&ch, e);
	if (!error) {
		error = load_all(&ch, e);
		if (error)
			put_back(&ch);
	}
	if (!error) {
		struct engine_run before = *run;

		clean_others(p);
		*run = ch.now;
		ch.now = before;
	}
	forget(&ch.now);
	for (int f = 0; f < FAMILY_COUNT; f++) {
		iptables_rules_done(&ch.want[f]);
		iptables_rules_done(&ch.old[f]);
	}
	return error;
}

/* --- removing ------------------------------------------------------------ */

static int remove_all(struct err *e)
{
	int error = 0;

	for (enum iptables_variant v = 0; v < IPTABLES_VARIANTS; v++)
		for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
			struct err one = { 0 };
			int failed = iptables_clean(v, f, &one);

			if (failed && !error)
				error = err_set(e, -failed, "%s", one.text);
		}
	return error;
}

static int probe(struct err *e)
{
	return trial_run(&engine_iptables, e);
}

/* --- showing ------------------------------------------------------------- */

static void render(const struct plan *p, struct str *out)
{
	static const char *const programs[] = { "iptables-restore",
						"ip6tables-restore" };
	struct iptables_rules rules[FAMILY_COUNT] = { 0 }, none = { 0 };
	struct selections s;
	struct err e = { 0 };
	size_t start;

	if (selections_make(p->config, &s, &e)) {
		str_addf(out, "# %s\n", e.text);
		return;
	}
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		if (!p->has_family[f])
			continue;
		iptables_render(p, &s, f, &rules[f]);
		start = out->len;
		str_addf(out, "%s --noflush -w <<'END'\n", programs[f]);
		iptables_rules_script(&none, &rules[f], out);
		str_add(out, "END\n");
		if (has_lease(str_get(out) + start))
			str_addf(out,
				 "# again every second, else on-failure open "
				 "applies after %d seconds\necho %s >%s\n",
				 IPTABLES_LEASE_S, iptables_lease_text(f),
				 iptables_lease_path(f));
		iptables_rules_done(&rules[f]);
	}
}

static const struct {
	const char *name, *sentence;
} counter_names[] = {
#define X(name, sentence) { #name, sentence },
#include "abi/counters.def"
#undef X
};

/* Packets of all rules with this comment. */
static uint64_t add_up(const char *listing, const char *name, bool *is_there)
{
	size_t name_len = strlen(name);
	uint64_t sum = 0;

	for (size_t len; *listing; listing += len + (listing[len] == '\n')) {
		const char *ours = strstr(listing, "] -A waylay-");
		const char *comment = strstr(listing, " --comment ");

		len = strcspn(listing, "\n");
		if (!ours || ours > listing + len || !comment ||
		    comment > listing + len)
			continue;
		comment += strlen(" --comment ");
		if (strncmp(comment, name, name_len) ||
		    comment[name_len] != ' ')
			continue;
		*is_there = true;
		sum += strtoull(listing + 1, NULL, 10);
	}
	return sum;
}

static int counters(struct str *out, struct err *e)
{
	struct str listings = { 0 };
	int error = 0;

	for (enum family_index f = 0; f < FAMILY_COUNT && !error; f++)
		error = iptables_list(IPTABLES_PLAIN, f, true, &listings, e);
	if (error == -ENOENT && listings.len)
		error = 0; /* no program for IPv6: no rules for it */
	for (size_t i = 0; i < WL_COUNTERS && !error; i++) {
		bool is_there = false;
		uint64_t sum = add_up(str_get(&listings), counter_names[i].name,
				      &is_there);

		if (is_there)
			str_addf(out, "%" PRIu64 "\t%s\t%s\n", sum,
				 counter_names[i].name,
				 counter_names[i].sentence);
	}
	str_done(&listings);
	return error;
}

const struct engine engine_iptables = {
	.name = "iptables",
	.kind = ENGINE_IPTABLES,
	.check = iptables_check,
	.probe = probe,
	.new = new_run,
	.free = free_run,
	.install = install,
	.is_intact = is_intact,
	.remove = remove_all,
	.render = render,
	.counters = counters,
};
