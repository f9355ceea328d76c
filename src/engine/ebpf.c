/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf.c - the engine of our own; see ebpf.h.
 *
 * A change of configuration loads a whole new generation of programs and maps
 * and then exchanges the programs, interface by interface: each packet meets
 * one generation.  The order is: sk_lookup, which only answers for what an
 * ingress program has noted; egress; ingress.
 */
#include "engine/ebpf.h"

#include "engine/ebpf_links.h"
#include "engine/ebpf_notrack.h"
#include "engine/ebpf_show.h"
#include "engine/trial.h"
#include "net/sysctl.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct engine_run {
	struct bpf_pins pins;
	struct ebpf_links links;
	struct bpf_tables *tables; /* of `now` */
	struct bpf_generation *now;
	int choose_fd;	    /* link at sk_lookup, -1: none */
	bool has_opened_lo; /* accept_local was ours to set */
};

static const char choose_pin[] = "choose";
static const char accept_local[] = "net/ipv4/conf/lo/accept_local";

const struct bpf_generation *ebpf_generation(const struct engine_run *run)
{
	return run->now;
}

/* --- beginning and end --------------------------------------------------- */

static struct engine_run *run_new(struct err *e)
{
	struct engine_run *run = calloc(1, sizeof(*run));

	if (!run) {
		(void)err_set(e, ENOMEM, "no memory for the engine");
		return NULL;
	}
	bpf_be_quiet();
	run->choose_fd = -1;
	if (!ebpf_links_open(&run->links, &run->pins, e))
		return run;
	free(run);
	return NULL;
}

static void run_free(struct engine_run *run)
{
	if (!run)
		return;
	if (run->has_opened_lo && !run->pins.dir[0])
		(void)sysctl_write(accept_local, 0); /* nobody to tell */
	ebpf_links_close(&run->links);
	if (run->choose_fd >= 0)
		close(run->choose_fd);
	bpf_generation_free(run->now);
	bpf_tables_free(run->tables);
	free(run);
}

/* --- pins ---------------------------------------------------------------- */

static int open_pins(struct engine_run *run, const struct plan *p,
		     struct err *e)
{
	int error;

	if (p->is_private || run->pins.dir[0])
		return 0;
	error = bpf_pins_open(&run->pins, e);
	if (error == -ENODEV && p->config->on_failure == ON_FAILURE_OPEN)
		return 0; /* ebpf.h says what is lost */
	if (error == -ENODEV)
		(void)err_prefix(e, "cannot hold `on-failure closed`");
	return error;
}

/* Maps to go on with: our own, else those of a daemon before us. */
static void get_kept(const struct engine_run *run, int kept[BPF_KEPT_COUNT])
{
	for (int i = 0; i < BPF_KEPT_COUNT; i++) {
		kept[i] = run->now ? dup(bpf_generation_kept(run->now, i))
				   : bpf_pin_get(&run->pins, bpf_kept_names[i]);
		if (kept[i] < 0)
			kept[i] = -1;
	}
}

static int pin_kept(const struct engine_run *run,
		    const struct bpf_generation *g, struct err *e)
{
	int error = 0;

	for (int i = 0; i < BPF_KEPT_COUNT && !error; i++)
		error = bpf_pin_put(&run->pins, bpf_kept_names[i],
				    bpf_generation_kept(g, i), e);
	if (!error) /* to be shown */
		error = bpf_pin_put(&run->pins, ebpf_hits_pin,
				    bpf_generation_hits(g), e);
	return error;
}

/* --- sk_lookup ----------------------------------------------------------- */

static bool choose_is_alive(const struct engine_run *run)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	return run->choose_fd >= 0 &&
	       !bpf_obj_get_info_by_fd(run->choose_fd, &info, &len) &&
	       info.netns.netns_ino != 0;
}

static int attach_choose(struct engine_run *run, const struct bpf_generation *g,
			 struct err *e)
{
	int prog_fd = bpf_generation_entry(g, BPF_ENTRY_CHOOSE);
	int netns;

	if (run->choose_fd < 0)
		run->choose_fd = bpf_pin_get(&run->pins, choose_pin);
	if (run->choose_fd >= 0 &&
	    !bpf_link_update(run->choose_fd, prog_fd, NULL))
		return bpf_pin_put(&run->pins, choose_pin, run->choose_fd, e);
	if (run->choose_fd >= 0)
		close(run->choose_fd); /* of a namespace that has gone */
	netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	run->choose_fd = netns < 0 ? -1
				   : bpf_link_create(prog_fd, netns,
						     BPF_SK_LOOKUP, NULL);
	if (run->choose_fd < 0) {
		int error = errno;

		run->choose_fd = -1;
		if (netns >= 0)
			close(netns);
		return err_errno(e, error,
				 "cannot attach a BPF program to sk_lookup");
	}
	close(netns);
	return bpf_pin_put(&run->pins, choose_pin, run->choose_fd, e);
}

/* --- lo ------------------------------------------------------------------ */

/* A packet of this host that comes in by lo has a local source, which the
 * kernel takes for forged (fib_validate_source()); nobody else can send by lo,
 * so nothing is lost by taking it.  IPv6 has no such test. */
static void close_lo(const struct bpf_pins *pins)
{
	(void)sysctl_write(accept_local, 0); /* there is nobody to tell */
	bpf_pin_drop(pins, "accept_local");
}

/* That it was us is pinned: the name of a map is all that bpffs can hold. */
static int open_lo(struct engine_run *run, struct err *e)
{
	int now = sysctl_read(accept_local), fd, error;

	if (now)
		return now < 0 && now != -ENOENT
			       ? err_errno(e, -now, "cannot read %s",
					   accept_local)
			       : 0;
	error = sysctl_write(accept_local, 1);
	if (error)
		return err_errno(e, -error,
				 "`from host` needs %s = 1, which cannot be "
				 "set",
				 accept_local);
	run->has_opened_lo = true;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "waylay_sysctl", 4, 4, 1, NULL);
	if (fd < 0)
		return err_errno(e, errno, "cannot make a BPF map");
	error = bpf_pin_put(&run->pins, "accept_local", fd, e);
	close(fd);
	return error;
}

static int set_accept_local(struct engine_run *run, bool is_wanted,
			    struct err *e)
{
	if (is_wanted)
		return open_lo(run, e);
	if (run->has_opened_lo || bpf_pin_has(&run->pins, "accept_local"))
		close_lo(&run->pins);
	run->has_opened_lo = false;
	return 0;
}

/* --- installing ---------------------------------------------------------- */

static int attach(struct engine_run *run, const struct bpf_generation *g,
		  struct err *e)
{
	int error = attach_choose(run, g, e);

	return error ? error : ebpf_links_attach(&run->links, g, e);
}

static int bring_up(struct engine_run *run, struct bpf_tables *t,
		    struct bpf_generation *g, struct err *e)
{
	const struct config *c = t->selections.config;
	int error;

	run->links.is_closed = c->on_failure == ON_FAILURE_CLOSED;
	run->links.has_host = plan_has_host(c);
	error = set_accept_local(run, run->links.has_host, e);
	if (!error)
		error = ebpf_notrack_set(c, e);
	if (!error)
		error = ebpf_links_look(&run->links, t, g, true, e);
	if (!error)
		error = pin_kept(run, g, e);
	return error ? error : attach(run, g, e);
}

/* Bring a generation into force, or leave the older one there. */
static int change(struct engine_run *run, struct bpf_tables *t,
		  struct bpf_generation *g, struct err *e)
{
	struct err later = { 0 }; /* e has the cause */
	int error = bring_up(run, t, g, e);

	if (!error) {
		ebpf_links_prune(&run->links);
		bpf_generation_free(run->now);
		bpf_tables_free(run->tables);
		run->now = g;
		run->tables = t;
	} else if (run->now) {
		(void)bring_up(run, run->tables, run->now, &later);
	} else {
		ebpf_links_detach(&run->links);
		(void)set_accept_local(run, false, &later);
	}
	return error;
}

int ebpf_install_with(struct engine_run *run, const struct plan *p,
		      const struct bpf_options *options, enum bpf_hook_how how,
		      struct err *e)
{
	int kept[BPF_KEPT_COUNT], error = open_pins(run, p, e);
	struct bpf_generation *g = NULL;
	struct bpf_tables *t;

	if (error)
		return error;
	run->links.how = how;
	t = bpf_tables_new(p->config, e);
	if (t) {
		get_kept(run, kept);
		g = bpf_generation_load(t, p, kept, options, e);
		for (int i = 0; i < BPF_KEPT_COUNT; i++)
			if (kept[i] >= 0)
				close(kept[i]); /* g has its own */
	}
	error = g ? change(run, t, g, e) : -e->code;
	if (error) {
		bpf_generation_free(g);
		bpf_tables_free(t);
	}
	return error;
}

static int install(struct engine_run *run, const struct plan *p, struct err *e)
{
	static const struct bpf_options usual = { 0 };

	return ebpf_install_with(run, p, &usual, BPF_HOOK_BEST, e);
}

/* --- keeping ------------------------------------------------------------- */

static int follow_links(struct engine_run *run, const struct plan *p,
			struct err *e)
{
	int error;

	(void)p; /* the tables are of it */
	if (!run->now)
		return 0;
	error = ebpf_links_look(&run->links, run->tables, run->now, false, e);
	return error ? error : ebpf_links_attach(&run->links, run->now, e);
}

static int is_intact(struct engine_run *run, struct err *e)
{
	(void)e; /* what cannot be asked is not intact */
	return run->now && choose_is_alive(run) &&
	       !bpf_generation_is_outdated(run->now) &&
	       ebpf_notrack_is_intact(run->tables->selections.config) &&
	       (!run->pins.dir[0] || bpf_pin_has(&run->pins, choose_pin)) &&
	       ebpf_links_are_intact(&run->links);
}

static const char *shortcoming(const struct engine_run *run)
{
	if (!run->now || run->pins.dir[0])
		return NULL;
	return "no bpffs is mounted: while waylayd restarts, traffic passes "
	       "direct; mount one (mount -t bpf bpf /sys/fs/bpf) and reload";
}

/* --- removing ------------------------------------------------------------ */

static void detach_pinned(void *ctx, const char *name)
{
	int fd = bpf_pin_get(ctx, name);

	if (fd < 0)
		return;
	(void)bpf_link_detach(fd); /* maps are no links */
	close(fd);
}

static int remove_all(struct err *e)
{
	struct ebpf_links links = { 0 };
	struct bpf_pins pins = { 0 };
	int error = ebpf_links_open(&links, &pins, e);

	bpf_be_quiet();
	if (!error)
		error = ebpf_links_sweep(&links, e);
	ebpf_links_close(&links);
	if (!error)
		error = ebpf_notrack_remove(e);
	if (error || bpf_pins_find(&pins) < 0)
		return error;
	if (bpf_pin_has(&pins, "accept_local"))
		close_lo(&pins);
	bpf_pins_each(&pins, detach_pinned, &pins);
	return bpf_pins_remove(&pins, e);
}

/* --- the engine ---------------------------------------------------------- */

static int check(const struct config *c, struct err *e)
{
	struct selections *s = malloc(sizeof(*s));
	int error =
		s ? selections_make(c, s, e) : err_set(e, ENOMEM, "no memory");

	free(s);
	return error == -E2BIG ? -EOPNOTSUPP : error;
}

static int probe(struct err *e)
{
	return trial_run(&engine_ebpf, e);
}

const struct engine engine_ebpf = {
	.name = "ebpf",
	.kind = ENGINE_EBPF,
	.event_groups = 1 << (NFNLGRP_NFTABLES - 1),
	.is_polled = true,
	.check = check,
	.probe = probe,
	.new = run_new,
	.free = run_free,
	.install = install,
	.follow_links = follow_links,
	.is_intact = is_intact,
	.shortcoming = shortcoming,
	.remove = remove_all,
	.render = ebpf_render,
	.counters = ebpf_counters,
};
