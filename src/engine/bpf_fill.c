/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_fill.c - put the tables into maps; see bpf_fill.h.
 */
#include "engine/bpf_fill.h"

#include "engine/bpf_senders.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "waylay.skel.h"

enum { BATCH = 4096 }; /* elements for one system call */

/* Both families' keys begin alike; the shorter one is a head of the longer. */
union trie_key {
	struct wl_prefix4 v4;
	struct wl_prefix6 v6;
};

static size_t make_key(const struct prefix *prefix, union trie_key *key)
{
	size_t len = addr_ip_len(&prefix->net);

	key->v6.length = prefix->len;
	memcpy(key->v6.ip, prefix->net.ip, len);
	return sizeof(key->v6.length) + len;
}

/* --- arrays -------------------------------------------------------------- */

static int fill_array(struct bpf_map *m, const void *values, size_t count,
		      size_t size, struct err *e)
{
	const char *value = values;

	for (uint32_t i = 0; i < count; i++, value += size)
		if (bpf_map_update_elem(bpf_map__fd(m), &i, value, BPF_ANY) < 0)
			return err_errno(e, errno, "cannot fill the BPF map %s",
					 bpf_map__name(m));
	return 0;
}

/* As one copy, where an update for each element would be a million calls. */
static int fill_mapped(struct bpf_map *m, const void *values, size_t bytes,
		       struct err *e)
{
	void *at = mmap(NULL, bytes, PROT_WRITE, MAP_SHARED, bpf_map__fd(m), 0);

	if (at == MAP_FAILED)
		return err_errno(e, errno, "cannot fill the BPF map %s",
				 bpf_map__name(m));
	memcpy(at, values, bytes);
	(void)munmap(at, bytes); /* what was mapped can be unmapped */
	return 0;
}

/* --- intervals ----------------------------------------------------------- */

static int fill_intervals(struct bpf_map *index, struct bpf_map *lines,
			  const struct bpf_intervals *from, struct err *e)
{
	int error = fill_mapped(index, from->buckets,
				WL_BUCKETS * sizeof(*from->buckets), e);

	return error ? error
		     : fill_mapped(lines, from->of,
				   from->count * sizeof(*from->of), e);
}

/* --- prefixes ------------------------------------------------------------ */

struct batch {
	uint8_t keys[BATCH * sizeof(union trie_key)];
	uint32_t values[BATCH];
};

/* -errno; old kernels cannot take more than one at a time. */
static int put_batch(int fd, const struct batch *b, uint32_t count,
		     size_t key_size)
{
	uint32_t done = count;

	if (!bpf_map_update_batch(fd, b->keys, b->values, &done, NULL))
		return 0;
	if (errno != ENOTSUP && errno != EINVAL)
		return -errno;
	for (uint32_t i = 0; i < count; i++)
		if (bpf_map_update_elem(fd, b->keys + i * key_size,
					&b->values[i], BPF_ANY) < 0)
			return -errno;
	return 0;
}

static int fill_trie(struct bpf_map *m, const struct bpf_prefixes *from,
		     struct err *e)
{
	struct batch *b = malloc(sizeof(*b));
	size_t i = 0, key_size = bpf_map__key_size(m);
	int error = b ? 0 : -ENOMEM;

	while (i < from->count && !error) {
		uint32_t count = 0;

		for (; i < from->count && count < BATCH; i++, count++) {
			union trie_key key;

			(void)make_key(&from->of[i].net, &key);
			memcpy(b->keys + count * key_size, &key, key_size);
			b->values[count] = from->of[i].class;
		}
		error = put_batch(bpf_map__fd(m), b, count, key_size);
	}
	free(b);
	if (error)
		return err_errno(e, -error,
				 "cannot put %zu prefixes into a BPF map",
				 from->count);
	return 0;
}

int bpf_fill_prefix(struct bpf_map *trie4, struct bpf_map *trie6,
		    const struct prefix *prefix, const uint32_t *value,
		    struct err *e)
{
	bool is_v6 = prefix->net.family == AF_INET6;
	int fd = bpf_map__fd(is_v6 ? trie6 : trie4);
	union trie_key key;
	int status;

	(void)make_key(prefix, &key);
	status = value ? bpf_map_update_elem(fd, &key, value, BPF_ANY)
		       : bpf_map_delete_elem(fd, &key);
	return status < 0 ? err_errno(e, errno, "cannot change a BPF map") : 0;
}

/* --- listeners ----------------------------------------------------------- */

static int fill_listeners(struct bpf_map *m, const struct plan *p,
			  struct err *e)
{
	size_t count = p->config->intercept_count;

	for (uint32_t i = 0; i < count; i++)
		for (uint32_t proto = 0; proto < PROTO_COUNT; proto++)
			for (uint32_t f = 0; f < FAMILY_COUNT; f++) {
				uint32_t at = wl_listener_index(i, proto, f);
				uint64_t fd = (uint64_t)p->fds[i][proto][f];

				if (p->fds[i][proto][f] < 0)
					continue;
				if (bpf_map_update_elem(bpf_map__fd(m), &at,
							&fd, BPF_ANY) < 0)
					return err_errno(
						e, errno,
						"cannot give the listener of "
						"intercept %s to BPF",
						p->config->intercepts[i].name);
			}
	return 0;
}

/* --- the whole ----------------------------------------------------------- */

static int fill_side(struct waylay_bpf *skel, enum bpf_side side,
		     const struct bpf_intervals *v4,
		     const struct bpf_prefixes *v6, struct err *e)
{
	bool is_src = side == BPF_SIDE_SRC;
	int error =
		fill_trie(is_src ? skel->maps.src6 : skel->maps.dst6, v6, e);

	if (error)
		return error;
	return is_src ? fill_intervals(skel->maps.index4_src,
				       skel->maps.intervals4_src, v4, e)
		      : fill_intervals(skel->maps.index4_dst,
				       skel->maps.intervals4_dst, v4, e);
}

int bpf_fill(struct waylay_bpf *skel, const struct bpf_tables *t,
	     const struct bpf_intervals intervals[BPF_SIDE_COUNT],
	     const struct plan *p, struct err *e)
{
	int error = fill_array(skel->maps.classes, t->classes, t->class_count,
			       sizeof(*t->classes), e);

	if (!error)
		error = fill_array(skel->maps.selections, t->targets,
				   t->selections.count, sizeof(*t->targets), e);
	for (int side = 0; side < BPF_SIDE_COUNT && !error; side++)
		error = fill_side(skel, side, &intervals[side],
				  &t->prefixes[side][FAMILY_V6], e);
	if (!error)
		error = fill_listeners(skel->maps.listeners, p, e);
	return error;
}

int bpf_fill_senders(struct waylay_bpf *skel, const struct bpf_senders *s,
		     struct err *e)
{
	for (size_t i = 0; i < s->user_count; i++)
		if (bpf_map_update_elem(bpf_map__fd(skel->maps.users),
					&s->users[i].uid, &s->users[i].bits,
					BPF_ANY) < 0)
			return err_errno(e, errno,
					 "cannot fill the BPF map of users");
	return fill_array(skel->maps.cgroups, s->cgroups, s->cgroup_count,
			  sizeof(*s->cgroups), e);
}
