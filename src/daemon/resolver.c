/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.c - addresses for the names of proxies; see resolver.h.
 */
#include "daemon/resolver.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "net/sock.h"

#include <ares.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	ANSWER_WAIT_MS = 2000, /* one server, the first time */
	TRIES = 2,
};

static const uint64_t never = UINT64_MAX;

struct lookup {
	struct resolver *resolver;
	size_t upstream;
	uint64_t due_ms;		    /* CLOCK_MONOTONIC */
	uint32_t retry_ms;		    /* 0: the last answer was good */
	bool is_asked;			    /* and not answered yet */
	struct addr addrs[BOARD_ADDRS_MAX]; /* sorted */
	size_t count;
};

struct resolver {
	const struct config *config;
	struct board *board;
	ares_channel channel;
	uint32_t mark;
	size_t count;
	struct lookup lookups[];
};

static const struct upstream *upstream_of(const struct lookup *l)
{
	return &l->resolver->config->upstreams[l->upstream];
}

/* --- what was found ------------------------------------------------------ */

static int compare_addrs(const void *a, const void *b)
{
	struct prefix x = { .net = *(const struct addr *)a };
	struct prefix y = { .net = *(const struct addr *)b };

	return prefix_compare(&x, &y);
}

/* Has this host a way there?  Nothing is sent. */
static bool is_reachable(const struct addr *a, uint32_t mark)
{
	int fd = sock_leg_udp(NULL, a, mark);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A host without IPv6 should not try such addresses by turns.  If it reaches
 * none, for the moment, all stay. */
static size_t keep_reachable(struct addr *addrs, size_t count, uint32_t mark)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct addr a = addrs[i];

		if (!is_reachable(&a, mark))
			continue;
		addrs[i] = addrs[kept]; /* none of them is lost */
		addrs[kept++] = a;
	}
	return kept ? kept : count;
}

static void say_found(const struct lookup *l)
{
	struct str text = { 0 };
	char one[ADDR_TEXT_MAX];

	for (size_t i = 0; i < l->count; i++)
		str_addf(&text, i ? ", %s" : "%s",
			 addr_format_ip(&l->addrs[i], one));
	log_info("upstream %s: %s is %s", upstream_of(l)->name,
		 upstream_of(l)->to_name, str_get(&text));
	str_done(&text);
}

/* Takes addrs[0..count), in any order; count > 0. */
static void found(struct lookup *l, struct addr *addrs, size_t count)
{
	size_t bytes;
	bool is_new;

	count = keep_reachable(addrs, count, l->resolver->mark);
	/* servers give them in another order each time */
	qsort(addrs, count, sizeof(*addrs), compare_addrs);
	bytes = count * sizeof(*addrs);
	is_new = count != l->count || memcmp(addrs, l->addrs, bytes);
	if (is_new) {
		memcpy(l->addrs, addrs, bytes);
		l->count = count;
		board_set_addresses(l->resolver->board, l->upstream, l->addrs,
				    count);
	}
	if (is_new || l->retry_ms)
		say_found(l);
	l->retry_ms = 0;
}

static void not_found(struct lookup *l, const char *why)
{
	if (!l->retry_ms)
		log_warning("upstream %s: cannot look %s up: %s; %s",
			    upstream_of(l)->name, upstream_of(l)->to_name, why,
			    l->count ? "its last addresses stay in use"
				     : "flows through it fail until it is "
				       "found");
	if (!l->retry_ms)
		l->retry_ms = RESOLVER_RETRY_MS;
	else if (l->retry_ms < RESOLVER_RETRY_MAX_MS / 2)
		l->retry_ms *= 2;
	else
		l->retry_ms = RESOLVER_RETRY_MAX_MS;
	l->due_ms = clock_ms() + l->retry_ms;
}

static uint32_t clamp_ttl(int64_t ttl_s)
{
	if (ttl_s < RESOLVER_TTL_MIN_S)
		return RESOLVER_TTL_MIN_S;
	return ttl_s < RESOLVER_TTL_MAX_S ? (uint32_t)ttl_s
					  : RESOLVER_TTL_MAX_S;
}

static void on_answer(void *arg, int status, int timeouts,
		      struct ares_addrinfo *answer)
{
	struct addr addrs[BOARD_ADDRS_MAX];
	const struct ares_addrinfo_node *n;
	struct lookup *l = arg;
	int64_t ttl_s = INT64_MAX;
	size_t count = 0;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return; /* resolver_free() */
	l->is_asked = false;
	n = status == ARES_SUCCESS ? answer->nodes : NULL;
	for (; n && count < BOARD_ADDRS_MAX; n = n->ai_next) {
		addr_from_sockaddr(n->ai_addr, &addrs[count]);
		addrs[count].port = upstream_of(l)->to.port;
		count += addrs[count].family != 0;
		ttl_s = n->ai_ttl < ttl_s ? n->ai_ttl : ttl_s;
	}
	if (count) {
		found(l, addrs, count);
		l->due_ms = clock_ms() + clamp_ttl(ttl_s) * 1000ull;
	} else {
		not_found(l, ares_strerror(status == ARES_SUCCESS ? ARES_ENODATA
								  : status));
	}
	ares_freeaddrinfo(answer);
}

/* --- /etc/hosts ---------------------------------------------------------- */

static void add_from_hosts(struct lookup *l, int family, struct addr *addrs,
			   size_t *count)
{
	struct hostent *h = NULL;

	if (ares_gethostbyname_file(l->resolver->channel,
				    upstream_of(l)->to_name, family,
				    &h) != ARES_SUCCESS)
		return;
	for (char **ip = h->h_addr_list; *ip && *count < BOARD_ADDRS_MAX;
	     ip++) {
		struct addr *a = &addrs[(*count)++];

		*a = (struct addr){ .family = (uint16_t)family,
				    .port = upstream_of(l)->to.port };
		memcpy(a->ip, *ip, addr_ip_len(a));
	}
	ares_free_hostent(h);
}

/* What stands there needs no question: whoever changes the file begins this
 * process anew. */
static void look_into_hosts(struct lookup *l)
{
	struct addr addrs[BOARD_ADDRS_MAX];
	size_t count = 0;

	add_from_hosts(l, AF_INET, addrs, &count);
	add_from_hosts(l, AF_INET6, addrs, &count);
	if (!count)
		return;
	found(l, addrs, count);
	l->due_ms = never;
}

/* What a resolver before us has found need not be said again. */
static void recall(struct lookup *l)
{
	const struct resolver *r = l->resolver;
	struct addr a;

	for (uint32_t pick = 0; pick < BOARD_ADDRS_MAX; pick++) {
		bool is_there = false;

		if (!board_address(r->board, r->config, l->upstream, pick, &a))
			return;
		for (size_t i = 0; i < l->count; i++)
			is_there |= addr_equal(&l->addrs[i], &a);
		if (!is_there)
			l->addrs[l->count++] = a;
	}
	qsort(l->addrs, l->count, sizeof(a), compare_addrs);
}

/* --- life ---------------------------------------------------------------- */

static bool has_name(const struct upstream *u)
{
	return u->has_to && u->to_name;
}

static size_t count_names(const struct config *c)
{
	size_t count = 0;

	for (size_t i = 0; i < c->upstream_count; i++)
		count += has_name(&c->upstreams[i]);
	return count;
}

bool resolver_is_needed(const struct config *c)
{
	return count_names(c) != 0;
}

/* Without its mark a question could be intercepted, and come back to us. */
static int mark_socket(ares_socket_t fd, int type, void *ctx)
{
	struct resolver *r = ctx;

	(void)type;
	if (!r->mark)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_MARK, &r->mark, sizeof(r->mark));
}

static int open_channel(struct resolver *r, struct err *e)
{
	char dns_alone[] = "b";
	struct ares_options o = {
		.flags = ARES_FLAG_NOALIASES,
		.ndomains = 0, /* ARES_FLAG_NOSEARCH does not do it */
		.timeout = ANSWER_WAIT_MS,
		.tries = TRIES,
		.lookups = dns_alone,
	};
	int status = ares_library_init(ARES_LIB_INIT_ALL);

	if (status == ARES_SUCCESS)
		status = ares_init_options(
			&r->channel, &o,
			ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
				ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS);
	if (status != ARES_SUCCESS)
		return err_set(e, EIO, "cannot begin to look names up: %s",
			       ares_strerror(status));
	ares_set_socket_configure_callback(r->channel, mark_socket, r);
	return 0;
}

int resolver_new(const struct config *c, struct board *b, uint32_t mark,
		 struct resolver **out, struct err *e)
{
	size_t count = count_names(c);
	struct resolver *r =
		calloc(1, sizeof(*r) + count * sizeof(r->lookups[0]));
	int error;

	if (!r)
		return err_set(e, ENOMEM, "no memory to look names up");
	r->config = c;
	r->board = b;
	r->mark = mark;
	error = open_channel(r, e);
	if (error < 0) {
		free(r);
		return error;
	}
	for (size_t i = 0; i < c->upstream_count; i++)
		if (has_name(&c->upstreams[i])) {
			struct lookup *l = &r->lookups[r->count++];

			*l = (struct lookup){ .resolver = r, .upstream = i };
			recall(l);
			look_into_hosts(l);
		}
	*out = r;
	return 0;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	ares_destroy(r->channel);
	free(r);
}

/* --- asking -------------------------------------------------------------- */

void resolver_ask(struct resolver *r, uint64_t now_ms)
{
	/* Sorting would make sockets of its own, without the mark. */
	static const struct ares_addrinfo_hints hints = {
		.ai_family = AF_UNSPEC,
		.ai_flags = ARES_AI_NOSORT,
	};

	for (size_t i = 0; i < r->count; i++) {
		struct lookup *l = &r->lookups[i];

		if (l->is_asked || l->due_ms > now_ms)
			continue;
		l->is_asked = true; /* the answer may come at once */
		ares_getaddrinfo(r->channel, upstream_of(l)->to_name, NULL,
				 &hints, on_answer, l);
	}
}

int resolver_wait_ms(const struct resolver *r, uint64_t now_ms)
{
	uint64_t first = never;

	for (size_t i = 0; i < r->count; i++)
		if (!r->lookups[i].is_asked && r->lookups[i].due_ms < first)
			first = r->lookups[i].due_ms;
	if (first == never)
		return -1;
	if (first <= now_ms)
		return 0;
	return first - now_ms < INT_MAX ? (int)(first - now_ms) : INT_MAX;
}

/* Not beyond the moment at which c-ares gives a server up. */
static int shorten(ares_channel channel, int wait_ms)
{
	struct timeval tv;

	if (!ares_timeout(channel, NULL, &tv))
		return wait_ms;
	if (wait_ms >= 0 && wait_ms / 1000 < tv.tv_sec)
		return wait_ms;
	tv.tv_sec = tv.tv_sec < 60 ? tv.tv_sec : 60;
	tv.tv_usec += 1000; /* not too early: it would be a busy loop */
	wait_ms = wait_ms < 0 ? INT_MAX : wait_ms;
	if (tv.tv_sec * 1000 + tv.tv_usec / 1000 < wait_ms)
		return (int)(tv.tv_sec * 1000 + tv.tv_usec / 1000);
	return wait_ms;
}

static void take(ares_channel channel, const struct pollfd *p)
{
	bool can_read = p->revents & (POLLIN | POLLERR | POLLHUP);
	bool can_write = p->revents & POLLOUT;

	if (p->revents)
		ares_process_fd(channel, can_read ? p->fd : ARES_SOCKET_BAD,
				can_write ? p->fd : ARES_SOCKET_BAD);
}

bool resolver_serve(struct resolver *r, int channel_fd, int wait_ms)
{
	struct pollfd p[1 + ARES_GETSOCK_MAXNUM] = {
		{ .fd = channel_fd, .events = POLLIN },
	};
	ares_socket_t fds[ARES_GETSOCK_MAXNUM];
	int bits = ares_getsock(r->channel, fds, ARES_GETSOCK_MAXNUM);
	int n = 0;

	for (; n < ARES_GETSOCK_MAXNUM; n++) {
		bool is_read = ARES_GETSOCK_READABLE(bits, n);
		bool is_written = ARES_GETSOCK_WRITABLE(bits, n);

		if (!is_read && !is_written)
			break;
		p[1 + n].fd = fds[n];
		p[1 + n].events = (short)((is_read ? POLLIN : 0) |
					  (is_written ? POLLOUT : 0));
	}
	if (poll(p, 1 + (nfds_t)n, shorten(r->channel, wait_ms)) < 0)
		return errno == EINTR;
	if (p[0].revents)
		return false;
	for (int i = 0; i < n; i++)
		take(r->channel, &p[1 + i]);
	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	return true;
}

void resolver_run(struct resolver *r, int channel_fd)
{
	do
		resolver_ask(r, clock_ms());
	while (resolver_serve(r, channel_fd, resolver_wait_ms(r, clock_ms())));
}
