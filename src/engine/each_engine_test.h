/* SPDX-License-Identifier: Apache-2.0 */
/*
 * each_engine_test.h - the same test on every engine.
 *
 * The test's state is the engine's vtable.
 */
#ifndef WL_ENGINE_EACH_ENGINE_TEST_H
#define WL_ENGINE_EACH_ENGINE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/choose.h"
#include "engine/engine.h"

enum { ENGINES_MAX = 3 };

static inline int run_on_each_engine(const char *name, CMUnitTestFunction test)
{
	struct CMUnitTest tests[ENGINES_MAX];
	const struct engine *engine;
	size_t count = 0;

	while (count < ENGINES_MAX && (engine = engine_at(count)))
		tests[count++] = (struct CMUnitTest){
			.name = engine->name,
			.test_func = test,
			.initial_state = (void *)engine,
		};
	return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}

#endif
