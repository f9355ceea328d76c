/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_relay.c - start the private waylayd; see exec_relay.h.
 */
#include "cli/exec_relay.h"

#include "base/file.h"
#include "cli/exec_config.h"
#include "cli/exec_options.h"
#include "cli/find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct start {
	char waylayd[PATH_MAX];
	pid_t parent;
	int config_fd, secret_fd, middle_ns;
	int said; /* its log */
};

/* --- in memory ----------------------------------------------------------- */

/* For our own children, until one of them asks for more: see keep(). */
static int close_on_exec(int fd)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

/* -1 with errno.  Mode 0600: waylayd refuses a secret that others may read. */
static int write_secret(const char *password)
{
	struct str text = { 0 };
	int fd;

	str_add(&text, password);
	fd = close_on_exec(file_in_memory("waylay-secret", &text));
	if (text.text)
		explicit_bzero(text.text, text.len);
	str_done(&text);
	if (fd >= 0 && fchmod(fd, 0600) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int write_files(struct start *s, struct exec_options *o,
		       const struct resolv *r, struct err *e)
{
	struct str config = { 0 };

	if (o->via.has_user) {
		s->secret_fd = write_secret(o->via.password);
		exec_via_wipe(&o->via);
		if (s->secret_fd < 0)
			return err_errno(e, errno, "cannot keep the password");
	}
	exec_config_write(o, r, s->secret_fd, &config);
	if (str_ok(&config))
		s->config_fd =
			close_on_exec(file_in_memory("waylay-exec", &config));
	str_done(&config);
	return s->config_fd < 0 ? err_errno(e, errno,
					    "cannot write the relay's "
					    "configuration")
				: 0;
}

static void close_files(const struct start *s)
{
	if (s->config_fd >= 0)
		close(s->config_fd);
	if (s->secret_fd >= 0)
		close(s->secret_fd);
}

/* --- its process --------------------------------------------------------- */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(1);
}

static void keep(int fd)
{
	if (fd >= 0 && fcntl(fd, F_SETFD, 0) < 0)
		die("cannot keep a descriptor");
}

static _Noreturn void be_relay(const struct start *s)
{
	char config[64], middle[16];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != s->parent)
		_exit(1); /* it has died already */
	/* Ctrl-C is for the command; we end when it has ended. */
	(void)setpgid(0, 0);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(s->said, STDERR_FILENO) < 0 ||
	    dup2(s->said, STDOUT_FILENO) < 0)
		_exit(1);
	keep(s->config_fd);
	keep(s->secret_fd);
	keep(s->middle_ns);
	(void)unsetenv("JOURNAL_STREAM"); /* the log is for our parent */
	(void)snprintf(config, sizeof(config), "/proc/self/fd/%d",
		       s->config_fd);
	(void)snprintf(middle, sizeof(middle), "%d", s->middle_ns);
	execl(s->waylayd, "waylayd", "--config", config, "--private", middle,
	      (char *)NULL);
	die(s->waylayd);
}

static int start(struct start *s, struct exec_relay *out, struct err *e)
{
	int said[2];
	pid_t pid;

	if (pipe2(said, O_CLOEXEC) < 0)
		return err_errno(e, errno, "cannot make a pipe");
	s->said = said[1];
	s->parent = getpid();
	pid = fork();
	if (pid == 0)
		be_relay(s);
	close(said[1]);
	if (pid < 0) {
		close(said[0]);
		return err_errno(e, errno, "cannot fork");
	}
	*out = (struct exec_relay){ .pid = pid, .said_fd = said[0] };
	return 0;
}

int exec_relay_begin(struct exec_options *o, const struct resolv *r,
		     int middle_ns, struct exec_relay *out, struct err *e)
{
	struct start s = { .config_fd = -1,
			   .secret_fd = -1,
			   .middle_ns = middle_ns };
	int error = find_waylayd(s.waylayd, e);

	if (!error)
		error = write_files(&s, o, r, e);
	if (!error)
		error = start(&s, out, e);
	close_files(&s);
	return error;
}
