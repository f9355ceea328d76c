/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf.h - the engine of our own: socket match and TPROXY target in BPF.
 *
 * Needs no netfilter.  Programs hang at TC ingress of every interface but lo
 * and the ports of bridges, bonds and teams (their packets come again on the
 * master), at TC egress where it is needed, and at sk_lookup of the network
 * namespace.  bpf/waylay.bpf.c says what they do; bpf_tables.h what they look
 * up; bpf_load.h and bpf_hook.h how they come into force; bpf_pin.h what
 * outlives the process.
 *
 * Without a bpffs nothing can be pinned: then `on-failure closed` is refused,
 * and with `open` a restart is a gap in which traffic passes.
 */
#ifndef WL_ENGINE_EBPF_H
#define WL_ENGINE_EBPF_H

#include "engine/bpf_hook.h"
#include "engine/bpf_load.h"
#include "engine/engine.h"

extern const struct engine engine_ebpf;

/* For tests: as install(), on a kernel that lacks something. */
int ebpf_install_with(struct engine_run *run, const struct plan *p,
		      const struct bpf_options *options, enum bpf_hook_how how,
		      struct err *e);
/* Borrowed; NULL before the first install. */
const struct bpf_generation *ebpf_generation(const struct engine_run *run);

#endif
