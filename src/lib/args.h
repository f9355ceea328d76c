/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.h - what a program hands in, looked at before it is used.
 */
#ifndef WL_LIB_ARGS_H
#define WL_LIB_ARGS_H

#include "base/err.h"
#include "net/addr.h"

#include <waylay.h>

/* All of the options, with their defaults filled in; in may be NULL or of
 * another size.  -E2BIG: it asks for what only a newer library has. */
int args_options(const struct waylay_options *in, struct waylay_options *out,
		 struct err *e);
/* -EINVAL, -EAFNOSUPPORT; `what` completes "... is given". */
int args_address(const struct sockaddr *in, const char *what, struct addr *out,
		 struct err *e);
/* Descriptors are made non-blocking; make it as the options say. */
int args_blocking(int fd, const struct waylay_options *options, struct err *e);

/* How messages call SOCK_STREAM and SOCK_DGRAM. */
const char *args_type_name(int type);
/* An option at level SOL_SOCKET, or -errno. */
int args_socket_is(int fd, int option);

#endif
