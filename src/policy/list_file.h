/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_file.h - a list's file: a name or a network a line.
 *
 *	# a comment, also behind an entry; empty lines are nothing
 *	example.org		that name
 *	*.example.org		every name below it
 *	.example.org		both
 *	192.0.2.0/24		a network, or an address
 *	0.0.0.0 ads.example	the form of hosts files: the names count,
 *				an address among them is nothing
 *
 * Lines end with LF or CR LF.  Pure: text comes from the caller (policy.h,
 * struct policy_files).  The file may be of any size that the caller allows; a
 * line that is none of these is an error with its line number, and at most one
 * error a file is reported.
 */
#ifndef WL_POLICY_LIST_FILE_H
#define WL_POLICY_LIST_FILE_H

#include "base/err.h"
#include "policy/domains.h"

/* What is called for each entry; non-zero (-errno) stops. */
struct list_sink {
	void *ctx;
	int (*name)(void *ctx, const char *pattern);
	int (*net)(void *ctx, const struct prefix *net);
};

/* 0; -EINVAL with "line N: ..." in e; or what the sink returned. */
int list_file_parse(const char *text, size_t len, const struct list_sink *sink,
		    struct err *e);

#endif
