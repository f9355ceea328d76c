/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - ask the daemon; see client.h.
 */
#include "control/client.h"

#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"
#include "control/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

struct call {
	int fd;
	uint64_t deadline_ms;
	const char *path;
};

static int fail_connect(int code, const char *path, struct err *e)
{
	switch (code) {
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
		return err_set(e, ECONNREFUSED,
			       "no waylayd answers on %s (is it running? "
			       "start it, or name its directory with "
			       "--run-dir)",
			       path);
	case EACCES:
	case EPERM:
		return err_set(e, EACCES,
			       "not allowed to use %s (only root and "
			       "waylayd's own user may; try sudo)",
			       path);
	case EAGAIN: /* SO_SNDTIMEO ran out: the backlog stayed full */
		return err_set(e, ETIMEDOUT,
			       "waylayd is too busy to answer on %s", path);
	}
	return err_errno(e, code, "cannot connect to %s", path);
}

static int call_open(const struct sockaddr_un *sun, struct err *e)
{
	struct timeval limit = { .tv_sec = CONTROL_TIMEOUT_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int code;

	if (fd < 0)
		return err_errno(e, errno, "cannot make a socket");
	/* bounds connect() only; without it that could wait for ever */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0)
		return fd;
	code = errno;
	close(fd);
	return fail_connect(code, sun->sun_path, e);
}

static int call_wait(const struct call *c, short events, struct err *e)
{
	struct pollfd pfd = { .fd = c->fd, .events = events };
	uint64_t now_ms = clock_ms();
	int rc = 0;

	if (now_ms < c->deadline_ms)
		rc = poll(&pfd, 1, (int)(c->deadline_ms - now_ms));
	if (rc > 0 || (rc < 0 && errno == EINTR))
		return 0;
	if (rc < 0)
		return err_errno(e, errno, "cannot wait for waylayd");
	return err_set(e, ETIMEDOUT,
		       "waylayd did not answer on %s within %d seconds",
		       c->path, CONTROL_TIMEOUT_MS / 1000);
}

/* A daemon that refuses early has replied and closed before it has read
 * everything: EPIPE is no failure as long as there is a reply. */
static int call_send(const struct call *c, const char *text, size_t len,
		     struct err *e)
{
	while (len > 0) {
		ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			text += n;
			len -= (size_t)n;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return 0;
		} else if (errno == EAGAIN || errno == EINTR) {
			int rc = call_wait(c, POLLOUT, e);

			if (rc < 0)
				return rc;
		} else {
			return err_errno(e, errno, "cannot send to %s",
					 c->path);
		}
	}
	return 0;
}

/* Reads up to the newline, which ends the reply. */
static int call_receive(const struct call *c, struct str *in, struct err *e)
{
	char chunk[CHUNK];

	for (;;) {
		ssize_t n = recv(c->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

		if (n > 0) {
			str_addn(in, chunk, (size_t)n);
			if (!str_ok(in) || in->len > CONTROL_REPLY_MAX)
				return err_set(e, EMSGSIZE,
					       "the reply of waylayd is too "
					       "long");
			if (memchr(chunk, '\n', (size_t)n))
				return 0;
		} else if (n == 0 || errno == ECONNRESET) {
			return err_set(e, ECONNRESET,
				       "waylayd closed the connection on %s "
				       "without a full reply",
				       c->path);
		} else if (errno == EAGAIN || errno == EINTR) {
			int rc = call_wait(c, POLLIN, e);

			if (rc < 0)
				return rc;
		} else {
			return err_errno(e, errno, "cannot read from %s",
					 c->path);
		}
	}
}

static int parse_reply(const struct str *in, json_t **out, struct err *e)
{
	json_error_t why;
	json_t *reply =
		json_loadb(in->text, in->len, JSON_REJECT_DUPLICATES, &why);

	if (json_is_boolean(json_object_get(reply, "ok"))) {
		*out = reply;
		return 0;
	}
	json_decref(reply);
	return err_set(e, EPROTO,
		       "the reply of waylayd makes no sense (is it of another "
		       "version?)");
}

static int dump_chunk(const char *bytes, size_t len, void *out)
{
	str_addn(out, bytes, len);
	return 0;
}

static int exchange(const struct call *c, const json_t *request, json_t **reply,
		    struct err *e)
{
	struct str text = { 0 };
	int rc;

	(void)json_dump_callback(request, dump_chunk, &text,
				 JSON_COMPACT); /* str_ok() tells */
	str_add(&text, "\n");
	if (!str_ok(&text) || text.len > CONTROL_REQUEST_MAX) {
		str_done(&text);
		return err_set(e, EMSGSIZE, "the request is too long");
	}
	rc = call_send(c, text.text, text.len, e);
	str_reset(&text);
	if (rc == 0)
		rc = call_receive(c, &text, e);
	if (rc == 0)
		rc = parse_reply(&text, reply, e);
	str_done(&text);
	return rc;
}

int control_call(const char *run_dir, const json_t *request, json_t **reply,
		 struct err *e)
{
	struct sockaddr_un sun;
	struct call c;
	int rc = control_address(run_dir, &sun, e);

	if (rc < 0)
		return rc;
	c = (struct call){
		.fd = call_open(&sun, e),
		.deadline_ms = clock_ms() + CONTROL_TIMEOUT_MS,
		.path = sun.sun_path,
	};
	if (c.fd < 0)
		return c.fd;
	rc = exchange(&c, request, reply, e);
	close(c.fd);
	return rc;
}
