/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_links.h - the interfaces and addresses that the BPF programs know.
 *
 * Only for ebpf.c.  Nothing here is told by events: what is there is listed,
 * and compared with what was there before.
 */
#ifndef WL_ENGINE_EBPF_LINKS_H
#define WL_ENGINE_EBPF_LINKS_H

#include "engine/bpf_hook.h"
#include "engine/bpf_load.h"
#include "net/nl.h"

struct ebpf_device {
	int ifindex;
	bool is_raw; /* no link header */
	bool is_seen;
	bool is_intercepted; /* some selection names it */
	struct wl_interface value;
	struct bpf_hook hooks[BPF_WAYS];
};

struct ebpf_links {
	bool is_closed; /* what is marked must not leave */
	bool has_host;	/* what this host sends is asked */
	enum bpf_hook_how how;
	const struct bpf_pins *pins;
	struct nl nl;
	struct ebpf_device *devices;
	size_t count;
	struct prefix *locals; /* sorted by prefix_compare() */
	size_t local_count;
};

/* Keeps pins. */
int ebpf_links_open(struct ebpf_links *l, const struct bpf_pins *pins,
		    struct err *e);
void ebpf_links_close(struct ebpf_links *l);

/* What there is now: devices that are new have no hooks set, those that have
 * gone are forgotten.  Locals go into generation g, if there is one: those
 * that are new to l, or all of them if `is_new`. */
int ebpf_links_look(struct ebpf_links *l, const struct bpf_tables *t,
		    struct bpf_generation *g, bool is_new, struct err *e);

/* Attach the programs of g everywhere: as is_closed, has_host and how say. */
int ebpf_links_attach(struct ebpf_links *l, const struct bpf_generation *g,
		      struct err *e);
/* Drop the pins of interfaces that are not there. */
void ebpf_links_prune(struct ebpf_links *l);
bool ebpf_links_are_intact(const struct ebpf_links *l);
void ebpf_links_detach(struct ebpf_links *l);
/* Remove the filters of clsact that a killed daemon left; l has no hooks. */
int ebpf_links_sweep(struct ebpf_links *l, struct err *e);

#endif
