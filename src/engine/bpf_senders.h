/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_senders.h - `except user` and `except cgroup` as tables.
 *
 * Names of users become numbers, paths of cgroups become ids, at the time of
 * the call.  A cgroup that does not exist is left out: it has no processes.
 * When it comes, bpf_senders_changed() says so.
 */
#ifndef WL_ENGINE_BPF_SENDERS_H
#define WL_ENGINE_BPF_SENDERS_H

#include "abi/data_plane.h"
#include "engine/select.h"

struct bpf_user {
	uint32_t uid;
	struct wl_bits bits; /* selections it is not excepted from */
};

struct bpf_senders {
	struct bpf_user *users;
	size_t user_count;
	struct wl_cgroup cgroups[WL_CGROUPS_MAX];
	size_t cgroup_count;
};

/* -ENOENT and e: there is no such user; -E2BIG: too many cgroups. */
int bpf_senders_make(const struct selections *s, struct bpf_senders *out,
		     struct err *e);
void bpf_senders_done(struct bpf_senders *s);
/* Did a cgroup come or go since `then`? */
bool bpf_senders_changed(const struct selections *s,
			 const struct bpf_senders *then);

#endif
