/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_config_test.h - configurations and packets that meet often.
 *
 * Addresses are drawn from few bytes, so that prefixes nest, touch and are
 * drawn twice, and packets stand at their edges.  None of the addresses is
 * special (policy/eval.h).  The caller includes cmocka.h before.
 */
#ifndef WL_ENGINE_RANDOM_CONFIG_TEST_H
#define WL_ENGINE_RANDOM_CONFIG_TEST_H

#include "base/random_test.h"
#include "base/str.h"
#include "engine/select.h"
#include "policy/eval.h"
#include "policy/policy.h"

static inline bool rnd_chance(struct rnd *r, unsigned one_in)
{
	return rnd_draw(r, one_in) == 0;
}

static inline const char *rnd_pick(struct rnd *r, const char *const *from,
				   unsigned count)
{
	return from[rnd_draw(r, count)];
}

/* --- addresses ----------------------------------------------------------- */

static inline void rnd_addr(struct rnd *r, int family, struct addr *out)
{
	static const uint8_t heads[] = { 10, 11, 138 };
	static const uint8_t bytes[] = { 0, 1, 128, 255 };
	static const uint8_t site[] = { 0x20, 0x01, 0x0d, 0xb8 };

	*out = (struct addr){ .family = (uint16_t)family };
	for (size_t i = 0; i < addr_ip_len(out); i++)
		out->ip[i] = bytes[rnd_draw(r, 4)];
	if (family == AF_INET)
		out->ip[0] = heads[rnd_draw(r, 3)];
	for (size_t i = 0; family == AF_INET6 && i < sizeof(site); i++)
		out->ip[i] = site[i];
}

static inline void rnd_prefix(struct rnd *r, int family, struct prefix *out)
{
	static const uint8_t lengths[2][8] = {
		{ 0, 7, 8, 9, 16, 24, 31, 32 },
		{ 0, 32, 33, 40, 48, 56, 127, 128 },
	};

	*out = (struct prefix){
		.len = lengths[family == AF_INET6][rnd_draw(r, 8)]
	};
	rnd_addr(r, family, &out->net);
	for (unsigned bit = out->len; bit < 8 * addr_ip_len(&out->net); bit++)
		out->net.ip[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static inline int rnd_family(struct rnd *r)
{
	return rnd_chance(r, 2) ? AF_INET : AF_INET6;
}

/* --- a text -------------------------------------------------------------- */

static inline void rnd_put_nets(struct rnd *r, struct str *out)
{
	if (rnd_chance(r, 5)) { /* sets of equal content */
		str_add(out, "10.0.0.0/8, 10.1.0.0/16, 2001:db8::/33 ");
		return;
	}
	for (unsigned i = 1 + rnd_draw(r, 4); i > 0; i--) {
		char text[ADDR_TEXT_MAX];
		struct prefix p;

		rnd_prefix(r, rnd_family(r), &p);
		str_addf(out, "%s%s", prefix_format(&p, text),
			 i > 1 ? ", " : " ");
	}
}

static inline const char *rnd_ports(struct rnd *r)
{
	static const char *const ports[] = {
		"any",	     "1-65535",	  "1-80",     "80",   "80-443",
		"1, 3, 5-7", "443-65535", "60-65535", "65535"
	};

	return rnd_pick(r, ports, sizeof(ports) / sizeof(ports[0]));
}

static inline void rnd_put_intercept(struct rnd *r, unsigned index,
				     struct str *out)
{
	static const char *const links[] = { "eth0", "eth1", "eth*", "*",
					     "host" };
	static const char *const listeners[] = { "127.0.0.1:7", "[::1]:7",
						 "*:8" };
	unsigned protos = 1 + rnd_draw(r, 3);

	str_addf(out, "intercept i%u {\n", index);
	if (rnd_chance(r, 8)) { /* which is no business of the kernel's */
		str_addf(out, "listen 192.0.2.1:%u\nproxy-protocol from ",
			 9000 + index);
		rnd_put_nets(r, out);
		str_add(out, "\n}\n");
		return;
	}
	str_addf(out, "from %s\n", rnd_pick(r, links, 5));
	str_addf(out, "tcp %s\n", protos & 1 ? rnd_ports(r) : "off");
	str_addf(out, "udp %s\n", protos & 2 ? rnd_ports(r) : "off");
	for (unsigned i = rnd_draw(r, 3); i > 0; i--) {
		str_addf(out, "except %s ", i == 1 ? "src" : "dst");
		rnd_put_nets(r, out);
		str_add(out, "\n");
	}
	if (rnd_chance(r, 4))
		str_addf(out, "except port 80, %u\n", 1 + rnd_draw(r, 5));
	if (rnd_chance(r, 4))
		str_addf(out, "deliver %s\n", rnd_pick(r, listeners, 3));
	str_add(out, "}\n");
}

static inline void rnd_put_rule(struct rnd *r, unsigned intercepts,
				struct str *out)
{
	static const char *const targets[] = { "out", "direct", "direct log",
					       "drop", "reject" };
	/* The last two have names, so that the kernel takes every address. */
	static const char *const lists[] = { "l0", "empty", "named", "both" };
	bool has_dst = !rnd_chance(r, 3);

	if (rnd_chance(r, 4))
		str_addf(out, "intercept i%u ", rnd_draw(r, intercepts));
	if (rnd_chance(r, 8))
		str_add(out, "quic ");
	else if (rnd_chance(r, 3))
		str_add(out, rnd_chance(r, 2) ? "tcp " : "udp ");
	if (rnd_chance(r, 2)) {
		str_add(out, "src ");
		rnd_put_nets(r, out);
	}
	if (has_dst && rnd_chance(r, 3)) {
		str_addf(out, "list %s ", rnd_pick(r, lists, 4));
	} else if (has_dst) {
		str_add(out, rnd_chance(r, 5) ? "domain a.b dst " : "dst ");
		rnd_put_nets(r, out);
	}
	if (!has_dst || rnd_chance(r, 3)) /* some condition is needed */
		str_addf(out, "port %s ", rnd_ports(r));
	str_addf(out, "-> %s\n", rnd_pick(r, targets, 5));
}

/* --- what tests ask for -------------------------------------------------- */

static inline struct config *config_of(const struct str *text)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse("test", str_get(text), text->len, &m);

	if (!c)
		fail_msg("%s%s", str_get(&m.text), str_get(text));
	messages_done(&m);
	return c;
}

/* `text` gets what was drawn. */
static inline struct config *rnd_config(struct rnd *r, unsigned intercepts,
					unsigned rules, struct str *text)
{
	str_reset(text);
	str_add(text, "list empty { }\nlist l0 { net ");
	rnd_put_nets(r, text);
	str_add(text, "}\nlist named { domain a.test }\n"
		      "list both { domain b.test; net 10.1.0.0/16 }\n"
		      "upstream out { via direct; source self }\n");
	for (unsigned i = 0; i < intercepts; i++)
		rnd_put_intercept(r, i, text);
	str_add(text, "rules {\n");
	for (unsigned i = 0; i < rules; i++)
		rnd_put_rule(r, intercepts, text);
	if (rnd_chance(r, 2))
		str_add(text, "default -> out\n");
	str_add(text, "}\n");
	return config_of(text);
}

static inline void rnd_facts(struct rnd *r, struct facts *out)
{
	static const char *const links[] = { "eth0", "eth1", "eth22", "wlan0",
					     NULL };
	static const uint16_t ports[] = { 1,  2,   3,	4,   5,	    7,	  8,
					  59, 79,  80,	81,  442,   443,  444,
					  60, 500, 600, 999, 65534, 65535 };
	int family = rnd_family(r);

	*out = (struct facts){ .ifname = rnd_pick(r, links, 5),
			       .proto = rnd_draw(r, PROTO_COUNT) };
	rnd_addr(r, family, &out->src);
	rnd_addr(r, family, &out->dst);
	out->dst.port = ports[rnd_draw(r, sizeof(ports) / sizeof(ports[0]))];
}

static inline bool selection_has(const struct config *c,
				 const struct selection *s,
				 const struct facts *f)
{
	return selection_has_link(c, s, f->ifname) &&
	       selection_has_family(c, s, f->dst.family) &&
	       selection_has_src(c, s, &f->src) &&
	       selection_has_dst(c, s, &f->dst) &&
	       selection_has_port(c, s, f->proto, f->dst.port);
}

/* The first that holds; selections.count: none. */
static inline size_t first_selection(const struct selections *all,
				     const struct facts *f)
{
	size_t i = 0;

	while (i < all->count && !selection_has(all->config, &all->of[i], f))
		i++;
	return i;
}

#endif
