/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_values.c - what conditions compare with; see import_model.h.
 *
 * iptables and nft write the same things in several ways: 80:90 and 80-90,
 * 10.0.0.0/8 and 10.0.0.0/255.0.0.0, http and 80.  All are read here.
 */
#include "cli/import_model.h"

#include "policy/set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 128, RANGE_PREFIXES_MAX = 256 };

/* --- numbers ------------------------------------------------------------- */

bool import_number(const char *text, uint32_t *out)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || *end || value > UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

bool import_number_mask(const char *text, uint32_t *value, uint32_t *mask)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char first[TEXT_MAX];
	uint32_t bits = UINT32_MAX;

	if (len >= sizeof(first))
		return false;
	memcpy(first, text, len);
	first[len] = '\0';
	if ((slash && !import_number(slash + 1, &bits)) ||
	    !import_number(first, value))
		return false;
	*mask = bits;
	return true;
}

/* --- elements ------------------------------------------------------------ */

struct import_values *import_values_new(struct import *im)
{
	return import_alloc(im, sizeof(struct import_values));
}

void import_values_add(struct import *im, struct import_values *v,
		       const char *text, uint32_t line)
{
	struct import_element *elements = import_grow(
		im, v->elements, v->count, &v->cap, sizeof(*elements));

	if (!elements)
		return;
	v->elements = elements;
	elements[v->count++] = (struct import_element){ text, line };
	v->has_nets = v->has_ports = false;
}

void import_values_split(struct import *im, struct import_values *v,
			 const char *text, uint32_t line)
{
	for (;;) {
		size_t len = strcspn(text, ",");

		if (len)
			import_values_add(im, v, import_keep(im, text, len),
					  line);
		if (!text[len])
			return;
		text += len + 1;
	}
}

/* --- networks ------------------------------------------------------------ */

static void add_net(struct import *im, struct net_set *set, size_t *cap,
		    const struct prefix *p)
{
	struct prefix *prefixes = import_grow(im, set->prefixes, set->count,
					      cap, sizeof(*prefixes));

	if (!prefixes)
		return;
	set->prefixes = prefixes;
	prefixes[set->count++] = *p;
}

static unsigned bits_of(const struct addr *a)
{
	return (unsigned)addr_ip_len(a) * 8;
}

static bool has_bit(const struct addr *a, unsigned bit)
{
	return a->ip[bit / 8] & 0x80u >> bit % 8;
}

/* Clear, or set, all bits from `len` on. */
static struct addr fill(struct addr a, unsigned len, bool is_set)
{
	for (unsigned bit = len; bit < bits_of(&a); bit++) {
		uint8_t one = (uint8_t)(0x80u >> bit % 8);

		if (is_set)
			a.ip[bit / 8] |= one;
		else
			a.ip[bit / 8] &= (uint8_t)~one;
	}
	return a;
}

/* 255.255.0.0 is 16; 33: the ones are not all in front. */
static unsigned mask_length(const struct addr *mask)
{
	unsigned len = 0;

	while (len < bits_of(mask) && has_bit(mask, len))
		len++;
	for (unsigned bit = len; bit < bits_of(mask); bit++) {
		if (has_bit(mask, bit))
			return 129;
	}
	return len;
}

/* "10.0.0.0/8", "10.0.0.0/255.0.0.0", "10.0.0.1"; bits behind the length are
 * left out, as both programs do. */
static bool parse_net(const char *text, struct prefix *out)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char ip[TEXT_MAX];
	struct prefix p = { 0 };
	struct addr mask;
	uint32_t bits;

	if (len >= sizeof(ip) || strchr(text, '%'))
		return false;
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (addr_parse_ip(ip, &p.net) < 0)
		return false;
	bits = bits_of(&p.net);
	if (slash && !import_number(slash + 1, &bits)) {
		if (addr_parse_ip(slash + 1, &mask) < 0 ||
		    mask.family != p.net.family)
			return false;
		bits = mask_length(&mask);
	}
	if (bits > bits_of(&p.net))
		return false;
	p.net = fill(p.net, bits, false);
	p.len = (uint8_t)bits;
	*out = p;
	return true;
}

/* a + 1; false: there is none. */
static bool next_address(struct addr *a)
{
	for (size_t i = addr_ip_len(a); i-- > 0;) {
		if (++a->ip[i])
			return true;
	}
	return false;
}

/* The largest network that begins at `first` and ends not behind `last`. */
static struct prefix largest_net(const struct addr *first,
				 const struct addr *last)
{
	unsigned len = bits_of(first);

	while (len > 0 && !has_bit(first, len - 1)) {
		struct addr end = fill(*first, len - 1, true);

		if (memcmp(end.ip, last->ip, sizeof(end.ip)) > 0)
			break;
		len--;
	}
	return (struct prefix){ .net = *first, .len = (uint8_t)len };
}

static bool add_range(struct import *im, struct net_set *set, size_t *cap,
		      const char *text)
{
	const char *dash = strchr(text, '-');
	struct prefix first, last;
	char low[TEXT_MAX];

	if (!dash || (size_t)(dash - text) >= sizeof(low))
		return false;
	memcpy(low, text, (size_t)(dash - text));
	low[dash - text] = '\0';
	if (!parse_net(low, &first) || !parse_net(dash + 1, &last) ||
	    first.net.family != last.net.family ||
	    memcmp(first.net.ip, last.net.ip, sizeof(first.net.ip)) > 0)
		return false;
	for (size_t i = 0; i < RANGE_PREFIXES_MAX; i++) {
		struct prefix p = largest_net(&first.net, &last.net);

		add_net(im, set, cap, &p);
		first.net = fill(p.net, p.len, true);
		if (addr_same_ip(&first.net, &last.net) ||
		    !next_address(&first.net))
			break;
	}
	return true;
}

const struct net_set *import_values_nets(struct import *im,
					 struct import_values *v)
{
	struct net_set set = { .count = 0 };
	size_t cap = 0;

	if (v->has_nets)
		return v->are_nets_bad ? NULL : &v->nets;
	v->has_nets = true;
	v->are_nets_bad = v->is_unread || (v->name && !v->is_defined);
	for (size_t i = 0; i < v->count && !v->are_nets_bad; i++) {
		const char *text = v->elements[i].text;
		struct prefix p;

		if (parse_net(text, &p))
			add_net(im, &set, &cap, &p);
		else
			v->are_nets_bad = !add_range(im, &set, &cap, text);
	}
	net_set_normalise(&set);
	v->nets = set;
	return v->are_nets_bad ? NULL : &v->nets;
}

/* --- what is not in a set ------------------------------------------------ */

struct complement {
	struct import *im;
	struct net_set out;
	size_t cap;
};

/* `nets`: those elements of the set that are inside of p. */
static void add_complement(struct complement *c, const struct prefix *p,
			   const struct prefix *nets, size_t count)
{
	struct prefix half = { .net = p->net, .len = (uint8_t)(p->len + 1) };
	size_t low = 0;

	if (!count) {
		add_net(c->im, &c->out, &c->cap, p);
		return;
	}
	if (nets[0].len == p->len)
		return;
	while (low < count && !has_bit(&nets[low].net, p->len))
		low++;
	add_complement(c, &half, nets, low);
	half.net.ip[p->len / 8] |= (uint8_t)(0x80u >> p->len % 8);
	add_complement(c, &half, nets + low, count - low);
}

struct net_set import_complement(struct import *im, enum import_family family,
				 const struct net_set *set)
{
	struct complement c = { .im = im };
	struct prefix all = { .net.family = family == FAMILY_V4 ? AF_INET
								: AF_INET6 };
	size_t first = 0, end;

	while (first < set->count &&
	       set->prefixes[first].net.family != all.net.family)
		first++;
	for (end = first; end < set->count; end++) {
		if (set->prefixes[end].net.family != all.net.family)
			break;
	}
	add_complement(&c, &all, set->prefixes + first, end - first);
	return c.out;
}

/* --- ports --------------------------------------------------------------- */

static const struct {
	const char *name;
	uint16_t port;
} services[] = {
	{ "domain", 53 },     { "ftp", 21 },	     { "http", 80 },
	{ "http-alt", 8080 }, { "https", 443 },	     { "imap", 143 },
	{ "imap2", 143 },     { "imaps", 993 },	     { "ntp", 123 },
	{ "pop3", 110 },      { "pop3s", 995 },	     { "smtp", 25 },
	{ "ssh", 22 },	      { "submission", 587 }, { "telnet", 23 },
	{ "webcache", 8080 },
};

static bool parse_port(const char *text, size_t len, uint32_t *out)
{
	char name[TEXT_MAX];

	if (!len || len >= sizeof(name))
		return false;
	memcpy(name, text, len);
	name[len] = '\0';
	if (import_number(name, out))
		return *out <= 65535;
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		if (strcmp(services[i].name, name) == 0) {
			*out = services[i].port;
			return true;
		}
	}
	return false;
}

/* "80", "80:90", "80-90", ":90", "80:"; false: none of these. */
static bool parse_ports(const char *text, struct port_range *out)
{
	size_t len = strcspn(text, ":");
	uint32_t first = 0, last = 65535;

	if (!text[len] && *text >= '0' && *text <= '9')
		len = strcspn(text, "-");
	if (len && !parse_port(text, len, &first))
		return false;
	if (!text[len])
		last = first;
	else if (text[len + 1] &&
		 !parse_port(text + len + 1, strlen(text + len + 1), &last))
		return false;
	if (first > last)
		return false;
	*out = (struct port_range){ (uint16_t)first, (uint16_t)last };
	return true;
}

static void fill_ports(struct import *im, struct import_values *v)
{
	struct port_set set = { .count = 0 };

	set.ranges = import_alloc(im, v->count * sizeof(*set.ranges));
	if (!set.ranges)
		return;
	for (size_t i = 0; i < v->count; i++) {
		struct port_range *r = &set.ranges[set.count];

		if (!parse_ports(v->elements[i].text, r)) {
			v->are_ports_bad = true;
			return;
		}
		if (!r->first)
			r->first = 1; /* port 0 is none */
		set.count += r->first <= r->last;
	}
	port_set_normalise(&set);
	v->ports = set;
}

const struct port_set *import_values_ports(struct import *im,
					   struct import_values *v)
{
	if (v->has_ports)
		return v->are_ports_bad ? NULL : &v->ports;
	v->has_ports = true;
	v->are_ports_bad = v->is_unread || (v->name && !v->is_defined);
	if (!v->are_ports_bad)
		fill_ports(im, v);
	return v->are_ports_bad ? NULL : &v->ports;
}

/* --- matches ------------------------------------------------------------- */

void import_match_add(struct import *im, struct import_match *m,
		      enum import_dim dim, bool is_negated,
		      struct import_values *v)
{
	struct import_term *t = import_alloc(im, sizeof(*t));

	if (!t || !v)
		return;
	*t = (struct import_term){ m->terms, dim, is_negated, v };
	m->terms = t;
}

void import_match_unknown(struct import_match *m, const char *reason)
{
	if (!m->unknown)
		m->unknown = reason;
}
