/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_wait.c - wait for the command, signals passed on; see exec_wait.h.
 */
#include "cli/exec_wait.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_SIGNAL = 128 };

/* --- signals ------------------------------------------------------------- */

/* A handler has no other way to know. */
static volatile pid_t forward_to;

/* What the terminal sends (SI_KERNEL) it has sent to the command as well. */
static void forward(int signal, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	if (forward_to > 0 && info->si_code != SI_KERNEL)
		(void)kill(forward_to, signal);
	errno = saved;
}

void exec_wait_pass_signals(pid_t pid)
{
	static const int passed_on[] = { SIGTERM, SIGHUP,  SIGINT,  SIGQUIT,
					 SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH };
	struct sigaction sa = { .sa_sigaction = forward,
				.sa_flags = SA_SIGINFO };

	forward_to = pid;
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++)
		(void)sigaction(passed_on[i], &sa, NULL); /* valid */
}

/* --- waiting ------------------------------------------------------------- */

static int status_of(int status)
{
	return WIFSIGNALED(status) ? STATUS_SIGNAL + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

/* Ctrl-Z and its like stop all of a process group: us, too. */
static bool has_stopped_alone(pid_t pid, int signal)
{
	return signal == SIGSTOP || getpgid(pid) != getpgrp();
}

int exec_wait_command(pid_t pid)
{
	int status;

	for (;;) {
		if (waitpid(pid, &status, WUNTRACED) < 0) {
			if (errno == EINTR)
				continue;
			return 1;
		}
		if (!WIFSTOPPED(status))
			break;
		if (!has_stopped_alone(pid, WSTOPSIG(status)))
			continue;
		(void)raise(SIGSTOP);
		(void)kill(pid, SIGCONT);
	}
	forward_to = 0;
	return status_of(status);
}

int exec_wait_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return status_of(status);
}
