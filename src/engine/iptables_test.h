/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables_test.h - a namespace, a configuration, and either variant.
 *
 * Shared by the tests of the iptables engine.  What plain `iptables` stands
 * for is chosen as Debian does it, by the links in /etc/alternatives: a mount
 * namespace of the test's own has others there.
 */
#ifndef WL_ENGINE_IPTABLES_TEST_H
#define WL_ENGINE_IPTABLES_TEST_H

#include "base/child.h"
#include "engine/iptables.h"
#include "net/netns_test.h"
#include "policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>

struct host {
	struct config *config;
	struct plan plan;
	struct engine_run *run;
};

static const char *const variants[] = { "nft", "legacy" };

static inline void shell(const char *script, struct str *out)
{
	struct str whole = { 0 }, complaint = { 0 };
	struct err e = { 0 };

	str_addf(&whole, "PATH=/usr/sbin:/sbin:/usr/bin:/bin\n%s", script);
	if (child_run(
		    (const char *const[]){ "sh", "-ec", str_get(&whole), NULL },
		    NULL, out, &complaint, &e))
		fail_msg("%s: %s%s", script, e.text, str_get(&complaint));
	str_done(&whole);
	str_done(&complaint);
}

/* From now on `iptables` is that variant. */
static inline void use_variant(const char *variant)
{
	static const char *const programs[] = { "", "-save", "-restore" };

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/etc/alternatives", "tmpfs", 0, NULL) < 0)
		fail_msg("cannot make a mount namespace");
	for (int i = 0; i < 6; i++) {
		char to[64], at[64];
		const char *ip = i % 2 ? "ip6tables" : "iptables";

		(void)snprintf(to, sizeof(to), "/usr/sbin/%s-%s%s", ip, variant,
			       programs[i / 2]);
		(void)snprintf(at, sizeof(at), "/etc/alternatives/%s%s", ip,
			       programs[i / 2]);
		assert_int_equal(symlink(to, at), 0);
	}
}

/* Skips where the variant is not installed, or not as on Debian. */
static inline void begin_variant(const char *variant)
{
	char path[64], link[64] = "";

	(void)snprintf(path, sizeof(path), "/usr/sbin/iptables-%s-restore",
		       variant);
	if (geteuid() != 0 || access(path, X_OK) ||
	    readlink("/usr/sbin/iptables", link, sizeof(link) - 1) < 0 ||
	    strcmp(link, "/etc/alternatives/iptables") != 0) {
		print_message("skipped: no iptables-%s here\n", variant);
		skip();
	}
	netns_begin();
	use_variant(variant);
}

static inline void set_config(struct host *h, const char *text)
{
	struct messages m = { .errors = 0 };

	config_free(h->config);
	h->config = config_parse("t", text, strlen(text), &m);
	if (!h->config)
		fail_msg("%s", str_get(&m.text));
	messages_done(&m);
	h->plan.config = h->config;
	h->plan.has_family[FAMILY_V4] = true;
	h->plan.has_family[FAMILY_V6] = netns_has_v6();
	for (size_t i = 0; i < h->config->intercept_count; i++)
		for (int proto = 0; proto < PROTO_COUNT; proto++)
			for (int f = 0; f < FAMILY_COUNT; f++)
				h->plan.ports[i][proto][f] =
					(uint16_t)(10000 + i * 4 + proto * 2 +
						   f);
}

static inline void begin_host(struct host *h, const char *text)
{
	*h = (struct host){ .run = engine_iptables.new(NULL) };
	assert_non_null(h->run);
	set_config(h, text);
}

static inline void end_host(struct host *h)
{
	engine_iptables.free(h->run);
	config_free(h->config);
}

static inline void install(struct host *h)
{
	struct err e = { 0 };

	if (engine_iptables.install(h->run, &h->plan, &e))
		fail_msg("%s", e.text);
}

static inline void remove_all(void)
{
	struct err e = { 0 };

	if (engine_iptables.remove(&e))
		fail_msg("%s", e.text);
}

static inline bool is_intact(struct host *h)
{
	struct err e = { 0 };
	int is = engine_iptables.is_intact(h->run, &e);

	if (is < 0)
		fail_msg("%s", e.text);
	return is > 0;
}

#endif
