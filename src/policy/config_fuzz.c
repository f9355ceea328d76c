/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_fuzz.c - any bytes as a configuration (libFuzzer).
 *
 * Reading never crashes.  What is read and printed reads as the same again
 * and prints as the same text; what is formatted reads as the same, and
 * formatting it once more changes nothing.
 */
#include "policy/eval.h"
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config *parse(const char *text, size_t len)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse("fuzz", text, len, &m);

	if (!c != (m.errors != 0))
		abort(); /* NULL and errors go together */
	if ((m.errors || m.warnings) != (m.text.len != 0))
		abort(); /* what is wrong is said */
	messages_done(&m);
	return c;
}

static void expect_same(const struct config *c, const struct str *text)
{
	struct config *again = parse(str_get(text), text->len);

	if (!again || !config_equal(c, again))
		abort();
	config_free(again);
}

static void try_print(const struct config *c)
{
	struct str first = { .len = 0 }, second = { .len = 0 };
	struct config *again;

	config_print(c, &first);
	expect_same(c, &first);
	again = parse(str_get(&first), first.len);
	if (!again)
		abort();
	config_print(again, &second);
	if (strcmp(str_get(&first), str_get(&second)) != 0)
		abort();
	config_free(again);
	str_done(&first);
	str_done(&second);
}

static void try_format(const struct config *c, const char *text, size_t len)
{
	struct str first = { .len = 0 }, second = { .len = 0 };
	struct messages m = { .errors = 0 };

	if (config_format("fuzz", text, len, &first, &m) < 0)
		abort();
	expect_same(c, &first);
	if (config_format("fuzz", str_get(&first), first.len, &second, &m) < 0)
		abort();
	if (first.len != second.len ||
	    memcmp(str_get(&first), str_get(&second), first.len) != 0)
		abort();
	messages_done(&m);
	str_done(&first);
	str_done(&second);
}

static void expect_verdict(const struct config *c, const char *ifname)
{
	struct facts f = { .ifname = ifname,
			   .proto = PROTO_TCP,
			   .user = "root",
			   .cgroup = "system.slice/a.service" };
	struct verdict v;

	f.src.family = f.dst.family = AF_INET;
	f.src.ip[0] = f.dst.ip[0] = 192;
	f.dst.port = 443;
	eval_packet(c, &f, &v);
	if (v.kind == VERDICT_RELAY && v.rule < 0)
		abort();
	if ((v.kind == VERDICT_PASS) != (v.reason != PASS_NONE))
		abort(); /* what passes has its reason */
}

/* Any packet gets a verdict. */
static void try_eval(const struct config *c)
{
	expect_verdict(c, "eth1");
	expect_verdict(c, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct config *c = parse(text, size);

	if (!c)
		return 0;
	try_print(c);
	try_format(c, text, size);
	try_eval(c);
	config_free(c);
	return 0;
}
