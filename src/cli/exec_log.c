/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_log.c - read the log of the private waylayd; see exec_log.h.
 */
#include "cli/exec_log.h"

#include "base/loop.h"
#include "cli/cli.h"
#include "cli/output.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { COLUMNS = 7, LINE_MAX_BYTES = 64 * 1024 };

static void take_line(struct exec_log *l, const char *line, size_t len)
{
	json_t *j = json_loadb(line, len, 0, NULL);
	const char *message = j ? cli_text(j, "message") : "";

	if (!strncmp(message, "ready:", 6)) {
		l->is_ready = true;
	} else if (!strcmp(message, "flow")) {
		if (!l->flows)
			l->flows = json_array();
		if (l->flow_count++ < EXEC_LOG_FLOWS_MAX)
			(void)json_array_append(l->flows, j);
	} else if (!l->is_ready) {
		str_addf(&l->complaints, "%s%s", l->complaints.len ? "; " : "",
			 *message ? message : "");
		if (!j)
			str_addn(&l->complaints, line, len);
	}
	json_decref(j);
}

static void take_bytes(struct exec_log *l, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != '\n') {
			if (l->pending.len < LINE_MAX_BYTES)
				str_addn(&l->pending, &bytes[i], 1);
			continue;
		}
		take_line(l, str_get(&l->pending), l->pending.len);
		str_reset(&l->pending);
	}
}

/* 1: something came, 0: the writer has closed, -errno. */
static int read_some(struct exec_log *l)
{
	char buf[4096];
	ssize_t len = read(l->fd, buf, sizeof(buf));

	if (len < 0)
		return errno == EINTR ? 1 : -errno;
	take_bytes(l, buf, (size_t)len);
	return len > 0;
}

int exec_log_wait_ready(struct exec_log *l, int fd, struct err *e)
{
	uint64_t end_ms = clock_ms() + EXEC_LOG_READY_MS;
	int more = 1;

	l->fd = fd;
	while (!l->is_ready && more > 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now_ms = clock_ms();

		if (now_ms >= end_ms)
			return err_set(e, ETIMEDOUT,
				       "exec: waylayd did not "
				       "begin to serve within %d s",
				       EXEC_LOG_READY_MS / 1000);
		if (poll(&p, 1, (int)(end_ms - now_ms)) > 0)
			more = read_some(l);
	}
	if (l->is_ready)
		return 0;
	return err_set(e, EIO, "exec: the relay did not start%s%.800s",
		       l->complaints.len ? ": " : "", str_get(&l->complaints));
}

static void *follow(void *ctx)
{
	struct exec_log *l = ctx;

	while (read_some(l) > 0)
		;
	return NULL;
}

int exec_log_follow(struct exec_log *l)
{
	return -pthread_create(&l->reader, NULL, follow, l);
}

void exec_log_finish(struct exec_log *l)
{
	(void)pthread_join(l->reader, NULL); /* fails only if misused */
}

static const struct column columns[COLUMNS] = {
	{ "PROTO", false }, { "SERVER", false }, { "UPSTREAM", false },
	{ "END", false },   { "UP", true },	 { "DOWN", true },
	{ "TIME", true },
};

static void print_table(const struct exec_log *l)
{
	struct table t = { .columns = columns, .count = COLUMNS };
	const json_t *flow;
	size_t i;

	json_array_foreach(l->flows, i, flow)
	{
		table_cell(&t, cli_text(flow, "proto"));
		table_cell(&t, cli_text(flow, "server"));
		table_cell(&t, cli_text(flow, "upstream"));
		table_cell(&t, cli_text(flow, "end"));
		table_bytes(&t, cli_number(flow, "up"));
		table_bytes(&t, cli_number(flow, "down"));
		table_time(&t, cli_number(flow, "ms"));
	}
	table_print(&t, stderr);
}

void exec_log_print(const struct exec_log *l, bool is_json)
{
	const json_t *flow;
	size_t i;

	if (!is_json)
		print_table(l);
	json_array_foreach(l->flows, i, flow)
	{
		if (!is_json)
			break;
		(void)json_dumpf(flow, stderr,
				 JSON_COMPACT | JSON_ENSURE_ASCII);
		fputc('\n', stderr);
	}
	if (!l->flow_count && !is_json)
		fputs("waylay: no flows\n", stderr);
	if (l->flow_count > EXEC_LOG_FLOWS_MAX)
		fprintf(stderr, "waylay: %zu more flows are not shown\n",
			l->flow_count - EXEC_LOG_FLOWS_MAX);
}

void exec_log_done(struct exec_log *l)
{
	str_done(&l->pending);
	str_done(&l->complaints);
	json_decref(l->flows);
}
