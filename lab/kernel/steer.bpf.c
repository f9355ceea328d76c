// SPDX-License-Identifier: Apache-2.0
/*
 * Steering at TC by the two ways there are, reduced to what the proofs need.
 *
 *   assign          gives packets without a socket to our listener itself
 *   mark            only marks; `choose` (sk_lookup) names the listener later
 *   mark_fragments  K2: later fragments do as their first one did
 *   mark_answers    K3: what comes back to a socket of ours, ICMP errors too
 *   drop_marked     K17: stops at egress what should have been delivered here
 *
 * All take TCP and UDP to `port`, whatever the address; the mark is ORed in,
 * so that `ip rule fwmark` finds it.  Each fact is counted in a global that
 * the loader can read.  Not engine code: no on-failure, one extension header
 * at most, no checks against forged packets.  Next: packet.bpf.h, then the
 * test_Kxx.py files.
 */
#include "packet.bpf.h"

enum {
	NEXT = -1, /* TC_ACT_UNSPEC */
	DROP = 2,  /* TC_ACT_SHOT */
	TCP_FLAGS_AT = 13,
	FLAG_SYN = 2,
	FLAG_RST = 4,
	FLAG_ACK = 16,
	ICMP_HEADER_LEN = 8,
	ICMP_UNREACHABLE = 3,
	ICMP_TIME_EXCEEDED = 11,
	ICMPV6_INFORMATIONAL = 0x80,
};

/* What becomes of a later fragment whose first one was not seen. */
enum { UNDECIDED_PASS, UNDECIDED_DROP, UNDECIDED_MARK };

const volatile __u32 mark_value = 0x10;
const volatile __u32 port = 0;
const volatile __u32 with_syn_only = 0;
const volatile __u32 with_assign = 0;
const volatile __u32 with_errors = 0;
const volatile __u32 undecided_action = UNDECIDED_PASS;

__u64 syns, time_waits, requests, assigned, refused, marked;
__u64 first_fragments, later_fragments, undecided, errors, dropped;

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} listeners SEC(".maps"); /* 2 * is UDP + is IPv6 */

struct fragment_key {
	__u32 source[4];
	__u32 destination[4];
	__u32 id;
	__u32 protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct fragment_key);
	__type(value, __u32);
} decisions SEC(".maps");

static void count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

static bool is_ours(const struct packet *p)
{
	return (p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP) &&
	       p->destination_port == bpf_htons(port);
}

/* --- look up: 0 = no socket, else its state ----------------------------- */

static void swap(struct packet *p)
{
	struct packet old = *p;

	__builtin_memcpy(p->source, old.destination, sizeof(p->source));
	__builtin_memcpy(p->destination, old.source, sizeof(p->destination));
	p->source_port = old.destination_port;
	p->destination_port = old.source_port;
}

static __u32 tcp_state(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = tuple_fill(p, &tuple);
	struct bpf_sock *sk;
	__u32 state;

	sk = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state;
}

/* --- act ---------------------------------------------------------------- */

static int act_mark(struct __sk_buff *skb)
{
	skb->mark |= mark_value;
	count(&marked);
	return NEXT;
}

static int act_assign(struct __sk_buff *skb, const struct packet *p)
{
	__u32 index = 2 * (p->protocol == IPPROTO_UDP) + (p->family == INET6);
	struct bpf_sock *listener = bpf_map_lookup_elem(&listeners, &index);

	if (!listener) {
		count(&refused);
		return NEXT;
	}
	if (bpf_sk_assign(skb, listener, 0) == 0)
		count(&assigned);
	else
		count(&refused);
	bpf_sk_release(listener);
	return act_mark(skb);
}

static bool is_syn(struct __sk_buff *skb, const struct packet *p)
{
	__u8 flags = 0;

	if (p->protocol != IPPROTO_TCP ||
	    !load(skb, p->transport + TCP_FLAGS_AT, &flags, sizeof(flags)))
		return false;
	return (flags & (FLAG_SYN | FLAG_ACK | FLAG_RST)) == FLAG_SYN;
}

static void count_syn(struct __sk_buff *skb, const struct packet *p)
{
	if (!is_syn(skb, p))
		return;
	count(&syns);
	if (tcp_state(skb, p) == BPF_TCP_TIME_WAIT)
		count(&time_waits);
}

SEC("tc")
int mark(struct __sk_buff *skb)
{
	struct packet p;

	if (!parse(skb, 0, &p) || !is_ours(&p))
		return NEXT;
	count_syn(skb, &p);
	return act_mark(skb);
}

/* As xt and nft do: a socket of the packet's own comes first, save TIME_WAIT
 * for a SYN; everything else without a socket goes to the listener. */
SEC("tc")
int assign(struct __sk_buff *skb)
{
	struct packet p;

	if (!parse(skb, 0, &p) || !is_ours(&p))
		return NEXT;
	if (p.protocol == IPPROTO_UDP)
		return act_assign(skb, &p);

	bool is_new = is_syn(skb, &p);
	__u32 state = tcp_state(skb, &p);

	count_syn(skb, &p);
	if (state == BPF_TCP_NEW_SYN_RECV)
		count(&requests);
	if (state == BPF_TCP_TIME_WAIT ? !is_new
				       : state && state != BPF_TCP_LISTEN)
		return act_mark(skb);
	if (with_syn_only && !is_new)
		return act_mark(skb);
	return act_assign(skb, &p);
}

/* --- K2 ----------------------------------------------------------------- */

static void fragment_key_fill(const struct packet *p, struct fragment_key *key)
{
	__builtin_memcpy(key->source, p->source, sizeof(key->source));
	__builtin_memcpy(key->destination, p->destination,
			 sizeof(key->destination));
	key->id = p->fragment_id;
	key->protocol = p->protocol;
}

static int act_later_fragment(struct __sk_buff *skb,
			      const struct fragment_key *key)
{
	count(&later_fragments);
	if (bpf_map_lookup_elem(&decisions, key))
		return act_mark(skb);
	count(&undecided);
	if (undecided_action == UNDECIDED_MARK)
		return act_mark(skb);
	return undecided_action == UNDECIDED_DROP ? DROP : NEXT;
}

SEC("tc")
int mark_fragments(struct __sk_buff *skb)
{
	struct fragment_key key;
	__u32 yes = 1;
	struct packet p;

	if (!parse(skb, 0, &p) || p.protocol != IPPROTO_UDP)
		return NEXT;
	fragment_key_fill(&p, &key);
	if (p.fragment_offset)
		return act_later_fragment(skb, &key);
	if (!is_ours(&p))
		return NEXT;
	if (p.is_fragment) {
		count(&first_fragments);
		bpf_map_update_elem(&decisions, &key, &yes, BPF_ANY);
	}
	return with_assign ? act_assign(skb, &p) : act_mark(skb);
}

/* --- K3 ----------------------------------------------------------------- */

static bool is_error(struct __sk_buff *skb, const struct packet *p)
{
	__u8 type;

	if (!load(skb, p->transport, &type, sizeof(type)))
		return false;
	if (p->protocol == IPPROTO_ICMP)
		return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED;
	return p->protocol == IPPROTO_ICMPV6 && !(type & ICMPV6_INFORMATIONAL);
}

SEC("tc")
int mark_answers(struct __sk_buff *skb)
{
	struct packet p, quoted;

	if (!parse(skb, 0, &p))
		return NEXT;
	if (p.protocol == IPPROTO_TCP)
		return tcp_state(skb, &p) ? act_mark(skb) : NEXT;
	if (!with_errors || !is_error(skb, &p) ||
	    !parse(skb, p.transport + ICMP_HEADER_LEN, &quoted) ||
	    quoted.protocol != IPPROTO_TCP)
		return NEXT;
	swap(&quoted); /* what we sent, seen as its answer */
	if (!tcp_state(skb, &quoted))
		return NEXT;
	count(&errors);
	return act_mark(skb);
}

/* --- K17 and the second half of `mark` ---------------------------------- */

SEC("tc")
int drop_marked(struct __sk_buff *skb)
{
	if (!(skb->mark & mark_value))
		return NEXT;
	count(&dropped);
	return DROP;
}

SEC("sk_lookup")
int choose(struct bpf_sk_lookup *lookup)
{
	__u32 index = 2 * (lookup->protocol == IPPROTO_UDP) +
		      (lookup->family == INET6);
	struct bpf_sock *listener;

	if (lookup->local_port != port)
		return SK_PASS;
	listener = bpf_map_lookup_elem(&listeners, &index);
	if (!listener)
		return SK_PASS;
	if (bpf_sk_assign(lookup, listener, 0) == 0)
		count(&assigned);
	else
		count(&refused);
	bpf_sk_release(listener);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
