/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_iptables.h - iptables and ip6tables, as commands and as dumps.
 */
#ifndef WL_CLI_IMPORT_IPTABLES_H
#define WL_CLI_IMPORT_IPTABLES_H

#include "cli/import_model.h"

/* The words behind the program's name. */
struct import_iptables {
	struct import_span at;
	enum import_family family;
	const char *table; /* unless the words say another one */
	const char *const *words;
	size_t count;
};

void import_iptables(struct import *im, const struct import_iptables *command);
/* ":CHAIN POLICY" of a dump. */
void import_iptables_chain(struct import *im,
			   const struct import_iptables *command);

/* --- import_iptables_options.c ------------------------------------------- */

/* A rule that is being read from its options. */
struct import_iptables_rule {
	struct import *im;
	struct import_rule *rule;
	const struct import_iptables *command;
	const char *target; /* of -j or -g, or NULL */
	bool is_goto;
	const char *to_address;	  /* of DNAT */
	const char *match_module; /* of the last -m */
};

/* Read the option at words[i], which `is_negated` by a ! before it; returns
 * how many words it took, at least 1. */
size_t import_iptables_option(struct import_iptables_rule *r,
			      const char *const *words, size_t count,
			      bool is_negated);

#endif
