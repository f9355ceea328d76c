/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.c - `waylay exec`: one command behind a private waylayd.
 *
 * Three processes, whose ends depend on each other:
 *
 *	waylay exec   waits for the command, then ends the relay
 *	the command   in the inner namespace; dies with us (PR_SET_PDEATHSIG)
 *	the relay     waylayd --private in the middle namespace; dies with us
 *
 * The order is fixed by pipes: the command's process makes the inner
 * namespace and waits; the relay's process makes the middle one, connects
 * both and becomes waylayd; when waylayd says `ready:`, the command begins.
 *
 * Read enclave.h (namespaces), resolv.h (name servers) and exec_log.h (what
 * the relay says) next.
 */
#include "cli/cli.h"

#include "base/file.h"
#include "base/str.h"
#include "cli/enclave.h"
#include "cli/exec_log.h"
#include "cli/find.h"
#include "cli/resolv.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	STATUS_NOT_EXECUTABLE = 126, /* as a shell says it */
	STATUS_NOT_FOUND = 127,
	STATUS_SIGNAL = 128,
};

struct job {
	const struct cli *cli;
	char **argv; /* of the command */
	struct resolv resolv;
	struct exec_log log;
	char waylayd[PATH_MAX];
	bool has_v6;
	pid_t self, command, relay;
	int go[2];   /* we -> command: begin */
	int said[2]; /* relay -> us: its log */
	int up[2];   /* command -> us: its namespace is there */
	int config_fd, host_ns;
};

/* --- what all children do ------------------------------------------------ */

/* Die with the parent, even if it has died already. */
static void tie_to(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

static _Noreturn void die(int status, const char *what, const char *why)
{
	fprintf(stderr, "waylay: exec: %s: %s\n", what, why);
	_exit(status);
}

/* --- the command --------------------------------------------------------- */

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
	if (fd < 0 || write(fd, str_get(&j->resolv.text), j->resolv.text.len) !=
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

static _Noreturn void be_command(struct job *j)
{
	sigset_t none;
	char byte;

	tie_to(j->self);
	if (unshare(CLONE_NEWNET) < 0)
		die(1, "cannot make a network namespace", strerror(errno));
	close(j->go[1]);
	close(j->up[0]);
	close(j->up[1]); /* tells that the namespace is there */
	if (read(j->go[0], &byte, 1) != 1)
		_exit(1); /* the relay did not come up, and said why */
	replace_resolv(j);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGQUIT, SIG_DFL);
	execvp(j->argv[0], j->argv);
	die(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE,
	    j->argv[0], strerror(errno));
}

/* --- the relay ----------------------------------------------------------- */

static _Noreturn void be_relay(struct job *j)
{
	char inner[64], config[64], host[16];
	struct err e = { 0 };
	int inner_ns;

	tie_to(j->self);
	/* Ctrl-C is for the command; we end when it has ended. */
	(void)setpgid(0, 0);
	(void)snprintf(inner, sizeof(inner), "/proc/%d/ns/net",
		       (int)j->command);
	inner_ns = open(inner, O_RDONLY | O_CLOEXEC);
	if (inner_ns < 0)
		die(1, "cannot open the command's namespace", strerror(errno));
	if (unshare(CLONE_NEWNET) < 0)
		die(1, "cannot make a network namespace", strerror(errno));
	if (enclave_connect(inner_ns, j->has_v6, &e) < 0)
		die(1, "cannot connect the namespaces", e.text);
	close(inner_ns);
	if (dup2(j->said[1], STDERR_FILENO) < 0 ||
	    dup2(j->said[1], STDOUT_FILENO) < 0)
		die(1, "cannot keep the relay's log", strerror(errno));
	(void)unsetenv("JOURNAL_STREAM"); /* the log is for us */
	(void)snprintf(config, sizeof(config), "/proc/self/fd/%d",
		       j->config_fd);
	(void)snprintf(host, sizeof(host), "%d", j->host_ns);
	execl(j->waylayd, "waylayd", "--config", config, "--private", host,
	      (char *)NULL);
	die(1, j->waylayd, strerror(errno));
}

/* Engine nft begins a quarter of a second sooner than ebpf, which every command
 * would wait for; all that ebpf does better is of no use to one client. */
static void write_config(const struct job *j, struct str *out)
{
	char real[ADDR_TEXT_MAX], stand_in[ADDR_TEXT_MAX];

	str_add(out,
		"engine nft\non-failure closed\nworkers 1\n"
		"log { format json }\n"
		"intercept exec { from " ENCLAVE_LINK "; tcp any; udp any }\n"
		"upstream out { via direct; source self }\n");
	for (size_t i = 0; i < j->resolv.count; i++)
		str_addf(out,
			 "upstream dns%zu { via direct; source self; to %s }\n",
			 i, addr_format_ip(&j->resolv.real[i], real));
	str_add(out, "rules {\n");
	for (size_t i = 0; i < j->resolv.count; i++) {
		struct addr a;

		resolv_stand_in(i, &a);
		str_addf(out, "dst %s port 53 -> dns%zu\n",
			 addr_format_ip(&a, stand_in), i);
	}
	str_add(out, "default -> out\n}\n");
}

/* --- we ------------------------------------------------------------------ */

static int prepare(struct job *j, struct err *e)
{
	struct str config = { 0 };

	if (find_waylayd(j->waylayd, e) < 0 ||
	    resolv_read("/etc/resolv.conf", &j->resolv, e) < 0)
		return -e->code;
	j->has_v6 = enclave_wants_v6();
	write_config(j, &config);
	j->config_fd = file_in_memory("waylay-exec", &config);
	str_done(&config);
	/* Not close-on-exec: the relay uses it. */
	j->host_ns = open("/proc/self/ns/net", O_RDONLY);
	if (j->config_fd < 0 || j->host_ns < 0 || pipe2(j->go, O_CLOEXEC) < 0 ||
	    pipe2(j->said, O_CLOEXEC) < 0 || pipe2(j->up, O_CLOEXEC) < 0)
		return err_errno(e, errno, "exec: cannot prepare");
	return 0;
}

/* Start both children; the command waits for a byte on `go`. */
static int start(struct job *j, struct err *e)
{
	char byte;

	(void)fflush(NULL);
	j->self = getpid();
	j->command = fork();
	if (j->command == 0) {
		/* what the relay needs is nothing to the command */
		close(j->config_fd);
		close(j->host_ns);
		be_command(j);
	}
	if (j->command < 0)
		return err_errno(e, errno, "exec: cannot fork");
	close(j->up[1]);
	/* Ends when the command's process has closed it: see be_command(). */
	if (read(j->up[0], &byte, 1) < 0)
		return err_errno(e, errno, "exec: cannot wait");
	close(j->up[0]);
	j->relay = fork();
	if (j->relay == 0)
		be_relay(j);
	if (j->relay < 0)
		return err_errno(e, errno, "exec: cannot fork");
	close(j->said[1]);
	close(j->go[0]);
	return 0;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFSIGNALED(status) ? STATUS_SIGNAL + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

/* Pass on what we are told to do; waitpid() then sees the command end. */
static volatile pid_t forward_to;

/* What the terminal sends (SI_KERNEL) it has sent to the command as well. */
static void forward(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (forward_to > 0 && info->si_code != SI_KERNEL)
		(void)kill(forward_to, signal);
}

static void set_signals(pid_t command)
{
	static const int passed_on[] = { SIGTERM, SIGHUP,  SIGINT,
					 SIGQUIT, SIGUSR1, SIGUSR2 };
	struct sigaction sa = { .sa_sigaction = forward,
				.sa_flags = SA_SIGINFO };

	forward_to = command;
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++)
		(void)sigaction(passed_on[i], &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static int run(struct job *j)
{
	struct err e = { 0 };
	int status;

	if (prepare(j, &e) < 0 || start(j, &e) < 0)
		return cli_err(&e);
	if (exec_log_wait_ready(&j->log, j->said[0], &e) < 0) {
		close(j->go[1]); /* the command ends without having begun */
		(void)kill(j->relay, SIGKILL);
		(void)wait_for(j->relay);
		(void)wait_for(j->command);
		return cli_err(&e);
	}
	if (exec_log_follow(&j->log) < 0)
		return cli_fail(CLI_FAILED, "exec: cannot follow the relay");
	set_signals(j->command);
	(void)!write(j->go[1], "g", 1); /* fails if it has died: waited for */
	status = wait_for(j->command);
	(void)kill(j->relay, SIGTERM);
	exec_log_finish(&j->log);
	(void)wait_for(j->relay);
	if (!j->cli->option[OPT_QUIET])
		exec_log_print(&j->log, j->cli->is_json);
	return status;
}

int cli_exec(const struct cli *cli, int argc, char **argv)
{
	struct job job = { .cli = cli, .argv = argv + 1 };
	int status;

	if (argc < 2)
		return cli_fail(CLI_USAGE,
				"exec: which command? try `waylay "
				"exec -- curl https://example.org/`");
	if (geteuid() != 0)
		return cli_fail(CLI_NO_PRIVILEGE,
				"exec: not privileged: making network "
				"namespaces needs root");
	status = run(&job);
	resolv_done(&job.resolv);
	exec_log_done(&job.log);
	return status;
}
