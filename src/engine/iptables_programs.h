/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_programs.h - iptables-save and iptables-restore as functions.
 *
 * There are two variants, which keep their rules in different places of one
 * kernel.  We use the one that plain `iptables` stands for; the other one may
 * hold what we left there before somebody switched.
 */
#ifndef WL_ENGINE_IPTABLES_PROGRAMS_H
#define WL_ENGINE_IPTABLES_PROGRAMS_H

#include "base/err.h"
#include "engine/iptables_rules.h"
#include "engine/plan.h"

enum iptables_variant {
	IPTABLES_PLAIN, /* what `iptables` stands for */
	IPTABLES_NFT,
	IPTABLES_LEGACY,
	IPTABLES_VARIANTS
};

/* What iptables-save prints, with counters or without. */
int iptables_list(enum iptables_variant v, enum family_index f,
		  bool has_counters, struct str *out, struct err *e);
/* What of it is ours. */
int iptables_read(enum iptables_variant v, enum family_index f,
		  struct iptables_rules *out, struct err *e);
/*
 * Lead from `now` to `want`.  Each table is replaced as a whole or not at all;
 * on -errno some may be new and others old.  -EOPNOTSUPP names what the kernel
 * lacks, -EPERM, or -EPROTO with what iptables-restore says.
 */
int iptables_load(enum iptables_variant v, enum family_index f,
		  const struct iptables_rules *now,
		  const struct iptables_rules *want, struct err *e);
/* Take away what is ours; nothing to do where the variant is not installed or
 * the kernel does not have it. */
int iptables_clean(enum iptables_variant v, enum family_index f, struct err *e);
/* The variant that plain `iptables` does not stand for. */
enum iptables_variant iptables_other(void);

#endif
