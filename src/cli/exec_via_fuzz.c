/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_via_fuzz.c - any bytes as the URL of a proxy (libFuzzer).
 *
 * What is taken can stand in a configuration; what is refused is not repeated.
 */
#include "cli/exec_via.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct exec_via *v)
{
	if (v->kind != EXEC_VIA_DIRECT && (!v->port || !v->host[0]))
		abort();
	if (v->host[strcspn(v->host, " \t\n\"#;,{}\\@/%")])
		abort();
	if (v->has_user && (!v->user[0] || !v->password[0] ||
			    strchr(v->user, '\n') || strchr(v->password, '\n')))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *url = malloc(size + 1);
	struct exec_via v;
	struct err e = { 0 };

	if (!url)
		return 0;
	if (size)
		memcpy(url, data, size);
	url[size] = '\0';
	if (exec_via_parse(url, &v, &e) == 0)
		check(&v);
	else if (!e.text[0])
		abort();
	exec_via_cover(url);
	free(url);
	return 0;
}
