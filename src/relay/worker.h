/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - a worker process, from its first instruction to its last.
 *
 * A worker is one event loop that accepts intercepted flows, opens their
 * server legs and moves bytes.  It inherits configuration, listeners and
 * shared memory by fork, owns every socket of its flows, and has no other
 * way to the world than the sockets: no files, no netlink, no control.
 *
 * Its life: serving -> draining (listeners given up, flows go on) -> exit
 * when the last flow has ended.  The supervisor moves it on by a byte on the
 * channel; the end of the channel means that the supervisor is gone, and the
 * worker drains, so that what happens to new flows is what `on-failure` says.
 * (A private worker, of `waylay exec`, ends at once instead.)
 *
 * Read tcp.h and udp.h next; both hang on the struct worker given here.
 */
#ifndef WL_RELAY_WORKER_H
#define WL_RELAY_WORKER_H

#include "base/loop.h"
#include "relay/board.h"
#include "relay/cut_line.h"

/* Bytes that the supervisor writes on the channel. */
enum worker_command {
	WORKER_DRAIN = 'd', /* give up the listeners, end when idle */
	WORKER_STOP = 's',  /* end all flows now */
	WORKER_LOOK = 'u',  /* the board changed: end flows of the disabled */
	WORKER_CUT = 'c',   /* a new channel to the cutter comes with it */
};

struct worker_listener {
	int fd;
	enum proto proto;
	uint32_t intercept; /* index of the configuration */
	struct addr at;	    /* where it listens, to know a direct hit */
	bool is_plain;	    /* of an intercept with `listen` */
};

struct worker_args {
	const struct config *config;
	struct shared *shared;
	struct board *board;
	uint64_t seed; /* of all workers */
	uint32_t slot; /* slot 0 makes the checks of groups */
	const struct worker_listener *listeners;
	size_t listener_count;
	int raw_fd[2];	   /* senders for answers, IPv4 and IPv6; -1: none */
	int channel_fd;	   /* to the supervisor */
	int cut_fd;	   /* to the cutter (cut_wire.h); -1: none */
	int lock_fd;	   /* closed when the listeners are given up; or -1 */
	bool is_private;   /* ends with its supervisor, flows and all */
	uint32_t nofile;   /* descriptors this process may have */
	uint32_t flow_max; /* slots of shared->flows */
};

/* What remains of a listener in the worker. */
struct listener {
	struct watch watch;
	struct worker *worker;
	struct worker_listener is;
};

struct worker {
	struct loop loop;
	struct watch channel_watch;
	struct timer wake;   /* set: ended flows wait to be told */
	struct timer resume; /* set: accepting is paused */
	uint64_t ended;	     /* flows, for sampling */
	struct worker_args args;
	struct listener *listeners;
	struct tcp *tcp;
	struct udp *udp;
	struct health_checks *health; /* NULL: none to make here */
	struct cut_line cut;
	bool is_draining;
	bool is_paused; /* accepting, for lack of descriptors */
	uint32_t fds;	/* descriptors in use, estimated from above */
};

/* Allocate everything that serving needs.  Call before privileges go. */
int worker_init(struct worker *w, const struct worker_args *args);
/* Serve until there is nothing left to do.  Does not free: exit follows. */
void worker_run(struct worker *w);

/* --- for tcp.c and udp.c ------------------------------------------------- */

/* May a flow that needs `fds` descriptors begin? */
bool worker_has_room(const struct worker *w, uint32_t fds);
/* Descriptors were opened (+) or closed (-); resumes accepting. */
void worker_use_fds(struct worker *w, int change);
/* Stop accepting until descriptors are free again. */
void worker_pause(struct worker *w);
/* Something was counted that the supervisor should look at soon. */
void worker_notice(struct worker *w);
/* Account for a flow that has ended. */
void worker_end_flow(struct worker *w, const struct flow_record *r);
/* The worker may be done: a flow or listener has gone. */
void worker_check_done(struct worker *w);
/* Fill what is the same for both protocols, rule and upstream too.  True: the
 * rule is open, the first bytes must be looked at (policy/eval.h). */
bool worker_begin_record(struct worker *w, const struct listener *l,
			 const struct addr *client, const struct addr *server,
			 struct flow_record *out);
/* The rule and its upstream alone, before first bytes; returns the same. */
bool worker_judge(const struct worker *w, struct flow_record *r);

/* Of its server legs.  Nothing intercepts where those of a private worker are,
 * and to set a mark there may take a capability that it has not. */
static inline uint32_t worker_own_mark(const struct worker *w)
{
	if (w->args.is_private)
		return 0;
	return w->args.config->mask & ~w->args.config->mark;
}

#endif
