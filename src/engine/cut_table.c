/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_table.c - the map of cut-through flows; see cut_table.h.
 */
#include "engine/cut_table.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- addresses ----------------------------------------------------------- */

/* Scopes are left out: the program sees none, and no router sends a packet
 * with a link-local address on. */
bool cut_key(int proto, const struct addr *peer, const struct addr *own,
	     struct wl_cut_key *out)
{
	uint16_t peer_port = htons(peer->port), own_port = htons(own->port);
	uint32_t peer_ip[4], own_ip[4];
	bool is_low;

	assert(peer->family == own->family);
	memcpy(peer_ip, peer->ip, sizeof(peer_ip));
	memcpy(own_ip, own->ip, sizeof(own_ip));
	is_low = wl_cut_is_low(peer_ip, peer_port, own_ip, own_port);
	*out = (struct wl_cut_key){
		.low_port = is_low ? peer_port : own_port,
		.high_port = is_low ? own_port : peer_port,
		.proto = (uint8_t)proto,
		.family = peer->family == AF_INET6,
	};
	memcpy(out->low, is_low ? peer->ip : own->ip, sizeof(out->low));
	memcpy(out->high, is_low ? own->ip : peer->ip, sizeof(out->high));
	return is_low;
}

void cut_tuple(const struct addr *src, const struct addr *dst,
	       struct wl_cut_tuple *out)
{
	*out = (struct wl_cut_tuple){
		.sport = htons(src->port),
		.dport = htons(dst->port),
	};
	memcpy(out->src, src->ip, sizeof(out->src));
	memcpy(out->dst, dst->ip, sizeof(out->dst));
}

static void put_end(const struct wl_cut_key *key, const uint8_t ip[16],
		    uint16_t port, struct addr *out)
{
	*out = (struct addr){
		.family = key->family ? AF_INET6 : AF_INET,
		.port = ntohs(port),
	};
	memcpy(out->ip, ip, addr_ip_len(out));
}

void cut_ends(const struct wl_cut_key *key, struct addr *low, struct addr *high)
{
	put_end(key, key->low, key->low_port, low);
	put_end(key, key->high, key->high_port, high);
}

void cut_other_key(const struct wl_cut_key *key, const struct wl_cut_tuple *to,
		   struct wl_cut_key *out)
{
	struct addr peer, own;

	put_end(key, to->dst, to->dport, &peer);
	put_end(key, to->src, to->sport, &own);
	(void)cut_key(key->proto, &peer, &own, out); /* shape says it too */
}

/* --- entries ------------------------------------------------------------- */

int cut_table_add(const struct cut_table *t, const struct wl_cut_key *key,
		  const struct wl_cut *value)
{
	return bpf_map_update_elem(t->flows_fd, key, value, BPF_NOEXIST);
}

int cut_table_get(const struct cut_table *t, const struct wl_cut_key *key,
		  struct wl_cut *out)
{
	struct wl_cut value;
	int error = bpf_map_lookup_elem(t->flows_fd, key, &value);

	if (!error)
		*out = value;
	return error;
}

int cut_table_change(const struct cut_table *t, struct wl_cut_change *c)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = c,
		    .ctx_size_in = sizeof(*c));
	int error = bpf_prog_test_run_opts(t->change_fd, &run);

	return error ? error : (int)run.retval;
}

int cut_table_drop(const struct cut_table *t, const struct wl_cut_key *key)
{
	return bpf_map_delete_elem(t->flows_fd, key);
}

/* --- all of them --------------------------------------------------------- */

/* The cursor of a hash map is the number of a bucket.  The piece that is the
 * last one comes with -ENOENT, and leaves a cursor with which the next call
 * gets -ENOENT and nothing. */
int cut_table_walk(const struct cut_table *t, struct cut_walk *w)
{
	uint32_t next = w->cursor, count = CUT_WALK_MAX;
	int error = bpf_map_lookup_batch(t->flows_fd,
					 w->is_begun ? &w->cursor : NULL, &next,
					 w->keys, w->values, &count, NULL);

	if (error && error != -ENOENT) {
		w->count = 0;
		return error;
	}
	w->cursor = next;
	w->count = count;
	w->is_begun = count > 0;
	return 0;
}

int cut_table_counters(const struct cut_table *t, uint64_t out[WL_CUT_COUNTERS])
{
	int cpus = libbpf_num_possible_cpus(), error = 0;
	uint64_t *values =
		cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	uint64_t sums[WL_CUT_COUNTERS] = { 0 };

	if (!values)
		return cpus < 0 ? cpus : -ENOMEM;
	for (uint32_t i = 0; i < WL_CUT_COUNTERS && !error; i++) {
		error = bpf_map_lookup_elem(t->counters_fd, &i, values);
		for (int cpu = 0; cpu < cpus && !error; cpu++)
			sums[i] += values[cpu];
	}
	free(values);
	if (!error)
		memcpy(out, sums, sizeof(sums));
	return error;
}

uint32_t cut_now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* always there */
	return (uint32_t)now.tv_sec;
}
