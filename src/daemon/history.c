/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c - flows as people read them; see history.h.
 */
#include "daemon/history.h"

#include "base/log.h"
#include "base/str.h"
#include "policy/domains.h"
#include "relay/name.h"

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

/* One that is known not to be known, and one that makes no sense. */
static const char *unknown(uint32_t index)
{
	return index == UINT32_MAX ? "-" : "?";
}

/* The worker is not trusted: an index out of range has no name, and what is no
 * domain name was not seen. */
void history_name(const struct config *c, const struct flow_record *r,
		  struct history_entry *out)
{
	char *host = out->record.host;

	out->record = *r;
	host[HOST_TEXT_MAX - 1] = '\0';
	if (!domain_normalise(host, strlen(host), host))
		host[0] = '\0';
	copy_name(out->intercept, r->intercept < c->intercept_count
					  ? c->intercepts[r->intercept].name
					  : unknown(r->intercept));
	copy_name(out->upstream, r->upstream < c->upstream_count
					 ? c->upstreams[r->upstream].name
					 : unknown(r->upstream));
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

/* --- lines --------------------------------------------------------------- */

/* One record in both forms: "key=value" and ",\"key\":\"value\"". */
struct line {
	struct str text, fields;
};

/* The value is made of letters, digits and signs that need no quotes. */
static void add_word(struct line *l, const char *key, const char *value)
{
	str_addf(&l->text, " %s=%s", key, value);
	str_addf(&l->fields, ",\"%s\":\"%s\"", key, value);
}

static void add_number(struct line *l, const char *key, uint64_t value)
{
	if (value > INT64_MAX)
		value = INT64_MAX; /* readers of JSON take no more */
	str_addf(&l->text, " %s=%llu", key, (unsigned long long)value);
	str_addf(&l->fields, ",\"%s\":%llu", key, (unsigned long long)value);
}

/* Words of the C library, without quotes in them. */
static void add_sentence(struct line *l, const char *key, const char *value)
{
	str_addf(&l->text, " %s=\"%s\"", key, value);
	str_addf(&l->fields, ",\"%s\":\"%s\"", key, value);
}

static void add_address(struct line *l, const char *key, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	add_word(l, key, address(a, text));
}

/* From 1.  Of one that the configuration does not have any more, no number. */
static void add_rule(struct line *l, uint32_t rule)
{
	if (rule != UINT32_MAX) {
		add_number(l, "rule", rule + 1ull);
		return;
	}
	str_add(&l->text, " rule=-");
	str_add(&l->fields, ",\"rule\":null");
}

/* A person wants to know of a second one only; a program, always. */
static void add_attempts(struct line *l, unsigned attempts)
{
	if (attempts > 1)
		str_addf(&l->text, " attempts=%u", attempts);
	str_addf(&l->fields, ",\"attempts\":%u", attempts);
}

/* What not every flow has. */
static void add_rest(struct line *l, const struct flow_record *r)
{
	if (r->error)
		add_sentence(l, "error", strerror((int)r->error));
	if (r->reply)
		add_number(l, "reply", r->reply);
	add_attempts(l, r->attempts);
	if (r->open_ms)
		add_number(l, "open_ms", r->open_ms);
	if (r->host[0]) {
		add_word(l, "name", r->host);
		add_word(l, "name_from", name_kind_name(r->name_kind));
	}
}

static void log_entry(const struct history_entry *entry)
{
	const struct flow_record *r = &entry->record;
	struct line l = { .text = { 0 } };
	char when[24];

	str_addf(&l.text, "flow %s", proto_name(r->proto));
	str_addf(&l.fields, ",\"proto\":\"%s\"", proto_name(r->proto));
	add_address(&l, "client", &r->client);
	add_address(&l, "server", &r->server);
	add_address(&l, "source", &r->source);
	add_word(&l, "intercept", entry->intercept);
	add_rule(&l, r->rule);
	add_word(&l, "upstream", entry->upstream);
	add_number(&l, "up", r->bytes[0]);
	add_number(&l, "down", r->bytes[1]);
	add_number(&l, "ms", since(r->begun_ms, r->last_ms));
	add_word(&l, "end", flow_end_name(r->end));
	add_rest(&l, r);
	add_word(&l, "started", log_time(r->begun_unix_ms, when));
	log_record(log_is_json() ? "flow" : str_get(&l.text),
		   str_get(&l.fields));
	str_done(&l.text);
	str_done(&l.fields);
}

/* --- entries ------------------------------------------------------------- */

void history_add(struct history *h, const struct config *c,
		 const struct flow_record *r, bool is_logged)
{
	struct history_entry *entry = &h->entries[h->count++ % HISTORY_MAX];

	history_name(c, r, entry);
	if (is_logged)
		log_entry(entry);
}

static void set(json_t *j, const char *key, json_t *value)
{
	(void)json_object_set_new(j, key, value); /* NULL: without memory */
}

static void set_number(json_t *j, const char *key, uint64_t value)
{
	set(j, key, json_integer((json_int_t)value));
}

static void set_rest(json_t *j, const struct flow_record *r)
{
	if (r->open_ms)
		set_number(j, "open_ms", r->open_ms);
	if (r->host[0]) {
		set(j, "name", json_string(r->host));
		set(j, "name_from", json_string(name_kind_name(r->name_kind)));
	}
	if (r->reply)
		set_number(j, "reply", r->reply);
	if (!r->end)
		return;
	set(j, "end", json_string(flow_end_name(r->end)));
	if (r->error)
		set(j, "error", json_string(strerror((int)r->error)));
}

static json_t *rule_json(uint32_t rule)
{
	return rule == UINT32_MAX ? json_null() : json_integer(rule + 1ll);
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
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:s}",
		      "id", id, "proto", proto_name(r->proto), "client",
		      address(&r->client, client), "server",
		      address(&r->server, server), "source",
		      address(&r->source, source), "intercept",
		      entry->intercept, "rule", rule_json(r->rule), "upstream",
		      entry->upstream, "state",
		      r->end ? "ended" : flow_state_name(r->state), "mover",
		      flow_mover_name(r->mover));
	if (!j)
		return NULL;
	set_number(j, "bytes_up", r->bytes[0]);
	set_number(j, "bytes_down", r->bytes[1]);
	set_number(j, "age_ms", since(r->begun_ms, until_ms));
	set_number(j, "idle_ms", since(r->last_ms, now_ms));
	set(j, "started", json_string(log_time(r->begun_unix_ms, when)));
	set_number(j, "attempts", r->attempts);
	set_rest(j, r);
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
