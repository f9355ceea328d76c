/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_options_test.c - `waylay nc` with words that make no sense.
 *
 * Runs the program named by the first argument: letters are found in a table
 * that all commands share.  Nothing here opens a socket.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { WORDS_MAX = 12, TEXT_MAX = 4096 };

static const char *program; /* argv[1] of this test */

/* --- running it ---------------------------------------------------------- */

/* Words are split at single blanks. */
static _Noreturn void execute(const char *words, int fd)
{
	char *argv[WORDS_MAX + 2] = { (char *)"waylay" };
	char copy[256];
	size_t count = 1;

	(void)snprintf(copy, sizeof(copy), "%s", words);
	for (char *word = strtok(copy, " "); word && count <= WORDS_MAX;
	     word = strtok(NULL, " "))
		argv[count++] = word;
	if (dup2(fd, STDERR_FILENO) >= 0)
		execv(program, argv);
	_exit(126);
}

/* What it says on stderr, into text; returns the exit status. */
static int run(const char *words, char text[TEXT_MAX])
{
	int fds[2], status;
	ssize_t len, count = 0;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		execute(words, fds[1]);
	close(fds[1]);
	while ((len = read(fds[0], text + count,
			   (size_t)(TEXT_MAX - 1 - count))) > 0)
		count += len;
	text[count] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- words --------------------------------------------------------------- */

static const struct scene {
	const char *name;
	const char *words;
	int status;
	const char *text; /* is contained */
} scenes[] = {
	{ "nc without host", "nc", 2,
	  "nc: no host is named\nusage: waylay nc [OPTION...] HOST PORT" },
	{ "nc without port", "nc ::1", 2, "no port is named\nusage: " },
	{ "nc to no port", "nc ::1 65536", 2, "'65536' is no port: neither" },
	{ "nc to port 0", "nc ::1 0", 2, "'0' is no port" },
	{ "nc to no range", "nc ::1 20-", 2, "'20-' is no port" },
	{ "nc to a range below 1", "nc ::1 0-20", 2, "'0-20' is no port" },
	{ "nc, a letter that it has not", "nc -x ::1 1", 2,
	  "option -x is unknown" },
	{ "nc, a letter without its value", "nc ::1 1 -w", 2,
	  "option -w needs a value" },
	{ "nc, -w is not that of flows", "nc -w 0 ::1 1", 2,
	  "-w: '0' is no number of seconds from 1" },
	{ "flows, -w is not that of nc", "--run-dir none flows -w 1", 2,
	  "'1' is one word too many" },
	{ "nc, too many seconds", "nc -w 99999999999 ::1 1", 2, "-w: " },
	{ "nc, -q is not that of exec", "nc -q soon ::1 1", 2,
	  "-q: 'soon' is no number of seconds" },
	{ "nc from no address", "nc -s example.org ::1 1", 2,
	  "-s: 'example.org' is no address, and no ADDRESS:PORT" },
	{ "nc from two ports", "nc -s 192.0.2.1:5 -p 6 192.0.2.2 1", 2,
	  "-s and -p both name a port" },
	{ "nc from port 0", "nc -p 0 ::1 1", 2, "-p: '0' is no port" },
	{ "nc from another IP version", "nc -6 -s 192.0.2.1 ::1 1", 2,
	  "not of the IP version that -6 asks for" },
	{ "nc with both IP versions", "nc -4 -6 ::1 1", 2,
	  "-4 and -6 exclude each other" },
	{ "nc, kept open without listening", "nc -k ::1 1", 2,
	  "-k has a meaning only with -l" },
	{ "nc, listening and trying", "nc -l -z 1", 2,
	  "-z and -l exclude each other" },
	{ "nc, listening nowhere", "nc -l", 2, "no port is named" },
	{ "nc, listening on a range", "nc -l 20-30", 2,
	  "-l takes one port, not '20-30'" },
	{ "nc, listening at too many words", "nc -l ::1 1 2", 2,
	  "'2' is one word too many" },
	{ "nc, listening at two places", "nc -l -p 5 6", 2,
	  "where to listen is said twice" },
	{ "nc, a transparent listener elsewhere", "nc -l --tproxy 5 6", 2,
	  "where to listen is said twice" },
	{ "nc, both kinds of port", "nc -l --tproxy 5 -p 6", 2,
	  "do not go with --tproxy" },
	{ "nc, a transparent client", "nc --tproxy 5 ::1 1", 2,
	  "--tproxy has a meaning only with -l" },
	{ "nc, interception without ports", "nc -l --from eth1", 2,
	  "--from needs --take PORTS" },
	{ "nc, ports without interface", "nc -l --take 80", 2,
	  "--take has a meaning only with --from" },
	{ "nc, answers to an own address", "nc --from eth1 ::1 1", 2,
	  "--from without -l needs -s ADDRESS" },
	{ "nc, an engine for nothing", "nc -l --engine nft 5", 2,
	  "--engine has a meaning only with --from" },
	{ "nc, two commands", "nc -l --exec a --sh-exec b 5", 2,
	  "--exec and --sh-exec exclude each other" },
	{ "nc, no command", "nc -l --exec= 5", 2, "execute is empty" },
	{ "nc, line ends in datagrams", "nc -u -C ::1 1", 2,
	  "-C and -u exclude each other" },
	{ "nc to a name that it may not look up", "nc -n example.org 1", 1,
	  "cannot look up 'example.org': " },
	{ "nc, bad ports to take", "nc -l --from lo --take 80000", 2,
	  "nc: tcp: " },
	{ "nc, a bad interface", "nc -s ::1 --from a/b ::1 1", 2,
	  "nc: from: " },
	{ "nc, a bad engine", "nc -l --from lo --take 80 --engine x", 2,
	  "nc: engine: " },
	{ "nc, bad exceptions",
	  "nc -l --from lo --take 80 --except-dst 10.0.0.0/33", 2,
	  "nc: except-dst: " },
};

static void wrong_words_are_one_sentence_and_the_usage(void **state)
{
	static char text[TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i++) {
		const struct scene *s = &scenes[i];
		int status = run(s->words, text);

		if (status != s->status || !strstr(text, s->text))
			fail_msg("%s: exit %d\n%s", s->name, status, text);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_words_are_one_sentence_and_the_usage),
	};

	if (argc != 2) {
		fputs("usage: nc_options_test WAYLAY\n", stderr);
		return 2;
	}
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
