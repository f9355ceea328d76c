/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * host.h - what this host itself sends: `from host`.
 *
 *	socket -> routing -> eth0 egress (here) -> lo ingress (here) -> listener
 *
 * A packet is taken where it is about to leave, so its source address and all
 * else about it are what they would be without us.  It gets the host's mark
 * and is put on lo, as if it had come from there; policy routing has a rule
 * for that mark, and `in_host` on lo gives it to the listener.
 *
 * Only what this host begins is taken: a connection by its SYN, and then all
 * of it; a datagram unless it answers one that came in.  Own packets carry
 * waylay's mark and never get here.
 */
#ifndef WL_BPF_HOST_H
#define WL_BPF_HOST_H

#include "tproxy.h"

/* verifier: too large for the stack */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wl_bits);
} sender_scratch SEC(".maps");

/* --- who sends it -------------------------------------------------------- */

static __always_inline void allow_only(struct wl_bits *bits,
				       const struct wl_bits *other)
{
	for (__u32 i = 0; i < WL_BITS_WORDS && i < words; i++)
		bits->word[i] &= other->word[i];
}

/* The selections that do not except the user or a cgroup of the sender. */
static __always_inline const struct wl_bits *sender_of(struct __sk_buff *skb)
{
	__u32 zero = 0, uid = bpf_get_socket_uid(skb);
	struct wl_bits *bits = bpf_map_lookup_elem(&sender_scratch, &zero);
	const struct wl_bits *user = bpf_map_lookup_elem(&users, &uid);
	const struct wl_cgroup *group;

	if (!bits)
		return 0;
	__builtin_memset(bits, 0xff, sizeof(*bits));
	if (user)
		allow_only(bits, user);
	for (__u32 i = 0; i < WL_CGROUPS_MAX && i < cgroup_count; i++) {
		__u32 at = i;

		group = bpf_map_lookup_elem(&cgroups, &at);
		if (group && bpf_skb_ancestor_cgroup_id(
				     skb, (int)group->level) == group->id)
			allow_only(bits, &group->bits);
	}
	return bits;
}

/* --- on the way out ------------------------------------------------------ */

/* Put a packet on lo as if it came from there: with a link header of lo's,
 * whose address is zero. */
static __always_inline int divert(struct __sk_buff *skb, __u32 link_bytes)
{
	struct ethhdr head = { .h_proto = (__u16)skb->protocol };

	if (!link_bytes && bpf_skb_change_head(skb, ETH_HLEN, 0))
		return drop(WL_COUNT_dropped_no_answer);
	if (bpf_skb_store_bytes(skb, 0, &head, sizeof(head), 0))
		return drop(WL_COUNT_dropped_no_answer);
	skb->mark |= mark_mask;
	count(WL_COUNT_taken_host);
	return (int)bpf_redirect(WL_HOST_IFINDEX, BPF_F_INGRESS);
}

static __always_inline bool is_hosted(const struct packet *p)
{
	struct wl_flow key;

	flow_fill(p, false, &key);
	return bpf_map_lookup_elem(&hosted, &key);
}

static __always_inline bool note_hosted(const struct packet *p, __u32 selection)
{
	struct wl_flow key;

	flow_fill(p, false, &key);
	return !bpf_map_update_elem(&hosted, &key, &selection, BPF_ANY);
}

/* What was true of the connection with these ports before is not of this. */
static __always_inline void forget_hosted(const struct packet *p)
{
	struct wl_flow key;

	flow_fill(p, false, &key);
	(void)bpf_map_delete_elem(&hosted, &key); /* mostly there is none */
}

/* Does anybody listen?  Asked here, where passing is still possible. */
static __always_inline bool has_listener(struct __sk_buff *skb,
					 const struct packet *p, __u8 proto,
					 __u32 selection)
{
	const struct wl_selection *target =
		bpf_map_lookup_elem(&selections, &selection);
	struct bpf_sock *sk;
	__u32 index;

	if (!target)
		return false;
	if (target->action == WL_DELIVER) {
		sk = find_delivery(skb, p, proto, WL_HOST_IFINDEX, target);
		if (sk)
			bpf_sk_release(sk);
		return sk;
	}
	index = wl_listener_index(target->intercept, proto == IPPROTO_UDP,
				  p->family);
	sk = bpf_map_lookup_elem(&listeners, &index);
	if (sk)
		bpf_sk_release(sk);
	return sk;
}

__noinline int host_has_tcp(struct __sk_buff *skb, const struct packet *p,
			    __u32 selection)
{
	return p && has_listener(skb, p, IPPROTO_TCP, selection);
}

__noinline int host_has_udp(struct __sk_buff *skb, const struct packet *p,
			    __u32 selection)
{
	return p && has_listener(skb, p, IPPROTO_UDP, selection);
}

/* A socket that is bound to an interface would not get its answers by lo. */
static __always_inline bool is_bound(struct __sk_buff *skb)
{
	return skb->sk && skb->sk->bound_dev_if;
}

static __always_inline int host_take(struct __sk_buff *skb,
				     const struct packet *p, __u32 link_bytes,
				     __u32 selection)
{
	int has = p->proto == IPPROTO_TCP ? host_has_tcp(skb, p, selection)
					  : host_has_udp(skb, p, selection);

	if (!has || is_bound(skb) || !note_hosted(p, selection))
		return no_listener();
	return divert(skb, link_bytes);
}

/* The answer goes back up where the packet came down. */
static __always_inline int host_refuse(struct __sk_buff *skb,
				       const struct packet *p, __u32 link_bytes)
{
	return refuse(skb, p, link_bytes, BPF_F_INGRESS);
}

static __always_inline int host_new(struct __sk_buff *skb,
				    const struct packet *p, __u32 link_bytes)
{
	const struct wl_bits *sender = sender_of(skb);
	struct decision d;

	if (!sender)
		return NEXT;
	decide(p, WL_HOST_IFINDEX, sender, &d);
	switch (d.action) {
	case WL_PASS:
		return NEXT;
	case WL_DROP:
		return drop(WL_COUNT_dropped_rule);
	case WL_REJECT:
		return host_refuse(skb, p, link_bytes);
	case WL_RELAY:
	case WL_DELIVER:
		break;
	}
	return host_take(skb, p, link_bytes, d.selection);
}

/* A packet that this host made, about to leave by a real interface. */
static __always_inline int host_out(struct __sk_buff *skb,
				    const struct packet *p, __u32 link_bytes)
{
	__u32 fate;
	int verdict;

	if (packet_is_later_fragment(p)) {
		fate = fragment_fate(p, false);
		if (fate == FATE_DROP)
			return drop(WL_COUNT_dropped_rule);
		return fate == FATE_STAY ? divert(skb, link_bytes) : NEXT;
	}
	if (p->proto == IPPROTO_TCP && !packet_is_syn(p))
		return is_hosted(p) ? divert(skb, link_bytes) : NEXT;
	if (p->proto == IPPROTO_UDP && is_inbound(p))
		return NEXT;
	verdict = host_new(skb, p, link_bytes);
	if (verdict == NEXT)
		forget_hosted(p);
	return fragment_settle(skb, p, verdict);
}

/* --- on lo --------------------------------------------------------------- */

/* A connection of its own is found by the kernel; else the listener. */
static __always_inline int host_in(struct __sk_buff *skb,
				   const struct packet *p)
{
	bool is_tcp = p->proto == IPPROTO_TCP;
	enum socket_kind kind = is_tcp ? match_tcp(skb, p, MATCH_LOOK)
				       : match_udp(skb, p, MATCH_LOOK);
	struct wl_flow key;
	__u32 *selection;

	if (kind == SOCKET_FULL || kind == SOCKET_REQUEST ||
	    (kind == SOCKET_TIME_WAIT && !packet_is_syn(p)))
		return NEXT;
	flow_fill(p, false, &key);
	selection = bpf_map_lookup_elem(&hosted, &key);
	if (!selection)
		return NEXT;
	return is_tcp ? take_tcp(skb, p, WL_HOST_IFINDEX, *selection,
				 kind == SOCKET_TIME_WAIT)
		      : take_udp(skb, p, WL_HOST_IFINDEX, *selection);
}

#endif
