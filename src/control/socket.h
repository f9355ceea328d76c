/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.h - the name and the listener of the control socket.
 *
 * For server.c only.  Takes care of what may lie at the path already: a
 * socket of a daemon that died, of one that lives, or something that is not
 * ours to touch.
 */
#ifndef WL_CONTROL_SOCKET_H
#define WL_CONTROL_SOCKET_H

struct control_server;
struct err;

/* Fills fd, address, dev and ino of s.  0 or -errno with a sentence. */
int control_socket_open(struct control_server *s, const char *run_dir,
			struct err *e);
/* Closes the listener and removes its name if it still is ours. */
void control_socket_close(struct control_server *s);

#endif
