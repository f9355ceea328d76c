/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - lines on standard error; see log.h.
 */
#include "base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4000 }; /* below PIPE_BUF: a write is whole or not */

static struct {
	enum log_priority level;
	bool is_json;
	unsigned long lost;
} state = { .level = LOG_INFO_LINE };

static const struct {
	const char *name;
	int journal; /* syslog(3) priority */
} priorities[] = {
	[LOG_ERROR_LINE] = { "error", 3 },
	[LOG_WARNING_LINE] = { "warning", 4 },
	[LOG_INFO_LINE] = { "info", 6 },
	[LOG_DEBUG_LINE] = { "debug", 7 },
};

void log_setup(enum log_priority level, bool is_json)
{
	state.level = level;
	state.is_json = is_json;
}

bool log_is_json(void)
{
	return state.is_json;
}

char *log_time(unsigned long long unix_ms, char *buf)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) ||
	    !strftime(buf, 24, "%Y-%m-%dT%H:%M:%SZ", &tm))
		buf[0] = '\0';
	return buf;
}

static char *now_text(char *buf)
{
	return log_time((unsigned long long)time(NULL) * 1000, buf);
}

static bool can_write(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLOUT);
}

static void write_line(const char *line, size_t len)
{
	if (!can_write() || write(STDERR_FILENO, line, len) < 0)
		state.lost++;
}

/* Quotes, backslashes and control bytes; cut to what fits. */
static void escape(const char *text, char *out, size_t size)
{
	size_t at = 0;

	for (; *text && at + 8 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\') {
			out[at++] = '\\';
			out[at++] = (char)c;
		} else if (c < 0x20 || c == 0x7f) {
			at += (size_t)snprintf(out + at, size - at, "\\u%04x",
					       c);
		} else {
			out[at++] = (char)c;
		}
	}
	out[at] = '\0';
}

static void put(enum log_priority priority, const char *text,
		const char *fields)
{
	char line[LINE_MAX_BYTES + 8], clean[LINE_MAX_BYTES], when[24];
	int len;

	if (state.is_json) {
		escape(text, clean, sizeof(clean) / 2);
		len = snprintf(line, LINE_MAX_BYTES,
			       "{\"time\":\"%s\",\"level\":\"%s\","
			       "\"message\":\"%s\"%s}\n",
			       now_text(when), priorities[priority].name, clean,
			       fields ? fields : "");
	} else if (getenv("JOURNAL_STREAM")) {
		len = snprintf(line, LINE_MAX_BYTES, "<%d>%s\n",
			       priorities[priority].journal, text);
	} else {
		len = snprintf(line, LINE_MAX_BYTES, "%s %s: %s\n",
			       now_text(when), priorities[priority].name, text);
	}
	if (len <= 0)
		return;
	if (len >= LINE_MAX_BYTES) {
		len = LINE_MAX_BYTES;
		line[len - 1] = '\n';
	}
	write_line(line, (size_t)len);
}

static void put_lost(void)
{
	char text[80];
	unsigned long lost = state.lost;

	if (!lost || !can_write())
		return;
	state.lost = 0;
	(void)snprintf(text, sizeof(text),
		       "%lu log lines were lost: the reader had stopped",
		       lost); /* fits */
	put(LOG_WARNING_LINE, text, NULL);
}

static void put_formatted(enum log_priority priority, const char *fmt,
			  va_list ap)
{
	char text[LINE_MAX_BYTES / 2];

	if (priority > state.level)
		return;
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* may cut */
	put_lost();
	put(priority, text, NULL);
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_formatted(LOG_ERROR_LINE, fmt, ap);
	va_end(ap);
}

void log_warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_formatted(LOG_WARNING_LINE, fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_formatted(LOG_INFO_LINE, fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_formatted(LOG_DEBUG_LINE, fmt, ap);
	va_end(ap);
}

void log_record(const char *text, const char *fields)
{
	put_lost();
	put(LOG_INFO_LINE, text, fields);
}
