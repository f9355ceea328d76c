// SPDX-License-Identifier: Apache-2.0
/* K11: every new socket of a cgroup has the mark from its first moment. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

enum { MARK = 0x100, ALLOW = 1 };

SEC("cgroup/sock_create")
int mark_socket(struct bpf_sock *sk)
{
	sk->mark = MARK;
	return ALLOW;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
