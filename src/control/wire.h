/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - what both ends of the control protocol agree on.
 *
 * A stream socket RUN_DIR/control.sock.  The tool sends one JSON object and
 * a newline, the daemon answers with one JSON object and a newline and
 * closes:
 *
 *	tool     {"command":"status"}\n
 *	daemon   {"ok":true,...}\n   or
 *	         {"ok":false,"code":"usage|config|failed","error":"text"}\n
 *
 * Here are the limits, the names and the parsing of a request.  Nothing here
 * knows a command.  Read server.h and client.h next.
 */
#ifndef WL_CONTROL_WIRE_H
#define WL_CONTROL_WIRE_H

#include <jansson.h>
#include <stddef.h>

struct err;
struct sockaddr_un;

#define CONTROL_RUN_DIR	    "/run/waylay"
#define CONTROL_RUN_DIR_ENV "WAYLAY_RUN_DIR"
#define CONTROL_SOCKET_NAME "control.sock"

enum {
	CONTROL_REQUEST_MAX = 64 * 1024,      /* bytes, the newline included */
	CONTROL_REPLY_MAX = 64 * 1024 * 1024, /* the same */
	CONTROL_CLIENTS_MAX = 16,
	CONTROL_DEADLINE_MS = 5 * 1000, /* server: for each phase */
	CONTROL_TIMEOUT_MS = 10 * 1000, /* client: for everything */
};

enum control_code { CONTROL_USAGE, CONTROL_CONFIG, CONTROL_FAILED };

/* The run dir in force: `given` (NULL: no option), else the environment,
 * else the default. */
const char *control_run_dir(const char *given);

/* The address of the socket in run_dir.  -ENAMETOOLONG with a sentence. */
int control_address(const char *run_dir, struct sockaddr_un *out,
		    struct err *e);

/* One request line, without its newline, of any bytes.  Returns a new object
 * that has a string "command", or NULL with a sentence in e. */
json_t *control_parse(const char *line, size_t len, struct err *e);

/* A new failure reply; NULL only without memory. */
json_t *control_error(enum control_code code, const char *text);

/* A new JSON string of any C string: bytes that are not UTF-8 become '?'.
 * NULL only without memory. */
json_t *control_text(const char *text);

const char *control_code_name(enum control_code code);

#endif
