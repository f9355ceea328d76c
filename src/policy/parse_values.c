/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_values.c - single values: choices, numbers, durations, names; see
 * parse.h.  Addresses and ports are in parse_nets.c.
 */
#include "policy/parse.h"
#include "policy/suggest.h"
#include "policy/words.h"

#include <stdio.h>
#include <string.h>

/* "auto, ebpf, nft, iptables"; buf has MESSAGE_HELP_MAX bytes. */
static const char *join_choices(const char *const *choices, char *buf)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; choices[i] && len < MESSAGE_HELP_MAX; i++) {
		(void)snprintf(buf + len, MESSAGE_HELP_MAX - len, "%s%s",
			       i ? ", " : "", choices[i]); /* may cut */
		len += strlen(buf + len);
	}
	return buf;
}

void help_choices(struct message *m, const char *wrong,
		  const char *const *choices)
{
	char list[MESSAGE_HELP_MAX];
	struct suggestion s;

	suggest_init(&s, wrong);
	for (size_t i = 0; choices[i]; i++)
		suggest_offer(&s, choices[i]);
	if (s.best)
		message_help(m, "did you mean \"%s\"?", s.best);
	else
		message_help(m, "one of: %s", join_choices(choices, list));
}

/* The next word, or a message that lists what could stand there. */
static const struct word *take_choice(struct parser *p,
				      const char *const *choices)
{
	char what[MESSAGE_HELP_MAX + 16] = "one of: ";
	const struct word *w = word_peek(p);

	if (!w || w->is_arrow)
		(void)join_choices(choices, what + strlen(what));
	return word_take(p, what);
}

bool value_choice(struct parser *p, const char *what,
		  const char *const *choices, unsigned *out)
{
	const struct word *w = take_choice(p, choices);
	struct message *m;

	if (!w)
		return false;
	for (unsigned i = 0; choices[i]; i++) {
		if (strcmp(choices[i], w->text) == 0) {
			*out = i;
			return true;
		}
	}
	m = report_error(p->report, w->at, "unknown %s \"%s\"", what, w->text);
	if (m)
		help_choices(m, w->text, choices);
	return false;
}

bool number_parse(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned digit = (unsigned)(*text - '0');

		if (*text < '0' || *text > '9' || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return value <= max;
}

static bool is_digits(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

bool value_number(struct parser *p, const char *what, uint32_t min,
		  uint32_t max, uint32_t *out)
{
	const struct word *w = word_take(p, what);
	uint64_t value;

	if (!w)
		return false;
	if (number_parse(w->text, max, &value) && value >= min) {
		*out = (uint32_t)value;
		return true;
	}
	if (is_digits(w->text))
		(void)report_error(p->report, w->at,
				   "%s is out of range: from %u to %u", w->text,
				   min, max);
	else
		(void)report_error(p->report, w->at,
				   "\"%s\" is not a number from %u to %u",
				   w->text, min, max);
	return false;
}

enum { DURATION_DAYS_MAX = 30 };

/* Read "2h5m": each unit at most once, the larger ones first. */
static bool parse_duration(const char *text, uint64_t *out)
{
	const struct duration_unit *u = duration_units;
	uint64_t total = 0, value;
	char digits[16];

	while (*text) {
		size_t len = strspn(text, "0123456789");
		size_t unit = strspn(text + len, "dhms");

		if (!len || len >= sizeof(digits))
			return false;
		memcpy(digits, text, len);
		digits[len] = '\0';
		text += len;
		while (u->name && (strlen(u->name) != unit ||
				   memcmp(u->name, text, unit) != 0))
			u++;
		if (!u->name || !number_parse(digits, UINT32_MAX, &value))
			return false;
		total += value * u->ms;
		text += unit;
		u++;
	}
	*out = total;
	return true;
}

bool value_duration(struct parser *p, uint32_t min_ms, uint32_t *out)
{
	const struct word *w = word_take(p, "a duration, such as 30s");
	uint64_t max = (uint64_t)DURATION_DAYS_MAX * duration_units[0].ms;
	struct message *m;
	uint64_t ms;

	if (!w)
		return false;
	if (is_digits(w->text)) {
		m = report_error(p->report, w->at, "%s needs a unit", w->text);
		if (strlen(w->text) < 10)
			message_help(m,
				     "did you mean \"%ss\"? units are ms, "
				     "s, m, h, d",
				     w->text);
		return false;
	}
	if (!parse_duration(w->text, &ms)) {
		m = report_error(p->report, w->at, "wrong duration \"%s\"",
				 w->text);
		message_help(m, "such as 50ms, 3s, 2m, 2h5m or 1d");
		return false;
	}
	if (ms < min_ms || ms > max) {
		(void)report_error(
			p->report, w->at, "\"%s\" is too %s", w->text,
			ms > max ? "long: at most 30d" : "short: at least 1ms");
		return false;
	}
	*out = (uint32_t)ms;
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name(const char *text)
{
	return is_letter(*text) && strlen(text) < NAME_TEXT_MAX &&
	       !text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_.-")];
}

bool value_name(struct parser *p, const char *what, const struct word **out)
{
	const struct word *w = word_take(p, what);
	struct message *m;

	if (!w)
		return false;
	if (is_name(w->text)) {
		*out = w;
		return true;
	}
	m = report_error(p->report, w->at, "\"%s\" cannot be a name", w->text);
	message_help(m,
		     "a name begins with a letter, goes on with letters, "
		     "digits, _ . or -, and has at most %d bytes",
		     NAME_TEXT_MAX - 1);
	return false;
}

_Static_assert(sizeof(enum engine_kind) == sizeof(unsigned) &&
		       sizeof(bool) == 1,
	       "what field_*() store through an offset in bytes");

bool field_choice(struct parser *p, const struct keyword *k, void *subject)
{
	unsigned choice;

	if (!value_choice(p, k->name, k->choices, &choice))
		return false;
	memcpy((char *)subject + k->field, &choice, sizeof(choice));
	return true;
}

bool field_on(struct parser *p, const struct keyword *k, void *subject)
{
	static const char *const words[] = { "off", "on", NULL };
	unsigned choice;

	if (!value_choice(p, k->name, words, &choice))
		return false;
	((bool *)subject)[k->field] = choice;
	return true;
}

bool field_said(struct parser *p, const struct keyword *k, void *subject)
{
	(void)p; /* no words follow */
	((bool *)subject)[k->field] = true;
	return true;
}

bool field_number(struct parser *p, const struct keyword *k, void *subject)
{
	uint32_t value;

	if (!value_number(p, "a number", k->min, k->max, &value))
		return false;
	memcpy((char *)subject + k->field, &value, sizeof(value));
	return true;
}

bool field_duration(struct parser *p, const struct keyword *k, void *subject)
{
	uint32_t ms;

	if (!value_duration(p, k->min, &ms))
		return false;
	memcpy((char *)subject + k->field, &ms, sizeof(ms));
	return true;
}
