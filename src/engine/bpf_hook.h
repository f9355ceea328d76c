/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_hook.h - one program at one side of one interface.
 *
 * By tcx where the kernel has it (6.6), else as a filter of clsact.  tcx runs
 * first, keeps the order in which programs came, and a link can be pinned; a
 * filter lives as long as the qdisc, which is never removed here: others may
 * use it.  Programs return TC_ACT_UNSPEC, so that the next one runs.
 */
#ifndef WL_ENGINE_BPF_HOOK_H
#define WL_ENGINE_BPF_HOOK_H

#include "base/err.h"
#include "engine/bpf_pin.h"

#include <stdbool.h>
#include <stdint.h>

enum bpf_side_of_link { BPF_IN, BPF_OUT, BPF_WAYS };

struct bpf_hook {
	int ifindex;
	enum bpf_side_of_link way;
	int link_fd; /* -1: a filter of clsact, or nothing */
	bool is_attached;
	uint32_t prog_id; /* that is attached */
};

enum bpf_hook_how {
	BPF_HOOK_BEST,
	BPF_HOOK_CLSACT, /* for tests: behave like a kernel without tcx */
	/* In front of all that is there, whoever comes later without asking
	 * for the same; by tcx or not at all (-EOPNOTSUPP). */
	BPF_HOOK_FIRST,
};

/*
 * Attach prog_fd, or put it in place of what is attached: packets meet the old
 * program or the new one, never none.  What a killed daemon has pinned is
 * taken over.  -ENODEV: the interface has gone (no error for a caller who
 * follows links).
 */
int bpf_hook_set(struct bpf_hook *h, const struct bpf_pins *pins, int prog_fd,
		 enum bpf_hook_how how, struct err *e);
/* Is our program still there? */
bool bpf_hook_is_intact(const struct bpf_hook *h, const struct bpf_pins *pins);
/* Detach, also what is pinned. */
void bpf_hook_clear(struct bpf_hook *h, const struct bpf_pins *pins);
/* Let go without detaching what is pinned. */
void bpf_hook_close(struct bpf_hook *h);

/* The interface that a pin of this name is for; 0: it is none of a hook. */
int bpf_hook_of_pin(const char *name);

/* Remove our filters from an interface that nobody here has attached to. */
void bpf_hook_sweep(int ifindex);

#endif
