/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_adopt.c - a record for a cut flow of the map; see cut_adopt.h.
 */
#include "daemon/cut_adopt.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* The end whose packets these are (equal legs: the client), and the other. */
static void ends_of(const struct wl_cut_key *key, const struct wl_cut *value,
		    struct addr *sender, struct addr *other)
{
	if (value->shape & WL_CUT_LOW)
		cut_ends(key, sender, other);
	else
		cut_ends(key, other, sender);
}

static void tuple_source(const struct wl_cut_key *key,
			 const struct wl_cut_tuple *to, struct addr *out)
{
	*out = (struct addr){ .family = key->family ? AF_INET6 : AF_INET,
			      .port = ntohs(to->sport) };
	memcpy(out->ip, to->src, addr_ip_len(out));
}

static void set_times(struct flow_record *r, uint32_t begun_s, uint32_t now_s)
{
	uint32_t age_s = now_s > begun_s ? now_s - begun_s : 0;
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail */
	r->begun_ms = begun_s * 1000ull;
	r->last_ms = r->begun_ms;
	r->begun_unix_ms = ((uint64_t)ts.tv_sec - age_s) * 1000;
}

static void fill_record(const struct wl_cut_key *key,
			const struct wl_cut *value, uint32_t now_s,
			struct flow_record *r)
{
	memset(r, 0, sizeof(*r));
	r->proto = key->proto == IPPROTO_UDP ? PROTO_UDP : PROTO_TCP;
	r->intercept = value->intercept;
	r->rule = value->rule;
	r->upstream = value->upstream;
	r->attempts = 1;
	ends_of(key, value, &r->client, &r->server);
	r->source = r->client;
	if (value->shape & WL_CUT_READDRESSED)
		tuple_source(key, &value->to, &r->source);
	set_times(r, value->begun_s, now_s);
}

int cut_adopt(const struct cut_table *t, const struct wl_cut_key *key,
	      const struct wl_cut *value, uint32_t now_s,
	      struct cut_adoption *out)
{
	struct wl_cut other;
	int error;

	out->key[0] = out->key[1] = *key;
	out->has_two = value->shape & WL_CUT_READDRESSED;
	if (out->has_two) {
		bool is_server = value->shape & WL_CUT_SERVER_LEG;

		cut_other_key(key, &value->to, &out->key[!is_server]);
		error = cut_table_get(t, &out->key[!is_server], &other);
		if (error < 0)
			return error;
		if (is_server)
			value = &other;
	}
	fill_record(&out->key[0], value, now_s, &out->record);
	return 0;
}
