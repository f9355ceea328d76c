/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_test.c - both ends of the control protocol.
 *
 * The server runs on a loop in a child process, as in life.  The parent is a
 * client: a well-behaved one through control_call(), and bad ones by hand.
 * What may lie at the socket's path is in socket_test.c.
 */
#include "base/err.h"
#include "control/client.h"
#include "control/server.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { BIG_REPLY = 5 * 1024 * 1024, NESTED = 5000 };

struct fixture {
	char base[32];
	char run_dir[64]; /* below base */
	struct sockaddr_un address;
	pid_t pid;
};

/* --- the server ---------------------------------------------------------- */

static json_t *reply_big(void)
{
	char *text = calloc(1, BIG_REPLY + 1);
	json_t *reply;

	if (!text)
		return NULL;
	memset(text, 'x', BIG_REPLY);
	reply = json_pack("{s:b, s:s}", "ok", 1, "text", text);
	free(text);
	return reply;
}

static json_t *answer(void *ctx, const json_t *request)
{
	const char *command =
		json_string_value(json_object_get(request, "command"));

	if (strcmp(command, "null") == 0)
		return NULL;
	if (strcmp(command, "odd") == 0)
		return json_pack("[i]", 1);
	if (strcmp(command, "big") == 0)
		return reply_big();
	if (strcmp(command, "bytes") == 0)
		return control_error(CONTROL_CONFIG, "a\xff\x1b");
	if (strcmp(command, "stop") == 0)
		loop_stop(ctx);
	return json_pack("{s:b, s:s}", "ok", 1, "command", command);
}

static void serve(const char *run_dir, int ready_fd)
{
	struct control_server server;
	struct loop loop;
	struct err e;

	if (loop_open(&loop) < 0 ||
	    control_server_open(&server, &loop, run_dir, answer, &loop, &e))
		_exit(1);
	if (write(ready_fd, "r", 1) != 1)
		_exit(1);
	loop_run(&loop);
	control_server_close(&server);
	loop_close(&loop);
	_exit(0);
}

static int setup(void **state)
{
	static struct fixture f;
	struct err e;
	int ready[2];
	char byte;

	f = (struct fixture){ .base = "/tmp/control_test.XXXXXX" };
	assert_non_null(mkdtemp(f.base));
	(void)snprintf(f.run_dir, sizeof(f.run_dir), "%s/run", f.base);
	assert_int_equal(control_address(f.run_dir, &f.address, &e), 0);
	assert_int_equal(pipe(ready), 0);
	f.pid = fork();
	assert_true(f.pid >= 0);
	if (f.pid == 0)
		serve(f.run_dir, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->pid > 0) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, NULL, 0);
	}
	unlink(f->address.sun_path);
	rmdir(f->run_dir);
	return rmdir(f->base);
}

static json_t *ask(const struct fixture *f, const char *command)
{
	json_t *request = json_pack("{s:s}", "command", command);
	json_t *reply = NULL;
	struct err e;

	if (control_call(f->run_dir, request, &reply, &e) < 0)
		fail_msg("%s", e.text);
	json_decref(request);
	return reply;
}

static const char *text_of(const json_t *reply, const char *key)
{
	return json_string_value(json_object_get(reply, key));
}

/* --- good clients -------------------------------------------------------- */

static void a_request_is_answered(void **state)
{
	json_t *reply = ask(*state, "status");

	assert_true(json_is_true(json_object_get(reply, "ok")));
	assert_string_equal(text_of(reply, "command"), "status");
	json_decref(reply);
}

static void a_long_reply_arrives_whole(void **state)
{
	json_t *reply = ask(*state, "big");

	assert_int_equal(json_string_length(json_object_get(reply, "text")),
			 BIG_REPLY);
	json_decref(reply);
}

static void a_handler_without_reply_gives_an_internal_error(void **state)
{
	static const char *const commands[] = { "null", "odd" };

	for (size_t i = 0; i < 2; i++) {
		json_t *reply = ask(*state, commands[i]);

		assert_false(json_is_true(json_object_get(reply, "ok")));
		assert_string_equal(text_of(reply, "code"), "failed");
		json_decref(reply);
	}
}

static void an_error_of_any_bytes_is_valid_json(void **state)
{
	json_t *reply = ask(*state, "bytes");

	assert_string_equal(text_of(reply, "code"), "config");
	assert_string_equal(text_of(reply, "error"), "a?\x1b");
	json_decref(reply);
}

/* --- bad clients --------------------------------------------------------- */

static int dial(const struct fixture *f)
{
	struct timeval limit = { .tv_sec = 20 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (const struct sockaddr *)&f->address,
				 sizeof(f->address)),
			 0);
	return fd;
}

/* What the server says to these bytes; "" if it just closes. */
static void talk(const struct fixture *f, const char *bytes, size_t len,
		 char *out, size_t size)
{
	int fd = dial(f);
	size_t used = 0;
	ssize_t n;

	(void)send(fd, bytes, len, MSG_NOSIGNAL); /* may be cut short */
	(void)shutdown(fd, SHUT_WR);
	do {
		n = recv(fd, out + used, size - 1 - used, 0);
		if (n > 0)
			used += (size_t)n;
	} while (n > 0 && used < size - 1);
	out[used] = '\0';
	close(fd);
}

static const struct bad_request {
	const char *name;
	const char *bytes;
	const char *reply; /* is contained */
} bad_requests[] = {
	{ "nothing at all", "", "ends before its newline" },
	{ "half a request", "{\"command\":\"sta", "ends before its newline" },
	{ "no newline", "{\"command\":\"status\"}", "before its newline" },
	{ "an empty line", "\n", "not JSON" },
	{ "half an object", "{\"command\":\n", "not JSON" },
	{ "words", "status\n", "not JSON" },
	{ "bytes that are not UTF-8", "{\"command\":\"\xff\xfe\"}\n",
	  "not JSON" },
	{ "a zero inside a string", "{\"command\":\"a\\u0000b\"}\n",
	  "not JSON" },
	{ "an array", "[1,2]\n", "not an object" },
	{ "a string", "\"status\"\n", "not JSON" },
	{ "an object without command", "{}\n", "not an object with" },
	{ "a command of the wrong type", "{\"command\":7}\n",
	  "not an object with" },
	{ "a key given twice", "{\"command\":\"a\",\"command\":\"b\"}\n",
	  "not JSON" },
	{ "two requests", "{\"command\":\"a\"}\n{\"command\":\"b\"}\n",
	  "more than one line" },
	{ "garbage behind the object", "{\"command\":\"a\"}}\n", "not JSON" },
};

static void bad_requests_are_refused(void **state)
{
	char reply[1024];

	for (size_t i = 0; i < sizeof(bad_requests) / sizeof(bad_requests[0]);
	     i++) {
		const struct bad_request *b = &bad_requests[i];

		talk(*state, b->bytes, strlen(b->bytes), reply, sizeof(reply));
		if (!strstr(reply, "\"ok\":false") ||
		    !strstr(reply, "\"code\":\"usage\"") ||
		    !strstr(reply, b->reply))
			fail_msg("%s: %s", b->name, reply);
	}
}

static void every_prefix_of_a_request_is_refused(void **state)
{
	static const char line[] = "{\"command\":\"status\",\"n\":[1,{}]}\n";
	char reply[1024];

	for (size_t len = 0; len < sizeof(line) - 2; len++) {
		talk(*state, line, len, reply, sizeof(reply));
		assert_non_null(strstr(reply, "\"ok\":false"));
	}
}

static void a_request_nested_too_deep_is_refused(void **state)
{
	char line[NESTED + 2];
	char reply[1024];

	memset(line, '[', NESTED);
	line[NESTED] = '\n';
	talk(*state, line, NESTED + 1, reply, sizeof(reply));
	assert_non_null(strstr(reply, "not JSON"));
}

/* A request of `len` bytes, newline included. */
static char *padded_request(size_t len)
{
	static const char around[] = "{\"command\":\"\"}\n";
	int zeros = (int)(len - strlen(around));
	char *line = malloc(len + 1);

	assert_non_null(line);
	(void)snprintf(line, len + 1, "{\"command\":\"%0*d\"}\n", zeros, 0);
	return line;
}

static void the_limit_is_exact(void **state)
{
	static char reply[2 * CONTROL_REQUEST_MAX];

	for (size_t over = 0; over < 2; over++) {
		size_t len = CONTROL_REQUEST_MAX + over;
		char *line = padded_request(len);

		talk(*state, line, len, reply, sizeof(reply));
		assert_non_null(strstr(reply, over ? "longer than 64 KiB"
						   : "\"ok\":true"));
		free(line);
	}
}

static void a_client_of_one_byte_a_time_is_served(void **state)
{
	static const char line[] = "{\"command\":\"status\"}\n";
	char reply[256] = "";
	int fd = dial(*state);

	for (size_t i = 0; i < sizeof(line) - 1; i++)
		assert_int_equal(send(fd, line + i, 1, 0), 1);
	assert_true(recv(fd, reply, sizeof(reply) - 1, 0) > 0);
	assert_non_null(strstr(reply, "\"ok\":true"));
	close(fd);
}

static void clients_that_hang_up_do_no_harm(void **state)
{
	static const char line[] = "{\"command\":\"big\"}\n";

	for (size_t i = 0; i < 64; i++) {
		int fd = dial(*state);

		(void)send(fd, line, i % sizeof(line), MSG_NOSIGNAL);
		close(fd);
	}
	a_request_is_answered(state);
}

/* More silent clients than places: the next one waits until the deadline
 * has thrown them out, and is then served. */
static void silent_clients_are_thrown_out(void **state)
{
	int fds[CONTROL_CLIENTS_MAX + 4];
	size_t count = sizeof(fds) / sizeof(fds[0]);
	uint64_t start_ms = clock_ms();
	char byte;

	for (size_t i = 0; i < count; i++)
		fds[i] = dial(*state);
	assert_int_equal(recv(fds[0], &byte, 1, 0), 0);
	assert_true(clock_ms() - start_ms >= CONTROL_DEADLINE_MS - 50);
	a_request_is_answered(state);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static void limit_descriptors(pid_t pid, rlim_t count)
{
	struct rlimit limit;

	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
	limit.rlim_cur = count;
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

static uint64_t cpu_ms(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
	assert_int_equal(clock_gettime(clock, &used), 0);
	return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

/* The server rests meanwhile and does not spin. */
static void without_descriptors_clients_wait(void **state)
{
	static const char line[] = "{\"command\":\"status\"}\n";
	struct timeval pause = { .tv_sec = 1 };
	const struct fixture *f = *state;
	uint64_t before_ms = cpu_ms(f->pid);
	char reply[256] = "";
	int fd;

	limit_descriptors(f->pid, 3);
	fd = dial(f);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof(pause));
	assert_true(send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) > 0);
	assert_int_equal(recv(fd, reply, sizeof(reply) - 1, 0), -1);
	assert_true(cpu_ms(f->pid) - before_ms < 100);
	limit_descriptors(f->pid, 64);
	assert_true(recv(fd, reply, sizeof(reply) - 1, 0) > 0);
	assert_non_null(strstr(reply, "\"ok\":true"));
	close(fd);
}

/* --- the end ------------------------------------------------------------- */

static void the_end_removes_the_socket(void **state)
{
	struct fixture *f = *state;
	int status;

	json_decref(ask(f, "stop"));
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	f->pid = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(access(f->address.sun_path, F_OK), -1);
}

static void no_server_is_a_clear_sentence(void **state)
{
	json_t *request = json_pack("{s:s}", "command", "status");
	json_t *reply = NULL;
	struct err e;

	(void)state;
	assert_int_equal(control_call("/nowhere", request, &reply, &e),
			 -ECONNREFUSED);
	assert_int_equal(e.code, ECONNREFUSED);
	assert_non_null(strstr(e.text, "no waylayd answers on "
				       "/nowhere/control.sock"));
	assert_null(reply);
	json_decref(request);
}

#define SERVED(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(a_request_is_answered),
		SERVED(a_long_reply_arrives_whole),
		SERVED(a_handler_without_reply_gives_an_internal_error),
		SERVED(an_error_of_any_bytes_is_valid_json),
		SERVED(bad_requests_are_refused),
		SERVED(every_prefix_of_a_request_is_refused),
		SERVED(a_request_nested_too_deep_is_refused),
		SERVED(the_limit_is_exact),
		SERVED(a_client_of_one_byte_a_time_is_served),
		SERVED(clients_that_hang_up_do_no_harm),
		SERVED(silent_clients_are_thrown_out),
		SERVED(without_descriptors_clients_wait),
		SERVED(the_end_removes_the_socket),
		cmocka_unit_test(no_server_is_a_clear_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
