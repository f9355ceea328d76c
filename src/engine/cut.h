/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut.h - cut-through in the kernel: its programs, maps, hooks and pins.
 *
 * A second BPF object beside that of the ebpf engine, and independent of it:
 * any engine may intercept, and a change of configuration does not touch it.
 * The programs stand in front of all others at the ingress of every interface
 * but lo (tcx, Linux 6.6; there is no other way to be first for certain).
 *
 *	pins	cut-flows	map `cuts`
 *		cut-counters	map `cut_counters`
 *		cut-in-IFINDEX	links: flows go on without us
 *
 * They lie in the directory of the ebpf engine (bpf_pin.h), which does not see
 * them: an engine may come and go.
 *
 * It only loads, attaches and takes away.  What is in the map is written by
 * cut_table.h, and by whom: daemon/cutter.h.
 */
#ifndef WL_ENGINE_CUT_H
#define WL_ENGINE_CUT_H

#include "base/err.h"
#include "engine/cut_table.h"
#include "engine/plan.h"

struct cut;

/* Load, or go on with what is pinned; nothing is attached yet.  What was loaded
 * is tried: it rewrites a segment whose result is known.  Loading takes most of
 * a start's time, so it is done once, and no namespace is made to try it in;
 * the hooks are tried by cut_attach().  NULL and one sentence in e that says
 * what is missing: nothing was pinned, flows of a killed daemon go on.
 * flow_max: entries of the map; where a pinned map with flows has another size
 * it is kept.  A map that another version laid out differently is not: nobody
 * here can say where its flows stand.  Without a bpffs nothing is pinned, which
 * is no error.  own_mark: of packets that no engine takes. */
struct cut *cut_open(uint32_t flow_max, uint32_t own_mark, struct err *e);
/* Attach to all interfaces that are there (but those whose packets come again:
 * ports of bridges and bonds), and forget those that have gone.  To be called
 * again when interfaces come or go.  -EOPNOTSUPP: no tcx. */
int cut_attach(struct cut *c, struct err *e);
/* 1, or 0: somebody has taken a program away. */
int cut_is_intact(const struct cut *c);
/* One sentence for the status about what holds less well than it could; NULL:
 * nothing. */
const char *cut_shortcoming(const struct cut *c);
const struct cut_table *cut_get_table(const struct cut *c); /* borrowed */
/* Free memory; what is pinned stays, and flows go on. */
void cut_close(struct cut *c);

/* End one flow (both entries, where it has two) with RST to both ends.  0: its
 * entries are gone.  1: an end may have had bytes on the way, and so not have
 * taken it; call again after CUT_END_AGAIN_MS until it is 0, which takes at
 * most three seconds (cut_reset.c).  -ENOENT: there is none.  raw_fd: by
 * family, -1: none. */
enum { CUT_END_AGAIN_MS = 200 };
int cut_end_flow(const struct cut_table *t, const int raw_fd[FAMILY_COUNT],
		 const struct wl_cut_key *key);
/* The same with all flows; waits until they are gone.  *count: flows that were
 * cut through. */
int cut_end_all(const struct cut_table *t, uint32_t own_mark, uint32_t *count,
		struct err *e);
/* End all flows that are pinned and take everything away, also what a killed
 * daemon has left in this network namespace.  Nothing there is no error.  What
 * is not pinned is not found: cut_end_all() before cut_close() ends it.
 * own_mark: of the RST; 0 where no engine is left to take them. */
int cut_remove(uint32_t own_mark, uint32_t *count, struct err *e);

#endif
