/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_log.c - read, keep and print flows; see exec_log.h.
 */
#include "cli/exec_log.h"

#include "base/loop.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "policy/message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { FLOW_COLUMNS = 7, LINE_MAX_BYTES = 64 * 1024 };

/* --- one flow ------------------------------------------------------------ */

/* The name that was seen, with the port, or the address. */
static void add_server(struct str *out, const json_t *flow)
{
	const char *name = cli_text(flow, "name");
	const char *server = cli_text(flow, "server");
	const char *port = strrchr(server, ':');

	str_addf(out, "%s%s", *name ? name : server, *name && port ? port : "");
}

static void write_json(FILE *out, const json_t *flow)
{
	(void)json_dumpf(flow, out, JSON_COMPACT | JSON_ENSURE_ASCII);
	fputc('\n', out);
}

static void write_text(FILE *out, const json_t *flow)
{
	static const char *const words[] = { "server", "name", "upstream",
					     "end" };
	static const char *const numbers[] = { "up", "down", "ms" };
	struct str line = { 0 };

	str_addf(&line, "%s %s", cli_text(flow, "started"),
		 cli_text(flow, "proto"));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (*cli_text(flow, words[i]))
			str_addf(&line, " %s=%s", words[i],
				 cli_text(flow, words[i]));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		str_addf(&line, " %s=%lld", numbers[i],
			 (long long)cli_number(flow, numbers[i]));
	str_add(&line, "\n");
	output_lines(out, str_get(&line));
	str_done(&line);
}

static bool is_refused(const json_t *flow)
{
	return !strcmp(cli_text(flow, "end"), "rejected");
}

static void count_refused(struct exec_log *l, const json_t *flow)
{
	struct str key = { 0 };
	json_int_t before;

	if (!l->refused)
		l->refused = json_object();
	str_addf(&key, "%s ", cli_text(flow, "proto"));
	add_server(&key, flow);
	before = json_integer_value(json_object_get(l->refused, str_get(&key)));
	if (before || json_object_size(l->refused) < EXEC_LOG_REFUSED_MAX)
		(void)json_object_set_new(l->refused, str_get(&key),
					  json_integer(before + 1));
	else
		l->refused_lost++;
	str_done(&key);
}

static void take_flow(struct exec_log *l, json_t *flow)
{
	if (l->file) {
		(l->is_json ? write_json : write_text)(l->file, flow);
		if (fflush(l->file) != 0 && !l->file_error)
			l->file_error = -errno;
	}
	if (is_refused(flow))
		count_refused(l, flow);
	if (is_refused(flow) && !l->is_json)
		return;
	if (!l->flows)
		l->flows = json_array();
	if (l->flow_count++ < EXEC_LOG_FLOWS_MAX)
		(void)json_array_append(l->flows, flow);
}

/* --- lines --------------------------------------------------------------- */

static void take_complaint(struct exec_log *l, const char *text)
{
	str_addf(&l->complaints, "%s%s", l->complaints.len ? "; " : "", text);
}

static void take_warning(struct exec_log *l, const char *text)
{
	if (l->warning_count++ < EXEC_LOG_WARNINGS_MAX)
		str_addf(&l->warnings, "waylay: %s\n", text);
}

static void take_awaited(struct exec_log *l, const char *text,
			 const char *level)
{
	l->has_come = true;
	l->has_failed = strcmp(level, "info") != 0;
	if (l->has_failed) {
		str_reset(&l->complaints);
		take_complaint(l, text);
	}
}

static void take_line(struct exec_log *l, const char *line, size_t len)
{
	json_t *j = json_loadb(line, len, 0, NULL);
	const char *message = j ? cli_text(j, "message") : line;
	const char *level = j ? cli_text(j, "level") : "";

	if (l->awaited && !l->has_come &&
	    !strncmp(message, l->awaited, strlen(l->awaited)))
		take_awaited(l, message, level);
	else if (!strncmp(message, "ready:", 6))
		l->is_ready = true;
	else if (!strcmp(message, "flow"))
		take_flow(l, j);
	else if (!l->is_ready)
		take_complaint(l, message);
	else if (!strcmp(level, "error") || !strcmp(level, "warning"))
		take_warning(l, message);
	json_decref(j);
}

static void take_bytes(struct exec_log *l, struct str *pending,
		       const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != '\n') {
			if (pending->len < LINE_MAX_BYTES)
				str_addn(pending, &bytes[i], 1);
			continue;
		}
		take_line(l, str_get(pending), pending->len);
		str_reset(pending);
	}
}

/* 1: something came, 0: the writer has closed, -errno. */
static int read_some(struct exec_log *l, struct exec_log_source *from)
{
	char buf[4096];
	ssize_t len = read(from->fd, buf, sizeof(buf));

	if (len < 0)
		return errno == EINTR ? 1 : -errno;
	take_bytes(l, &from->pending, buf, (size_t)len);
	return len > 0;
}

static bool is_over(const struct exec_log *l)
{
	return l->has_failed || (l->is_ready && (!l->awaited || l->has_come));
}

int exec_log_wait_ready(struct exec_log *l, int fd, struct err *e)
{
	uint64_t end_ms = clock_ms() + EXEC_LOG_READY_MS;
	int more = 1;

	l->sources[0].fd = fd;
	while (!is_over(l) && more > 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now_ms = clock_ms();

		if (now_ms >= end_ms)
			return err_set(e, ETIMEDOUT,
				       "waylayd did not "
				       "begin to serve within %d s",
				       EXEC_LOG_READY_MS / 1000);
		if (poll(&p, 1, (int)(end_ms - now_ms)) > 0)
			more = read_some(l, &l->sources[0]);
	}
	if (is_over(l) && !l->has_failed)
		return 0;
	return err_set(e, EIO, "the relay did not start%s%.800s",
		       l->complaints.len ? ": " : "", str_get(&l->complaints));
}

static bool follow_once(struct exec_log *l)
{
	struct pollfd p[2];

	for (int i = 0; i < 2; i++)
		p[i] = (struct pollfd){ .fd = l->sources[i].fd,
					.events = POLLIN };
	if (p[0].fd < 0 && p[1].fd < 0)
		return false;
	if (poll(p, 2, -1) < 0)
		return errno == EINTR;
	for (int i = 0; i < 2; i++)
		if (p[i].fd >= 0 && p[i].revents &&
		    read_some(l, &l->sources[i]) <= 0)
			l->sources[i].fd = -1;
	return true;
}

static void *follow(void *ctx)
{
	while (follow_once(ctx))
		;
	return NULL;
}

int exec_log_follow(struct exec_log *l, int another_fd)
{
	l->sources[1].fd = another_fd;
	return -pthread_create(&l->reader, NULL, follow, l);
}

int exec_log_finish(struct exec_log *l)
{
	(void)pthread_join(l->reader, NULL); /* fails only if misused */
	return l->file_error;
}

/* --- the end ------------------------------------------------------------- */

static const struct column flow_columns[FLOW_COLUMNS] = {
	{ "PROTO", false }, { "SERVER", false }, { "UPSTREAM", false },
	{ "END", false },   { "UP", true },	 { "DOWN", true },
	{ "TIME", true },
};

static void print_flows(const struct exec_log *l)
{
	struct table t = { .columns = flow_columns, .count = FLOW_COLUMNS };
	const json_t *flow;
	size_t i;

	json_array_foreach(l->flows, i, flow)
	{
		struct str server = { 0 };

		add_server(&server, flow);
		table_cell(&t, cli_text(flow, "proto"));
		table_cell(&t, str_get(&server));
		table_cell(&t, cli_text(flow, "upstream"));
		table_cell(&t, cli_text(flow, "end"));
		table_bytes(&t, cli_number(flow, "up"));
		table_bytes(&t, cli_number(flow, "down"));
		table_time(&t, cli_number(flow, "ms"));
		str_done(&server);
	}
	table_print(&t, stderr);
	if (!l->flow_count && !l->refused)
		fputs("waylay: no flows\n", stderr);
}

static void print_refused(const struct exec_log *l)
{
	static const struct column columns[] = { { "REFUSED", false },
						 { "TIMES", true } };
	struct table t = { .columns = columns, .count = 2 };
	const char *server;
	json_t *times;

	json_object_foreach(l->refused, server, times)
	{
		table_cell(&t, server);
		table_cellf(&t, "%lld", (long long)json_integer_value(times));
	}
	table_print(&t, stderr);
	if (l->refused_lost)
		fprintf(stderr, "waylay: %zu more refusals are not shown\n",
			l->refused_lost);
}

static void print_json(const struct exec_log *l)
{
	const json_t *flow;
	size_t i;

	json_array_foreach(l->flows, i, flow) write_json(stderr, flow);
}

void exec_log_print(const struct exec_log *l)
{
	output_lines(stderr, str_get(&l->warnings));
	if (!l->file)
		(l->is_json ? print_json : print_flows)(l);
	if (!l->is_json)
		print_refused(l);
	if (!l->file && l->flow_count > EXEC_LOG_FLOWS_MAX)
		fprintf(stderr, "waylay: %zu more flows are not shown\n",
			l->flow_count - EXEC_LOG_FLOWS_MAX);
}

void exec_log_done(struct exec_log *l)
{
	for (int i = 0; i < 2; i++)
		str_done(&l->sources[i].pending);
	str_done(&l->complaints);
	str_done(&l->warnings);
	json_decref(l->flows);
	json_decref(l->refused);
}
