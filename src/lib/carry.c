/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carry.c - carry a configuration out, without a daemon; see carry.h.
 */
#include "lib/carry.h"

#include "engine/choose.h"
#include "engine/instance.h"
#include "engine/probe.h"
#include "engine/routing.h"
#include "lib/calm.h"
#include "net/sock.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <unistd.h>

/* --- the way in and out -------------------------------------------------- */

static int take(struct carry *c, struct err *e)
{
	int error;

	c->lock_fd = instance_lock(e);
	if (c->lock_fd < 0)
		return c->lock_fd;
	error = nl_open(&c->nl, NETLINK_ROUTE, 0);
	if (!error)
		return 0;
	close(c->lock_fd);
	c->lock_fd = -1;
	return err_errno(e, -error, "cannot open a netlink socket");
}

static void end_run(struct carry *c)
{
	if (c->engine && c->engine->free)
		c->engine->free(c->run);
	c->engine = NULL;
	c->run = NULL;
}

static void release(struct carry *c)
{
	end_run(c);
	config_free(c->config);
	nl_close(&c->nl);
	close(c->lock_fd);
	*c = CARRY_NONE;
}

/* --- removing ------------------------------------------------------------ */

/* A program that is not there (nft, iptables) has left nothing behind. */
static int remove_one(const struct engine *engine, struct err *e)
{
	int error = engine->remove(e);

	return error == -ENOENT ? 0 : error;
}

/* What all engines but `kept` may have left; the first failure in e. */
static int remove_others(const struct engine *kept, struct err *e)
{
	const struct engine *engine;
	int error = 0;

	for (size_t i = 0; (engine = engine_at(i)); i++) {
		struct err one = { 0 };
		int result = engine == kept ? 0 : remove_one(engine, &one);

		if (result < 0 && !error)
			error = err_set(e, -result, "%s", one.text);
	}
	return error;
}

static int remove_all(struct nl *nl, struct err *e)
{
	int error = remove_others(NULL, e);

	if (!error)
		return routing_remove(nl, e);
	(void)routing_remove(nl, NULL); /* the first failure is told */
	return error;
}

/* --- installing ---------------------------------------------------------- */

/* Where nothing can be tried (no privilege to make a namespace), installing
 * will tell. */
static int probe(const struct engine *engine, struct err *e)
{
	int error = engine_probe(engine, e);

	return error == -PROBE_NO_PLACE ? 0 : error;
}

static int try(void *ctx, const struct engine *engine, struct err *e)
{
	struct carry *c = ctx;
	int error = probe(engine, e);

	if (error < 0)
		return error;
	c->engine = engine;
	c->run = engine->new ? engine->new (e) : NULL;
	error = engine->new && !c->run ? -e->code
				       : engine->install(c->run, &c->plan, e);
	if (error < 0)
		end_run(c);
	return error;
}

static int make_plan(const struct config *config, struct plan *out,
		     struct err *e)
{
	static const char *const loopback[] = { "127.0.0.1", "::1" };

	*out = (struct plan){ .config = config };
	memset(out->fds, -1, sizeof(out->fds));
	out->is_private = config->on_failure == ON_FAILURE_OPEN;
	for (enum family_index f = 0; f < FAMILY_COUNT; f++) {
		struct addr at;

		(void)addr_parse_ip(loopback[f], &at);
		out->has_family[f] = sock_probe_free(SOCK_STREAM, &at, e) == 0;
	}
	/* e tells why the last family failed; one is enough. */
	if (!out->has_family[FAMILY_V4] && !out->has_family[FAMILY_V6])
		return err_prefix(e, "neither IPv4 nor IPv6 works: is the "
				     "interface lo up?");
	return 0;
}

/* What a killed process left is taken over, or goes. */
static int begin(struct carry *c, struct err *e)
{
	unsigned added = 0;
	int error = routing_check(&c->nl, &c->plan, e);

	if (!error)
		error = routing_install(&c->nl, &c->plan, &added, e);
	if (!error && !engine_choose_by(try, c, c->config, NULL, e))
		error = -e->code;
	if (!error)
		error = remove_others(c->engine, e);
	if (!error)
		error = routing_prune(&c->nl, &c->plan, e);
	if (error < 0)
		(void)remove_all(&c->nl, NULL); /* e has the cause */
	return error;
}

static int install_first(struct carry *c, struct config *config, struct err *e)
{
	int error = take(c, e);

	if (error < 0) {
		config_free(config);
		return error;
	}
	c->config = config;
	error = make_plan(config, &c->plan, e);
	if (!error)
		error = begin(c, e);
	if (error < 0)
		release(c);
	return error;
}

/* --- installing again ---------------------------------------------------- */

static int exchange(struct carry *c, const struct plan *next, struct err *e)
{
	unsigned added = 0;
	int error = routing_check(&c->nl, next, e);

	if (!error)
		error = routing_install(&c->nl, next, &added, e);
	if (!error)
		error = c->engine->install(c->run, next, e);
	if (error < 0)
		(void)routing_prune(&c->nl, &c->plan, NULL); /* e has it */
	return error;
}

static int install_again(struct carry *c, struct config *config, struct err *e)
{
	struct plan next;
	int error = 0;

	if (config->engine != ENGINE_AUTO && config->engine != c->engine->kind)
		error = err_set(e, EBUSY,
				"engine %s has it installed; remove it before "
				"another one is used",
				c->engine->name);
	if (!error)
		error = c->engine->check(config, e);
	if (!error)
		error = make_plan(config, &next, e);
	if (!error)
		error = exchange(c, &next, e);
	if (error < 0) {
		config_free(config);
		return error;
	}
	c->plan = next;
	config_free(c->config);
	c->config = config;
	return routing_prune(&c->nl, &c->plan, e);
}

int carry_install(struct carry *c, struct config *config, struct err *e)
{
	struct calm calm;
	int error;

	error = calm_check(e);
	if (error < 0) {
		config_free(config);
		return error;
	}
	calm_begin(&calm);
	error = carry_is_installed(c) ? install_again(c, config, e)
				      : install_first(c, config, e);
	calm_end(&calm);
	return error;
}

/* --- while it holds, and the end ----------------------------------------- */

static int check(struct carry *c, struct err *e)
{
	unsigned added = 0;
	int error = routing_install(&c->nl, &c->plan, &added, e), is_intact;

	if (!error && c->engine->follow_links)
		error = c->engine->follow_links(c->run, &c->plan, e);
	if (error < 0)
		return error;
	is_intact = c->engine->is_intact(c->run, e);
	if (is_intact < 0)
		return is_intact;
	if (!is_intact)
		error = c->engine->install(c->run, &c->plan, e);
	return error < 0 ? error : added || !is_intact;
}

int carry_check(struct carry *c, struct err *e)
{
	struct calm calm;
	int result;

	if (!carry_is_installed(c))
		return err_set(e, ENOENT, "nothing is installed");
	result = calm_check(e);
	if (result < 0)
		return result;
	calm_begin(&calm);
	result = check(c, e);
	calm_end(&calm);
	return result;
}

static int remove_own(struct carry *c, struct err *e)
{
	struct err routing = { 0 };
	int error = remove_one(c->engine, e);

	if (routing_remove(&c->nl, &routing) < 0 && !error)
		error = err_set(e, routing.code, "%s", routing.text);
	return error;
}

int carry_remove(struct carry *c, struct err *e)
{
	struct calm calm;
	int error;

	if (!carry_is_installed(c))
		return 0;
	calm_begin(&calm);
	error = calm_check(e);
	if (!error)
		error = remove_own(c, e);
	release(c);
	calm_end(&calm);
	return error;
}

int carry_clean(struct err *e)
{
	struct carry c = CARRY_NONE;
	struct calm calm;
	int error = calm_check(e);

	if (!error)
		error = take(&c, e);
	if (error < 0)
		return error;
	calm_begin(&calm);
	error = remove_all(&c.nl, e);
	release(&c);
	calm_end(&calm);
	return error;
}
