/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.c - `waylay exec`: one command behind a private waylayd.
 *
 * Four processes, whose ends depend on each other:
 *
 *	waylay exec   waits for the command, then ends the others
 *	the command   in the inner namespace; dies with us (PR_SET_PDEATHSIG)
 *	the tap       looks at the inner namespace's interface, if asked to;
 *		      ends with its pipe (exec_tap.h)
 *	the relay     waylayd --private, its rules in the middle namespace, its
 *		      server legs where we are; dies with us (exec_relay.h)
 *
 * Who is not privileged enters a user namespace first, and all of them are in
 * it (exec_user.h).  The order is fixed: the command's process makes the inner
 * namespace and waits; the middle one is made and connected; the tap looks;
 * the relay starts, and when it says `ready:`, the command begins.
 *
 * Read exec_options.h, enclave.h (namespaces), exec_config.h (rules) and
 * exec_wait.h (signals) next.
 */
#include "cli/cli.h"

#include "cli/enclave.h"
#include "cli/exec_config.h"
#include "cli/exec_log.h"
#include "cli/exec_options.h"
#include "cli/exec_relay.h"
#include "cli/exec_tap.h"
#include "cli/exec_user.h"
#include "cli/exec_wait.h"
#include "cli/resolv.h"
#include "cli/said.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	STATUS_NOT_EXECUTABLE = 126, /* as a shell says it */
	STATUS_NOT_FOUND = 127,
};

struct job {
	struct exec_options options;
	char **argv; /* of the command */
	struct resolv resolv;
	struct exec_log log;
	struct exec_tap tap;
	struct exec_relay relay;
	bool is_privileged;
	pid_t self, command;
	int go[2]; /* we -> command: begin */
	int inner_ns, middle_ns;
};

/* --- the command --------------------------------------------------------- */

static _Noreturn void die(int status, const char *what, const char *why)
{
	fprintf(stderr, "waylay: exec: %s: %s\n", what, why);
	_exit(status);
}

/* Die with the parent, even if it has died already. */
static void tie_to(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

/* A mount namespace whose /etc/resolv.conf names the stand-ins.  The file is
 * made on a tmpfs that only this namespace ever sees, so that no disk of the
 * host holds anything of it. */
static void replace_resolv(const struct job *j)
{
	static const char file[] = "/tmp/resolv.conf";
	int fd;

	if (!j->resolv.count)
		return;
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("waylay", "/tmp", "tmpfs", 0, "mode=0755") < 0)
		die(1, "cannot make a mount namespace", strerror(errno));
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0 || /* whatever the umask */
	    write(fd, str_get(&j->resolv.text), j->resolv.text.len) !=
		    (ssize_t)j->resolv.text.len)
		die(1, "cannot write a resolv.conf", strerror(errno));
	close(fd);
	/* No resolv.conf at all: then there is nothing to be covered. */
	if (mount(file, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0 &&
	    errno != ENOENT)
		die(1, "cannot replace /etc/resolv.conf", strerror(errno));
	if (umount2("/tmp", MNT_DETACH) < 0)
		die(1, "cannot uncover /tmp", strerror(errno));
}

/* Give up what is not the command's. */
static void become_user(const struct job *j)
{
	struct err e = { 0 };
	int error = 0;

	if (j->options.user)
		error = exec_user_become(j->options.user, &e);
	else if (!j->is_privileged)
		error = exec_user_leave_capabilities(&e);
	if (error < 0)
		die(1, "cannot begin", e.text);
	tie_to(j->self); /* which another user has forgotten */
}

static _Noreturn void be_command(struct job *j, int said)
{
	struct err e = { 0 };
	char byte;

	tie_to(j->self);
	if (unshare(CLONE_NEWNET) < 0)
		(void)err_errno(&e, errno, "cannot make a network namespace");
	close(j->go[1]);
	said_tell(said, &e);
	if (read(j->go[0], &byte, 1) != 1)
		_exit(1); /* it is not to begin, and others say why */
	replace_resolv(j);
	become_user(j);
	execvp(j->argv[0], j->argv);
	die(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE,
	    j->argv[0], strerror(errno));
}

static int start_command(struct job *j, struct err *e)
{
	char path[64];
	int said[2], error;

	if (pipe2(said, O_CLOEXEC) < 0 || pipe2(j->go, O_CLOEXEC) < 0)
		return err_errno(e, errno, "cannot make pipes");
	j->self = getpid();
	j->command = fork();
	if (j->command == 0)
		be_command(j, said[1]);
	close(said[1]);
	close(j->go[0]);
	if (j->command < 0)
		return err_errno(e, errno, "cannot fork");
	error = said_hear(said[0], "the command's process", e);
	close(said[0]);
	if (error < 0)
		return error;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)j->command);
	j->inner_ns = open(path, O_RDONLY | O_CLOEXEC);
	if (j->inner_ns < 0)
		return err_errno(e, errno,
				 "cannot open the command's namespace");
	return 0;
}

/* --- the others ---------------------------------------------------------- */

static int start_tap(struct job *j, struct err *e)
{
	const struct exec_options *o = &j->options;

	j->tap = (struct exec_tap){ .pcap_fd = o->pcap_fd,
				    .pcap_name = o->pcap,
				    .has_refusals = o->has_rules,
				    .flows_fd = -1 };
	if (!o->has_rules && !o->pcap)
		return 0;
	return exec_tap_begin(&j->tap, j->inner_ns, e);
}

/* What is known of the caller's namespace; then what is there, one after the
 * other. */
static int start(struct job *j, struct err *e)
{
	bool has_v6 = enclave_wants_v6();
	int error = resolv_read("/etc/resolv.conf", &j->resolv, e);

	if (!error && !j->is_privileged)
		error = exec_user_enter_namespace(e);
	if (!error)
		error = start_command(j, e);
	if (!error)
		error = enclave_open(j->inner_ns, has_v6, &j->middle_ns, e);
	if (!error)
		error = start_tap(j, e);
	if (!error)
		error = exec_relay_begin(&j->options, &j->resolv, j->middle_ns,
					 &j->relay, e);
	if (!error)
		error = exec_log_wait_ready(&j->log, j->relay.said_fd, e);
	if (!error && exec_log_follow(&j->log, j->tap.flows_fd) < 0)
		error = err_set(e, ENOMEM, "cannot follow the relay");
	return error;
}

/* None of them has begun with anything. */
static int give_up(struct job *j, struct err *why)
{
	struct err ignored;
	pid_t pids[] = { j->relay.pid, j->command };

	(void)exec_tap_end(&j->tap, &ignored);
	for (size_t i = 0; i < 2; i++) {
		if (pids[i] <= 0)
			continue;
		(void)kill(pids[i], SIGKILL);
		(void)exec_wait_child(pids[i]);
	}
	(void)err_prefix(why, "exec");
	return cli_err(why);
}

/* The relay first: what it says and sends at its end is flows as well. */
static void finish(struct job *j)
{
	struct err e = { 0 };
	int error;

	(void)kill(j->relay.pid, SIGTERM);
	(void)exec_wait_child(j->relay.pid);
	if (exec_tap_end(&j->tap, &e) < 0)
		(void)cli_fail(CLI_FAILED, "exec: %s", e.text);
	error = exec_log_finish(&j->log);
	if (error < 0)
		(void)cli_fail(CLI_FAILED, "exec: cannot write the log: %s",
			       strerror(-error));
	if (!j->options.is_quiet)
		exec_log_print(&j->log);
}

static int run(struct job *j)
{
	struct err e = { 0 };
	int status;

	(void)fflush(NULL);
	if (start(j, &e) < 0)
		return give_up(j, &e);
	exec_wait_pass_signals(j->command);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* the log's limit is not its end */
	(void)!write(j->go[1], "g", 1); /* fails if it has died: waited for */
	status = exec_wait_command(j->command);
	finish(j);
	return status;
}

int cli_exec(const struct cli *cli, int argc, char **argv)
{
	struct job job = { .argv = argv + 1 };
	int status = exec_options_read(cli, &job.options);

	if (status == CLI_OK && argc < 2)
		status = cli_fail(CLI_USAGE,
				  "exec: which command? try `waylay "
				  "exec -- curl https://example.org/`");
	if (status == CLI_OK) {
		job.is_privileged = exec_user_is_privileged();
		job.log.file = job.options.log;
		job.log.is_json = job.options.is_json;
		/* Flows that came before the proxy's address would fail. */
		if (job.options.via.is_name)
			job.log.awaited = EXEC_CONFIG_PROXY ": ";
		status = run(&job);
	}
	resolv_done(&job.resolv);
	exec_log_done(&job.log);
	exec_options_done(&job.options);
	return status;
}
