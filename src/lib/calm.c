/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calm.c - what the engines take for granted; see calm.h.
 */
#include "lib/calm.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* --- before anything is done --------------------------------------------- */

/* capget(2) of this thread, without a library. */
static bool has_capability(unsigned number)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return true; /* the kernel itself will tell */
	return data[number / 32].effective & 1u << number % 32;
}

int calm_check(struct err *e)
{
	struct stat process, thread;

	if (!has_capability(CAP_NET_ADMIN))
		return err_set(e, EPERM, "an interception needs CAP_NET_ADMIN");
	if (stat("/proc/self/ns/net", &process) < 0 ||
	    stat("/proc/thread-self/ns/net", &thread) < 0)
		return err_errno(e, errno,
				 "cannot tell in which network namespace this "
				 "is");
	if (process.st_ino != thread.st_ino)
		return err_set(e, EXDEV,
			       "this thread is in another network namespace "
			       "than its process");
	return 0;
}

/* --- signals ------------------------------------------------------------- */

static void only_sigpipe(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGPIPE);
}

void calm_begin(struct calm *c)
{
	sigset_t pipe, pending;

	only_sigpipe(&pipe);
	(void)sigpending(&pending);
	c->was_pending = sigismember(&pending, SIGPIPE) == 1;
	(void)pthread_sigmask(SIG_BLOCK, &pipe, &c->before);
}

void calm_end(struct calm *c)
{
	const struct timespec at_once = { 0 };
	sigset_t pipe;
	int saved = errno;

	only_sigpipe(&pipe);
	while (!c->was_pending && sigtimedwait(&pipe, NULL, &at_once) < 0 &&
	       errno == EINTR)
		;
	(void)pthread_sigmask(SIG_SETMASK, &c->before, NULL);
	errno = saved;
}
