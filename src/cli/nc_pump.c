/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_pump.c - move a byte stream both ways; see nc_pump.h.
 */
#include "cli/nc_pump.h"

#include "base/loop.h"
#include "net/sock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES = 128 * 1024 };

/* One direction: what was read and is not yet written. */
struct stream {
	char *bytes;
	size_t at, len;	      /* from bytes[at], len bytes wait */
	bool has_ended;	      /* its source says nothing more */
	bool is_after_return; /* -C: the last byte was CR */
};

struct run {
	const struct nc_pump *p;
	struct err *e;
	struct stream up, down;
	size_t out_max;	    /* standard output takes so much and never blocks */
	int failed;	    /* what broke `up`; the peer may have said more */
	uint64_t moved_ms;  /* when the last byte moved */
	uint64_t finish_ms; /* when `up` was done, 0: not yet */
};

static bool is_done(const struct stream *s)
{
	return s->has_ended && !s->len;
}

/* --- reading and writing ------------------------------------------------- */

static void fill(struct stream *s, size_t len)
{
	s->at = 0;
	s->len = len;
}

static void drop(struct stream *s, size_t len)
{
	s->at += len;
	s->len -= len;
}

static bool is_not_now(int error)
{
	return error == EAGAIN || error == EINTR;
}

/* LF into CR LF, unless CR is there; from the upper half of the buffer. */
static size_t expand_lines(struct stream *s, const char *from, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++) {
		if (from[i] == '\n' && !s->is_after_return)
			s->bytes[count++] = '\r';
		s->bytes[count++] = from[i];
		s->is_after_return = from[i] == '\r';
	}
	return count;
}

/* Standard input into `up`.  A closed one is empty. */
static int read_input(struct run *r)
{
	bool has_crlf = r->p->options->has_crlf;
	size_t half = has_crlf ? BUFFER_BYTES / 2 : 0;
	char *to = r->up.bytes + half;
	ssize_t len = read(r->p->in, to, BUFFER_BYTES - half);

	if (len < 0 && is_not_now(errno))
		return 0;
	if (len < 0 && errno != EBADF)
		return err_errno(r->e, errno, "cannot read standard input");
	if (len <= 0) {
		r->up.has_ended = true;
		return 0;
	}
	fill(&r->up,
	     has_crlf ? expand_lines(&r->up, to, (size_t)len) : (size_t)len);
	return 0;
}

/* What the peer has said before it broke off is still to be read. */
static void fail_up(struct run *r, int error)
{
	r->failed = error;
	r->up.has_ended = true;
	r->up.len = 0;
}

static void write_net(struct run *r)
{
	ssize_t len = send(r->p->net, r->up.bytes + r->up.at, r->up.len,
			   MSG_NOSIGNAL);

	if (len >= 0)
		drop(&r->up, (size_t)len);
	else if (!is_not_now(errno))
		fail_up(r, errno);
}

static int read_net(struct run *r)
{
	ssize_t len = read(r->p->net, r->down.bytes, BUFFER_BYTES);

	if (len < 0 && is_not_now(errno))
		return 0;
	if (len < 0)
		return err_errno(r->e, errno,
				 "the peer broke off the connection");
	r->down.has_ended = len == 0;
	fill(&r->down, (size_t)len);
	return 0;
}

static int write_output(struct run *r)
{
	size_t max = r->down.len < r->out_max ? r->down.len : r->out_max;
	ssize_t len = write(r->p->out, r->down.bytes + r->down.at, max);

	if (len < 0 && is_not_now(errno))
		return 0;
	if (len < 0)
		return err_errno(r->e, errno, "cannot write standard output");
	drop(&r->down, (size_t)len);
	return 0;
}

/* --- one turn ------------------------------------------------------------ */

enum { SLOT_SIGNAL, SLOT_IN, SLOT_NET, SLOT_OUT, SLOT_COUNT };

static struct pollfd slot(int fd, short events)
{
	return (struct pollfd){ .fd = events ? fd : -1, .events = events };
}

static void choose(const struct run *r, struct pollfd *p)
{
	bool can_fill_up = !r->up.has_ended && !r->up.len;
	bool can_fill_down = !r->down.has_ended && !r->down.len;
	short net = (short)((can_fill_down ? POLLIN : 0) |
			    (r->up.len ? POLLOUT : 0));

	p[SLOT_IN] = slot(r->p->in, can_fill_up ? POLLIN : 0);
	p[SLOT_NET] = slot(r->p->net, net);
	p[SLOT_OUT] = slot(r->p->out, r->down.len ? POLLOUT : 0);
	/* A peer that has ended its stream may still reset ours. */
	if (!net && r->down.has_ended && !r->up.has_ended)
		p[SLOT_NET].fd = r->p->net;
}

static int serve_net(struct run *r, short revents)
{
	if (r->down.has_ended) {
		if (revents & (POLLERR | POLLHUP))
			fail_up(r, sock_error(r->p->net) ?: ECONNRESET);
		else if (r->up.len)
			write_net(r);
		return 0;
	}
	if (r->up.len && revents & (POLLOUT | POLLERR | POLLHUP))
		write_net(r);
	if (!r->down.len && revents & (POLLIN | POLLERR | POLLHUP))
		return read_net(r);
	return 0;
}

static int serve(struct run *r, const struct pollfd *p)
{
	int error = 0;

	if (p[SLOT_IN].revents)
		error = read_input(r);
	if (!error && p[SLOT_NET].revents)
		error = serve_net(r, p[SLOT_NET].revents);
	if (!error && p[SLOT_OUT].revents)
		error = write_output(r);
	r->moved_ms = clock_ms();
	return error;
}

/* -N and -q. */
static void finish_up(struct run *r)
{
	if (!is_done(&r->up) || r->finish_ms)
		return;
	r->finish_ms = clock_ms();
	if (!r->p->options->wants_shutdown || r->failed || r->p->in < 0)
		return;
	if (shutdown(r->p->net, SHUT_WR) < 0)
		fail_up(r, errno);
}

/* --- when to stop -------------------------------------------------------- */

/* A listener whose client has finished sends what standard input has ready,
 * and does not wait for more. */
static bool is_only_for_ready(const struct run *r)
{
	return r->p->options->is_listening && is_done(&r->down) && !r->up.len;
}

static bool is_over(const struct run *r)
{
	return is_done(&r->down) && is_done(&r->up);
}

/* -q, once standard input has ended and is sent. */
static bool wants_to_quit(const struct run *r)
{
	return r->p->options->quit_ms >= 0 && r->finish_ms && r->p->in >= 0;
}

static bool is_time_to_quit(const struct run *r)
{
	return wants_to_quit(r) && !r->down.len &&
	       clock_ms() >= r->finish_ms + (uint64_t)r->p->options->quit_ms;
}

static uint64_t deadline(const struct run *r)
{
	const struct nc_options *o = r->p->options;
	uint64_t idle_ms = r->moved_ms + (uint64_t)o->wait_ms;
	uint64_t quit_ms = r->finish_ms + (uint64_t)o->quit_ms;

	if (!wants_to_quit(r))
		return o->wait_ms ? idle_ms : 0;
	return o->wait_ms && idle_ms < quit_ms ? idle_ms : quit_ms;
}

static int next_wait(const struct run *r)
{
	uint64_t end_ms = deadline(r), now_ms = clock_ms(), left_ms;

	if (is_only_for_ready(r))
		return 0;
	if (!end_ms)
		return -1;
	left_ms = end_ms > now_ms ? end_ms - now_ms : 0;
	return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

/* Nothing was ready for so long. */
static enum nc_pumped give_up(const struct run *r)
{
	const struct nc_options *o = r->p->options;

	if (is_only_for_ready(r))
		return NC_FINISHED;
	(void)err_set(r->e, ETIMEDOUT,
		      "nothing moved for %d s, and the streams had not ended",
		      o->wait_ms / 1000);
	return is_done(&r->up) ? NC_SILENT : NC_CUT;
}

static enum nc_pumped finish(const struct run *r)
{
	if (!r->failed)
		return NC_FINISHED;
	(void)err_errno(r->e, r->failed,
			"the peer broke off the connection, and not all that "
			"was to be sent has reached it");
	return NC_CUT;
}

static enum nc_pumped turn_all(struct run *r)
{
	struct pollfd p[SLOT_COUNT];
	int ready;

	for (;;) {
		finish_up(r);
		if (is_over(r) || is_time_to_quit(r))
			return finish(r);
		choose(r, p);
		ready = nc_poll(r->p->watch, p, SLOT_COUNT, next_wait(r));
		if (ready == -EINTR)
			return NC_STOPPED;
		if (ready < 0) {
			(void)err_errno(r->e, -ready, "cannot wait");
			return NC_CUT;
		}
		if (ready == 0 && is_time_to_quit(r))
			continue;
		if (ready == 0)
			return give_up(r);
		if (serve(r, p) < 0)
			return NC_CUT;
	}
}

/* Of a pipe that is writable a page is free; a larger write would block, and
 * with it the other direction. */
static size_t most_at_once(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return BUFFER_BYTES;
	return PIPE_BUF;
}

enum nc_pumped nc_pump_run(const struct nc_pump *p, struct err *e)
{
	char *memory = malloc(2 * (size_t)BUFFER_BYTES);
	struct run r = { .p = p, .e = e, .moved_ms = clock_ms() };
	enum nc_pumped result;

	if (!memory) {
		(void)err_set(e, ENOMEM, "no memory for a connection");
		return NC_CUT;
	}
	r.up.bytes = memory;
	r.down.bytes = memory + BUFFER_BYTES;
	r.up.has_ended = p->in < 0;
	r.out_max = most_at_once(p->out);
	result = turn_all(&r);
	free(memory);
	return result;
}
