/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_pin.h - the one directory where BPF objects are that must live on.
 *
 * A pinned link stays attached when the process that made it dies: that is
 * how on-failure holds, and how a restart leaves no gap.  The directory is
 * `waylay/INODE` on a bpffs, where INODE is that of the network namespace: two
 * daemons in two namespaces do not meet.
 *
 * The ebpf engine and cut-through have their pins there side by side, and
 * neither sees or drops those of the other: owners put a word in front of
 * each name.
 */
#ifndef WL_ENGINE_BPF_PIN_H
#define WL_ENGINE_BPF_PIN_H

#include "base/err.h"

#include <stdbool.h>

enum { BPF_PIN_PATH_MAX = 256 };

enum bpf_pin_owner { BPF_PIN_ENGINE, BPF_PIN_CUT, BPF_PIN_OWNERS };

struct bpf_pins {
	char dir[BPF_PIN_PATH_MAX]; /* "": nothing is pinned */
	enum bpf_pin_owner owner;
};

/* Find the bpffs (/sys/fs/bpf, else the first that is mounted) and make the
 * directory.  -ENODEV: there is none; e says how to mount one. */
int bpf_pins_open(struct bpf_pins *p, struct err *e);
/* The same, but the directory must exist: -ENOENT without e if not. */
int bpf_pins_find(struct bpf_pins *p);

/* Pin the object of fd as `name`, in place of an older one.  Nothing is done
 * and 0 returned when nothing is pinned at all. */
int bpf_pin_put(const struct bpf_pins *p, const char *name, int fd,
		struct err *e);
/* A descriptor of what is pinned as `name`, or -errno. */
int bpf_pin_get(const struct bpf_pins *p, const char *name);
bool bpf_pin_has(const struct bpf_pins *p, const char *name);
void bpf_pin_drop(const struct bpf_pins *p, const char *name);

/* Call fn for each name of this owner, without the owner's word. */
typedef void (*bpf_pin_fn)(void *ctx, const char *name);
void bpf_pins_each(const struct bpf_pins *p, bpf_pin_fn fn, void *ctx);
/* Drop all names of this owner, the directory if that was all, and then the
 * parent if it is empty. */
int bpf_pins_remove(struct bpf_pins *p, struct err *e);

#endif
