/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - a configuration from its file; see load.h.
 */
#include "daemon/load.h"

#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { READ_BYTES = 65536 };

static int read_all(int fd, const char *file, struct str *out, struct err *e)
{
	char buf[READ_BYTES];
	ssize_t len;

	while ((len = read(fd, buf, sizeof(buf))) > 0) {
		if (out->len + (size_t)len > CONFIG_BYTES_MAX)
			return err_set(e, EFBIG, "cannot read %s: it is longer "
				       "than %d bytes", file, CONFIG_BYTES_MAX);
		str_addn(out, buf, (size_t)len);
	}
	if (len < 0)
		return err_errno(e, errno, "cannot read %s", file);
	if (!str_ok(out))
		return err_set(e, ENOMEM, "no memory to read %s", file);
	return 0;
}

/* What the grammar allows and this version cannot do. */
static int check_ability(const char *file, const struct config *c,
			 struct str *messages)
{
	static const char *const engines[] = {
		[ENGINE_AUTO] = "auto", [ENGINE_EBPF] = "ebpf",
		[ENGINE_NFT] = "nft", [ENGINE_IPTABLES] = "iptables",
	};

	if (c->engine != ENGINE_AUTO && c->engine != ENGINE_NFT) {
		str_addf(messages,
			 "%s: error: engine %s is not built yet; use `engine "
			 "nft` or `engine auto`\n", file, engines[c->engine]);
		return -EINVAL;
	}
	for (size_t i = 0; i < c->intercept_count; i++) {
		if (!c->intercepts[i].from_host)
			continue;
		str_addf(messages,
			 "%s:%u:%u: error: intercept %s: `from host` is not "
			 "built yet; for one command there is `waylay exec`\n",
			 file, c->intercepts[i].at.line,
			 c->intercepts[i].at.column, c->intercepts[i].name);
		return -EINVAL;
	}
	return 0;
}

static int parse(const char *file, const struct str *text,
		 struct config **out, struct str *messages)
{
	struct messages m = { 0 };
	struct config *c = config_parse(file, str_get(text), text->len, &m);
	int error = c ? 0 : -EINVAL;

	str_add(messages, str_get(&m.text));
	messages_done(&m);
	if (c)
		error = check_ability(file, c, messages);
	if (error < 0)
		config_free(c);
	else
		*out = c;
	return error;
}

int load_config(const char *file, struct config **out, struct str *messages,
		struct err *e)
{
	struct str text = { 0 };
	int fd = open(file, O_RDONLY | O_CLOEXEC), error;

	if (fd < 0) {
		err_errno(e, errno, "cannot open the configuration %s", file);
		/* -EINVAL is for messages */
		return e->code == EINVAL ? -EIO : -e->code;
	}
	error = read_all(fd, file, &text, e);
	close(fd);
	if (!error)
		error = parse(file, &text, out, messages);
	str_done(&text);
	return error;
}
