/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk.c - what every talk has in common; see talk.h.
 *
 * The words are in talk_socks5.c and talk_connect.c.
 */
#include "relay/talk.h"

#include "base/secret.h"
#include "relay/socks_address.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const struct talk_kind *kind_of(const struct upstream *u)
{
	switch (u->kind) {
	case UPSTREAM_SOCKS5:
		return &talk_socks5;
	case UPSTREAM_HTTP_CONNECT:
		return &talk_connect;
	case UPSTREAM_DIRECT:
	case UPSTREAM_REJECT:
	case UPSTREAM_DROP:
	case UPSTREAM_PROXY_V1:
	case UPSTREAM_PROXY_V2:
	case UPSTREAM_GROUP:
		break;
	}
	return NULL;
}

bool talk_is_needed(const struct upstream *u)
{
	return kind_of(u) != NULL;
}

/* --- the beginning ------------------------------------------------------- */

/* Whoever made the name has looked at it.  But it came from a client, and it
 * is to stand between CRLFs. */
static int check_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	size_t len = strlen(name);

	if (len > SOCKS_NAME_MAX)
		return -ENAMETOOLONG;
	return len && strspn(name, allowed) == len ? 0 : -EINVAL;
}

static int check_credentials(const struct upstream *u)
{
	const struct secret *password = u->password.secret;

	if (!password)
		return -ENOKEY;
	if (strlen(u->user) > CREDENTIAL_BYTES_MAX ||
	    password->len > CREDENTIAL_BYTES_MAX)
		return -ENAMETOOLONG;
	return 0;
}

int talk_begin(struct talk *t, const struct talk_request *r)
{
	const struct talk_kind *kind = kind_of(r->upstream);
	int error = 0;

	assert(kind);
	assert(kind == &talk_socks5 || !r->is_udp);
	*t = (struct talk){ .kind = kind, .request = *r };
	if (r->name)
		error = check_name(r->name);
	if (!error && r->upstream->user)
		error = check_credentials(r->upstream);
	if (!error)
		kind->begin(t, r);
	return error;
}

/* --- answers ------------------------------------------------------------- */

enum talk_result talk_input(struct talk *t, const uint8_t *bytes, size_t len,
			    size_t *used)
{
	enum talk_result result = t->kind->input(t, bytes, len, used);

	if (result == TALK_DONE && t->out_at < t->out_len)
		return talk_refuse_nonsense(t);
	return result;
}

void talk_broken(struct talk *t)
{
	(void)talk_refuse_nonsense(t); /* it must not close before it answers */
}

void talk_end(struct talk *t)
{
	if (t)
		explicit_bzero(t->out, t->out_len);
}

/* --- for the kinds ------------------------------------------------------- */

enum talk_result talk_refuse(struct talk *t, const struct talk_refusal *why,
			     uint16_t reply)
{
	t->end = why->end;
	t->can_retry = why->can_retry;
	t->is_to_blame = why->is_to_blame;
	t->reply = reply;
	return TALK_FAILED;
}

enum talk_result talk_refuse_auth(struct talk *t, uint16_t reply)
{
	static const struct talk_refusal why = { END_UPSTREAM_AUTH, true,
						 true };

	return talk_refuse(t, &why, reply);
}

enum talk_result talk_refuse_nonsense(struct talk *t)
{
	static const struct talk_refusal why = { END_UPSTREAM_PROTOCOL, true,
						 true };

	return talk_refuse(t, &why, 0);
}
