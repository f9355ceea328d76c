/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c - names, limits and requests of the control protocol; see wire.h.
 */
#include "control/wire.h"

#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char *const code_names[] = {
	[CONTROL_USAGE] = "usage",
	[CONTROL_CONFIG] = "config",
	[CONTROL_FAILED] = "failed",
};
static_assert(sizeof(code_names) / sizeof(code_names[0]) == CONTROL_FAILED + 1,
	      "each code has a name");

const char *control_code_name(enum control_code code)
{
	return code_names[code];
}

const char *control_run_dir(const char *given)
{
	const char *env = secure_getenv(CONTROL_RUN_DIR_ENV);

	if (given)
		return given;
	return env && *env ? env : CONTROL_RUN_DIR;
}

int control_address(const char *run_dir, struct sockaddr_un *out, struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int len = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s", run_dir,
			   CONTROL_SOCKET_NAME);

	if (len < 0 || (size_t)len >= sizeof(sun.sun_path))
		return err_set(e, ENAMETOOLONG,
			       "run directory %s is too long for a socket "
			       "(at most %zu bytes)",
			       run_dir,
			       sizeof(sun.sun_path) -
				       sizeof("/" CONTROL_SOCKET_NAME));
	*out = sun;
	return 0;
}

/* jansson bounds the depth itself (JSON_PARSER_MAX_DEPTH, 2048). */
json_t *control_parse(const char *line, size_t len, struct err *e)
{
	json_error_t why;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);

	if (!request) {
		(void)err_set(e, EINVAL, "the request is not JSON: %s",
			      why.text);
		return NULL;
	}
	if (json_is_string(json_object_get(request, "command")))
		return request;
	json_decref(request);
	(void)err_set(e, EINVAL,
		      "the request is not an object with a \"command\"");
	return NULL;
}

json_t *control_text(const char *text)
{
	json_t *string = json_string(text);
	char *ascii;

	if (string)
		return string;
	ascii = strdup(text);
	if (!ascii)
		return NULL;
	for (char *p = ascii; *p; p++)
		if (*p & 0x80)
			*p = '?';
	string = json_string(ascii);
	free(ascii);
	return string;
}

json_t *control_error(enum control_code code, const char *text)
{
	return json_pack("{s:b, s:s, s:o}", "ok", 0, "code",
			 control_code_name(code), "error", control_text(text));
}
