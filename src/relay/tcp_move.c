/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_move.c - copy and splice; see tcp_move.h.
 */
#include "relay/tcp_move.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BULK_READ_BYTES = 48 << 10, /* a copy read of this size is bulk */
	SMALL_READ_BYTES = 8 << 10, /* a splice of less is small */
	SMALL_READS_MAX = 8,	    /* so many in a row end splicing */
	SPILL_HIGH = MOVE_SPILL_BUDGET - (8 << 20),
};

int mover_init(struct mover *m, struct shared *shared)
{
	*m = (struct mover){ .shared = shared };
	m->buffer = malloc(MOVE_BUFFER_BYTES);
	if (!m->buffer)
		return -ENOMEM;
	for (int i = 0; i < MOVE_PIPES_MAX; i++) {
		m->pipes[i] = (struct move_pipe){
			.fd = { -1, -1 },
			.free_next = i + 1 < MOVE_PIPES_MAX ? i + 1 : -1,
		};
	}
	return 0;
}

/* --- pipes --------------------------------------------------------------- */

static bool pipe_make(struct move_pipe *p)
{
	if (pipe2(p->fd, O_NONBLOCK | O_CLOEXEC) < 0) {
		p->fd[0] = p->fd[1] = -1;
		return false;
	}
	/* Refused when this user has many pipes: the default size then does,
	 * pipe(7) pipe-user-pages-soft. */
	(void)fcntl(p->fd[1], F_SETPIPE_SZ, MOVE_PIPE_BYTES);
	return true;
}

static int pipe_borrow(struct mover *m)
{
	int slot = m->pipe_free;

	if (slot < 0)
		return -1;
	if (m->pipes[slot].fd[0] < 0 && !pipe_make(&m->pipes[slot]))
		return -1;
	m->pipe_free = m->pipes[slot].free_next;
	return slot;
}

static void pipe_close(struct move_pipe *p)
{
	close(p->fd[0]);
	close(p->fd[1]);
	p->fd[0] = p->fd[1] = -1;
}

/* A pipe that still holds bytes is of no use to anybody else. */
static void pipe_return(struct mover *m, struct move_dir *d)
{
	struct move_pipe *p = &m->pipes[d->pipe];

	if (d->pipe_held)
		pipe_close(p);
	p->free_next = m->pipe_free;
	m->pipe_free = d->pipe;
	d->pipe = -1;
	d->pipe_held = 0;
}

/* --- spill --------------------------------------------------------------- */

static int spill_put(struct mover *m, struct move_dir *d, const uint8_t *bytes,
		     size_t len)
{
	assert(!d->spill);
	d->spill = malloc(len);
	if (!d->spill)
		return -ENOMEM;
	memcpy(d->spill, bytes, len);
	d->spill_len = (uint32_t)len;
	d->spill_at = 0;
	m->spilled += len;
	return 0;
}

static void spill_free(struct mover *m, struct move_dir *d)
{
	m->spilled -= d->spill_len;
	free(d->spill);
	d->spill = NULL;
	d->spill_len = d->spill_at = 0;
}

int move_preload(struct mover *m, struct move_dir *d, const uint8_t *bytes,
		 size_t len)
{
	return spill_put(m, d, bytes, len);
}

void move_done(struct mover *m, struct move_dir *d)
{
	if (d->spill)
		spill_free(m, d);
	if (d->pipe >= 0)
		pipe_return(m, d);
}

/* --- writing what is held ------------------------------------------------ */

static enum move_result write_failed(struct move_side *to, int *error)
{
	if (errno == EAGAIN || errno == EINTR) {
		to->is_writable = errno == EINTR && to->is_writable;
		return MOVE_WAIT;
	}
	*error = errno;
	return MOVE_WRITE_FAILED;
}

static enum move_result flush_spill(struct mover *m, struct move_dir *d,
				    struct move_side *to, uint64_t *moved,
				    int *error)
{
	while (d->spill_at < d->spill_len) {
		ssize_t len = send(to->fd, d->spill + d->spill_at,
				   d->spill_len - d->spill_at,
				   MSG_NOSIGNAL | MSG_DONTWAIT);

		if (len < 0)
			return write_failed(to, error);
		d->spill_at += (uint32_t)len;
		*moved += (uint64_t)len;
	}
	spill_free(m, d);
	return MOVE_AGAIN;
}

static enum move_result flush_pipe(struct mover *m, struct move_dir *d,
				   struct move_side *to, uint64_t *moved,
				   int *error)
{
	while (d->pipe_held) {
		ssize_t len =
			splice(m->pipes[d->pipe].fd[0], NULL, to->fd, NULL,
			       d->pipe_held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (len < 0)
			return write_failed(to, error);
		d->pipe_held -= (uint32_t)len;
		*moved += (uint64_t)len;
		count_add(m->shared, COUNTER_tcp_spliced, (uint64_t)len);
	}
	return MOVE_AGAIN;
}

/* MOVE_AGAIN: nothing is held any more. */
static enum move_result flush(struct mover *m, struct move_dir *d,
			      struct move_side *to, uint64_t *moved, int *error)
{
	if (!d->spill && !d->pipe_held)
		return MOVE_AGAIN;
	if (!to->is_writable)
		return MOVE_WAIT;
	if (d->spill)
		return flush_spill(m, d, to, moved, error);
	return flush_pipe(m, d, to, moved, error);
}

/* --- reading ------------------------------------------------------------- */

/* What a read taught about the socket; MOVE_AGAIN: there are bytes. */
static enum move_result after_read(struct move_dir *d, struct move_side *from,
				   ssize_t len, size_t asked, int *error)
{
	if (len < 0) {
		if (errno == EINTR)
			return MOVE_AGAIN;
		if (errno == EAGAIN) {
			from->is_readable = false;
			return MOVE_WAIT;
		}
		*error = errno;
		return MOVE_READ_FAILED;
	}
	if (len == 0) {
		d->is_eof = true;
		from->is_readable = false;
	} else if ((size_t)len < asked && !from->has_hup && !from->has_urgent) {
		from->is_readable = false;
	}
	return MOVE_AGAIN;
}

static enum move_result read_copy(struct mover *m, struct move_dir *d,
				  struct move_side *from, struct move_side *to,
				  uint64_t *moved, int *error)
{
	size_t asked =
		m->spilled < SPILL_HIGH ? MOVE_COPY_BYTES : MOVE_SMALL_BYTES;
	ssize_t len = recv(from->fd, m->buffer, asked, MSG_DONTWAIT);
	enum move_result result = after_read(d, from, len, asked, error);
	ssize_t sent = 0;
	int more = 0;

	if (result != MOVE_AGAIN || len <= 0)
		return result;
	if (len >= BULK_READ_BYTES)
		d->mover = MOVER_SPLICE;
	/* The last bytes before the peer's FIN: ours joins their packet. */
	if (from->has_hup && (size_t)len < asked)
		more = MSG_MORE;
	if (to->is_writable)
		sent = send(to->fd, m->buffer, (size_t)len,
			    MSG_NOSIGNAL | MSG_DONTWAIT | more);
	if (sent < 0) {
		result = write_failed(to, error);
		if (result != MOVE_WAIT)
			return result;
		sent = 0;
	}
	*moved += (uint64_t)sent;
	if (sent == len)
		return MOVE_AGAIN;
	if (spill_put(m, d, m->buffer + sent, (size_t)(len - sent)) < 0) {
		*error = ENOMEM; /* bytes would be lost: the flow must end */
		return MOVE_READ_FAILED;
	}
	return MOVE_AGAIN;
}

static enum move_result read_splice(struct mover *m, struct move_dir *d,
				    struct move_side *from, int *error)
{
	ssize_t len =
		splice(from->fd, NULL, m->pipes[d->pipe].fd[1], NULL,
		       MOVE_PIPE_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	/* A pipe fills by pages, not bytes: a short splice tells nothing. */
	enum move_result result = after_read(d, from, len, 0, error);

	if (result != MOVE_AGAIN || len <= 0)
		return result;
	d->pipe_held = (uint32_t)len;
	if (len >= SMALL_READ_BYTES) {
		d->small_reads = 0;
	} else if (++d->small_reads >= SMALL_READS_MAX) {
		d->small_reads = 0;
		d->mover = MOVER_COPY;
	}
	return MOVE_AGAIN;
}

static enum move_result read_some(struct mover *m, struct move_dir *d,
				  struct move_side *from, struct move_side *to,
				  uint64_t *moved, int *error)
{
	/* splice does not go beyond the mark of urgent data: tcp_read_sock() */
	if (from->has_urgent)
		d->mover = MOVER_COPY;
	if (d->mover == MOVER_SPLICE && d->pipe < 0) {
		d->pipe = pipe_borrow(m);
		if (d->pipe < 0)
			count(m->shared, COUNTER_no_pipe);
	}
	if (d->mover == MOVER_SPLICE && d->pipe >= 0)
		return read_splice(m, d, from, error);
	return read_copy(m, d, from, to, moved, error);
}

/* --- one direction ------------------------------------------------------- */

static enum move_result carry_fin(struct move_dir *d, struct move_side *to,
				  int *error)
{
	if (!d->is_last && shutdown(to->fd, SHUT_WR) < 0) {
		*error = errno;
		return MOVE_WRITE_FAILED;
	}
	d->is_fin_sent = true;
	return MOVE_FIN;
}

static enum move_result move_rounds(struct mover *m, struct move_dir *d,
				    struct move_side *from,
				    struct move_side *to, uint64_t *moved,
				    int *error)
{
	enum move_result result;

	for (int round = 0; round < MOVE_ROUNDS; round++) {
		result = flush(m, d, to, moved, error);
		if (result != MOVE_AGAIN)
			return result;
		if (d->is_eof)
			return carry_fin(d, to, error);
		if (!from->is_readable || d->is_held)
			return MOVE_WAIT;
		result = read_some(m, d, from, to, moved, error);
		if (result != MOVE_AGAIN)
			return result;
	}
	return MOVE_AGAIN;
}

enum move_result move_run(struct mover *m, struct move_dir *d,
			  struct move_side *from, struct move_side *to,
			  uint64_t *moved, int *error)
{
	enum move_result result = MOVE_WAIT;

	*moved = 0;
	if (!d->is_fin_sent)
		result = move_rounds(m, d, from, to, moved, error);
	if (d->pipe >= 0 && !d->pipe_held)
		pipe_return(m, d);
	return result;
}
