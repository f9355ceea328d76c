/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_load.h - one generation of the BPF programs with its tables.
 *
 * A generation is never changed but for what follows interfaces and addresses:
 * a new configuration is a new generation, and the hooks (bpf_hook.h) are what
 * goes from one to the other.  The kernel frees it when neither a hook nor we
 * hold its programs.
 */
#ifndef WL_ENGINE_BPF_LOAD_H
#define WL_ENGINE_BPF_LOAD_H

#include "base/err.h"
#include "engine/bpf_tables.h"
#include "engine/plan.h"

enum bpf_entry {
	BPF_ENTRY_IN_ETHER,
	BPF_ENTRY_IN_RAW,
	BPF_ENTRY_OUT_ETHER,
	BPF_ENTRY_OUT_RAW,
	BPF_ENTRY_IN_HOST,
	BPF_ENTRY_CHOOSE,
	BPF_ENTRY_COUNT
};

/* Maps that know flows or count, and go on into the next generation. */
enum bpf_kept_map {
	BPF_KEPT_COUNTERS,
	BPF_KEPT_EXPECTED,
	BPF_KEPT_INBOUND,
	BPF_KEPT_HOSTED,
	BPF_KEPT_FRAGMENTS,
	BPF_KEPT_COUNT
};
extern const char *const bpf_kept_names[BPF_KEPT_COUNT];

struct bpf_options {
	bool may_not_assign; /* every listener by sk_lookup */
	bool may_not_know;   /* every packet is asked for its socket */
	/* the socket match's: see bpf/state.h */
	bool match_any, match_wildcard, restore_mark;
};

struct bpf_generation;

/* libbpf prints unless told not to; what matters is in struct err. */
void bpf_be_quiet(void);
enum { BPF_LOG_BYTES = 64 * 1024 };
/* The sentence for an object that was not loaded; log: the verifier's, which
 * is cut into lines. */
int bpf_load_failed(int error, char *log, struct err *e);

/* Keeps t.  kept: descriptors of the maps to go on with, -1 for a new one;
 * those of another shape (an older waylay's) are not used.  NULL and e, which
 * then has the last line of the verifier's log. */
struct bpf_generation *bpf_generation_load(const struct bpf_tables *t,
					   const struct plan *p,
					   const int kept[BPF_KEPT_COUNT],
					   const struct bpf_options *o,
					   struct err *e);
void bpf_generation_free(struct bpf_generation *g); /* NULL is allowed */

/* Borrowed descriptors. */
int bpf_generation_entry(const struct bpf_generation *g, enum bpf_entry entry);
int bpf_generation_kept(const struct bpf_generation *g, enum bpf_kept_map map);
int bpf_generation_hits(const struct bpf_generation *g);
int bpf_generation_map(const struct bpf_generation *g, const char *name);

/* What may change within a generation. */
int bpf_generation_set_link(struct bpf_generation *g, uint32_t ifindex,
			    const struct wl_interface *value, struct err *e);
void bpf_generation_drop_link(struct bpf_generation *g, uint32_t ifindex);
int bpf_generation_add_local(struct bpf_generation *g,
			     const struct prefix *prefix, struct err *e);
void bpf_generation_drop_local(struct bpf_generation *g,
			       const struct prefix *prefix);

/* Has a cgroup come or gone that it should know? */
bool bpf_generation_is_outdated(const struct bpf_generation *g);

#endif
