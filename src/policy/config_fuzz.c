/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_fuzz.c - any bytes as a configuration (libFuzzer).
 *
 * A text is read twice: alone, and with files that hold a little of
 * everything.  Reading never crashes.  What is read and printed reads as the
 * same again and prints as the same text; what is formatted reads as the same,
 * and formatting it once more changes nothing.  Any packet gets a verdict, and
 * what is explained is what is done.
 */
#include "policy/eval.h"
#include "policy/explain.h"
#include "policy/files_test.h"
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a path holds depends on its length: names, networks, both, errors. */
static int read_any(void *ctx, const char *path, struct str *out, struct err *e)
{
	static const char *const texts[] = {
		"example.org\n*.example.org\n",
		"10.0.0.0/8\n::1 # one\n",
		".example.org\n192.0.2.1\n0.0.0.0 x.example\n",
		"",
		"a b c!\n",
	};
	size_t which = strlen(path) % (sizeof(texts) / sizeof(texts[0]) + 1);

	(void)ctx; /* there is no more to know */
	if (!which)
		return err_set(e, ENOENT, "cannot read %s", path);
	str_add(out, texts[which - 1]);
	return 0;
}

static int read_any_secret(void *ctx, const struct secret_ref *ref,
			   struct secret **out, struct err *e)
{
	(void)ctx; /* there is no more to know */
	if (ref->from == SECRET_CREDENTIAL && strlen(ref->name) % 2)
		return err_set(e, ENOENT, "cannot read %s", ref->name);
	*out = secret_new(ref->name, strlen(ref->name));
	return *out ? 0 : err_set(e, ENOMEM, "no memory");
}

static const struct policy_files any_files = { NULL, read_any,
					       read_any_secret };

static struct config *parse(const char *text, size_t len,
			    const struct policy_files *files)
{
	struct messages m = { .errors = 0 };
	struct config *c = config_parse_with("fuzz", text, len, files, &m);

	if (!c != (m.errors != 0))
		abort(); /* NULL and errors go together */
	if ((m.errors || m.warnings) != (m.text.len != 0))
		abort(); /* what is wrong is said */
	messages_done(&m);
	return c;
}

static void expect_same(const struct config *c, const struct str *text,
			const struct policy_files *files)
{
	struct config *again = parse(str_get(text), text->len, files);

	if (!again || !config_equal(c, again))
		abort();
	config_free(again);
}

static void try_print(const struct config *c, const struct policy_files *files)
{
	struct str first = { .len = 0 }, second = { .len = 0 };
	struct config *again;

	config_print(c, &first);
	expect_same(c, &first, files);
	again = parse(str_get(&first), first.len, files);
	if (!again)
		abort();
	config_print(again, &second);
	if (strcmp(str_get(&first), str_get(&second)) != 0)
		abort();
	config_free(again);
	str_done(&first);
	str_done(&second);
}

static void try_format(const struct config *c, const char *text, size_t len,
		       const struct policy_files *files)
{
	struct str first = { .len = 0 }, second = { .len = 0 };
	struct messages m = { .errors = 0 };

	if (config_format("fuzz", text, len, &first, &m) < 0)
		abort();
	expect_same(c, &first, files);
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

/* --- questions of people -------------------------------------------------- */

/* The rule that decides is the first that does not say no. */
static void expect_rule(const struct explanation *x, struct str *out)
{
	for (int i = 0; i <= x->rule; i++) {
		enum match m = explain_rule(x, (size_t)i, out);

		if ((m == MATCH_YES) != (i == x->rule) ||
		    (m == MATCH_OPEN && x->asked->name))
			abort();
	}
	if (x->rule >= 0 &&
	    x->upstream != (int)x->config->rules[x->rule].upstream)
		abort();
}

static void expect_explained(const struct config *c,
			     const struct explain_question *q)
{
	struct str out = { .len = 0 };
	struct explanation x;

	explain(c, q, &x);
	if (x.intercepts > c->intercept_count ||
	    (x.rule < 0) != (x.upstream < 0))
		abort();
	for (size_t i = 0; i < x.intercepts; i++)
		(void)explain_intercept(&x, i, &out);
	explain_kernel(&x, &out);
	expect_rule(&x, &out);
	if (x.upstream >= 0)
		explain_upstream(&x, (size_t)x.upstream, &out);
	str_done(&out);
}

static void try_explain(const struct config *c)
{
	static const char *const names[] = { NULL, "example.org", "b.example" };
	struct explain_question q = { .ifname = NULL };

	q.src.family = q.dst.family = AF_INET;
	q.src.ip[0] = q.dst.ip[0] = 192;
	q.dst.port = 443;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		q.name = names[i];
		for (int from = FROM_ANY; from <= FROM_LISTEN; from++) {
			q.from = (enum explain_from)from;
			q.ifname = from == FROM_HOST ? NULL : "eth1";
			q.proto = PROTO_TCP;
			q.is_quic = false;
			expect_explained(c, &q);
			q.proto = PROTO_UDP;
			q.is_quic = true;
			expect_explained(c, &q);
		}
	}
}

static void try_text(const char *text, size_t len,
		     const struct policy_files *files)
{
	struct config *c = parse(text, len, files);

	if (!c)
		return;
	try_print(c, files);
	try_format(c, text, len, files);
	try_eval(c);
	try_explain(c);
	config_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_text((const char *)data, size, NULL);
	try_text((const char *)data, size, &any_files);
	return 0;
}
