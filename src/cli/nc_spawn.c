/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_spawn.c - a command for a connection; see nc_spawn.h.
 */
#include "cli/nc_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	WORDS_MAX = 256,
	CANNOT_EXECUTE = 126,
	NOT_FOUND = 127,
	STATUS_SIGNAL = 128,
};

/* --- in the child -------------------------------------------------------- */

static void set_address(const char *name, const struct addr *a)
{
	char variable[64], text[ADDR_TEXT_MAX] = "", port[8] = "";

	if (a->family) {
		addr_format_ip(a, text);
		(void)snprintf(port, sizeof(port), "%u", a->port);
	}
	(void)snprintf(variable, sizeof(variable), "%s_ADDRESS", name);
	(void)setenv(variable, text, 1);
	(void)snprintf(variable, sizeof(variable), "%s_PORT", name);
	(void)setenv(variable, port, 1);
	(void)setenv(name, a->family ? addr_format(a, text) : "", 1);
}

static void set_environment(const struct nc_visit *v)
{
	(void)setenv("WAYLAY_PROTO", v->is_udp ? "udp" : "tcp", 1);
	(void)setenv("WAYLAY_WAY", nc_listen_way_name(v->way), 1);
	set_address("WAYLAY_CLIENT", &v->client);
	set_address("WAYLAY_DESTINATION", &v->destination);
}

/* Blanks divide, and nothing binds. */
static void split(char *text, char **words)
{
	size_t count = 0;

	for (char *save = NULL, *word = strtok_r(text, " \t\n", &save); word;
	     word = strtok_r(NULL, " \t\n", &save))
		if (count < WORDS_MAX)
			words[count++] = word;
	words[count] = NULL;
}

static _Noreturn void execute(const struct nc_options *o)
{
	char *words[WORDS_MAX + 1] = { "/bin/sh", "-c", (char *)o->command };
	char *copy = o->has_shell ? NULL : strdup(o->command);
	int error;

	if (!o->has_shell && copy)
		split(copy, words);
	execvp(words[0], words);
	error = errno;
	(void)cli_fail(CLI_FAILED, "nc: cannot execute '%s': %s", words[0],
		       strerror(error));
	_exit(error == ENOENT ? NOT_FOUND : CANNOT_EXECUTE);
}

static _Noreturn void be_command(const struct nc_options *o, int fd,
				 const struct nc_visit *v, const sigset_t *mask)
{
	/* Programs do not expect a socket that does not block. */
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	set_environment(v);
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		_exit(CANNOT_EXECUTE);
	execute(o);
}

/* --- in the parent ------------------------------------------------------- */

int nc_spawn(const struct nc_options *o, int fd, const struct nc_visit *v,
	     const sigset_t *mask, struct nc_child *out, struct err *e)
{
	struct nc_child c = { .pid = fork() };
	int error;

	if (c.pid < 0)
		return err_errno(e, errno, "cannot start a process");
	if (c.pid == 0)
		be_command(o, fd, v, mask);
	c.pidfd = pidfd_open(c.pid, 0);
	if (c.pidfd >= 0) {
		*out = c;
		return 0;
	}
	error = errno;
	nc_spawn_abandon(&c);
	return err_errno(e, error, "cannot wait for a process");
}

int nc_spawn_reap(struct nc_child *c)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(c->pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	close(c->pidfd);
	*c = (struct nc_child){ .pidfd = -1 };
	if (pid < 0)
		return STATUS_SIGNAL;
	return WIFSIGNALED(status) ? STATUS_SIGNAL + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

void nc_spawn_abandon(struct nc_child *c)
{
	if (!c->pid)
		return;
	(void)kill(c->pid, SIGTERM); /* may have ended: is not reaped */
	if (c->pidfd >= 0)
		close(c->pidfd);
	*c = (struct nc_child){ .pidfd = -1 };
}

bool nc_spawn_is_whole(int status)
{
	return status < CANNOT_EXECUTE;
}
