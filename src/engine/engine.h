/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - what makes the kernel obey: one contract, three ways.
 *
 * An engine carries out a plan (plan.h): it marks the packets that the plan's
 * selections (select.h) give to a listener, and the packets of transparent
 * sockets; routing.h then brings marked packets to this host, whichever engine
 * marked them.  What an engine decides is what policy/eval.h says, and
 * doc/engines.md has the rows where the kernel forces a difference.
 *
 * Order of calls: new, then any number of install (each replaces what the one
 * before installed, without a gap), then remove or none, then free.  free
 * leaves in place what is installed: that is how on-failure holds while
 * nobody runs.
 */
#ifndef WL_ENGINE_ENGINE_H
#define WL_ENGINE_ENGINE_H

#include "base/err.h"
#include "base/str.h"
#include "engine/plan.h"
#include "policy/policy.h"

struct engine_run; /* what one engine keeps between calls; may be NULL */

struct engine {
	const char *name; /* as in `engine NAME` */
	enum engine_kind kind;
	/* Netlink groups of NETLINK_NETFILTER that tell of changes; 0: none,
	 * then is_intact() is asked every second. */
	uint32_t event_groups;
	/* Events do not tell all: is_intact() is asked every second as well. */
	bool is_polled;

	/* Can it carry out c at all, on any kernel?  Pure; -EOPNOTSUPP with
	 * one sentence that names the engines which can. */
	int (*check)(const struct config *c, struct err *e);
	/* Does the kernel have it?  Tried by doing, in the network namespace
	 * of the caller, which is empty and thrown away afterwards. */
	int (*probe)(struct err *e);

	/* NULL where nothing is kept. */
	struct engine_run *(*new)(struct err *e);
	void (*free)(struct engine_run *run);

	/* Make it so.  Either all of it holds afterwards or, on -errno,
	 * what held before.  Keeps what p->config points to, until the next
	 * install or free, but not p.  A port of 0: nobody listens there, so
	 * on-failure applies. */
	int (*install)(struct engine_run *run, const struct plan *p,
		       struct err *e);
	/* Interfaces came, went or changed their addresses; NULL: the kernel
	 * follows by itself. */
	int (*follow_links)(struct engine_run *run, const struct plan *p,
			    struct err *e);
	/* Is everything still as install() left it?  1, 0, or -errno. */
	int (*is_intact)(struct engine_run *run, struct err *e);
	/* One sentence for the status about what holds less well than it
	 * could, and the cure; NULL: nothing.  The slot may be NULL. */
	const char *(*shortcoming)(const struct engine_run *run);
	/* Take away what this or a killed process installed in this network
	 * namespace.  Nothing there is no error; -ENOENT says the same where
	 * the program to look with is missing. */
	int (*remove)(struct err *e);

	/* What install() would do, as text that a person can run or read. */
	void (*render)(const struct plan *p, struct str *out);
	/* Counters of what is installed, one line each: value, tab, name, tab,
	 * sentence.  NULL: the render has them. */
	int (*counters)(struct str *out, struct err *e);
};

/* By name; NULL if there is none. */
const struct engine *engine_find(const char *name);

/*
 * The engine for c: the configured one, or with `engine auto` the best that
 * can carry c out and passes its probe.  `why` gets one line about each engine
 * that c permits: "NAME: works", "NAME: not needed", or its sentence.  NULL
 * and e when none can.  choose.h has it for other ways of trying.
 */
const struct engine *engine_choose(const struct config *c, struct str *why,
				   struct err *e);
/* probe() in a scratch network namespace, by a child; see probe.h. */
int engine_probe(const struct engine *engine, struct err *e);

/* config_parse_with(), and errors for what the configured engine cannot do.
 * files.h has what to hand in for `files`. */
struct config *engine_parse(const char *file, const char *text, size_t len,
			    const struct policy_files *files,
			    struct messages *m);

/* Routing and the engine's own part, as commands or text. */
void engine_render(const struct engine *engine, const struct plan *p,
		   struct str *out);

#endif
