/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_priv.h - what cut.c, cut_reset.c and cut_try.c share.
 */
#ifndef WL_ENGINE_CUT_PRIV_H
#define WL_ENGINE_CUT_PRIV_H

#include "engine/bpf_pin.h"
#include "engine/cut.h"

/* Pins, behind the owner's word and beside the links of the hooks. */
static const char cut_flows_pin[] = "flows";
static const char cut_counters_pin[] = "counters";

/* Is it a map of flows that this version understands, of whatever size? */
bool cut_is_ours(int flows_fd);

/* May we take a connection out of its socket? */
int cut_try_repair(struct err *e);
/* Does the program for devices with a link header rewrite a segment whose
 * result is known?  Other entries of the map are not touched. */
int cut_try_programs(const struct cut_table *t, int ether_fd, struct err *e);

#endif
