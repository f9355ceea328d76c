/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c - flows as people read them; see history.h.
 */
#include "daemon/history.h"

#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int history_init(struct history *h)
{
	*h = (struct history){ 0 };
	h->entries = calloc(HISTORY_MAX, sizeof(*h->entries));
	return h->entries ? 0 : -ENOMEM;
}

void history_done(struct history *h)
{
	free(h->entries);
	*h = (struct history){ 0 };
}

static void copy_name(char *to, const char *from)
{
	size_t len = strnlen(from, NAME_TEXT_MAX - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

/* The worker is not trusted: an index out of range has no name. */
void history_name(const struct config *c, const struct flow_record *r,
		  struct history_entry *out)
{
	out->record = *r;
	copy_name(out->intercept, r->intercept < c->intercept_count
					  ? c->intercepts[r->intercept].name
					  : "?");
	copy_name(out->upstream, r->upstream < c->upstream_count
					 ? c->upstreams[r->upstream].name
					 : "?");
}

static const char *proto_name(unsigned proto)
{
	return proto == PROTO_TCP ? "tcp" : "udp";
}

/* A record's addresses are data of a worker: only valid families. */
static const char *address(const struct addr *a, char *buf)
{
	if (a->family != AF_INET && a->family != AF_INET6)
		return "-";
	return addr_format(a, buf);
}

static uint64_t since(uint64_t then_ms, uint64_t now_ms)
{
	return now_ms > then_ms ? now_ms - then_ms : 0;
}

static void log_entry(const struct history_entry *entry)
{
	const struct flow_record *r = &entry->record;
	char client[ADDR_TEXT_MAX], server[ADDR_TEXT_MAX];
	char source[ADDR_TEXT_MAX];
	struct str text = { 0 }, fields = { 0 };

	address(&r->client, client);
	address(&r->server, server);
	str_addf(&text,
		 "flow %s client=%s server=%s source=%s intercept=%s rule=%u "
		 "upstream=%s up=%llu down=%llu ms=%llu end=%s",
		 proto_name(r->proto), client, server,
		 address(&r->source, source), entry->intercept, r->rule + 1,
		 entry->upstream, (unsigned long long)r->bytes[0],
		 (unsigned long long)r->bytes[1],
		 (unsigned long long)since(r->begun_ms, r->last_ms),
		 flow_end_name(r->end));
	if (r->error)
		str_addf(&text, " error=\"%s\"", strerror((int)r->error));
	if (log_is_json())
		str_addf(&fields,
			 ",\"proto\":\"%s\",\"client\":\"%s\","
			 "\"server\":\"%s\",\"source\":\"%s\","
			 "\"intercept\":\"%s\",\"rule\":%u,"
			 "\"upstream\":\"%s\",\"up\":%llu,\"down\":%llu,"
			 "\"ms\":%llu,\"end\":\"%s\"",
			 proto_name(r->proto), client, server,
			 address(&r->source, source), entry->intercept,
			 r->rule + 1, entry->upstream,
			 (unsigned long long)r->bytes[0],
			 (unsigned long long)r->bytes[1],
			 (unsigned long long)since(r->begun_ms, r->last_ms),
			 flow_end_name(r->end));
	if (log_is_json() && r->error)
		str_addf(&fields, ",\"error\":\"%s\"", strerror((int)r->error));
	log_record(log_is_json() ? "flow" : str_get(&text), str_get(&fields));
	str_done(&text);
	str_done(&fields);
}

void history_add(struct history *h, const struct config *c,
		 const struct flow_record *r, bool is_logged)
{
	struct history_entry *entry = &h->entries[h->count++ % HISTORY_MAX];

	history_name(c, r, entry);
	if (is_logged)
		log_entry(entry);
}

json_t *history_json(const struct history_entry *entry, uint64_t now_ms)
{
	const struct flow_record *r = &entry->record;
	char client[ADDR_TEXT_MAX], server[ADDR_TEXT_MAX];
	char source[ADDR_TEXT_MAX], id[32], when[24];
	uint64_t until_ms = r->end ? r->last_ms : now_ms;
	json_t *j;

	(void)snprintf(id, sizeof(id), "%x.%x", (unsigned)r->name,
		       (unsigned)(r->name >> 32)); /* fits */
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s}",
		      "id", id, "proto", proto_name(r->proto), "client",
		      address(&r->client, client), "server",
		      address(&r->server, server), "source",
		      address(&r->source, source), "intercept",
		      entry->intercept, "rule", (int)(r->rule + 1), "upstream",
		      entry->upstream, "state",
		      r->end ? "ended" : flow_state_name(r->state), "mover",
		      flow_mover_name(r->mover));
	if (!j)
		return NULL;
	(void)json_object_set_new(j, "bytes_up",
				  json_integer((json_int_t)r->bytes[0]));
	(void)json_object_set_new(j, "bytes_down",
				  json_integer((json_int_t)r->bytes[1]));
	(void)json_object_set_new(
		j, "age_ms",
		json_integer((json_int_t)since(r->begun_ms, until_ms)));
	(void)json_object_set_new(
		j, "idle_ms",
		json_integer((json_int_t)since(r->last_ms, now_ms)));
	(void)json_object_set_new(
		j, "started", json_string(log_time(r->begun_unix_ms, when)));
	if (r->end)
		(void)json_object_set_new(j, "end",
					  json_string(flow_end_name(r->end)));
	return j;
}

json_t *history_list(const struct history *h, size_t most, uint64_t now_ms)
{
	json_t *list = json_array();
	uint64_t kept = h->count < HISTORY_MAX ? h->count : HISTORY_MAX;

	if (most > kept)
		most = kept;
	for (uint64_t i = h->count - most; i < h->count && list; i++)
		(void)json_array_append_new(
			list,
			history_json(&h->entries[i % HISTORY_MAX], now_ms));
	return list;
}
