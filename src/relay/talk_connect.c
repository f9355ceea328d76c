/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk_connect.c - HTTP CONNECT as a client; RFC 9110, RFC 9112.
 *
 *	we	CONNECT host:port HTTP/1.1, with credentials if there are any
 *	proxy	a head 1xx, at most TALK_INTERIM_MAX times
 *	proxy	a head 2xx; behind its empty line is the server
 *
 * Of a head the status counts and nothing else: a 2xx has no body, whatever
 * its fields say (R-CONN-4), and any other answer ends the connection, so
 * neither its fields nor its body are ever read (R-CONN-3).  Fields are
 * only checked to be fields.
 *
 * A head is read byte by byte and nothing of it is kept, so it needs no
 * buffer, however it is cut.
 */
#include "relay/talk.h"

#include "base/secret.h"
#include "relay/socks_address.h"

#include <nettle/base64.h>

#include <stdio.h>
#include <string.h>

enum {
	CREDENTIALS_MAX = CREDENTIAL_BYTES_MAX + 1 + CREDENTIAL_BYTES_MAX,
	TARGET_MAX = SOCKS_NAME_MAX + 1 + 5, /* longer than any address */
	FIXED_MAX = 128,		     /* the words between */
};

_Static_assert(TALK_OUT_MAX >=
		       2 * TARGET_MAX +
			       BASE64_ENCODE_RAW_LENGTH(CREDENTIALS_MAX) +
			       FIXED_MAX,
	       "the longest request");

/* --- what we say --------------------------------------------------------- */

static void say(struct talk *t, const char *text)
{
	size_t len = strlen(text);

	memcpy(t->out + t->out_len, text, len);
	t->out_len += (uint32_t)len;
}

/* The authority form: the port always, IPv6 in brackets (R-CONN-1). */
static void write_target(const struct talk_request *r, char out[TARGET_MAX + 1])
{
	struct addr server = *r->server;
	char ip[ADDR_TEXT_MAX];

	server.scope = 0; /* of this host alone */
	addr_format_ip(&server, ip);
	if (r->name)
		(void)snprintf(out, TARGET_MAX + 1, "%s:%u", r->name,
			       server.port);
	else if (server.family == AF_INET6)
		(void)snprintf(out, TARGET_MAX + 1, "[%s]:%u", ip, server.port);
	else
		(void)snprintf(out, TARGET_MAX + 1, "%s:%u", ip, server.port);
}

/* RFC 7617 section 2.  Without being asked: a 407 then means that they are
 * wrong, and is never answered (R-CONN-8). */
static void say_credentials(struct talk *t, const struct upstream *u)
{
	const struct secret *password = u->password.secret;
	uint8_t plain[CREDENTIALS_MAX];
	size_t user_len = strlen(u->user), len = user_len + 1 + password->len;

	memcpy(plain, u->user, user_len);
	plain[user_len] = ':';
	memcpy(plain + user_len + 1, password->bytes, password->len);
	say(t, "Proxy-Authorization: Basic ");
	base64_encode_raw((char *)t->out + t->out_len, len, plain);
	t->out_len += (uint32_t)BASE64_ENCODE_RAW_LENGTH(len);
	say(t, "\r\n");
	explicit_bzero(plain, sizeof(plain));
}

/* `Connection: close` because the client chooses what would be read as the
 * next request by a proxy that made no tunnel (R-CONN-7). */
static void begin(struct talk *t, const struct talk_request *r)
{
	char target[TARGET_MAX + 1];

	write_target(r, target);
	say(t, "CONNECT ");
	say(t, target);
	say(t, " HTTP/1.1\r\nHost: "); /* R-CONN-2 */
	say(t, target);
	say(t, "\r\n");
	if (r->upstream->user)
		say_credentials(t, r->upstream);
	say(t, "Connection: close\r\n\r\n");
}

/* --- the status ---------------------------------------------------------- */

/*
 * What the proxy says of its own rules, or in words that we do not know, may
 * be otherwise with another one, and so may be the way to the server.  The
 * time that has been waited for the server is gone.  A client can provoke all
 * of them but 401, 407 and a protocol that was not asked for.
 */
static enum talk_result refuse_status(struct talk *t)
{
	static const struct talk_refusal other = { END_UPSTREAM_REFUSED, true,
						   false };
	static const struct {
		uint16_t status;
		struct talk_refusal why;
	} known[] = {
		{ 101, { END_UPSTREAM_PROTOCOL, true, true } },
		{ 401, { END_UPSTREAM_AUTH, true, true } }, /* tinyproxy 1.11 */
		{ 407, { END_UPSTREAM_AUTH, true, true } },
		{ 502, { END_SERVER_UNREACHABLE, true, false } },
		{ 503, { END_SERVER_UNREACHABLE, true, false } },
		{ 504, { END_CONNECT_TIMEOUT, false, false } },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].status == t->status)
			return talk_refuse(t, &known[i].why, t->status);
	return talk_refuse(t, &other, t->status);
}

static bool is_tunnel(const struct talk *t)
{
	return t->status / 100 == 2;
}

/* More heads follow this one (R-CONN-5). */
static bool is_interim(const struct talk *t)
{
	return t->status / 100 == 1 && t->status != 101;
}

/* The status is complete: is it worth to read on? */
static enum talk_result judge(struct talk *t)
{
	if (is_tunnel(t))
		return TALK_MORE;
	if (!is_interim(t))
		return refuse_status(t);
	if (t->interims == TALK_INTERIM_MAX)
		return talk_refuse_nonsense(t);
	t->interims++;
	return TALK_MORE;
}

/* --- the head ------------------------------------------------------------ */

/*
 * step: where in a head the next byte is.  Below STATUS_LEN the place in
 * status_form.
 *
 *	STATUS -> REASON -> FIRST -> NAME -> VALUE -> LINE -> (empty) END
 *
 * A line ends with CRLF or, by RFC 9112 section 2.2, with LF alone; a CR must
 * have its LF (R-CONN-6).
 */
static const char status_form[] = "HTTP/1.# ###"; /* #: a digit */

enum { STATUS_LEN = sizeof(status_form) - 1 };

enum step {
	STEP_STATUS_END = STATUS_LEN, /* what is behind the three digits */
	STEP_REASON,
	STEP_REASON_LF,
	STEP_FIRST, /* the first line behind the status line begins */
	STEP_NAME,
	STEP_VALUE,
	STEP_VALUE_LF,
	STEP_LINE, /* another line begins */
	STEP_END_LF,
};

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* RFC 9110 section 5.6.2 */
static bool is_token(uint8_t c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* Field values and reasons: no control bytes but HTAB. */
static bool is_text(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

/* These return TALK_FAILED with nothing filled for a byte that cannot be. */

static enum talk_result go(struct talk *t, enum step step)
{
	t->step = (uint8_t)step;
	return TALK_MORE;
}

static enum talk_result take_status(struct talk *t, uint8_t c)
{
	char form = status_form[t->step];

	if (form != '#')
		return c == (uint8_t)form ? go(t, t->step + 1) : TALK_FAILED;
	if (!is_digit(c))
		return TALK_FAILED;
	/* the digit of the version is pushed out by the three */
	t->status = (uint16_t)(t->status % 100 * 10 + (c - '0'));
	return go(t, t->step + 1);
}

/* An empty line: the head is complete. */
static enum talk_result end_head(struct talk *t)
{
	if (is_tunnel(t))
		return TALK_DONE;
	t->status = 0;
	return go(t, 0);
}

/* Text up to the end of its line. */
static enum talk_result take_text(struct talk *t, uint8_t c, enum step at_cr,
				  enum step at_lf)
{
	if (c == '\r')
		return go(t, at_cr);
	if (c == '\n')
		return go(t, at_lf);
	return is_text(c) ? TALK_MORE : TALK_FAILED;
}

static enum talk_result take_status_end(struct talk *t, uint8_t c)
{
	if (c != ' ' && c != '\r' && c != '\n')
		return TALK_FAILED;
	if (judge(t) == TALK_FAILED)
		return TALK_FAILED;
	t->step = STEP_REASON;
	return take_text(t, c, STEP_REASON_LF, STEP_FIRST);
}

/* A line that goes on (obs-fold) needs one before it. */
static enum talk_result begin_line(struct talk *t, uint8_t c, bool can_go_on)
{
	if (c == '\r')
		return go(t, STEP_END_LF);
	if (c == '\n')
		return end_head(t);
	if (can_go_on && (c == ' ' || c == '\t'))
		return go(t, STEP_VALUE);
	return is_token(c) ? go(t, STEP_NAME) : TALK_FAILED;
}

static enum talk_result take_name(struct talk *t, uint8_t c)
{
	if (c == ':')
		return go(t, STEP_VALUE);
	return is_token(c) ? TALK_MORE : TALK_FAILED;
}

static enum talk_result take_byte(struct talk *t, uint8_t c)
{
	if (t->step < STATUS_LEN)
		return take_status(t, c);
	switch ((enum step)t->step) {
	case STEP_STATUS_END:
		return take_status_end(t, c);
	case STEP_REASON:
		return take_text(t, c, STEP_REASON_LF, STEP_FIRST);
	case STEP_REASON_LF:
		return c == '\n' ? go(t, STEP_FIRST) : TALK_FAILED;
	case STEP_FIRST:
		return begin_line(t, c, false);
	case STEP_NAME:
		return take_name(t, c);
	case STEP_VALUE:
		return take_text(t, c, STEP_VALUE_LF, STEP_LINE);
	case STEP_VALUE_LF:
		return c == '\n' ? go(t, STEP_LINE) : TALK_FAILED;
	case STEP_LINE:
		return begin_line(t, c, true);
	case STEP_END_LF:
		return c == '\n' ? end_head(t) : TALK_FAILED;
	}
	return TALK_FAILED; /* no other step is ever set */
}

static enum talk_result input(struct talk *t, const uint8_t *bytes, size_t len,
			      size_t *used)
{
	enum talk_result result = TALK_MORE;
	size_t at = 0;

	while (result == TALK_MORE && at < len) {
		if (t->head_bytes == TALK_HEAD_MAX)
			result = TALK_FAILED;
		else
			result = take_byte(t, bytes[at]);
		t->head_bytes++;
		at++;
	}
	*used = at;
	if (result == TALK_FAILED && !t->end)
		return talk_refuse_nonsense(t);
	return result;
}

const struct talk_kind talk_connect = { begin, input };
