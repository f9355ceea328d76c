/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_look.c - the client's first bytes: PROXY header and name; see
 * tcp_look.h.
 */
#include "relay/tcp_look.h"

#include "policy/eval.h"
#include "relay/name.h"
#include "relay/proxy_header.h"
#include "relay/tcp_open.h"

#include <errno.h>
#include <string.h>

enum { HEADER_MS = 5000 }; /* R-PP-9: not below 3 s */

_Static_assert((int)PROXY_HEADER_READ_MAX < (int)MOVE_BUFFER_BYTES &&
		       (int)NAME_STREAM_MAX < (int)MOVE_BUFFER_BYTES,
	       "first bytes are looked at in the mover's buffer");

/* --- looking at the client's first bytes --------------------------------- */

/* Until more bytes come, or for so long since the phase began. */
static void wait_for_client(struct tcp_flow *f, uint32_t limit_ms)
{
	if (tcp_flow_watch_client(f) && !timer_is_set(&f->timer))
		tcp_flow_arm(f, limit_ms);
}

/* What is there, left there.  -EAGAIN: nothing yet; other -errno: the leg is
 * broken; 0: the client has ended without a byte. */
static ssize_t peek(const struct tcp_flow *f, size_t max)
{
	ssize_t len = recv(f->side[CLIENT].fd, f->tcp->mover.buffer, max,
			   MSG_PEEK | MSG_DONTWAIT);

	if (len < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return len;
}

static void publish(struct tcp_flow *f, const struct flow_record *r)
{
	shared_publish(tcp_flow_shared(f), tcp_flow_slot(f), r);
}

/* --- SNIFFING ------------------------------------------------------------ */

static const enum counter name_counters[] = {
	[NAME_KIND_NONE] = COUNTER_name_none,
	[NAME_KIND_TLS] = COUNTER_name_tls,
	[NAME_KIND_HTTP] = COUNTER_name_http,
	[NAME_KIND_QUIC] = COUNTER_name_quic,
};

/* The name is known, or that there is none: `host` is "" then. */
static void decide(struct tcp_flow *f, const char *host, enum name_kind kind)
{
	const struct config *c = tcp_flow_config(f);
	struct flow_record r = *tcp_flow_record(f);
	struct flow_facts facts = { .intercept = r.intercept,
				    .proto = PROTO_TCP,
				    .src = &r.client,
				    .dst = &r.server,
				    .name = *host ? host : NULL };
	bool is_open;

	memcpy(r.host, host, strlen(host) + 1);
	r.name_kind = (uint8_t)kind;
	r.rule = (uint32_t)eval_flow(c, &facts, &is_open);
	r.upstream = (uint32_t)c->rules[r.rule].upstream;
	publish(f, &r);
	tcp_flow_set_state(f, FLOW_CONNECTING);
	tcp_open_begin(f);
}

static void look_for_name(struct tcp_flow *f)
{
	const struct sniff *sniff = &tcp_flow_config(f)->sniff;
	enum name_kind kind = NAME_KIND_NONE;
	enum name_result result = NAME_NONE;
	char host[HOST_TEXT_MAX] = "";
	ssize_t len = peek(f, NAME_STREAM_MAX);

	if (len < 0 && len != -EAGAIN) {
		tcp_flow_end(f, END_CLIENT_RESET, (int)-len);
		return;
	}
	if (len < 0)
		result = NAME_MORE;
	else if (len > 0)
		result = name_of_stream(sniff, f->tcp->mover.buffer,
					(size_t)len, host, &kind);
	/* No more will come, or no more is looked at. */
	if (result == NAME_MORE &&
	    (len == NAME_STREAM_MAX || f->side[CLIENT].has_hup))
		result = NAME_NONE;
	switch (result) {
	case NAME_MORE:
		wait_for_client(f, sniff->wait_ms);
		return;
	case NAME_FOUND:
		count(tcp_flow_shared(f), name_counters[kind]);
		decide(f, host, kind);
		return;
	case NAME_NONE:
		count(tcp_flow_shared(f), COUNTER_name_none);
		decide(f, "", NAME_KIND_NONE);
		return;
	}
}

/* --- HEADER -------------------------------------------------------------- */

/* Only now it is known who speaks to whom: the flow begins anew. */
static void on_header(struct tcp_flow *f, const struct flow_record *r)
{
	struct flow_record known = *r;
	bool is_open = worker_judge(f->tcp->worker, &known);

	wheel_cancel(&f->tcp->worker->loop.wheel, &f->timer);
	f->last_ms = f->tcp->worker->loop.now_ms;
	publish(f, &known);
	tcp_flow_set_state(f, is_open ? FLOW_SNIFFING : FLOW_CONNECTING);
	tcp_open_begin(f);
}

/* The header's bytes are no data: they are taken, exactly. */
static bool take_header(const struct tcp_flow *f, size_t len)
{
	return recv(f->side[CLIENT].fd, NULL, len, MSG_TRUNC | MSG_DONTWAIT) ==
	       (ssize_t)len;
}

static void read_header(struct tcp_flow *f)
{
	struct flow_record r = *tcp_flow_record(f);
	enum proxy_header_result result = PROXY_HEADER_BAD;
	ssize_t len = peek(f, PROXY_HEADER_READ_MAX);
	size_t used = 0;

	if (len < 0 && len != -EAGAIN) {
		tcp_flow_end(f, END_CLIENT_RESET, (int)-len);
		return;
	}
	if (len < 0)
		result = PROXY_HEADER_MORE;
	else if (len > 0)
		result = proxy_header_read(f->tcp->mover.buffer, (size_t)len,
					   &used, &r.client, &r.server);
	if (result == PROXY_HEADER_MORE &&
	    (len == PROXY_HEADER_READ_MAX || f->side[CLIENT].has_hup))
		result = PROXY_HEADER_BAD;
	switch (result) {
	case PROXY_HEADER_MORE:
		wait_for_client(f, HEADER_MS);
		return;
	case PROXY_HEADER_DONE:
	case PROXY_HEADER_LOCAL: /* the real endpoints are there already */
		if (take_header(f, used)) {
			on_header(f, &r);
			return;
		}
		break;
	case PROXY_HEADER_BAD:
		break;
	}
	worker_notice(f->tcp->worker);
	tcp_flow_end(f, END_BAD_HEADER, 0);
}

/* --- what happens -------------------------------------------------------- */

void tcp_look(struct tcp_flow *f)
{
	if (f->state == FLOW_HEADER)
		read_header(f);
	else
		look_for_name(f);
}

void tcp_look_on_timer(struct tcp_flow *f)
{
	if (f->state == FLOW_HEADER) {
		worker_notice(f->tcp->worker);
		tcp_flow_end(f, END_BAD_HEADER, ETIMEDOUT);
		return;
	}
	count(tcp_flow_shared(f), COUNTER_name_late);
	decide(f, "", NAME_KIND_NONE);
}
