/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tries.c - who carries a flow, try by try; see tries.h.
 */
#include "relay/tries.h"

#include "policy/eval.h"

static size_t named_by(const struct worker *w, const struct flow_record *r)
{
	return w->args.config->rules[r->rule].upstream;
}

const struct group *tries_group(const struct worker *w,
				const struct flow_record *r)
{
	return w->args.config->upstreams[named_by(w, r)].group;
}

static struct group_ask ask_for(const struct worker *w,
				const struct flow_record *r)
{
	return (struct group_ask){
		.config = w->args.config,
		.board = w->args.board,
		.flows = w->args.shared->upstream_flows,
		.client = &r->client,
		.is_udp = r->proto == PROTO_UDP,
		.now_ms = w->loop.now_ms,
		.seed = w->args.seed,
	};
}

bool tries_next(const struct worker *w, const struct flow_record *r,
		struct group_path *path, size_t *out)
{
	struct group_ask ask = ask_for(w, r);

	return group_next(&ask, named_by(w, r), path, out);
}

bool tries_has_other(const struct worker *w, const struct flow_record *r,
		     const struct group_path *path)
{
	const struct config *c = w->args.config;
	struct group_ask ask = ask_for(w, r);
	const struct group *at =
		path->at ? c->upstreams[path->at - 1].group : NULL;

	return at && (group_has_more(&ask, path) ||
		      eval_upstream_kind(&c->upstreams[at->fallback]) ==
			      VERDICT_RELAY);
}

void tries_begin(struct worker *w, struct flow_record *r, size_t upstream)
{
	r->upstream = (uint32_t)upstream;
	if (r->attempts)
		count(w->args.shared, COUNTER_upstream_retried);
	if (r->attempts < UINT8_MAX)
		r->attempts++;
}

enum flow_end tries_give_up(struct worker *w, const struct flow_record *r,
			    enum flow_end last)
{
	const struct worker_args *a = &w->args;

	if (!r->attempts &&
	    group_is_closed(a->config, a->board, named_by(w, r)))
		return END_UPSTREAM_DISABLED;
	worker_notice(w);
	if (!r->attempts || tries_group(w, r))
		count(a->shared, COUNTER_upstream_none);
	return r->attempts ? last : END_NO_UPSTREAM;
}
