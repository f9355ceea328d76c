/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_table.c - which UDP flows exist; see udp_table.h.
 *
 * The hash is keyed with randomness of the kernel, new for each worker, so
 * that nobody can aim at one bucket (T15).
 */
#include "relay/udp_table.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static void *map_array(size_t count, size_t size)
{
	void *p = mmap(NULL, count * size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int udp_table_init(struct udp_table *t, uint32_t flow_max)
{
	*t = (struct udp_table){ .newest = POOL_NONE, .oldest = POOL_NONE };
	if (getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
		return -EIO;
	/* A client exists only with a flow: there are never more of them. */
	t->flows = map_array(flow_max, sizeof(*t->flows));
	t->clients = map_array(flow_max, sizeof(*t->clients));
	if (!t->flows || !t->clients || pool_init(&t->flow_pool, flow_max) ||
	    pool_init(&t->client_pool, flow_max) ||
	    imap_init(&t->by_pair, flow_max) ||
	    imap_init(&t->by_client, flow_max))
		return -ENOMEM; /* the worker does not start: exit frees */
	return 0;
}

uint32_t udp_table_slot(const struct udp_table *t, const struct udp_flow *f)
{
	return (uint32_t)(f - t->flows);
}

static uint64_t hash_pair(const struct udp_table *t, const struct addr *client,
			  const struct addr *server)
{
	struct addr pair[2] = { *client, *server };

	return XXH3_64bits_withSeed(pair, sizeof(pair), t->seed);
}

static uint64_t hash_client(const struct udp_table *t, const struct addr *ip)
{
	return XXH3_64bits_withSeed(ip, sizeof(*ip), t->seed);
}

struct udp_flow *udp_table_find(const struct udp_table *t,
				const struct addr *client,
				const struct addr *server)
{
	uint64_t hash = hash_pair(t, client, server);

	for (uint32_t i = imap_first(&t->by_pair, hash); i != IMAP_NONE;
	     i = imap_next(&t->by_pair, i)) {
		struct udp_flow *f = &t->flows[i];

		if (addr_equal(&f->client, client) &&
		    addr_equal(&f->server, server))
			return f;
	}
	return NULL;
}

/* --- clients ------------------------------------------------------------- */

static struct addr ip_only(const struct addr *a)
{
	struct addr ip = *a;

	ip.port = 0;
	return ip;
}

static uint32_t find_client(const struct udp_table *t, const struct addr *ip,
			    uint64_t hash)
{
	uint32_t i = imap_first(&t->by_client, hash);

	while (i != IMAP_NONE && !addr_equal(&t->clients[i].ip, ip))
		i = imap_next(&t->by_client, i);
	return i;
}

uint32_t udp_table_share(const struct udp_table *t, const struct addr *client)
{
	struct addr ip = ip_only(client);
	uint32_t i = find_client(t, &ip, hash_client(t, &ip));

	return i == IMAP_NONE ? 0 : t->clients[i].flows;
}

static uint32_t client_join(struct udp_table *t, const struct addr *client)
{
	struct addr ip = ip_only(client);
	uint64_t hash = hash_client(t, &ip);
	uint32_t i = find_client(t, &ip, hash);

	if (i == IMAP_NONE) {
		i = pool_take(&t->client_pool); /* see udp_table_init() */
		t->clients[i] = (struct udp_client){ .ip = ip };
		imap_insert(&t->by_client, hash, i);
	}
	t->clients[i].flows++;
	return i;
}

static void client_leave(struct udp_table *t, uint32_t i)
{
	if (--t->clients[i].flows)
		return;
	imap_remove(&t->by_client, hash_client(t, &t->clients[i].ip), i);
	pool_give(&t->client_pool, i);
}

/* --- flows without an answer, oldest first ------------------------------- */

static void list_append(struct udp_table *t, struct udp_flow *f)
{
	uint32_t slot = udp_table_slot(t, f);

	f->newer = POOL_NONE;
	f->older = t->newest;
	if (t->newest != POOL_NONE)
		t->flows[t->newest].newer = slot;
	else
		t->oldest = slot;
	t->newest = slot;
}

static void list_remove(struct udp_table *t, struct udp_flow *f)
{
	if (f->newer != POOL_NONE)
		t->flows[f->newer].older = f->older;
	else
		t->newest = f->older;
	if (f->older != POOL_NONE)
		t->flows[f->older].newer = f->newer;
	else
		t->oldest = f->newer;
}

struct udp_flow *udp_table_oldest(const struct udp_table *t)
{
	return t->oldest == POOL_NONE ? NULL : &t->flows[t->oldest];
}

void udp_table_answered(struct udp_table *t, struct udp_flow *f)
{
	if (f->is_answered)
		return;
	f->is_answered = true;
	list_remove(t, f);
}

/* --- flows --------------------------------------------------------------- */

struct udp_flow *udp_table_add(struct udp_table *t, const struct addr *client,
			       const struct addr *server)
{
	uint32_t slot = pool_take(&t->flow_pool);
	struct udp_flow *f;

	if (slot == POOL_NONE)
		return NULL;
	f = &t->flows[slot];
	*f = (struct udp_flow){
		.fd = -1,
		.client = *client,
		.server = *server,
		.client_slot = client_join(t, client),
		.upstream = POOL_NONE,
		.association = POOL_NONE,
		.next = POOL_NONE,
		.prev = POOL_NONE,
		.quic = POOL_NONE,
	};
	imap_insert(&t->by_pair, hash_pair(t, client, server), slot);
	list_append(t, f);
	return f;
}

void udp_table_remove(struct udp_table *t, struct udp_flow *f)
{
	uint32_t slot = udp_table_slot(t, f);

	if (!f->is_answered)
		list_remove(t, f);
	imap_remove(&t->by_pair, hash_pair(t, &f->client, &f->server), slot);
	client_leave(t, f->client_slot);
	pool_give(&t->flow_pool, slot);
}
