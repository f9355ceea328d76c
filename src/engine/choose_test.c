/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choose_test.c - which engine is chosen, and what is said about the others.
 */
#include "engine/choose.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int can_not(const struct config *c, struct err *e)
{
	(void)c; /* unused */
	return err_set(e, EOPNOTSUPP, "cannot do that");
}

static int can(const struct config *c, struct err *e)
{
	(void)c; /* unused */
	(void)e; /* unused */
	return 0;
}

static int does_work(struct err *e)
{
	(void)e; /* unused */
	return 0;
}

static int is_refused(struct err *e)
{
	return err_set(e, EPERM, "is refused");
}

static int never(struct err *e)
{
	(void)e; /* unused */
	fail_msg("an engine was tried that was not to be");
	return 0;
}

/* The probe as it is, without a namespace. */
static int try_probe(void *ctx, const struct engine *engine, struct err *e)
{
	(void)ctx; /* unused */
	return engine->probe(e);
}

enum { BEST, MIDDLE, LAST, COUNT };

typedef int (*check_fn)(const struct config *c, struct err *e);
typedef int (*probe_fn)(struct err *e);

static const struct {
	const char *name;
	enum engine_kind configured;
	check_fn check[COUNT];
	probe_fn probe[COUNT];
	int chosen; /* or -1, then `code` and `why` are those of e */
	int code;
	const char *why;
} cases[] = {
	{ "auto takes the best and tries no other",
	  ENGINE_AUTO,
	  { can, can, can },
	  { does_work, never, never },
	  BEST,
	  0,
	  "ebpf: works\nnft: not needed\niptables: not needed\n" },
	{ "auto passes over what the kernel refuses",
	  ENGINE_AUTO,
	  { can, can, can },
	  { is_refused, does_work, never },
	  MIDDLE,
	  0,
	  "ebpf: is refused\nnft: works\niptables: not needed\n" },
	{ "auto does not try what cannot carry it out",
	  ENGINE_AUTO,
	  { can_not, can_not, can },
	  { never, never, does_work },
	  LAST,
	  0,
	  "ebpf: cannot do that\nnft: cannot do that\niptables: works\n" },
	{ "auto says why none works, with the first one's code",
	  ENGINE_AUTO,
	  { can, can_not, can_not },
	  { is_refused, never, never },
	  -1,
	  EPERM,
	  "no engine can carry it out: ebpf: is refused; "
	  "nft: cannot do that; iptables: cannot do that" },
	{ "the configured one is taken, though a better would work",
	  ENGINE_IPTABLES,
	  { can, can, can },
	  { never, never, does_work },
	  LAST,
	  0,
	  "iptables: works\n" },
	{ "the configured one is not replaced by another",
	  ENGINE_NFT,
	  { can, can, can },
	  { never, is_refused, never },
	  -1,
	  EPERM,
	  "engine nft: is refused" },
	{ "the configured one cannot carry it out",
	  ENGINE_EBPF,
	  { can_not, can, can },
	  { never, never, never },
	  -1,
	  EOPNOTSUPP,
	  "engine ebpf: cannot do that" },
};

static void set_engines(size_t i, struct engine engines[COUNT])
{
	static const char *const names[COUNT] = { "ebpf", "nft", "iptables" };
	static const enum engine_kind kinds[COUNT] = { ENGINE_EBPF, ENGINE_NFT,
						       ENGINE_IPTABLES };

	for (int n = 0; n < COUNT; n++)
		engines[n] = (struct engine){
			.name = names[n],
			.kind = kinds[n],
			.check = cases[i].check[n],
			.probe = cases[i].probe[n],
		};
}

static void engines_are_chosen_as_told(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct config c = { .engine = cases[i].configured };
		struct engine engines[COUNT];
		const struct engine *table[COUNT] = { &engines[BEST],
						      &engines[MIDDLE],
						      &engines[LAST] };
		struct choice how = { .engines = table,
				      .count = COUNT,
				      .try = try_probe };
		const struct engine *chosen;
		struct str why = { 0 };
		struct err e = { 0 };

		print_message("%s\n", cases[i].name);
		set_engines(i, engines);
		chosen = choose_engine(&how, &c, &why, &e);
		if (cases[i].chosen >= 0) {
			assert_ptr_equal(chosen, table[cases[i].chosen]);
			assert_string_equal(str_get(&why), cases[i].why);
		} else {
			assert_null(chosen);
			assert_string_equal(e.text, cases[i].why);
		}
		assert_int_equal(e.code, cases[i].code);
		str_done(&why);
	}
}

static void without_trying_the_check_decides(void **state)
{
	struct engine engines[COUNT];
	const struct engine *table[COUNT] = { &engines[BEST], &engines[MIDDLE],
					      &engines[LAST] };
	struct choice how = { .engines = table, .count = COUNT };
	struct config c = { .engine = ENGINE_AUTO };

	(void)state;		 /* unused */
	set_engines(2, engines); /* whose last one can */
	assert_ptr_equal(choose_engine(&how, &c, NULL, NULL), &engines[LAST]);
}

static void what_no_build_has_is_said(void **state)
{
	struct config c = { .engine = ENGINE_IPTABLES };
	struct choice how = { .count = 0 };
	struct err e = { 0 };

	(void)state; /* unused */
	assert_null(choose_engine(&how, &c, NULL, &e));
	assert_string_equal(e.text,
			    "engine iptables is not part of this build");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engines_are_chosen_as_told),
		cmocka_unit_test(without_trying_the_check_decides),
		cmocka_unit_test(what_no_build_has_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
