/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_via.h - the URL behind `waylay exec --via`.
 *
 *	direct
 *	socks5://[USER:PASSWORD@]HOST:PORT
 *	http://[USER:PASSWORD@]HOST:PORT
 *
 * USER and PASSWORD are percent-decoded.  No sentence about a bad URL repeats
 * any of it: it may hold a password.  What is written of it to a
 * configuration is in exec_config.h.
 */
#ifndef WL_CLI_EXEC_VIA_H
#define WL_CLI_EXEC_VIA_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { EXEC_VIA_WORD_MAX = 256 }; /* user, password: 1..255 bytes, and NUL */

enum exec_via_kind { EXEC_VIA_DIRECT, EXEC_VIA_SOCKS5, EXEC_VIA_HTTP };

struct exec_via {
	enum exec_via_kind kind;
	char host[EXEC_VIA_WORD_MAX]; /* as the grammar writes it: [2001:db8::1]
				       */
	bool is_name;		      /* the host is one */
	uint16_t port;
	bool has_user;
	char user[EXEC_VIA_WORD_MAX];	  /* without control bytes */
	char password[EXEC_VIA_WORD_MAX]; /* without newline */
};

/* 0, or -EINVAL with one sentence; out is untouched then. */
int exec_via_parse(const char *url, struct exec_via *out, struct err *e);
/* Forget the password. */
void exec_via_wipe(struct exec_via *v);
/* Cover the password where a list of processes would show it. */
void exec_via_cover(char *url);

#endif
