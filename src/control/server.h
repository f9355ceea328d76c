/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the daemon's end of the control protocol.
 *
 * One listener and at most CONTROL_CLIENTS_MAX clients on the caller's loop.
 * Nothing here blocks: requests are read and replies written as far as the
 * socket goes.  What a command means is the handler's matter.
 *
 * A client moves one way only, by client_move() in server.c:
 *
 *	FREE --accept--> READING --line--> WRITING --all sent--> CLOSED
 *	                    |                 |                    |
 *	                    +---- deadline, hang-up, error --------+
 *	FREE <------------- end of the loop's batch ---------------+
 *
 * Each of READING and WRITING has CONTROL_DEADLINE_MS in all, so no client
 * holds its place for more than twice that.  While all places are taken, or
 * descriptors have run out, the listener rests and clients wait in its
 * backlog.
 *
 * Who may ask: the socket is 0600, its directory must be writable by its
 * owner only, and the peer's uid (SO_PEERCRED) must be 0 or our own.
 */
#ifndef WL_CONTROL_SERVER_H
#define WL_CONTROL_SERVER_H

#include "base/loop.h"
#include "base/str.h"
#include "control/wire.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

struct err;

/* Answer a request (borrowed; an object with a string "command") with a new
 * object.  NULL is sent as an internal error.  Must not close the server. */
typedef json_t *(*control_fn)(void *ctx, const json_t *request);

enum control_client_state {
	CONTROL_CLIENT_FREE,
	CONTROL_CLIENT_READING,
	CONTROL_CLIENT_WRITING,
	CONTROL_CLIENT_CLOSED, /* do not touch before the batch has ended */
};

struct control_server;

struct control_client {
	struct watch watch; /* first: the loop hands it back */
	struct timer deadline;
	struct deferred deferred;
	struct control_server *server;
	enum control_client_state state;
	int fd; /* -1 unless READING or WRITING */
	struct str in;
	struct str out;
	size_t sent; /* bytes of out */
};

struct control_server {
	struct watch watch; /* first: the loop hands it back */
	struct timer retry; /* descriptors ran out: accept again then */
	struct loop *loop;
	control_fn handler;
	void *ctx;
	int fd; /* -1: closed */
	bool is_resting;
	struct sockaddr_un address;
	dev_t dev; /* of the socket's name, so that we remove only ours */
	ino_t ino;
	struct control_client clients[CONTROL_CLIENTS_MAX];
};

/*
 * Make run_dir (0700) if it is missing, and the socket in it.  A socket that
 * nobody answers on is replaced; -EADDRINUSE if somebody does, with its pid
 * in the sentence; anything else of that name is refused.  Keeps loop and
 * ctx.  0 or -errno with a sentence; after a failure there is nothing to
 * close.
 */
int control_server_open(struct control_server *s, struct loop *loop,
			const char *run_dir, control_fn handler, void *ctx,
			struct err *e);

/* Drop the clients and remove the socket (not the directory).  The memory of
 * s must live until the loop's batch has ended.  May be called again. */
void control_server_close(struct control_server *s);

/* For a forked child: close our copies of the descriptors and leave the
 * socket's name and the parent's epoll alone. */
void control_server_leave(struct control_server *s);

#endif
