/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the tool's end of the control protocol.
 *
 * One blocking call, bounded in time and in bytes.  It says nothing about
 * what a reply means beyond its being an object with a boolean "ok".
 */
#ifndef WL_CONTROL_CLIENT_H
#define WL_CONTROL_CLIENT_H

#include <jansson.h>

struct err;

/*
 * Send request (borrowed) to the daemon of run_dir and wait for its reply, a
 * new object, whether ok or not.  0, or -errno with a sentence:
 * -ECONNREFUSED nobody listens there, -EACCES we may not ask, -ETIMEDOUT,
 * -ECONNRESET it hung up without a reply, -EPROTO the reply makes no sense.
 */
int control_call(const char *run_dir, const json_t *request, json_t **reply,
		 struct err *e);

#endif
