/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf_show.h - the ebpf engine in words: its selections, its counters.
 */
#ifndef WL_ENGINE_EBPF_SHOW_H
#define WL_ENGINE_EBPF_SHOW_H

#include "base/err.h"
#include "base/str.h"
#include "engine/plan.h"

/* Name of the pin of the map that counts what each selection decided. */
extern const char ebpf_hits_pin[];

/* The selections, as the programs try them. */
void ebpf_render(const struct plan *p, struct str *out);
/* The pinned counters of this network namespace; see engine.h. */
int ebpf_counters(struct str *out, struct err *e);

#endif
