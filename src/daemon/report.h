/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what the supervisor tells on the control socket.
 *
 * One function a command in a table; doc/control.md is the reference for the
 * fields.
 */
#ifndef WL_DAEMON_REPORT_H
#define WL_DAEMON_REPORT_H

#include <jansson.h>

/* A control_fn; ctx is the struct supervisor. */
json_t *report_answer(void *ctx, const json_t *request);

#endif
