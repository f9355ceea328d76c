/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk_socks5.c - SOCKS5 as a client; RFC 1928, RFC 1929.
 *
 *	we	05 01 METHOD                  greeting
 *	proxy	05 METHOD                     STEP_METHOD
 *	we	01 len user len password      if there is a user
 *	proxy	01 00                         STEP_AUTH
 *	we	05 CMD 00 address             request
 *	proxy	05 REP 00 address             STEP_REPLY
 *
 * Only one method is offered, the one that the configuration has credentials
 * for.  So what we say never depends on the proxy's answer, and can be said
 * all at once.  GSSAPI is not spoken (R-SOCKS-11).
 *
 * A word is understood when all of it is there, but refused as soon as that is
 * certain: who takes us for something else may wait for more for ever.
 */
#include "relay/talk.h"

#include "base/secret.h"
#include "relay/socks_address.h"

#include <string.h>

enum {
	VERSION = 5,
	AUTH_VERSION = 1, /* of RFC 1929 */
	METHOD_NONE = 0,
	METHOD_PASSWORD = 2,
	METHOD_NO_ACCEPTABLE = 0xff,
	COMMAND_CONNECT = 1,
	COMMAND_UDP_ASSOCIATE = 3,
	REPLY_ADDRESS_AT = 3,
	GREETING_BYTES = 3,
};

enum step { STEP_METHOD, STEP_AUTH, STEP_REPLY };

_Static_assert(TALK_OUT_MAX >= GREETING_BYTES + 1 +
				       2 * (1 + CREDENTIAL_BYTES_MAX) +
				       REPLY_ADDRESS_AT + SOCKS_ADDRESS_MAX,
	       "all words at once");

/* --- what we say --------------------------------------------------------- */

static uint8_t offered_method(const struct talk *t)
{
	return t->request.upstream->user ? METHOD_PASSWORD : METHOD_NONE;
}

static void say(struct talk *t, const void *bytes, size_t len)
{
	memcpy(t->out + t->out_len, bytes, len);
	t->out_len += (uint32_t)len;
}

static void say_counted(struct talk *t, const void *bytes, size_t len)
{
	uint8_t count = (uint8_t)len;

	say(t, &count, 1);
	say(t, bytes, len);
}

static void say_greeting(struct talk *t)
{
	uint8_t greeting[GREETING_BYTES] = { VERSION, 1, offered_method(t) };

	say(t, greeting, sizeof(greeting));
}

static void say_credentials(struct talk *t)
{
	const struct upstream *u = t->request.upstream;
	uint8_t version = AUTH_VERSION;

	say(t, &version, 1);
	say_counted(t, u->user, strlen(u->user));
	say_counted(t, u->password.secret->bytes, u->password.secret->len);
}

/* R-SOCKS-7: our own UDP address, as the proxy sees it, is not known, only its
 * family: some proxies take datagrams of no other. */
static void say_request(struct talk *t)
{
	const struct talk_request *r = &t->request;
	const struct addr unknown = { .family = r->server->family };
	uint8_t head[] = { VERSION, COMMAND_CONNECT, 0 };
	uint8_t address[SOCKS_ADDRESS_MAX];
	size_t len;

	if (r->is_udp) {
		head[1] = COMMAND_UDP_ASSOCIATE;
		len = socks_address_write(&unknown, NULL, address);
	} else {
		len = socks_address_write(r->server, r->name, address);
	}
	say(t, head, sizeof(head));
	say(t, address, len);
}

static void begin(struct talk *t, const struct talk_request *r)
{
	t->step = STEP_METHOD;
	say_greeting(t);
	if (!r->is_pipelined)
		return;
	if (r->upstream->user)
		say_credentials(t);
	say_request(t);
}

/* --- what it answers ----------------------------------------------------- */

/* R-SOCKS-1.  0xff to a password is a no to passwords, and the choice of one
 * that was not offered tells that one is missing. */
static enum talk_result refuse_method(struct talk *t, uint8_t method)
{
	if (method == METHOD_NO_ACCEPTABLE || method == METHOD_PASSWORD)
		return talk_refuse_auth(t, 0);
	return talk_refuse_nonsense(t);
}

static enum talk_result take_method(struct talk *t, const uint8_t *bytes,
				    size_t len, size_t *used)
{
	if (bytes[0] != VERSION)
		return talk_refuse_nonsense(t);
	if (len < 2)
		return TALK_MORE;
	if (bytes[1] != offered_method(t))
		return refuse_method(t, bytes[1]);
	*used = 2;
	t->step = bytes[1] == METHOD_PASSWORD ? STEP_AUTH : STEP_REPLY;
	if (t->request.is_pipelined)
		return TALK_MORE;
	if (t->step == STEP_AUTH)
		say_credentials(t);
	else
		say_request(t);
	return TALK_MORE;
}

/* R-SOCKS-10 */
static enum talk_result take_auth(struct talk *t, const uint8_t *bytes,
				  size_t len, size_t *used)
{
	if (bytes[0] != AUTH_VERSION)
		return talk_refuse_nonsense(t);
	if (len < 2)
		return TALK_MORE;
	if (bytes[1] != 0)
		return talk_refuse_auth(t, 0);
	*used = 2;
	t->step = STEP_REPLY;
	if (!t->request.is_pipelined)
		say_request(t);
	return TALK_MORE;
}

/*
 * By REP.  What the proxy says about itself or in general may be otherwise
 * with another one, and a route too.  Not so the server's own no, nor the
 * time that has been waited for it.  None of them proves the proxy ill: the
 * server is the client's choice.
 */
static enum talk_result refuse_reply(struct talk *t, uint8_t rep)
{
	static const struct talk_refusal by_rep[] = {
		[1] = { END_UPSTREAM_REFUSED, true, false },
		[2] = { END_UPSTREAM_REFUSED, true, false },
		[3] = { END_SERVER_UNREACHABLE, true, false },
		[4] = { END_SERVER_UNREACHABLE, true, false },
		[5] = { END_SERVER_REFUSED, false, false },
		[6] = { END_CONNECT_TIMEOUT, false, false },
	};
	enum { KNOWN = sizeof(by_rep) / sizeof(*by_rep) };

	return talk_refuse(t, &by_rep[rep < KNOWN ? rep : 1], rep);
}

static bool is_unspecified(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->ip, zero, sizeof(zero)) == 0;
}

/* R-SOCKS-7: a name here is not looked up; the proxy's address has to do. */
static enum talk_result take_bound(struct talk *t, const struct addr *bound)
{
	if (!bound->port)
		return talk_refuse_nonsense(t); /* nowhere to send to */
	t->bound = *bound;
	if (is_unspecified(bound))
		t->bound.family = 0;
	return TALK_DONE;
}

/* R-SOCKS-4.  A refusal is not waited for to its end: R-SOCKS-5. */
static enum talk_result take_reply(struct talk *t, const uint8_t *bytes,
				   size_t len, size_t *used)
{
	struct addr bound;
	int address;

	if (bytes[0] != VERSION)
		return talk_refuse_nonsense(t);
	if (len < 2)
		return TALK_MORE;
	if (bytes[1] != 0)
		return refuse_reply(t, bytes[1]);
	if (len <= REPLY_ADDRESS_AT)
		return TALK_MORE;
	address = socks_address_read(bytes + REPLY_ADDRESS_AT,
				     len - REPLY_ADDRESS_AT, &bound);
	if (address == SOCKS_ADDRESS_BAD)
		return talk_refuse_nonsense(t);
	if (address == SOCKS_ADDRESS_MORE)
		return TALK_MORE;
	*used = REPLY_ADDRESS_AT + (size_t)address;
	return t->request.is_udp ? take_bound(t, &bound) : TALK_DONE;
}

static enum talk_result take_word(struct talk *t, const uint8_t *bytes,
				  size_t len, size_t *used)
{
	switch ((enum step)t->step) {
	case STEP_METHOD:
		return take_method(t, bytes, len, used);
	case STEP_AUTH:
		return take_auth(t, bytes, len, used);
	case STEP_REPLY:
		return take_reply(t, bytes, len, used);
	}
	return TALK_FAILED; /* no other step is ever set */
}

static enum talk_result input(struct talk *t, const uint8_t *bytes, size_t len,
			      size_t *used)
{
	enum talk_result result = TALK_MORE;
	size_t at = 0, word = 1;

	while (result == TALK_MORE && word && at < len) {
		word = 0;
		result = take_word(t, bytes + at, len - at, &word);
		at += word;
	}
	*used = at;
	return result;
}

const struct talk_kind talk_socks5 = { begin, input };
