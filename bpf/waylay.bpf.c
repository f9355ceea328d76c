// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * waylay.bpf.c - the `socket` match and the TPROXY target, without netfilter.
 *
 *	in_ether, in_raw	TC ingress, of devices with and without a link
 *				header: socket match, selection, TPROXY
 *	out_ether, out_raw	TC egress: what must not leave; what was begun
 *				from outside; what this host sends (host.h)
 *	in_host			TC ingress of lo: what out_* has put there
 *	choose			sk_lookup: the listener of packets that could
 *				not carry it (tproxy.h)
 *
 * A packet that stays here only gets a mark and perhaps a socket; policy
 * routing brings it home (src/engine/routing.h).  All programs go on to the
 * next one on the hook, whatever they decide, unless they drop.
 *
 * Read packet.h, socket.h, select.h, tproxy.h and host.h, in this order.
 */
#include "host.h"
#include "known.h"
#include "parse.h"

enum { VLAN_ID_MASK = 0xfff };

/* --- ingress ------------------------------------------------------------- */

/* What of a packet's frame says that it is none of our business (yet): a
 * tagged one comes again on its VLAN device.  Tag 0 is only a priority. */
static __always_inline bool is_passing(struct __sk_buff *skb, int *verdict)
{
	if (skb->mark & mark_mask)
		*verdict = pass(WL_COUNT_passed_own);
	else if (skb->pkt_type != 0) /* PACKET_HOST */
		*verdict = pass(WL_COUNT_passed_not_ours);
	else if (skb->vlan_present && (skb->vlan_tci & VLAN_ID_MASK))
		*verdict = pass(WL_COUNT_passed_tagged);
	else
		return false;
	return true;
}

/* What cannot be told to be selected: a router would forward it. */
static __always_inline int unreadable(__u32 ifindex, enum wl_counter passed,
				      enum wl_counter dropped)
{
	if (is_closed && bpf_map_lookup_elem(&interfaces, &ifindex))
		return drop(dropped);
	return pass(passed);
}

static __always_inline int in(struct __sk_buff *skb, __u32 link_bytes)
{
	__u32 ifindex = skb->ifindex;
	struct packet p = {};
	__u64 number;
	int verdict;

	if (is_passing(skb, &verdict))
		return verdict;
	switch (parse(skb, link_bytes, &p)) {
	case PACKET_ICMP_ERROR:
		return handle_icmp(skb, &p);
	case PACKET_OTHER:
		return pass(WL_COUNT_passed_other);
	case PACKET_MALFORMED:
		return unreadable(ifindex, WL_COUNT_passed_malformed,
				  WL_COUNT_dropped_malformed);
	case PACKET_LONG_HEADERS:
		return unreadable(ifindex, WL_COUNT_passed_headers,
				  WL_COUNT_dropped_headers);
	case PACKET_FLOW:
		break;
	}
	if (packet_is_later_fragment(&p))
		return fragment_later(skb, &p, ifindex);
	number = known_number(&p);
	if (known_secret && is_knowable(&p) && is_known(number))
		return pass(WL_COUNT_passed_known);
	verdict = p.proto == IPPROTO_TCP
			  ? handle_tcp(skb, &p, ifindex, link_bytes)
			  : handle_udp(skb, &p, ifindex, link_bytes);
	if (known_secret)
		known_set(number, verdict == NEXT && is_knowable(&p) &&
					  !(skb->mark & mark_mask));
	return fragment_settle(skb, &p, verdict);
}

SEC("tc")
int in_ether(struct __sk_buff *skb)
{
	return in(skb, ETH_HLEN);
}

SEC("tc")
int in_raw(struct __sk_buff *skb)
{
	return in(skb, 0);
}

/* --- egress -------------------------------------------------------------- */

static __always_inline bool is_intercepted(__u32 ifindex)
{
	return bpf_map_lookup_elem(&interfaces, &ifindex);
}

static __always_inline int out(struct __sk_buff *skb, __u32 link_bytes)
{
	bool is_own = has_host && skb->sk; /* forwarded ones have none */
	struct packet p = {};
	bool is_watched;

	if ((skb->mark & mark_mask) == mark_value)
		return is_closed ? drop(WL_COUNT_dropped_marked) : NEXT;
	if (skb->mark & mark_mask)
		return NEXT;
	is_watched = is_intercepted(skb->ifindex);
	if ((!is_watched && !is_own) ||
	    parse(skb, link_bytes, &p) != PACKET_FLOW)
		return NEXT;
	if (is_watched && packet_is_syn(&p))
		note_inbound(&p);
	return is_own ? host_out(skb, &p, link_bytes) : NEXT;
}

SEC("tc")
int out_ether(struct __sk_buff *skb)
{
	return out(skb, ETH_HLEN);
}

SEC("tc")
int out_raw(struct __sk_buff *skb)
{
	return out(skb, 0);
}

/* --- lo ------------------------------------------------------------------ */

SEC("tc")
int in_host(struct __sk_buff *skb)
{
	struct packet p = {};

	if ((skb->mark & mark_mask) != mark_mask ||
	    parse(skb, ETH_HLEN, &p) != PACKET_FLOW ||
	    packet_is_later_fragment(&p))
		return NEXT;
	return host_in(skb, &p);
}

/* --- when the kernel looks for a listener -------------------------------- */

static __always_inline void lookup_key(const struct bpf_sk_lookup *c,
				       struct wl_flow *key)
{
	__builtin_memset(key, 0, sizeof(*key));
	if (c->family == 10 /* AF_INET6 */) {
		__u32 *src = (void *)key->src, *dst = (void *)key->dst;

		for (int i = 0; i < 4; i++) { /* verifier: word by word */
			src[i] = c->remote_ip6[i];
			dst[i] = c->local_ip6[i];
		}
		key->family = 1;
	} else {
		*(__u32 *)key->src = c->remote_ip4;
		*(__u32 *)key->dst = c->local_ip4;
	}
	key->sport = (__u16)c->remote_port;
	key->dport = packet_be16((__u16)c->local_port);
	key->proto = c->protocol;
}

SEC("sk_lookup")
int choose(struct bpf_sk_lookup *c)
{
	struct bpf_sock *listener;
	struct wl_flow key;
	__u32 *index;

	lookup_key(c, &key);
	index = bpf_map_lookup_elem(&expected, &key);
	if (!index)
		return SK_PASS;
	listener = bpf_map_lookup_elem(&listeners, index);
	if (!listener)
		return SK_PASS;
	(void)bpf_sk_assign(c, listener, 0); /* else as without us */
	bpf_sk_release(listener);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
