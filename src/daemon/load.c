/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - a configuration from its file; see load.h.
 */
#include "daemon/load.h"

#include "base/file.h"
#include "engine/engine.h"

#include <errno.h>

int load_config(const char *file, const struct policy_files *files,
		struct config **out, struct str *messages, struct err *e)
{
	struct messages m = { 0 };
	struct str text = { 0 };
	int error = file_read(file, CONFIG_BYTES_MAX, &text, e);
	struct config *c;

	if (error < 0) {
		str_done(&text);
		/* -EINVAL is for messages */
		return error == -EINVAL ? -EIO : error;
	}
	c = engine_parse(file, str_get(&text), text.len, files, &m);
	str_add(messages, str_get(&m.text));
	messages_done(&m);
	str_done(&text);
	if (!c)
		return -EINVAL;
	*out = c;
	return 0;
}
