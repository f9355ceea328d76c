/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_world_test.h - maps of cut-through without its programs.
 */
#ifndef WL_ENGINE_CUT_WORLD_TEST_H
#define WL_ENGINE_CUT_WORLD_TEST_H

#include "engine/cut_table.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static inline int make_map(enum bpf_map_type type, uint32_t key_size,
			   uint32_t value_size, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, o,
		    .map_flags =
			    type == BPF_MAP_TYPE_HASH ? BPF_F_NO_PREALLOC : 0);
	int fd = bpf_map_create(type, "cut_test", key_size, value_size, entries,
				&o);

	if (fd < 0) {
		print_message("skipped: cannot make a BPF map: %s\n",
			      strerror(errno));
		skip();
	}
	return fd;
}

static inline struct cut_table make_table(uint32_t flow_max)
{
	return (struct cut_table){
		.flows_fd =
			make_map(BPF_MAP_TYPE_HASH, sizeof(struct wl_cut_key),
				 sizeof(struct wl_cut), flow_max),
		.counters_fd = make_map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8,
					WL_CUT_COUNTERS),
		.change_fd = -1,
	};
}

static inline void close_table(const struct cut_table *t)
{
	close(t->flows_fd);
	close(t->counters_fd);
}

#endif
