/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns.h - which answer belongs to which query, for queries sent elsewhere.
 *
 * With `to` an answer comes from another address than the one that the client
 * asked.  The client then relies on us to let nothing pass that it did not
 * ask for: an answer has to have the id and the question of a query that is
 * still open (R-DNS-1); address and port are compared by the connected socket.
 *
 * Only looked at, never changed, and never kept beyond id and question: EDNS,
 * case and size are the client's affair (R-DNS-5).  The bytes are hostile:
 * labels, names, counts and lengths are checked against the data, pointers
 * lead strictly backwards (R-DNS-2, 3).
 */
#ifndef WL_RELAY_DNS_H
#define WL_RELAY_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DNS_ASKED_MAX = 64 }; /* what a forwarder has open at once */

struct dns_query {
	uint32_t question_hash; /* of name in lower case, type and class */
	uint16_t id;
};

/* The last queries of one client to one server; the oldest gives way. */
struct dns_asked {	  /* zeros: nothing asked */
	uint64_t is_open; /* bit i: ring[i] waits for its answer */
	uint8_t next;	  /* of ring, to write */
	struct dns_query ring[DNS_ASKED_MAX];
};

/* A whole datagram.  False: it is no query, or no answer, with one question;
 * out is not touched.  With TC only the question is looked at. */
bool dns_read_query(const uint8_t *bytes, size_t len, struct dns_query *out);
bool dns_read_answer(const uint8_t *bytes, size_t len, struct dns_query *out);

void dns_asked_add(struct dns_asked *a, const struct dns_query *q);
/* Was this asked, and not answered yet?  Then it is answered now.  What was
 * asked twice is answered twice. */
bool dns_asked_take(struct dns_asked *a, const struct dns_query *answer);

#endif
