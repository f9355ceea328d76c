/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_fuzz.c - any bytes as a request line (libFuzzer).
 */
#include "control/wire.h"

#include "base/err.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err why = { 0 };
	json_t *request = control_parse((const char *)data, size, &why);
	json_t *reply;

	if (request) {
		if (!json_is_string(json_object_get(request, "command")))
			abort();
		json_decref(request);
		return 0;
	}
	reply = control_error(CONTROL_USAGE, why.text);
	if (!reply)
		abort(); /* a refusal can always be told */
	json_decref(reply);
	return 0;
}
