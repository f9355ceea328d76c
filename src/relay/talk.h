/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk.h - what is said to a proxy before it relays, without any socket.
 *
 * A talk is bytes to send and bytes to understand: SOCKS5 (RFC 1928, 1929) and
 * HTTP CONNECT (RFC 9110, 9112).  It holds no socket, no timer and no clock,
 * so that every answer can be tried cut at every byte.  Whoever owns the
 * socket sends out[out_at..out_len) as it grows and hands in what came.
 *
 * The proxy's bytes are hostile input.  A talk takes exactly what belongs to
 * it: what is glued behind the last byte of the answer is the server's, and
 * stays with the caller.  No payload of the client is ever sent before the
 * answer is there (R-SOCKS-4, R-CONN-7), and an answer to what was not sent yet
 * is none.
 *
 * Read dial.h next: it owns the socket.
 */
#ifndef WL_RELAY_TALK_H
#define WL_RELAY_TALK_H

#include "policy/model.h"
#include "relay/shared.h"

enum {
	TALK_OUT_MAX = 1536,
	TALK_HEAD_MAX = 16 << 10, /* bytes of all heads of CONNECT (R-CONN-6) */
	TALK_INTERIM_MAX = 16,	  /* answers 1xx (R-CONN-5) */
};

enum talk_result { TALK_MORE, TALK_DONE, TALK_FAILED };

struct talk_request {
	const struct upstream *upstream;
	/* What the client wants.  With is_udp only its family counts: the one
	 * in which datagrams will come to the proxy. */
	const struct addr *server;
	const char *name;  /* told instead of the address; or NULL.
			    * Made by domain_normalise() */
	bool is_udp;	   /* SOCKS5: UDP ASSOCIATE */
	bool is_pipelined; /* SOCKS5: all words at once, before any answer */
};

struct talk;

struct talk_kind {
	/* Put the first words into t->out. */
	void (*begin)(struct talk *t, const struct talk_request *r);
	/* Understand bytes; see talk_input(). */
	enum talk_result (*input)(struct talk *t, const uint8_t *bytes,
				  size_t len, size_t *used);
};

struct talk {
	const struct talk_kind *kind;
	struct talk_request request; /* borrowed pointers */
	uint8_t step;		     /* what is awaited; by kind */
	uint8_t interims;
	uint16_t status;     /* of CONNECT, as far as it came */
	uint32_t head_bytes; /* of CONNECT, so far */
	uint32_t out_at, out_len;
	/* With TALK_DONE of UDP ASSOCIATE: where datagrams go.  Family 0: the
	 * proxy did not say (R-SOCKS-7), port is set. */
	struct addr bound;
	/* With TALK_FAILED: */
	uint8_t end;	  /* enum flow_end */
	uint16_t reply;	  /* REP of SOCKS5, status of CONNECT, 0: none */
	bool can_retry;	  /* another member may do better */
	bool is_to_blame; /* the proxy is ill, not the server */
	uint8_t out[TALK_OUT_MAX];
};

/* Does this upstream want a talk at all? */
bool talk_is_needed(const struct upstream *u);

/*
 * 0, or -ENAMETOOLONG: name, user or password do not fit (R-SOCKS-3); nothing
 * is cut.  -EINVAL: the name is no name.  -ENOKEY: there is a user, and the
 * password was not read.  In any case talk_end() can be called.
 */
int talk_begin(struct talk *t, const struct talk_request *r);

/*
 * bytes[0..len): everything that came and was not used yet.  *used: how many
 * of them are done with, also when more is needed.  After TALK_DONE what is
 * behind *used is the server's.  t->out may have grown.  May be called with
 * the same bytes and more behind them.  Never called after DONE or FAILED.
 */
enum talk_result talk_input(struct talk *t, const uint8_t *bytes, size_t len,
			    size_t *used);

/* The peer has closed in the middle: fills end and the rest. */
void talk_broken(struct talk *t);

/* Before its memory is given back: wipes what was said, for the password is
 * in it.  NULL is allowed. */
void talk_end(struct talk *t);

/* --- for the kinds ------------------------------------------------------- */

/* What an answer means that is not yes. */
struct talk_refusal {
	uint8_t end; /* enum flow_end */
	bool can_retry, is_to_blame;
};

/* All return TALK_FAILED. */
enum talk_result talk_refuse(struct talk *t, const struct talk_refusal *why,
			     uint16_t reply);
enum talk_result talk_refuse_auth(struct talk *t, uint16_t reply);
enum talk_result talk_refuse_nonsense(struct talk *t);

extern const struct talk_kind talk_socks5, talk_connect;

#endif
