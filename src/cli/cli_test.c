/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_test.c - the tool as a person meets it: words in, status and text out.
 * Runs the program named by the first argument in an empty directory that
 * holds a few files, with a daemon of canned replies in a child process.
 */
#include "base/err.h"
#include "control/server.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { WORDS_MAX = 8, TEXT_MAX = 16 * 1024 };

static const char *program; /* argv[1] of this test */

/* --- the daemon ---------------------------------------------------------- */

#define FLOW                                                                   \
	"{\"proto\":\"tcp\",\"client\":\"192.0.2.10:40000\","                  \
	"\"server\":\"198.51.100.10:80\",\"source\":\"192.0.2.10:40000\","     \
	"\"upstream\":\"out\\u001b[2J\",\"state\":\"relaying\","               \
	"\"end\":\"finished\",\"bytes_up\":78,\"bytes_down\":1200,"            \
	"\"age_ms\":61500}"

/* The same, with a name that was seen. */
#define NAMED_FLOW(name)                                                       \
	"{\"name\":\"" name "\",\"client\":\"192.0.2.10:40000\","              \
	"\"server\":\"[2001:db8::7]:443\"}"

#define GROUP                                                                  \
	"{\"name\":\"world\",\"members\":[\"fra1\",\"ams1\"],"                 \
	"\"members_up\":1,\"balance\":\"least-latency\","                      \
	"\"fallback\":\"reject\"}"
#define UPSTREAM(name, health, flows)                                          \
	"{\"name\":\"" name "\",\"via\":\"socks5\",\"to\":"                    \
	"\"192.0.2.1:1080\",\"health\":\"" health "\",\"want\":"               \
	"\"enabled\",\"flows\":" flows ",\"latency_us\":34567,"                \
	"\"opened\":120,\"failed\":3,\"last_error\":\"upstream-refused\","     \
	"\"last_reply\":2}"

static const struct {
	const char *command;
	const char *reply;
} replies[] = {
	{ "status",
	  "{\"ok\":true,\"version\":\"0.1.0\",\"pid\":123,"
	  "\"uptime_ms\":192000,\"engine\":\"nft\",\"generation\":2,"
	  "\"engines\":[{\"name\":\"ebpf\",\"finding\":\"no BTF\"},"
	  "{\"name\":\"nft\",\"finding\":\"works\"}],\"selections\":12,"
	  "\"intercepts\":[{\"name\":\"lan\",\"interfaces\":[{\"name\":"
	  "\"eth9\",\"is_present\":false}],\"tcp\":\"any\",\"udp\":\"\","
	  "\"deliver\":null}],\"groups\":[" GROUP
	  "],\"counters\":{\"zero\":0,\"some\":7},"
	  "\"problems\":[\"waiting\\u001b for eth9\"]}" },
	{ "flows", "{\"ok\":true,\"flows\":[" FLOW "],\"ended\":[" FLOW
		   "," NAMED_FLOW("www.example.org") "," NAMED_FLOW(
			   "a-very-long-label-of-a-name.and-another.of-example."
			   "org") "]}" },
	{ "upstream",
	  "{\"ok\":true,\"groups\":[" GROUP
	  "],\"upstreams\":[" UPSTREAM("ams1", "down", "0") "," UPSTREAM(
		  "corp", "unknown",
		  "1") "," UPSTREAM("fra1", "up",
				    "12") "],\"upstream\":" UPSTREAM("fra1",
								     "up",
								     "12") "}" },
	{ "reload", "{\"ok\":false,\"code\":\"config\","
		    "\"error\":\"waylay.conf:1:1: error: no\\n\"}" },
	{ "config",
	  "{\"ok\":false,\"code\":\"failed\",\"error\":\"not now\"}" },
	{ "rules", "{\"ok\":true,\"engine\":\"nft\",\"text\":\"table x\\n\","
		   "\"counters\":[{\"value\":0,\"name\":\"zero\","
		   "\"meaning\":\"another\"},{\"value\":7,\"name\":"
		   "\"some\",\"meaning\":\"a cause\"}]}" },
	{ "explain",
	  "{\"ok\":true,\"proto\":\"tcp\",\"src\":\"192.0.2.7\","
	  "\"dst\":\"198.51.100.1:80\",\"name\":null,\"from\":\"e\\u001b\","
	  "\"intercepts\":[{\"name\":\"lan\",\"line\":1,"
	  "\"is_taking\":true,\"why\":\"\"}],\"kernel\":\"relays\","
	  "\"rules\":[{\"line\":7,\"match\":\"open\",\"text\":\"a -> b\","
	  "\"why\":\"the name\"}],\"upstream\":{\"name\":\"g\","
	  "\"text\":\"of p\",\"members\":[{\"name\":\"p\",\"text\":"
	  "\"q\"}]},\"notes\":[\"beware\"]}" },
};

static json_t *answer(void *ctx, const json_t *request)
{
	const char *command =
		json_string_value(json_object_get(request, "command"));

	(void)ctx;
	for (size_t i = 0; i < COUNT(replies); i++)
		if (strcmp(replies[i].command, command) == 0)
			return json_loads(replies[i].reply, 0, NULL);
	return NULL;
}

static void serve(int ready_fd)
{
	struct control_server server;
	struct loop loop;
	struct err e;

	if (loop_open(&loop) < 0 ||
	    control_server_open(&server, &loop, "run", answer, NULL, &e) < 0 ||
	    write(ready_fd, "r", 1) != 1)
		_exit(1);
	loop_run(&loop);
	_exit(0);
}

/* --- the place ----------------------------------------------------------- */

static const struct {
	const char *name;
	const char *text;
} files[] = {
	{ "good.conf", "intercept lan { from eth1; tcp 80 }\n"
		       "upstream out { via direct }\n"
		       "rules { default -> out }\n" },
	{ "latin.conf", "# caf\xe9\nrules { default -> direct }\n" },
	{ "bad.conf", "intercept lan { from eth1; tcp 80000 }\nnonsense\n" },
	{ "rule.sh", "iptables -t mangle -A PREROUTING -i eth1 -p tcp --dport "
		     "80 -j TPROXY --on-port 1 --on-ip 127.0.0.1\n" },
	{ "bad.sh", "iptables -t mangle -A PREROUTING -p tcp --sport 80 -j "
		    "TPROXY --on-port 1\n" },
	{ "long.sh", "iptables -t mangle -A PREROUTING -p tcp --sport 80 \\\n"
		     "  -j TPROXY --on-port 1\n" },
	{ "prompt.sh", "# iptables -t mangle -A PREROUTING -j TPROXY\n" },
};

static pid_t daemon_pid;
static char place[] = "/tmp/cli_test.XXXXXX";

static int make_place(void **state)
{
	int ready[2];
	char byte;

	(void)state;
	assert_non_null(mkdtemp(place));
	assert_int_equal(chdir(place), 0);
	for (size_t i = 0; i < COUNT(files); i++) {
		FILE *f = fopen(files[i].name, "w");

		assert_non_null(f);
		fputs(files[i].text, f);
		assert_int_equal(fclose(f), 0);
	}
	assert_int_equal(pipe(ready), 0);
	daemon_pid = fork();
	assert_true(daemon_pid >= 0);
	if (daemon_pid == 0)
		serve(ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return 0;
}

static int remove_place(void **state)
{
	static const char *const names[] = { "good.conf",  "bad.conf",
					     "latin.conf", "link",
					     "out",	   "run/control.sock" };

	(void)state;
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	for (size_t i = 0; i < COUNT(names); i++)
		(void)unlink(names[i]); /* some are not there */
	for (size_t i = 0; i < COUNT(files); i++)
		(void)unlink(files[i].name);
	(void)rmdir("run");
	return rmdir(place); /* fails if the tool left anything behind */
}

/* --- running it ---------------------------------------------------------- */

/* Words are split at single blanks. */
static void execute(char *words)
{
	char *argv[WORDS_MAX + 2] = { (char *)"waylay" };
	size_t count = 1;
	char *word;

	while (count <= WORDS_MAX && (word = strsep(&words, " ")))
		if (*word)
			argv[count++] = word;
	execv(program, argv);
	_exit(126);
}

/* stdout and stderr together into text; returns the exit status. */
static int run(const char *words, char text[TEXT_MAX])
{
	int fd = open("out", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	pid_t pid = fork();
	ssize_t len;
	int status;

	assert_true(fd >= 0 && pid >= 0);
	if (pid == 0) {
		if (dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(126);
		execute(strdup(words));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	len = pread(fd, text, TEXT_MAX - 1, 0);
	assert_true(len >= 0);
	text[len] = '\0';
	close(fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define SERVED "--run-dir run "

static const struct scene {
	const char *name;
	const char *words;
	int status;
	const char *text; /* is contained */
} scenes[] = {
	{ "nothing prints help", "", 2, "usage: waylay" },
	{ "help is no failure", "help", 0, "usage: waylay" },
	{ "--help too", "--help", 0, "commands:" },
	{ "help of one command", "help flows", 0, "--ended N" },
	{ "--help behind a command", "flows --help", 0, "--ended N" },
	{ "the version", "version", 0, "waylay " },
	{ "--version behind a command", "status --version", 0, "waylay " },
	{ "the version as JSON", "--json version", 0, "{\"version\":" },
	{ "a typing error", "stauts", 2, "did you mean 'status'?" },
	{ "an unknown word", "xyzzy", 2, "unknown command 'xyzzy' (see" },
	{ "a word of escapes", "\033[2J", 2, "'\\x1b[2J'" },
	{ "an unknown option", "status --wat", 2, "option --wat is unknown" },
	{ "an unknown letter", "status -x", 2, "option -x is unknown" },
	{ "another command's option", "status --ended 3", 2, "is unknown" },
	{ "an option without value", "flows --ended", 2, "needs a value" },
	{ "a value that is not wanted", "--json=1 status", 2,
	  "takes no value" },
	{ "a word too many", "status now", 2, "one word too many" },
	{ "no daemon", "--run-dir none status", 3,
	  "no waylayd answers on none/control.sock" },
	{ "the run dir behind the command", "flows --run-dir none", 3,
	  "none/control.sock" },
	{ "status, its first line", SERVED "status", 0,
	  "waylayd 0.1.0 running, pid 123, up 3m 12s, engine nft, "
	  "generation 2\n" },
	{ "status, a missing interface", SERVED "status", 0,
	  "lan        eth9 (missing)  any  -    relay\n" },
	{ "status, counters that are not zero", SERVED "status", 0,
	  "COUNTER  VALUE\nsome         7\n" },
	{ "status, problems escaped", SERVED "status", 0,
	  "  - waiting\\x1b for eth9\n" },
	{ "status as JSON", SERVED "status --json", 0, "\"pid\": 123" },
	{ "flows", SERVED "flows", 0,
	  "tcp    192.0.2.10:40000  198.51.100.10:80  =       "
	  "out\\x1b[2J  relaying  78  1.1K  1m 1s\n" },
	{ "flows that ended", SERVED "flows --ended 5", 0,
	  "out\\x1b[2J  finished  78  1.1K  1m 1s\n" },
	{ "flows, a name in place of the address", SERVED "flows --ended 5", 0,
	  "  192.0.2.10:40000  www.example.org:443  " },
	{ "flows, the end of a long name", SERVED "flows --ended 5", 0,
	  "  ...a-name.and-another.of-example.org:443  " },
	{ "upstreams: a group and its members", SERVED "upstream", 0,
	  "world   group, least-latency, else reject  1/2 " },
	{ "upstreams: a member", SERVED "upstream list", 0,
	  "\n  fra1  socks5 192.0.2.1:1080              up       enabled     "
	  "12     34ms     120       3  upstream-refused, reply 2\n" },
	{ "upstreams: in no group", SERVED "upstream", 0,
	  "\ncorp    socks5 192.0.2.1:1080 " },
	{ "upstreams as JSON", SERVED "upstream --json", 0,
	  "\"members_up\": 1" },
	{ "drain", SERVED "upstream drain fra1", 0,
	  "fra1 is draining: 12 flows go on\n" },
	{ "disable", SERVED "upstream disable fra1", 0,
	  "fra1 is disabled: 12 flows are ended\n" },
	{ "enable", SERVED "upstream enable fra1", 0, "fra1 is enabled" },
	{ "drain whom?", SERVED "upstream drain", 2, "which upstream?" },
	{ "upstream, a typing error", "upstream darin fra1", 2,
	  "unknown upstream action 'darin' (did you mean 'drain'?)" },
	{ "upstream, a word too many", "upstream list fra1", 2,
	  "'fra1' is one word too many" },
	{ "status, groups", SERVED "status", 0,
	  "GROUP   UP  BALANCE        FALLBACK\n"
	  "world  1/2  least-latency  reject\n" },
	{ "a bad number", "flows --ended -1", 2, "is not a number from 0" },
	{ "what was found of the engines", SERVED "status", 0,
	  "engine ebpf  no BTF\nengine nft   works\n" },
	{ "the number of selections", SERVED "status", 0, "selections   12\n" },
	{ "rules", SERVED "rules show", 0, "table x\n" },
	{ "rules and what was counted", SERVED "rules show", 0,
	  "table x\n\nPACKETS  COUNTER  MEANING\n      7  some     a cause\n" },
	{ "rules and all counters", SERVED "rules show --all", 0,
	  "      0  zero     another\n      7  some     a cause\n" },
	{ "rules for an engine", SERVED "rules show --engine nft", 0,
	  "table x\n" },
	{ "rules of a file", "rules show good.conf", 0,
	  "ip route add local default dev lo table 7700" },
	{ "rules of a file for an engine", "rules show --engine nft good.conf",
	  0, "table inet waylay" },
	{ "rules of a bad file", "rules show bad.conf", 5,
	  "bad.conf is not valid" },
	{ "rules of another engine", "rules show --engine nfd", 2,
	  "did you mean 'nft'?" },
	{ "explain by a file",
	  "explain tcp 192.0.2.7 198.51.100.1:80 good.conf", 0,
	  "tcp 192.0.2.7 to 198.51.100.1:80, from eth1\n\n"
	  "intercept  lan (line 1)\n"
	  "kernel     gives it to the relay\n\n"
	  "LINE  RULE            MATCHES\n"
	  "   3  default -> out  yes\n\n"
	  "upstream   out: to the server itself, 198.51.100.1:80, from the "
	  "client's address\n" },
	{ "explain what is not taken",
	  "explain tcp 192.0.2.7:9 198.51.100.1:81 good.conf", 0,
	  "intercept  lan (line 1): it does not take this port: tcp 81\n"
	  "kernel     lets it pass: no intercept selects it\n" },
	{ "explain as JSON",
	  "explain --json tcp 192.0.2.7 198.51.100.1:80 good.conf", 0,
	  "\"verdict\": \"relay\"" },
	{ "explain by the daemon",
	  SERVED "explain tcp 192.0.2.7 198.51.100.1:80", 0,
	  "tcp 192.0.2.7 to 198.51.100.1:80, from e\\x1b\n\n"
	  "intercept  lan (line 1)\n"
	  "kernel     relays\n\n"
	  "LINE  RULE    MATCHES\n"
	  "   7  a -> b  perhaps: the name\n\n"
	  "upstream   g: of p\n"
	  "  member   p: q\n\n"
	  "note       beware\n" },
	{ "explain by the daemon as JSON",
	  SERVED "explain --json tcp 192.0.2.7 198.51.100.1:80", 0,
	  "\"kernel\": \"relays\"" },
	{ "explain by a bad file",
	  "explain tcp 192.0.2.7 198.51.100.1:80 bad.conf", 5,
	  "bad.conf is not valid" },
	{ "explain by no file",
	  "explain tcp 192.0.2.7 198.51.100.1:80 none.conf", 1,
	  "cannot open none.conf" },
	{ "explain without a daemon",
	  "--run-dir none explain tcp 192.0.2.7 198.51.100.1:80", 3,
	  "none/control.sock" },
	{ "explain with too few words", "explain tcp 192.0.2.7", 2,
	  "whom\nusage: waylay explain tcp|udp SRC" },
	{ "explain with too many", "explain tcp 192.0.2.7 192.0.2.8:1 a b", 2,
	  "'b' is one word too many" },
	{ "explain another protocol", "explain icmp 192.0.2.7 192.0.2.8:1", 2,
	  "the protocol is tcp or udp, not 'icmp'" },
	{ "explain a wrong source", "explain tcp host 192.0.2.8:1", 2,
	  "the source 'host' is no address" },
	{ "explain a server without port", "explain tcp 192.0.2.7 192.0.2.8", 2,
	  "the destination '192.0.2.8' is no address with a port" },
	{ "explain two IP versions", "explain tcp ::1 192.0.2.8:1", 2,
	  "::1 and 192.0.2.8:1 are of different IP versions" },
	{ "explain a wrong name",
	  "explain tcp 192.0.2.7 192.0.2.8:1 --name a/b", 2,
	  "'a/b' is no domain name" },
	{ "explain QUIC over TCP", "explain --quic tcp 192.0.2.7 192.0.2.8:1",
	  2, "QUIC runs over udp" },
	{ "reload of a bad configuration", SERVED "reload", 5,
	  "waylay.conf:1:1: error: no\nwaylay: the configuration is" },
	{ "a failure of the daemon", SERVED "config show", 1,
	  "waylay: not now\n" },
	{ "a good file", "config check good.conf", 0,
	  "good.conf: ok\n1 intercept, 1 rule, 1 upstream, 0 warnings\n" },
	{ "a bad file", "config check bad.conf", 5, "bad.conf has 2 errors" },
	{ "a bad file as JSON", "config check --json bad.conf", 5,
	  "\"errors\": 2" },
	{ "the verdict of a good file as JSON", "config check --json good.conf",
	  0, "\"ok\": true" },
	{ "the verdict of a bad file as JSON", "config check --json bad.conf",
	  5, "\"ok\": false" },
	{ "a missing file", "config check none.conf", 1,
	  "cannot open none.conf: No such file" },
	{ "a directory", "config check .", 1, "cannot read .: Is a dir" },
	{ "a file without end", "config check /dev/zero", 1,
	  "/dev/zero is larger than 64 MiB" },
	{ "config without action", "config", 2, "say check, show, format or" },
	{ "the list of examples", "config example", 0, "redsocks" },
	{ "the list of examples as JSON", "config --json example", 0,
	  "\"name\": \"squid\"" },
	{ "both halves of an example", "config example squid", 0,
	  "# --- /etc/squid/conf.d/waylay.conf ---\n" },
	{ "an example as JSON", "config example --json squid", 0,
	  "\"file\": \"/etc/waylay/waylay.conf\"" },
	{ "one half of an example", "config example haproxy theirs", 0,
	  "usesrc clientip" },
	{ "an example, a typing error", "config example squit", 2,
	  "unknown example 'squit'" },
	{ "a half, a typing error", "config example squid their", 2,
	  "unknown half 'their'" },
	{ "more than an example has", "config example squid ours x", 2, "'x'" },
	{ "an example in place", "config example -i squid", 2,
	  "belongs to 'waylay config format'" },
	{ "config, a typing error", "config from good.conf", 2,
	  "unknown config action 'from'" },
	{ "in-place where it has no meaning", "config check -i good.conf", 2,
	  "belongs to 'waylay config format'" },
	{ "in-place of standard input", "config format -i -", 2,
	  "needs a file" },
	{ "format of a bad file", "config format bad.conf", 5, "2 errors" },
	{ "bytes that are not UTF-8 as JSON", "config format --json latin.conf",
	  0, "caf?" },
	{ "import of a rule", "import rule.sh", 0,
	  "intercept take-1 {\n    from    eth1\n    tcp     80\n" },
	{ "import says what it has read", "import rule.sh", 0,
	  "1 lines: 1 expressed, 0 plumbing, 0 not about interception, 0 not "
	  "expressed\n" },
	{ "import of two files", "import rule.sh bad.sh", 6,
	  "bad.sh:1: waylay cannot choose by the source port\n    iptables" },
	{ "import of a command over lines", "import long.sh", 6, "long.sh:1-2: " },
	{ "import as JSON", "import --json bad.sh", 6,
	  "\"status\": \"not-expressed\"" },
	{ "import of comments", "import prompt.sh", 0,
	  "hint: lines that begin with # are comments" },
	{ "import of no file", "import none.sh", 1, "cannot open none.sh" },
	{ "import of a file without end", "import /dev/zero", 1,
	  "/dev/zero is larger than 16 MiB" },
	{ "run without interface", "run", 2, "--from IFACE" },
	{ "run with a bad port", "run --from eth1 --tcp 80000", 5, "80000" },
	{ "run with a statement in a value", "run --from eth1;tcp", 2,
	  "the value 'eth1;tcp'" },
};

static void scenes_go_as_told(void **state)
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

static void formatting_keeps_mode_and_link(void **state)
{
	static char text[TEXT_MAX];
	static char again[TEXT_MAX];
	struct stat st;

	(void)state;
	assert_int_equal(chmod("good.conf", 0640), 0);
	assert_int_equal(symlink("good.conf", "link"), 0);
	assert_int_equal(run("config format good.conf", text), 0);
	assert_int_equal(run("config format -i link", again), 0);
	assert_string_equal(again, "");
	assert_int_equal(lstat("link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat("good.conf", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(run("config format good.conf", again), 0);
	assert_string_equal(again, text);
}

static void output_that_cannot_be_written_is_a_failure(void **state)
{
	char command[256];

	(void)state;
	(void)snprintf(command, sizeof(command),
		       "'%.200s' help > /dev/full 2>&1", program);
	assert_int_equal(WEXITSTATUS(system(command)), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scenes_go_as_told),
		cmocka_unit_test(formatting_keeps_mode_and_link),
		cmocka_unit_test(output_that_cannot_be_written_is_a_failure),
	};

	program = argc > 1 ? realpath(argv[1], NULL) : NULL;
	if (!program) {
		fputs("usage: cli_test WAYLAY\n", stderr);
		return 2;
	}
	return cmocka_run_group_tests(tests, make_place, remove_place);
}
