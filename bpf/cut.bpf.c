// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cut.bpf.c - cut-through: packets that need no socket any more.
 *
 *	cut_ether, cut_raw	TC ingress, of devices with and without a link
 *				header, in front of all other programs
 *	cut_change		what user space changes in an entry
 *
 * A packet whose flow is not in the map goes on as if nothing were here.  Why
 * rewriting is correct: doc/cut-through.md; the entries: abi/cut.h.
 *
 * A TCP packet of an entry that is on meets, in this order: headers or options
 * cut short (dropped), SYN, acknowledgement for our socket, TTL, congestion
 * met, route, size; then it is rewritten, noted and sent.  What was refused
 * leaves no trace in the entry.
 *
 * Read cut_state.h, cut_view.h, cut_tcp.h, cut_life.h, cut_route.h, in this
 * order; then cut_ip.h, cut_watch.h, cut_big.h, cut_icmp.h, cut_change.h.
 */
#include "cut_big.h"
#include "cut_change.h"
#include "cut_icmp.h"
#include "cut_ip.h"
#include "cut_life.h"
#include "cut_route.h"
#include "cut_watch.h"

enum { VLAN_ID_MASK = 0xfff, PACKET_TO_US = 0 /* PACKET_HOST */ };

struct leaving {
	__u32 head;	      /* bytes of the transport header */
	enum sending sending; /* as the route has it */
	int verdict;
};

/* --- on: what all packets meet ------------------------------------------- */

/* Its TTL ends here.  Legs with addresses of their own are two paths. */
static __always_inline bool is_expired(const struct view *v,
				       const struct wl_cut *cut)
{
	return v->ttl <= 1 && !is_readdressed(cut);
}

/* A tag without a VLAN is only a priority, and is not sent on. */
static __always_inline void drop_priority_tag(struct __sk_buff *skb)
{
	if (skb->vlan_present)
		(void)bpf_skb_vlan_pop(skb); /* else it goes on with it */
}

/* Headers have been rewritten, but for the IP header. */
static __always_inline int finish(struct __sk_buff *skb, const struct view *v,
				  struct wl_cut *cut, struct wl_cut_way *way,
				  enum sending sending)
{
	enum wl_cut_counter sent = v->key.proto == IPPROTO_UDP
					   ? WL_CUT_COUNT_udp
					   : WL_CUT_COUNT_tcp;

	if (!rewrite_ip(skb, v, cut, way, sending == SEND_KERNEL))
		return drop(WL_CUT_COUNT_dropped_malformed);
	__sync_fetch_and_add(&way->bytes, v->len);
	count(sending == SEND_KERNEL ? WL_CUT_COUNT_to_kernel : sent);
	return send(skb, v->link_bytes, way, sending);
}

/* How it leaves, if at all: *verdict is set where it does not.
 *
 * What the kernel must see to (fragments, options of the IP header) is left to
 * it where legs are equal.  Where they are not the packet's source is an
 * address of ours by now, and the kernel would drop it as a martian: it goes
 * with its options, and if it is too big it is answered even without DF. */
static __always_inline bool may_leave(struct __sk_buff *skb,
				      const struct view *v,
				      const struct wl_cut *cut,
				      const struct wl_cut_way *way,
				      struct leaving *l)
{
	__u32 limit = size_limit(v, way);
	bool is_big = is_too_big(skb, v, limit, l->head);

	if (is_big && (v->has_df || is_readdressed(cut))) {
		l->verdict = answer_too_big(skb, v, limit);
		return false;
	}
	if ((is_big || !v->is_plain) && !is_readdressed(cut))
		l->sending = SEND_KERNEL;
	return true;
}

/* --- on: TCP ------------------------------------------------------------- */

static __always_inline bool is_for_socket(const struct wl_cut_way *way,
					  const struct segment *s)
{
	return is_below_edge(way, s) && !s->payload &&
	       !(s->flags & (TCP_FIN | TCP_RST));
}

/* Its number may be far ahead of all that the socket has received: what is in
 * front of it has gone past the socket, which throws away an acknowledgement
 * that stands outside its window.  So it gets the number that the socket waits
 * for: that of the byte which is at the other way's edge. */
static __noinline int give_socket(struct __sk_buff *skb, const struct view *v,
				  struct wl_cut *cut, struct wl_cut_way *way,
				  __u32 seq)
{
	struct wl_cut_way *other = other_way(v, cut);
	__u32 at = v->link_bytes + v->transport, from = bpf_htonl(seq), to;

	if (!other || !is_before(other->edge - way->seq_add, seq))
		return pass(WL_CUT_COUNT_to_socket);
	to = bpf_htonl(other->edge - way->seq_add);
	if (bpf_skb_store_bytes(skb, at + TCP_SEQ_AT, &to, sizeof(to), 0) ||
	    bpf_l4_csum_replace(skb, at + TCP_CHECK_AT, from, to, sizeof(to)))
		return drop(WL_CUT_COUNT_dropped_malformed);
	return pass(WL_CUT_COUNT_to_socket);
}

static __always_inline bool rewrite_tcp(struct __sk_buff *skb,
					const struct view *v,
					const struct wl_cut *cut,
					const struct wl_cut_way *way,
					const struct segment *s)
{
	__u32 words[SEGMENT_WORDS];

	segment_change(cut, way, s, words);
	if (s->options == OPTIONS_OTHER) {
		if (rewrite_other(skb, v, words))
			return false;
	} else if (!rewrite_usual(skb, v, way, s, words)) {
		return false;
	}
	return !is_readdressed(cut) ||
	       readdress_sum(skb, v, cut, TCP_CHECK_AT, 0);
}

static __always_inline int on_tcp(struct __sk_buff *skb, const struct view *v,
				  struct wl_cut *cut, struct wl_cut_way *way)
{
	__u32 now_s = now_seconds();
	struct leaving l;
	struct segment s;

	if (!segment_read(skb, v, &s) || v->is_fragment)
		return drop(WL_CUT_COUNT_dropped_malformed);
	if (s.flags & TCP_SYN)
		return meet_syn(v, cut, way);
	if (s.options == OPTIONS_OTHER && header_read(skb, v, &s, way))
		return drop(WL_CUT_COUNT_dropped_malformed);
	if (is_for_socket(way, &s)) {
		note_segment(v, cut, way, &s, now_s);
		return give_socket(skb, v, cut, way, s.seq);
	}
	if (is_expired(v, cut))
		return pass_own(skb, WL_CUT_COUNT_expired);
	if ((way->how & WL_CUT_NO_ECN) && v->ecn == ECN_CE)
		return drop(WL_CUT_COUNT_dropped_ce);
	drop_priority_tag(skb);
	l.head = s.bytes;
	l.sending = route(skb, v, cut, way, now_s);
	if (!may_leave(skb, v, cut, way, &l))
		return l.verdict;
	if (!rewrite_tcp(skb, v, cut, way, &s))
		return drop(WL_CUT_COUNT_dropped_malformed);
	note_segment(v, cut, way, &s, now_s);
	return finish(skb, v, cut, way, l.sending);
}

/* --- on: UDP ------------------------------------------------------------- */

/* Fragments go on as if nothing were here, all of them: only the first one
 * tells its ports. */
static __always_inline int on_udp(struct __sk_buff *skb, const struct view *v,
				  struct wl_cut *cut, struct wl_cut_way *way)
{
	__u32 now_s = now_seconds();
	struct leaving l = { .head = UDP_HEADER_BYTES };

	if (v->is_fragment)
		return NEXT;
	if (v->len < v->transport + UDP_HEADER_BYTES)
		return drop(WL_CUT_COUNT_dropped_malformed);
	if (is_expired(v, cut))
		return pass_own(skb, WL_CUT_COUNT_expired);
	drop_priority_tag(skb);
	l.sending = route(skb, v, cut, way, now_s);
	if (!may_leave(skb, v, cut, way, &l))
		return l.verdict;
	if (is_readdressed(cut) && !rewrite_udp(skb, v, cut))
		return drop(WL_CUT_COUNT_dropped_malformed);
	if (way->seen_s != now_s)
		way->seen_s = now_s;
	return finish(skb, v, cut, way, l.sending);
}

/* --- a packet ------------------------------------------------------------ */

/* verifier: a function of its own, called from one place for packets of all
 * shapes, or the stack would not do for what it calls; and a global one, which
 * is walked once instead of for each shape (walk_options()). */
__noinline int meet(struct __sk_buff *skb, const struct view *v,
		    struct wl_cut *cut)
{
	struct wl_cut_way *way = v && cut ? way_of(cut, v->side) : NULL;

	if (!way)
		return NEXT;
	if (cut->state != WL_CUT_ON)
		return watch(skb, v, cut, way);
	return v->key.proto == IPPROTO_TCP ? on_tcp(skb, v, cut, way)
					   : on_udp(skb, v, cut, way);
}

static __always_inline bool is_ours(const struct __sk_buff *skb)
{
	return skb->pkt_type == PACKET_TO_US &&
	       (!skb->vlan_present || !(skb->vlan_tci & VLAN_ID_MASK));
}

static __always_inline int in(struct __sk_buff *skb, __u32 link_bytes)
{
	enum view_kind kind;
	struct wl_cut *cut;
	struct view v;

	if (!is_ours(skb))
		return NEXT;
	kind = view_plain(skb, link_bytes, &v);
	if (kind == VIEW_ICMP)
		return meet_icmp(skb, link_bytes, &v);
	if (kind == VIEW_ODD)
		kind = view_odd(skb, link_bytes, &v);
	if (kind == VIEW_NONE)
		return NEXT;
	cut = bpf_map_lookup_elem(&cuts, &v.key);
	return cut ? meet(skb, &v, cut) : NEXT;
}

SEC("tc")
int cut_ether(struct __sk_buff *skb)
{
	return in(skb, ETH_HLEN);
}

SEC("tc")
int cut_raw(struct __sk_buff *skb)
{
	return in(skb, 0);
}

/* --- from user space ----------------------------------------------------- */

SEC("syscall")
int cut_change(struct wl_cut_change *c)
{
	c->result = change(c);
	return c->result;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
