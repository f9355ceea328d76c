/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - lines on standard error.
 *
 * For the daemon alone: library ranks never print.  One line is one write; a
 * reader that has stopped loses lines (counted, and said when it goes on)
 * instead of stopping us.  Under systemd (JOURNAL_STREAM) lines carry the
 * journal's priority in place of the time.
 */
#ifndef WL_BASE_LOG_H
#define WL_BASE_LOG_H

#include <stdbool.h>

enum log_priority {
	LOG_ERROR_LINE,
	LOG_WARNING_LINE,
	LOG_INFO_LINE,
	LOG_DEBUG_LINE
};

/* Lines above `level` are not printed. */
void log_setup(enum log_priority level, bool is_json);
bool log_is_json(void);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A flow record: in JSON, `fields` (",\"key\":...") join time and level;
 * in text, the line says `text`. */
void log_record(const char *text, const char *fields);

/* "2026-11-23T12:00:00Z" into buf (at least 24 bytes); returns buf. */
char *log_time(unsigned long long unix_ms, char *buf);

#endif
