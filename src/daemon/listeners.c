/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listeners.c - the sockets on which flows arrive; see listeners.h.
 */
#include "daemon/listeners.h"

#include "net/sock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void listen_address(enum family_index f, uint16_t port, struct addr *out)
{
	*out = (struct addr){ .family = (uint16_t)plan_family(f),
			      .port = port };
	if (f == FAMILY_V6) {
		out->ip[15] = 1;
	} else {
		out->ip[0] = 127;
		out->ip[3] = 1;
	}
}

int listeners_init(struct listeners *l, struct err *e)
{
	*l = (struct listeners){ 0 };
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		struct addr at;

		listen_address(f, 0, &at);
		l->has_family[f] = sock_probe_free(SOCK_STREAM, &at, e) == 0;
	}
	/* e tells why the last family failed; one is enough. */
	if (!l->has_family[FAMILY_V4] && !l->has_family[FAMILY_V6])
		return err_prefix(e, "neither IPv4 nor IPv6 works: is the "
				     "interface lo up?");
	return 0;
}

/* --- sets ---------------------------------------------------------------- */

static bool is_plain(const struct listener_set *set)
{
	return set->plain.family != 0;
}

static bool is_of(const struct listener_set *set, const struct intercept *it)
{
	if (it->has_listen)
		return addr_equal(&set->plain, &it->listen) &&
		       set->is_redirected == (it->redirected_from.count > 0);
	return !is_plain(set) && !strcmp(set->intercept, it->name);
}

static struct listener_set *find_set(const struct listeners *l,
				     const struct intercept *it)
{
	for (size_t i = 0; i < l->count && !it->has_deliver; i++)
		if (is_of(&l->sets[i], it))
			return &l->sets[i];
	return NULL;
}

/* A closed one, or one more. */
static struct listener_set *new_set(struct listeners *l)
{
	struct listener_set *sets;

	for (size_t i = 0; i < l->count; i++)
		if (is_plain(&l->sets[i]) && !l->sets[i].slots)
			return &l->sets[i];
	sets = realloc(l->sets, (l->count + 1) * sizeof(*sets));
	if (!sets)
		return NULL;
	l->sets = sets;
	return &sets[l->count++];
}

static struct listener_set *add_set(struct listeners *l,
				    const struct intercept *it)
{
	struct listener_set *set = new_set(l);

	if (!set)
		return NULL;
	memset(set, 0, sizeof(*set));
	memset(set->fd, -1, sizeof(set->fd));
	set->is_redirected = it->redirected_from.count > 0;
	if (it->has_listen)
		set->plain = it->listen;
	else
		(void)snprintf(set->intercept, sizeof(set->intercept), "%s",
			       it->name); /* fits: the parser's limit */
	return set;
}

/* --- opening ------------------------------------------------------------- */

static int open_one(struct addr *at, enum proto proto, uint32_t mark,
		    struct err *e)
{
	return proto == PROTO_TCP ? sock_listen_tcp(at, mark, e)
				  : sock_listen_udp(at, mark, e);
}

/* The first socket of a kind fixes the port; with a port from the
 * configuration nobody else may have it, SO_REUSEPORT would share it. */
static int choose_port(struct listeners *l, struct listener_set *set,
		       enum proto proto, enum family_index f, uint16_t base,
		       struct err *e)
{
	uint16_t port = (uint16_t)(base ? base + (set - l->sets) : 0);
	int error = 0;

	listen_address(f, port, &set->at[proto][f]);
	if (port)
		error = sock_probe_free(proto == PROTO_TCP ? SOCK_STREAM
							   : SOCK_DGRAM,
					&set->at[proto][f], e);
	if (error < 0) {
		set->at[proto][f].port = 0;
		return err_prefix(e, "choose another port with `port N`, or "
				     "`port 0` for any");
	}
	return 0;
}

static int open_kind(struct listeners *l, struct listener_set *set,
		     const struct config *c, enum proto p, enum family_index f,
		     uint32_t slots, struct err *e)
{
	if (!set->slots && choose_port(l, set, p, f, c->port, e) < 0)
		return -e->code;
	for (uint32_t i = set->slots; i < slots; i++) {
		int fd = open_one(&set->at[p][f], p, plan_own_mark(c), e);

		if (fd < 0)
			return fd;
		set->fd[p][f][i] = fd;
	}
	return 0;
}

/* Sockets of slots that nobody serves would take a share of the flows and
 * accept none: what could not be completed is closed again. */
static void close_from(struct listener_set *set, uint32_t slot)
{
	for (enum proto p = 0; p < PROTO_COUNT; p++) {
		for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
			for (uint32_t i = slot; i < WORKERS_MAX; i++) {
				if (set->fd[p][f][i] >= 0)
					close(set->fd[p][f][i]);
				set->fd[p][f][i] = -1;
			}
			if (!slot)
				set->at[p][f].port = 0;
		}
	}
}

/* Does a listener of ours have the port already, for a part of what `at`
 * says or for more?  Then a try says nothing: during a reload both exist. */
static bool is_shared_port(const struct listeners *l, const struct addr *at)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->sets[i].slots && is_plain(&l->sets[i]) &&
		    l->sets[i].plain.port == at->port &&
		    l->sets[i].plain.family == at->family)
			return true;
	return false;
}

/* SO_REUSEPORT would share the port with another program of root.  Answers to
 * whom NAT brought need connection tracking, from which engines keep away what
 * goes to clients with our mark: these sockets go without. */
static int open_plain(struct listeners *l, struct listener_set *set,
		      const struct config *c, uint32_t slots, struct err *e)
{
	enum family_index f =
		set->plain.family == AF_INET6 ? FAMILY_V6 : FAMILY_V4;
	uint32_t mark = set->is_redirected ? 0 : plan_own_mark(c);
	int error = 0;

	set->at[PROTO_TCP][f] = set->plain;
	if (!set->slots && !is_shared_port(l, &set->plain))
		error = sock_probe_free(SOCK_STREAM, &set->plain, e);
	for (uint32_t i = set->slots; i < slots && error >= 0; i++) {
		error = sock_listen_plain(&set->at[PROTO_TCP][f], mark, e);
		if (error >= 0)
			set->fd[PROTO_TCP][f][i] = error;
	}
	return error < 0 ? error : 0;
}

static int open_transparent(struct listeners *l, struct listener_set *set,
			    const struct config *c, uint32_t slots,
			    struct err *e)
{
	int error = 0;

	for (enum proto p = 0; p < PROTO_COUNT; p++)
		for (enum family_index f = 0; f < FAMILY_COUNT; f++)
			if (l->has_family[f] && !error)
				error = open_kind(l, set, c, p, f, slots, e);
	return error;
}

static int open_slots(struct listeners *l, struct listener_set *set,
		      const struct config *c, uint32_t slots, struct err *e)
{
	int error = is_plain(set) ? open_plain(l, set, c, slots, e)
				  : open_transparent(l, set, c, slots, e);

	if (error < 0)
		close_from(set, set->slots);
	else if (slots > set->slots)
		set->slots = slots;
	return error;
}

int listeners_open(struct listeners *l, const struct config *c, uint32_t slots,
		   struct err *e)
{
	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *it = &c->intercepts[i];
		struct listener_set *set = find_set(l, it);
		int error;

		if (it->has_deliver)
			continue;
		if (!set)
			set = add_set(l, it);
		if (!set)
			return err_set(e, ENOMEM, "no memory for listeners");
		error = open_slots(l, set, c, slots, e);
		if (error < 0 && it->has_listen)
			err_prefix(e, "intercept %s", it->name);
		if (error < 0)
			return error;
	}
	if (slots > l->slots)
		l->slots = slots;
	return 0;
}

void listeners_plan(const struct listeners *l, const struct config *c,
		    struct plan *out)
{
	*out = (struct plan){ .config = c };
	memset(out->fds, -1, sizeof(out->fds));
	memcpy(out->has_family, l->has_family, sizeof(out->has_family));
	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct intercept *it = &c->intercepts[i];
		const struct listener_set *set =
			it->has_listen ? NULL : find_set(l, it);

		for (enum proto p = 0; p < PROTO_COUNT && set; p++)
			for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
				out->ports[i][p][f] = set->at[p][f].port;
				out->fds[i][p][f] = set->fd[p][f][0];
			}
	}
}

/* Append the sockets of one slot of one set. */
static void collect(const struct listener_set *set, uint32_t intercept,
		    uint32_t slot, struct worker_listener *out, size_t *count)
{
	for (enum proto p = 0; p < PROTO_COUNT; p++) {
		for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
			if (set->fd[p][f][slot] < 0)
				continue;
			out[(*count)++] = (struct worker_listener){
				.fd = set->fd[p][f][slot],
				.proto = p,
				.intercept = intercept,
				.at = set->at[p][f],
				.is_plain = is_plain(set),
			};
		}
	}
}

struct worker_listener *listeners_of(const struct listeners *l,
				     const struct config *c, uint32_t slot,
				     uint32_t slots, size_t *count)
{
	size_t most =
		c->intercept_count * l->slots * PROTO_COUNT * FAMILY_COUNT + 1;
	struct worker_listener *out = calloc(most, sizeof(*out));

	*count = 0;
	if (!out)
		return NULL;
	for (size_t i = 0; i < c->intercept_count; i++) {
		const struct listener_set *set = find_set(l, &c->intercepts[i]);

		for (uint32_t s = slot; set && s < set->slots; s += slots)
			collect(set, (uint32_t)i, s, out, count);
	}
	return out;
}

static bool has_set(const struct config *c, const struct listener_set *set)
{
	for (size_t i = 0; i < c->intercept_count; i++)
		if (is_of(set, &c->intercepts[i]))
			return true;
	return false;
}

void listeners_commit(struct listeners *l, const struct config *c)
{
	for (size_t i = 0; i < l->count; i++) {
		struct listener_set *set = &l->sets[i];

		if (is_plain(set) && !has_set(c, set)) {
			close_from(set, 0);
			set->slots = 0;
		}
		set->served = set->slots;
	}
}

void listeners_roll_back(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct listener_set *set = &l->sets[i];

		if (set->slots > set->served)
			close_from(set, set->served);
		set->slots = set->served;
	}
}

void listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++)
		close_from(&l->sets[i], 0);
	free(l->sets);
	*l = (struct listeners){ 0 };
}
