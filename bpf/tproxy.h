/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tproxy.h - the TPROXY target: give a packet to a listener.
 *
 * A socket of the packet's own comes first, as xt_TPROXY and nft's tproxy have
 * it; then the listener, if it is transparent.  The packet carries the
 * listener with it (bpf_sk_assign) and so is lost, not forwarded, if policy
 * routing is gone.
 *
 * Three kinds of packets cannot carry it: a SYN for a connection in TIME_WAIT,
 * which only the kernel's own look-up may reopen (test_K01_time_wait.py);
 * fragments; and whatever the kernel refuses (listeners in a reuseport group
 * before Linux 6.6).  They are noted in `expected`, and when the kernel looks
 * for a listener, the program `choose` names it.
 */
#ifndef WL_BPF_TPROXY_H
#define WL_BPF_TPROXY_H

#include "fragment.h"
#include "reject.h"
#include "select.h"
#include "socket.h"

static __always_inline int no_listener(void)
{
	return is_closed ? drop(WL_COUNT_dropped_no_listener)
			 : pass(WL_COUNT_passed_no_listener);
}

/* --- the listener -------------------------------------------------------- */

static __always_inline bool is_zero(const __u8 ip[16])
{
	const __u32 *word = (const void *)ip;

	return !(word[0] | word[1] | word[2] | word[3]);
}

/* Another program's: at on-ip, else at the first address of the interface,
 * else at the packet's own destination; on-port or the packet's own. */
static __always_inline struct bpf_sock *find_delivery(
	struct __sk_buff *skb, const struct packet *p, __u8 proto,
	__u32 ifindex, const struct wl_selection *target)
{
	const struct wl_interface *link;
	__u16 port = packet_be16(target->on_port);
	struct bpf_sock *sk;
	__u32 to[4];

	__builtin_memcpy(to, target->on_ip, sizeof(to));
	if (is_zero(target->on_ip)) {
		link = bpf_map_lookup_elem(&interfaces, &ifindex);
		if (!link)
			return 0;
		__builtin_memcpy(to, link->primary[p->family & 1], sizeof(to));
		if (is_zero((const __u8 *)to))
			__builtin_memcpy(to, p->dst, sizeof(to));
	}
	sk = socket_find(skb, p, proto, to, port ? port : p->dport);
	if (!sk || is_transparent_listener(sk, proto))
		return sk;
	bpf_sk_release(sk);
	return 0;
}

/* --- handing over -------------------------------------------------------- */

/* Leave it to `choose`.  Another program's listener becomes known by that. */
static __always_inline bool expect(const struct packet *p,
				   const struct wl_selection *target,
				   struct bpf_sock *listener, __u32 index)
{
	struct wl_flow key;

	flow_fill(p, false, &key);
	if (target->action == WL_DELIVER &&
	    bpf_map_update_elem(&listeners, &index, listener, BPF_ANY))
		return false;
	if (bpf_map_update_elem(&expected, &key, &index, BPF_ANY))
		return false;
	count(WL_COUNT_noted_expected);
	return true;
}

static __always_inline bool assign(struct __sk_buff *skb, struct bpf_sock *sk)
{
	if (may_assign && bpf_sk_assign(skb, sk, 0) == 0)
		return true;
	count(WL_COUNT_noted_not_assigned);
	return false;
}

static __always_inline int give(struct __sk_buff *skb, const struct packet *p,
				const struct wl_selection *target,
				struct bpf_sock *listener, __u32 index,
				bool is_time_wait)
{
	bool is_given;

	if (!listener)
		return no_listener();
	if (is_time_wait)
		count(WL_COUNT_noted_time_wait);
	is_given = !is_time_wait && !p->is_fragment && assign(skb, listener);
	if (!is_given)
		is_given = expect(p, target, listener, index);
	bpf_sk_release(listener);
	if (!is_given)
		return no_listener();
	return stay(skb, p->proto == IPPROTO_UDP ? WL_COUNT_taken_udp
						 : WL_COUNT_taken_tcp);
}

static __always_inline int take(struct __sk_buff *skb, const struct packet *p,
				__u8 proto, __u32 ifindex, __u32 selection,
				bool is_time_wait)
{
	const struct wl_selection *target =
		bpf_map_lookup_elem(&selections, &selection);
	__u32 index;

	if (!target || !p) /* verifier: it knows no caller */
		return DROP;
	index = wl_listener_index(target->intercept, proto == IPPROTO_UDP,
				  p->family);
	if (target->action == WL_DELIVER)
		return give(skb, p, target,
			    find_delivery(skb, p, proto, ifindex, target),
			    index, is_time_wait);
	return give(skb, p, target, bpf_map_lookup_elem(&listeners, &index),
		    index, is_time_wait);
}

__noinline int take_tcp(struct __sk_buff *skb, const struct packet *p,
			__u32 ifindex, __u32 selection, __u32 is_time_wait)
{
	return take(skb, p, IPPROTO_TCP, ifindex, selection, is_time_wait);
}

__noinline int take_udp(struct __sk_buff *skb, const struct packet *p,
			__u32 ifindex, __u32 selection)
{
	return take(skb, p, IPPROTO_UDP, ifindex, selection, false);
}

/* --- the socket match ---------------------------------------------------- */

/* What is done with a packet whose own socket is found. */
enum {
	MATCH_LOOK = 0,	    /* nothing: only what there is is asked */
	MATCH_FULL = 1,	    /* --restore-skmark, of a full socket */
	MATCH_LISTENER = 2, /* the same, of one that listens */
	MATCH_GIVE = 4,	    /* a full one gets it; the kernel finds the others
			     * by itself, and this too by the mark alone */
};

static __always_inline void settle(struct __sk_buff *skb,
				   const struct packet *p, struct bpf_sock *sk,
				   enum socket_kind kind, __u32 what)
{
	struct bpf_sock *full = restore_mark ? bpf_sk_fullsock(sk) : 0;

	if (full && ((kind == SOCKET_FULL && (what & MATCH_FULL)) ||
		     (kind == SOCKET_LISTENER && (what & MATCH_LISTENER))))
		skb->mark = full->mark;
	if (kind == SOCKET_FULL && (what & MATCH_GIVE) && !p->is_fragment)
		(void)assign(skb, sk);
}

static __always_inline enum socket_kind match(struct __sk_buff *skb,
					      const struct packet *p,
					      __u8 proto, __u32 what)
{
	struct bpf_sock *sk = socket_find(skb, p, proto, p->dst, p->dport);
	enum socket_kind kind;

	if (!sk)
		return SOCKET_NONE;
	kind = socket_kind(sk, p, proto);
	settle(skb, p, sk, kind, what);
	bpf_sk_release(sk);
	return kind;
}

__noinline int match_tcp(struct __sk_buff *skb, const struct packet *p,
			 __u32 what)
{
	if (!p)
		return SOCKET_NONE;
	return match(skb, p, IPPROTO_TCP, what);
}

__noinline int match_udp(struct __sk_buff *skb, const struct packet *p,
			 __u32 what)
{
	if (!p)
		return SOCKET_NONE;
	return match(skb, p, IPPROTO_UDP, what);
}

static __always_inline bool is_matched(enum socket_kind kind)
{
	return kind != SOCKET_NONE && kind != SOCKET_OPAQUE;
}

/* With --restore-skmark the packet has the socket's mark already. */
static __always_inline int stay_matched(struct __sk_buff *skb,
					enum socket_kind kind,
					enum wl_counter cause)
{
	if (restore_mark && (kind == SOCKET_FULL || kind == SOCKET_LISTENER))
		return pass(cause);
	return stay(skb, cause);
}

/* --- by protocol --------------------------------------------------------- */

static __always_inline int refuse(struct __sk_buff *skb, const struct packet *p,
				  __u32 link_bytes, __u64 flags)
{
	int verdict = reject(skb, link_bytes, p, flags);

	if (verdict < 0)
		return drop(WL_COUNT_dropped_no_answer);
	count(p->proto == IPPROTO_TCP ? WL_COUNT_rejected_tcp
				      : WL_COUNT_rejected_udp);
	return verdict;
}

static __always_inline int handle_tcp(struct __sk_buff *skb,
				      const struct packet *p, __u32 ifindex,
				      __u32 link_bytes)
{
	bool is_syn = packet_is_syn(p);
	enum socket_kind kind = match_tcp(
		skb, p, is_syn ? 0 : MATCH_FULL | MATCH_LISTENER | MATCH_GIVE);
	struct decision d;

	if (!is_syn && is_matched(kind))
		return stay_matched(skb, kind, WL_COUNT_matched_tcp);
	decide(p, ifindex, 0, &d);
	if (d.action == WL_PASS)
		return pass(d.cause);
	if (d.action == WL_DROP)
		return drop(WL_COUNT_dropped_rule);
	if (d.action == WL_REJECT)
		return refuse(skb, p, link_bytes, 0);
	if (kind == SOCKET_OPAQUE)
		return no_listener();
	if (kind == SOCKET_FULL || kind == SOCKET_REQUEST)
		return stay(skb, WL_COUNT_matched_tcp);
	return take_tcp(skb, p, ifindex, d.selection, kind == SOCKET_TIME_WAIT);
}

/* A new datagram is the listener's; only what no intercept takes is asked for
 * its socket, since an unconnected one would swallow others' datagrams. */
static __always_inline int handle_udp(struct __sk_buff *skb,
				      const struct packet *p, __u32 ifindex,
				      __u32 link_bytes)
{
	enum socket_kind kind;
	struct decision d;

	decide(p, ifindex, 0, &d);
	if (d.action == WL_DROP)
		return drop(WL_COUNT_dropped_rule);
	if (d.action == WL_REJECT)
		return refuse(skb, p, link_bytes, 0);
	kind = match_udp(skb, p,
			 MATCH_FULL | MATCH_GIVE |
				 (d.action == WL_PASS ? MATCH_LISTENER : 0));
	if (kind == SOCKET_FULL ||
	    (kind == SOCKET_LISTENER && d.action == WL_PASS))
		return stay_matched(skb, kind, WL_COUNT_matched_udp);
	if (kind == SOCKET_OPAQUE && d.action != WL_PASS)
		return no_listener();
	if (d.action != WL_PASS)
		return take_udp(skb, p, ifindex, d.selection);
	if (has_host && is_local(p, p->dst))
		note_inbound(p); /* its answer is no new flow */
	return pass(d.cause);
}

static __always_inline int handle_icmp(struct __sk_buff *skb,
				       const struct packet *p)
{
	enum socket_kind kind;
	struct packet quoted = {};

	if (parse_quote(skb, p, &quoted) != PACKET_FLOW ||
	    packet_is_later_fragment(&quoted))
		return pass(WL_COUNT_passed_other);
	kind = quoted.proto == IPPROTO_TCP
		       ? match_tcp(skb, &quoted, MATCH_FULL | MATCH_LISTENER)
		       : match_udp(skb, &quoted, MATCH_FULL | MATCH_LISTENER);
	if (!is_matched(kind))
		return pass(WL_COUNT_passed_other);
	return stay_matched(skb, kind, WL_COUNT_matched_icmp);
}

#endif
