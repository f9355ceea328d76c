/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutter_child.c - the supervisor's side of the cutter; see cutter_child.h.
 */
#include "daemon/cutter_child.h"

#include "base/log.h"
#include "daemon/process.h"
#include "net/parcel.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_channel(struct cutter_child *c)
{
	if (c->channel_fd < 0)
		return;
	loop_del(c->args.loop, c->channel_fd);
	close(c->channel_fd);
	c->channel_fd = -1;
}

static void on_channel(struct loop *l, struct watch *w, uint32_t events)
{
	struct cutter_child *c =
		(struct cutter_child *)((char *)w -
					offsetof(struct cutter_child, watch));
	char bytes[64];

	(void)events;
	if (c->channel_fd < 0)
		return;
	/* Only a wake-up: what the bytes are does not matter. */
	if (recv(c->channel_fd, bytes, sizeof(bytes), MSG_DONTWAIT) == 0)
		loop_del(l, c->channel_fd); /* it ends; SIGCHLD follows */
	c->args.on_news(c->args.ctx);
}

/* --- begin --------------------------------------------------------------- */

static int fork_cutter(struct cutter_child *c, int channel_fd)
{
	const struct process_cutter p = {
		.args = {
			.table = c->args.table,
			.shared = c->shared,
			.orders = c->orders,
			.entries = c->entries,
			.generation = c->generation,
			.raw_fd = { c->args.raw_fd[0], c->args.raw_fd[1] },
			.channel_fd = channel_fd,
		},
		.is_strict = c->args.is_strict,
	};

	c->pid = fork();
	if (c->pid == 0)
		process_cut(&p);
	if (c->pid > 0)
		return 0;
	c->pid = 0;
	return -errno;
}

static int spawn(struct cutter_child *c)
{
	int pair[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	c->begun_ms = c->args.loop->now_ms;
	c->channel_fd = pair[0];
	c->watch.fn = on_channel;
	error = loop_add(c->args.loop, pair[0], EPOLLIN, &c->watch);
	if (!error)
		error = fork_cutter(c, pair[1]);
	close(pair[1]);
	if (error < 0)
		close_channel(c);
	return error;
}

static void lengthen_pause(struct cutter_child *c)
{
	if (!c->pause_ms)
		c->pause_ms = CUTTER_PAUSE_MS;
	else if (c->pause_ms < CUTTER_PAUSE_MAX_MS)
		c->pause_ms *= 2;
}

static void begin_later(struct cutter_child *c)
{
	lengthen_pause(c);
	wheel_set(&c->args.loop->wheel, &c->revive,
		  c->args.loop->now_ms + c->pause_ms);
}

static void revive(struct timer *t, uint64_t now_ms)
{
	struct cutter_child *c =
		(struct cutter_child *)((char *)t -
					offsetof(struct cutter_child, revive));
	int error = spawn(c);

	(void)now_ms;
	c->restarts++;
	if (!error) {
		c->args.on_begun(c->args.ctx);
		return;
	}
	begin_later(c);
	log_error("cannot start the cutter: %s; trying again in %u s",
		  strerror(-error), c->pause_ms / 1000);
}

static int make_memory(struct cutter_child *c)
{
	uint32_t max = c->args.flow_max;

	c->shared = shared_new(max);
	c->orders = cut_orders_new(max);
	c->entries = cut_entries_new(max);
	return c->shared && c->orders && c->entries ? 0 : -ENOMEM;
}

int cutter_child_begin(struct cutter_child *c,
		       const struct cutter_child_args *args,
		       uint32_t generation, struct err *e)
{
	int error;

	*c = (struct cutter_child){ .args = *args,
				    .generation = generation,
				    .channel_fd = -1,
				    .revive.fn = revive };
	error = make_memory(c);
	if (!error)
		error = spawn(c);
	if (!error)
		return 0;
	cutter_child_done(c);
	return err_errno(e, -error, "cannot start the cutter");
}

/* --- messages ------------------------------------------------------------ */

/* fd: -1, or one that goes with it. */
static bool send_order(const struct cutter_child *c, struct cutter_order order,
		       int fd)
{
	const struct parcel p = { .bytes = &order,
				  .size = sizeof(order),
				  .fd = { fd },
				  .fd_count = fd >= 0 };

	return c->channel_fd >= 0 && parcel_send(c->channel_fd, &p) == 0;
}

int cutter_child_connect(struct cutter_child *c, uint32_t generation)
{
	const struct cutter_order order = { .command = CUTTER_WORKER,
					    .generation = generation };
	int pair[2];
	bool is_sent;

	if (c->pid <= 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	is_sent = send_order(c, order, pair[1]);
	close(pair[1]);
	if (is_sent)
		return pair[0];
	close(pair[0]);
	return -1;
}

/* One that is dead will look when it begins. */
void cutter_child_look(const struct cutter_child *c)
{
	const struct cutter_order order = { .command = CUTTER_LOOK };

	if (c->pid > 0)
		(void)send_order(c, order, -1);
}

/* --- end ----------------------------------------------------------------- */

static void log_death(const struct cutter_child *c, int status)
{
	if (WIFSIGNALED(status))
		log_error("cutter %d was killed by signal %d (%s); starting "
			  "it again in %u s",
			  (int)c->pid, WTERMSIG(status),
			  strsignal(WTERMSIG(status)), c->pause_ms / 1000);
	else
		log_error("cutter %d ended with status %d; starting it again "
			  "in %u s",
			  (int)c->pid, WEXITSTATUS(status), c->pause_ms / 1000);
}

void cutter_child_reap(struct cutter_child *c)
{
	int status;

	if (c->pid <= 0 || waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	if (c->args.loop->now_ms - c->begun_ms >= CUTTER_YOUNG_MS)
		c->pause_ms = 0;
	begin_later(c);
	log_death(c, status);
	c->pid = 0;
	close_channel(c);
	c->args.on_news(c->args.ctx);
}

void cutter_child_stop(struct cutter_child *c)
{
	if (!c->shared)
		return;
	wheel_cancel(&c->args.loop->wheel, &c->revive);
	close_channel(c);
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0); /* it dies at once */
	}
	c->pid = 0;
}

void cutter_child_done(struct cutter_child *c)
{
	cutter_child_stop(c);
	shared_free(c->shared);
	cut_orders_free(c->orders);
	cut_entries_free(c->entries, c->args.flow_max);
	*c = (struct cutter_child){ .channel_fd = -1 };
}
