/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_move.h - moving the bytes of one direction of a TCP flow.
 *
 * Two movers, chosen by what the direction does, never by configuration (a
 * third, cut-through, takes the whole flow away from here: tcp_cut.h says who
 * may change the mover, and when):
 *
 *	copy	one recv and one send through a buffer of the worker.  Least
 *		latency and no descriptors.  What the far side does not take
 *		waits in a spill buffer.
 *	splice	through a pipe, for bulk: begins when a read fills most of the
 *		copy buffer, ends when reads become small again.  A pipe is
 *		borrowed for as long as it holds bytes.  No pipe: copy.
 *
 * Sockets are watched edge-triggered: `is_readable` and `is_writable` say
 * what the last event or call taught us.  A read that returns less than was
 * asked has emptied the socket, unless the peer's FIN may be behind it (has_hup)
 * or urgent data are: a new edge comes for everything that arrives later.
 */
#ifndef WL_RELAY_TCP_MOVE_H
#define WL_RELAY_TCP_MOVE_H

#include "relay/shared.h"

#include <stddef.h>

enum {
	MOVE_BUFFER_BYTES = 256 << 10, /* one for each worker */
	MOVE_COPY_BYTES = 64 << 10,    /* one read of the copy mover */
	MOVE_SMALL_BYTES = 4 << 10,    /* the same when spills run high */
	MOVE_PIPE_BYTES = 1 << 20,
	MOVE_PIPES_MAX = 32,	      /* for each worker */
	MOVE_SPILL_BUDGET = 64 << 20, /* bytes of spill for each worker */
	MOVE_ROUNDS = 16, /* reads before other flows have their turn */
};

struct move_side {
	int fd;
	bool is_readable, is_writable;
	bool has_hup;	 /* the peer's FIN or RST has arrived */
	bool has_urgent; /* urgent data have: reads may end at their mark */
	bool has_error;	 /* it was a RST, or the kernel gave the peer up */
};

struct move_dir {
	uint8_t *spill; /* bytes read and not yet written, or NULL */
	uint32_t spill_len, spill_at;
	int pipe;	    /* slot of a borrowed pipe, or -1 */
	uint32_t pipe_held; /* bytes in it */
	uint8_t mover;	    /* enum flow_mover, for the next read */
	uint8_t small_reads;
	bool is_eof;	  /* FIN was read */
	bool is_fin_sent; /* and carried across */
	bool is_last;	  /* the other direction has ended: the caller will
			   * close both sides, and that carries FIN */
	bool is_held;	  /* the caller's: what is held is written, and
			   * nothing more is read */
};

struct mover {
	struct shared *shared; /* counters */
	uint8_t *buffer;
	size_t spilled; /* bytes in all spills */
	struct move_pipe {
		int fd[2]; /* read end, write end; -1: not made yet */
		int free_next;
	} pipes[MOVE_PIPES_MAX];
	int pipe_free; /* head of the free list, -1 */
};

enum move_result {
	MOVE_WAIT,	   /* nothing more to do until an event */
	MOVE_AGAIN,	   /* stopped for fairness; call again soon */
	MOVE_FIN,	   /* is_fin_sent has just become true */
	MOVE_READ_FAILED,  /* *error; the reading side is broken */
	MOVE_WRITE_FAILED, /* *error; the writing side is broken */
};

int mover_init(struct mover *m, struct shared *shared); /* 0 or -ENOMEM */

/* Put bytes in front of everything that will be read: a header for the
 * upstream.  Only before the first move.  0 or -ENOMEM. */
int move_preload(struct mover *m, struct move_dir *d, const uint8_t *bytes,
		 size_t len);
/* Move from `from` to `to` what can be moved.  *moved: bytes written. */
enum move_result move_run(struct mover *m, struct move_dir *d,
			  struct move_side *from, struct move_side *to,
			  uint64_t *moved, int *error);
/* Free what the direction holds; bytes in it are lost. */
void move_done(struct mover *m, struct move_dir *d);

#endif
