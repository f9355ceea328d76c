/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_shell.c - commands; see import_shell.h.
 *
 * Nothing is executed, so a script is read as a list of commands: what stands
 * in conditions and loops counts once, and functions are not followed.  A
 * command of ours that depends on a variable is refused.
 */
#include "cli/import_shell.h"

#include "cli/import_iptables.h"
#include "cli/import_nft.h"

#include <stdio.h>
#include <string.h>

static const char expanded[] =
	"it depends on a variable: give what the script makes of it "
	"(iptables-save, nft list ruleset)";

typedef void (*program_fn)(struct import *im, const struct import_words *w,
			   size_t first);

/* --- what is passed over ------------------------------------------------- */

bool import_looks_like_rule(const char *text, size_t len)
{
	static const char *const signs[] = { "TPROXY",	    "tproxy ",
					     " -j ",	    "--jump ",
					     "iptables ",   "ip6tables ",
					     "nft add rule" };

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (memmem(text, len, signs[i], strlen(signs[i])))
			return true;
	}
	return false;
}

/* Not a command that we read: it must not hide a rule. */
static void judge_stranger(struct import *im, const struct import_words *w)
{
	struct str text = { 0 };

	for (size_t i = 0; i < w->count; i++) {
		str_add(&text, w->words[i]);
		str_add(&text, " ");
	}
	if (strcmp(w->words[0], "printf") != 0 &&
	    import_looks_like_rule(str_get(&text), text.len))
		import_refuse(im, w->at,
			      w->is_expanded ? expanded
					     : "it is no plain command");
	str_done(&text);
}

/* --- programs ------------------------------------------------------------ */

static void run_iptables(struct import *im, const struct import_words *w,
			 size_t first, enum import_family family)
{
	struct import_iptables command = {
		.at = w->at,
		.family = family,
		.table = "filter",
		.words = w->words + first,
		.count = w->count - first,
	};

	if (w->is_expanded)
		import_refuse(im, w->at, expanded);
	else
		import_iptables(im, &command);
}

static void run_iptables4(struct import *im, const struct import_words *w,
			  size_t first)
{
	run_iptables(im, w, first, FAMILY_V4);
}

static void run_iptables6(struct import *im, const struct import_words *w,
			  size_t first)
{
	run_iptables(im, w, first, FAMILY_V6);
}

/* nft -f FILE is another input; what follows "<<END" is read as it comes. */
static void run_nft(struct import *im, const struct import_words *w,
		    size_t first)
{
	struct str text = { 0 };

	if (first < w->count && strcmp(w->words[first], "-f") == 0) {
		if (first + 1 < w->count && strcmp(w->words[first + 1], "-"))
			import_refuse(im, w->at,
				      "the file that it reads is not looked "
				      "at: give it as well");
		return;
	}
	if (w->is_expanded) {
		import_refuse(im, w->at, expanded);
		return;
	}
	for (size_t i = first; i < w->count; i++) {
		str_add(&text, w->words[i]);
		str_add(&text, " ");
	}
	im->is_out_of_memory |= !str_ok(&text);
	import_nft_command(im, import_keep(im, str_get(&text), text.len),
			   w->at);
	str_done(&text);
}

static bool has_word(const struct import_words *w, size_t first,
		     const char *word)
{
	for (size_t i = first; i < w->count; i++) {
		if (strcmp(w->words[i], word) == 0)
			return true;
	}
	return false;
}

static void run_ip(struct import *im, const struct import_words *w,
		   size_t first)
{
	static const char *const words[] = { "rule", "route", "ru", "ro" };
	bool is_routing = false;

	for (size_t n = 0; n < sizeof(words) / sizeof(words[0]); n++)
		is_routing |= has_word(w, first, words[n]);
	if (has_word(w, first, "exec"))
		judge_stranger(im, w); /* of another network namespace */
	else if (w->is_expanded && is_routing)
		import_refuse(im, w->at, expanded);
	else
		import_ip(im, w, first);
}

/* Modules of the kernel that only interception needs. */
static void run_modprobe(struct import *im, const struct import_words *w,
			 size_t first)
{
	static const char *const modules[] = { "tproxy", "TPROXY", "xt_socket",
					       "nft_socket", "nf_socket" };

	for (size_t i = first; i < w->count; i++) {
		for (size_t n = 0; n < sizeof(modules) / sizeof(modules[0]);
		     n++) {
			if (strstr(w->words[i], modules[n]))
				import_raise(im, w->at, IMPORT_PLUMBING);
		}
	}
}

/* Source validation: waylay's routing gets on with it. */
static void run_sysctl(struct import *im, const struct import_words *w,
		       size_t first)
{
	for (size_t i = first; i < w->count; i++) {
		if (strstr(w->words[i], "rp_filter"))
			import_raise(im, w->at, IMPORT_PLUMBING);
	}
}

static void run_echo(struct import *im, const struct import_words *w,
		     size_t first)
{
	(void)first; /* what it says does not matter */
	if (w->to && strstr(w->to, "/rp_filter"))
		import_raise(im, w->at, IMPORT_PLUMBING);
}

/* ipset create|add NAME ...; also the lines of `ipset save` */
static void run_ipset(struct import *im, const struct import_words *w,
		      size_t first)
{
	const char *const *words = w->words + first;
	size_t count = w->count - first;
	struct import_values *set;
	char key[128];
	bool is_add;

	while (count &&
	       (strcmp(*words, "-exist") == 0 || strcmp(*words, "-!") == 0)) {
		words++;
		count--;
	}
	if (count < 3)
		return;
	is_add = strcmp(words[0], "add") == 0 || strcmp(words[0], "-A") == 0;
	if (!is_add && strcmp(words[0], "create") != 0 &&
	    strcmp(words[0], "-N") != 0)
		return;
	(void)snprintf(key, sizeof(key), "ipset %.100s",
		       words[1]); /* may cut */
	set = import_set(im, key, words[1]);
	if (!set)
		return;
	set->is_unread |= w->is_expanded;
	if (is_add) {
		import_values_add(im, set, words[2], w->at.first);
		return;
	}
	set->at = w->at;
	set->is_defined = true;
	set->is_unread |= strcmp(words[2], "hash:ip") != 0 &&
			  strcmp(words[2], "hash:net") != 0;
}

static const struct {
	const char *name;
	program_fn run;
} programs[] = {
	{ "iptables", run_iptables4 },
	{ "iptables-legacy", run_iptables4 },
	{ "iptables-nft", run_iptables4 },
	{ "ip6tables", run_iptables6 },
	{ "ip6tables-legacy", run_iptables6 },
	{ "ip6tables-nft", run_iptables6 },
	{ "nft", run_nft },
	{ "ip", run_ip },
	{ "ipset", run_ipset },
	{ "modprobe", run_modprobe },
	{ "insmod", run_modprobe },
	{ "sysctl", run_sysctl },
	{ "echo", run_echo },
};

/* --- commands ------------------------------------------------------------ */

/* What may stand in front of a command, or of a list of commands. */
static bool is_leader(const char *word)
{
	static const char *const leaders[] = { "sudo",	  "do", "then", "else",
					       "!",	  "{",	"$",	"exec",
					       "command", "if", "&&" };

	for (size_t i = 0; i < sizeof(leaders) / sizeof(leaders[0]); i++) {
		if (strcmp(leaders[i], word) == 0)
			return true;
	}
	return false;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "0:" of `ip rule show` */
static bool is_priority(const char *word)
{
	size_t digits = strspn(word, "0123456789");

	return digits && strcmp(word + digits, ":") == 0;
}

/* Lines that other programs print. */
static bool read_printed(struct import *im, const struct import_words *w)
{
	const char *first = w->words[0];

	if (is_priority(first))
		import_ip_rule(im, w, 1);
	else if (strcmp(first, "local") == 0)
		import_ip_route(im, w, 0);
	else if (strcmp(first, "create") == 0 || strcmp(first, "add") == 0)
		run_ipset(im, w, 0);
	else
		return false;
	return true;
}

void import_command(struct import *im, const struct import_words *w)
{
	size_t first = 0;
	const char *name;

	while (first < w->count && is_leader(w->words[first]))
		first++;
	if (first == w->count)
		return;
	if (w->is_overflowed) {
		import_refuse(im, w->at, "the command is too long");
		return;
	}
	name = base_name(w->words[first]);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (strcmp(programs[i].name, name) == 0) {
			programs[i].run(im, w, first + 1);
			return;
		}
	}
	if (first || !read_printed(im, w))
		judge_stranger(im, w);
}
