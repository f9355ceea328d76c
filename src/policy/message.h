/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - errors and warnings, from the moment one is found to text.
 *
 * A report keeps at most MESSAGES_MAX messages, the earliest in the text and
 * errors before warnings, and counts the others.  What is not kept is not
 * even formatted, so that a file of nothing but errors is still read fast.
 * Rendering shows the line with a caret (excerpt.c).
 */
#ifndef WL_POLICY_MESSAGE_H
#define WL_POLICY_MESSAGE_H

#include "policy/policy.h"

enum { MESSAGE_TEXT_MAX = 768, MESSAGE_HELP_MAX = 512 };

struct message {
	enum message_kind kind;
	struct place at;     /* line 0: about the whole file */
	size_t order;	     /* of arrival, to sort equal places */
	bool is_line_hidden; /* what stands there is not ours to show */
	char text[MESSAGE_TEXT_MAX];
	char help[MESSAGE_HELP_MAX];
};

struct report {
	struct message kept[MESSAGES_MAX];
	size_t count; /* of kept */
	size_t errors, warnings;
};

/* NULL when the message is only counted.  The result may be replaced by the
 * next call, so add the help at once. */
struct message *report_error(struct report *r, struct place at, const char *fmt,
			     ...) __attribute__((format(printf, 3, 4)));
struct message *report_warning(struct report *r, struct place at,
			       const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A line below the caret.  m may be NULL. */
void message_help(struct message *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The line holds what may be a secret: no message shows it.  m may be NULL. */
void message_hide_line(struct message *m);

/* Sorts, and appends to out->text. */
void report_render(struct report *r, const char *file, const char *text,
		   size_t len, struct messages *out);

/* --- excerpt.c: showing bytes that came from anywhere -------------------- */

/* Printable ASCII and harmless UTF-8 as they are, other bytes as \xNN. */
void excerpt_text(struct str *out, const char *bytes, size_t len);
/* One line of the text, cut around `at`, and below it the caret. */
void excerpt_line(struct str *out, const char *line, size_t len,
		  struct place at);

#endif
