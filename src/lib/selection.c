/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selection.c - what is to be intercepted, and as a configuration; see
 * selection.h.
 */
#include "lib/selection.h"

#include "policy/policy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct setting {
	const char *name;
	const char *words;	 /* in the configuration, before the value */
	const char *placeholder; /* where a text without it is not complete */
	bool is_global;		 /* stands outside of the intercept */
};

static const struct setting settings[] = {
	[SETTING_ENGINE] = { "engine", "engine", NULL, true },
	[SETTING_ON_FAILURE] = { "on-failure", "on-failure", NULL, true },
	[SETTING_MARK] = { "mark", "mark", NULL, true },
	[SETTING_TABLE] = { "table", "table", NULL, true },
	[SETTING_FROM] = { "from", "from", "lo", false },
	[SETTING_TCP] = { "tcp", "tcp", "any", false },
	[SETTING_UDP] = { "udp", "udp", NULL, false },
	[SETTING_EXCEPT_SRC] = { "except-src", "except src", NULL, false },
	[SETTING_EXCEPT_DST] = { "except-dst", "except dst", NULL, false },
	[SETTING_EXCEPT_PORT] = { "except-port", "except port", NULL, false },
};
static_assert(sizeof(settings) / sizeof(*settings) == SETTING_COUNT,
	      "every setting");

static const enum selection_setting ports_of[] = {
	[PROTO_TCP] = SETTING_TCP,
	[PROTO_UDP] = SETTING_UDP,
};
static_assert(sizeof(ports_of) / sizeof(*ports_of) == PROTO_COUNT,
	      "every protocol");

/* --- one setting --------------------------------------------------------- */

static int find(const char *name, enum selection_setting *out, struct err *e)
{
	if (!name)
		return err_set(e, EINVAL, "no name of a setting");
	for (enum selection_setting i = 0; i < SETTING_COUNT; i++) {
		if (strcmp(settings[i].name, name) != 0)
			continue;
		*out = i;
		return 0;
	}
	return err_set(e, ENOENT, "there is no setting \"%.64s\"", name);
}

/* A value stays in its statement: nothing in it may end one, or go on in the
 * next line. */
static int check_bytes(const char *name, const char *value, struct err *e)
{
	size_t len = strnlen(value, SELECTION_VALUE_MAX + 1);

	if (len > SELECTION_VALUE_MAX)
		return err_set(e, EINVAL, "%s: longer than %d bytes", name,
			       SELECTION_VALUE_MAX);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)value[i] < ' ' || value[i] == 0x7f ||
		    strchr(";{}#\"\\", value[i]))
			return err_set(e, EINVAL,
				       "%s: byte 0x%02x cannot stand in it",
				       name, (unsigned char)value[i]);
	while (len && value[len - 1] == ' ')
		len--;
	if (!len)
		return err_set(e, EINVAL, "%s: it is empty", name);
	if (value[len - 1] == ',')
		return err_set(e, EINVAL, "%s: nothing follows the comma",
			       name);
	return 0;
}

static void put(enum selection_setting i, const char *value, struct str *out)
{
	if (value)
		str_addf(out, "%s%s %s\n", settings[i].is_global ? "" : "    ",
			 settings[i].words, value);
}

/* The sentence of the first error, without its place and what is below. */
static int tell_first(const struct messages *m, const char *prefix,
		      struct err *e)
{
	static const char mark[] = "error: ";
	const char *text = str_get(&m->text), *found = strstr(text, mark);

	if (found)
		text = found + sizeof(mark) - 1;
	return err_set(e, EINVAL, "%s%.*s", prefix, (int)strcspn(text, "\n"),
		       text);
}

static struct config *parse(const struct str *text, const char *prefix,
			    struct err *e)
{
	struct messages m = { 0 };
	struct config *c = NULL;

	if (!str_ok(text))
		(void)err_set(e, ENOMEM, "no memory for a configuration");
	else
		c = config_parse("selection", str_get(text), text->len, &m);
	if (str_ok(text) && !c)
		(void)tell_first(&m, prefix, e);
	messages_done(&m);
	return c;
}

/* In a configuration that says nothing else. */
static int check_value(enum selection_setting set, const char *value,
		       struct err *e)
{
	struct str text = { 0 }, prefix = { 0 };
	struct config *c;

	if (settings[set].is_global)
		put(set, value, &text);
	str_add(&text, "intercept x {\n");
	for (enum selection_setting i = 0; i < SETTING_COUNT; i++)
		if (!settings[i].is_global)
			put(i, i == set ? value : settings[i].placeholder,
			    &text);
	str_add(&text, "    deliver 127.0.0.1:1\n}\n");
	str_addf(&prefix, "%s: ", settings[set].name);
	c = parse(&text, str_get(&prefix), e);
	config_free(c);
	str_done(&text);
	str_done(&prefix);
	return c ? 0 : -e->code;
}

int selection_set(struct selection *s, const char *name, const char *value,
		  struct err *e)
{
	enum selection_setting set = SETTING_COUNT;
	char *copy = NULL;
	int error = find(name, &set, e);

	if (!error && value)
		error = check_bytes(name, value, e);
	if (!error && value)
		error = check_value(set, value, e);
	if (error < 0)
		return error;
	if (value) {
		copy = strdup(value);
		if (!copy)
			return err_set(e, ENOMEM, "no memory for a setting");
	}
	free(s->values[set]);
	s->values[set] = copy;
	return 0;
}

/* --- listeners ----------------------------------------------------------- */

static bool is_wildcard(const struct addr *a)
{
	static const uint8_t zeros[sizeof(a->ip)];

	return !memcmp(a->ip, zeros, sizeof(zeros));
}

void selection_deliver(struct selection *s, enum proto p, const struct addr *at)
{
	enum family_index f = at->family == AF_INET6 ? FAMILY_V6 : FAMILY_V4;
	struct addr to = *at;

	if (is_wildcard(at))
		(void)addr_parse_ip(f == FAMILY_V6 ? "::1" : "127.0.0.1", &to);
	to.port = at->port;
	s->deliver[p][f] = to;
}

static bool has_listener(const struct selection *s, enum proto p)
{
	for (enum family_index f = 0; f < FAMILY_COUNT; f++)
		if (s->deliver[p][f].family)
			return true;
	return false;
}

/* --- all of it ----------------------------------------------------------- */

static void put_intercept(const struct selection *s, enum proto p,
			  enum family_index f, struct str *out)
{
	char at[ADDR_TEXT_MAX];

	str_addf(out, "intercept %s-ipv%d {\n", settings[ports_of[p]].name,
		 f == FAMILY_V6 ? 6 : 4);
	for (enum selection_setting i = 0; i < SETTING_COUNT; i++) {
		bool is_other = (i == SETTING_TCP || i == SETTING_UDP) &&
				i != ports_of[p];

		if (!settings[i].is_global && !is_other)
			put(i, s->values[i], out);
	}
	str_addf(out, "    deliver %s\n}\n",
		 addr_format(&s->deliver[p][f], at));
}

void selection_write(const struct selection *s, struct str *out)
{
	for (enum selection_setting i = 0; i < SETTING_COUNT; i++)
		if (settings[i].is_global)
			put(i, s->values[i], out);
	for (enum proto p = 0; p < PROTO_COUNT; p++)
		for (enum family_index f = 0; f < FAMILY_COUNT; f++)
			if (s->deliver[p][f].family && s->values[ports_of[p]])
				put_intercept(s, p, f, out);
}

static int check_complete(const struct selection *s, struct err *e)
{
	bool has_any = false;

	for (enum proto p = 0; p < PROTO_COUNT; p++) {
		const char *name = settings[ports_of[p]].name;
		bool has_ports = s->values[ports_of[p]];

		if (has_ports && !has_listener(s, p))
			return err_set(e, EINVAL,
				       "%s is selected, but no %s listener to "
				       "deliver to is given",
				       name, name);
		if (!has_ports && has_listener(s, p))
			return err_set(
				e, EINVAL,
				"a %s listener is given, but no %s ports "
				"are selected",
				name, name);
		has_any |= has_ports;
	}
	if (!has_any)
		return err_set(e, EINVAL,
			       "no traffic is selected: set tcp or udp");
	if (!s->values[SETTING_FROM])
		return err_set(e, EINVAL,
			       "it is not said where from: set \"from\"");
	return 0;
}

struct config *selection_config(const struct selection *s, struct err *e)
{
	struct str text = { 0 };
	struct config *c;

	if (check_complete(s, e) < 0)
		return NULL;
	selection_write(s, &text);
	c = parse(&text, "", e);
	str_done(&text);
	return c;
}

void selection_done(struct selection *s)
{
	for (enum selection_setting i = 0; i < SETTING_COUNT; i++)
		free(s->values[i]);
	*s = (struct selection){ 0 };
}
