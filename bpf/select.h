/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * select.h - what the configuration says about a packet without a socket.
 *
 * The look-ups of match.h in the maps of this generation, and before its
 * answer is believed, what no configuration can change: special addresses,
 * this host's own, and connections that were begun from outside.  These come
 * after the selection although they are stronger, since most packets on a
 * router are selected by nothing and need not be asked more.
 */
#ifndef WL_BPF_SELECT_H
#define WL_BPF_SELECT_H

#include "interval.h"
#include "match.h"
#include "parse.h"
#include "state.h"

struct decision {
	enum wl_action action;
	enum wl_counter cause; /* of WL_PASS */
	__u32 selection;       /* index; not of WL_PASS */
	__u32 is_certain;      /* a later fragment: its datagram will agree */
};

/* --- the four dimensions ------------------------------------------------- */

static __always_inline __u32 class_of6(void *trie, const __u32 address[4],
				       __u32 outside)
{
	struct wl_prefix6 key = { .length = 128 };
	__u32 *class;

	__builtin_memcpy(key.ip, address, sizeof(key.ip));
	class = bpf_map_lookup_elem(trie, &key);
	return class ? *class : outside;
}

/* verifier: global functions are walked once, not for each way to them. */
__noinline int class_of_src4(__u32 address)
{
	return (int)interval_class(&index4_src, &intervals4_src, address);
}

__noinline int class_of_dst4(__u32 address)
{
	return (int)interval_class(&index4_dst, &intervals4_dst, address);
}

static __always_inline __u32 class_of_src(const struct packet *p)
{
	return p->family ? class_of6(&src6, p->src, src6_outside)
			 : (__u32)class_of_src4(p->src[0]);
}

static __always_inline __u32 class_of_dst(const struct packet *p)
{
	return p->family ? class_of6(&dst6, p->dst, dst6_outside)
			 : (__u32)class_of_dst4(p->dst[0]);
}

static __always_inline const struct wl_bits *bits_of(__u32 class)
{
	return bpf_map_lookup_elem(&classes, &class);
}

static __always_inline const struct wl_bits *match_port(const struct packet *p)
{
	__u32 is_udp = p->proto == IPPROTO_UDP;
	__u32 at = packet_be16(p->dport) + is_udp * WL_PORTS;

	if (packet_is_later_fragment(p))
		return bits_of(some_port[is_udp & 1]);
	return bits_of(port_class[at & (WL_PROTOS * WL_PORTS - 1)]);
}

/* Most packets on a router are of no interface and port that are selected; the
 * addresses, where many prefixes cost cache misses, are for the others. */
static __always_inline int select_first(const struct packet *p,
					const struct wl_interface *link,
					const struct wl_bits *sender)
{
	const struct wl_bits *port = match_port(p), *src, *dst;

	if (!port)
		return MATCH_NONE;
	const struct wl_bits *const cheap[] = { &link->bits, port };

	if (match_first(cheap, 2, words) == MATCH_NONE)
		return MATCH_NONE;
	src = bits_of(class_of_src(p));
	dst = bits_of(class_of_dst(p));
	if (!src || !dst)
		return MATCH_NONE;
	const struct wl_bits *const dims[] = { &link->bits, src, dst, port,
					       sender };

	return match_first(dims, 5, words);
}

/* --- what no configuration can change ------------------------------------ */

static __always_inline bool is_special4(__u32 address, bool is_dst)
{
	__u32 ip = bpf_ntohl(address);
	__u32 net = ip >> 24;

	return net == 0 || net == 127 || (ip >> 28) == 0xe ||
	       ip == 0xffffffff || (is_dst && (ip >> 16) == 0xa9fe);
}

static __always_inline bool is_special6(const __u32 ip[4], bool is_dst)
{
	__u32 head = bpf_ntohl(ip[0]);

	if (!(ip[0] | ip[1])) /* ::, ::1, ::ffff:0:0/96 */
		return !ip[2] ? !ip[3] || ip[3] == bpf_htonl(1)
			      : ip[2] == bpf_htonl(0xffff);
	return (head >> 24) == 0xff || (is_dst && (head >> 22) == 0x3fa);
}

static __always_inline bool is_special(const struct packet *p)
{
	if (p->family)
		return is_special6(p->src, false) || is_special6(p->dst, true);
	return is_special4(p->src[0], false) || is_special4(p->dst[0], true);
}

static __always_inline bool is_local(const struct packet *p,
				     const __u32 address[4])
{
	struct wl_prefix4 key = { .length = 32 };

	if (p->family)
		return class_of6(&local6, address, 0);
	__builtin_memcpy(key.ip, address, sizeof(key.ip));
	return bpf_map_lookup_elem(&local4, &key);
}

static __always_inline void flow_fill(const struct packet *p, bool is_turned,
				      struct wl_flow *f)
{
	__builtin_memset(f, 0, sizeof(*f));
	__builtin_memcpy(f->src, is_turned ? p->dst : p->src, sizeof(f->src));
	__builtin_memcpy(f->dst, is_turned ? p->src : p->dst, sizeof(f->dst));
	f->sport = is_turned ? p->dport : p->sport;
	f->dport = is_turned ? p->sport : p->dport;
	f->proto = p->proto;
	f->family = p->family;
}

/* --- begun from outside -------------------------------------------------- */

#define SECONDS(n) ((n)*1000000000ull)

/* A SYN goes out to where clients are, or a datagram has come to this host:
 * what answers it is not begun by who answers. */
static __always_inline void note_inbound(const struct packet *p)
{
	struct wl_inbound value = { .seen_ns = bpf_ktime_get_ns() };
	struct wl_flow key;

	flow_fill(p, true, &key);
	if (bpf_map_update_elem(&inbound, &key, &value, BPF_ANY) == 0)
		count(WL_COUNT_noted_inbound);
}

/* Ten seconds for the first answer, so that a flood of SYN does not last;
 * then as long as a silent connection may live (RFC 5382, REQ-5), or a silent
 * exchange of datagrams (RFC 4787, REQ-5). */
static __always_inline __u64 inbound_limit_ns(const struct packet *p,
					      const struct wl_inbound *v)
{
	if (p->proto == IPPROTO_UDP)
		return SECONDS(300);
	return v->is_answered ? SECONDS(7500) : SECONDS(10);
}

static __always_inline bool is_inbound(const struct packet *p)
{
	__u64 now = bpf_ktime_get_ns();
	struct wl_inbound *value;
	struct wl_flow key;

	flow_fill(p, false, &key);
	value = bpf_map_lookup_elem(&inbound, &key);
	if (!value || now - value->seen_ns > inbound_limit_ns(p, value))
		return false;
	value->seen_ns = now;
	value->is_answered = 1;
	return true;
}

/* --- the decision -------------------------------------------------------- */

static __always_inline void hit(__u32 selection)
{
	__u64 *n = bpf_map_lookup_elem(&hits, &selection);

	if (n)
		++*n;
}

/* Does a selection that a later fragment may have got hold for any port? */
static __always_inline bool has_any_port(const struct packet *p,
					 const struct wl_selection *s)
{
	return s->has_any_port & (p->proto == IPPROTO_UDP ? 2 : 1);
}

/* `ifindex`: where the packet came in, WL_HOST_IFINDEX if this host sends it;
 * `sender`: what is allowed to who sends it, only for the host.
 * verifier: a global function is walked once, not for each of its callers. */
__noinline int decide(const struct packet *p, __u32 ifindex,
		      const struct wl_bits *sender, struct decision *d)
{
	bool is_host = ifindex == WL_HOST_IFINDEX;
	const struct wl_selection *target;
	const struct wl_interface *link;
	__u32 at;
	int first;

	if (!p || !d) /* verifier: it knows no caller */
		return 0;
	*d = (struct decision){ .action = WL_PASS,
				.cause = WL_COUNT_passed_no_intercept,
				.is_certain = true };
	link = bpf_map_lookup_elem(&interfaces, &ifindex);
	if (!link)
		return 0;
	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP) {
		d->is_certain = false; /* a later fragment: who knows */
		return 0;
	}
	first = select_first(p, link, sender ? sender : &link->bits);
	if (first < 0)
		return 0;
	at = d->selection = first;
	target = bpf_map_lookup_elem(&selections, &at);
	if (!target)
		return 0;
	if (is_special(p)) {
		d->cause = WL_COUNT_passed_special;
	} else if (is_local(p, p->dst) || (!is_host && is_local(p, p->src))) {
		d->cause = WL_COUNT_passed_local;
	} else if (p->proto == IPPROTO_TCP && !packet_is_syn(p) && !is_host &&
		   !packet_is_later_fragment(p) && is_inbound(p)) {
		d->cause = WL_COUNT_passed_inbound;
	} else {
		hit(at);
		d->action = target->action;
		d->cause = WL_COUNT_passed_direct;
		d->is_certain =
			!packet_is_later_fragment(p) || has_any_port(p, target);
	}
	return 0;
}

#endif
