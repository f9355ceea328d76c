/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_via.c - read the URL of a proxy; see exec_via.h.
 */
#include "cli/exec_via.h"

#include "net/addr.h"
#include "policy/domains.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *scheme;
	enum exec_via_kind kind;
} schemes[] = {
	{ "socks5://", EXEC_VIA_SOCKS5 },
	{ "http://", EXEC_VIA_HTTP },
};

static int refuse(struct err *e, const char *why)
{
	return err_set(e, EINVAL, "--via: %s", why);
}

/* --- user and password --------------------------------------------------- */

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

/* Percent-decoded into `out` of EXEC_VIA_WORD_MAX bytes. */
static int decode(const char *text, size_t len, char *out, struct err *e)
{
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		int high, low, byte = (unsigned char)text[i];

		if (text[i] == '%') {
			high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
			low = high < 0 ? -1 : hex_digit(text[i + 2]);
			if (low < 0)
				return refuse(e, "a % in user or password is "
						 "not followed by two "
						 "hexadecimal digits");
			byte = high << 4 | low;
			i += 2;
		}
		if (is_control((unsigned char)byte))
			return refuse(e, "user and password cannot hold "
					 "control bytes");
		if (at == EXEC_VIA_WORD_MAX - 1)
			return refuse(e, "user and password have at most 255 "
					 "bytes each");
		out[at++] = (char)byte;
	}
	out[at] = '\0';
	return 0;
}

static int parse_user(const char *text, size_t len, struct exec_via *v,
		      struct err *e)
{
	const char *colon = memchr(text, ':', len);
	size_t user_len = colon ? (size_t)(colon - text) : len;
	int error;

	if (!colon || !user_len || user_len + 1 == len)
		return refuse(e, "a proxy that asks needs both a user and a "
				 "password: USER:PASSWORD@");
	error = decode(text, user_len, v->user, e);
	if (!error)
		error = decode(colon + 1, len - user_len - 1, v->password, e);
	if (!error && v->kind == EXEC_VIA_HTTP && strchr(v->user, ':'))
		error = refuse(e, "the user of an HTTP proxy cannot have a "
				  "colon");
	v->has_user = true;
	return error;
}

/* --- host and port ------------------------------------------------------- */

/* `text` is "[::1]", "192.0.2.1" or a name; written back in its usual form. */
static bool parse_host(const char *text, size_t len, struct exec_via *v)
{
	bool is_v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';
	char ip[EXEC_VIA_WORD_MAX];
	struct addr a;

	if (!len || len >= sizeof(ip))
		return false;
	memcpy(ip, text + is_v6, len - 2 * (size_t)is_v6);
	ip[len - 2 * (size_t)is_v6] = '\0';
	/* A scope cannot stand in a configuration. */
	if (strchr(ip, '%'))
		return false;
	v->is_name = addr_parse_ip(ip, &a) < 0;
	if (v->is_name)
		return !is_v6 && domain_normalise(text, len, v->host);
	if (is_v6 != (a.family == AF_INET6))
		return false;
	memcpy(v->host, text, len);
	v->host[len] = '\0';
	return true;
}

static int parse_server(const char *text, struct exec_via *v, struct err *e)
{
	char rest[2 * EXEC_VIA_WORD_MAX];
	size_t len = strlen(text);
	char *colon;

	if (len && text[len - 1] == '/')
		len--;
	if (len >= sizeof(rest))
		return refuse(e, "its host is too long");
	memcpy(rest, text, len);
	rest[len] = '\0';
	colon = strrchr(rest, ':');
	if (!colon || addr_parse_port(colon + 1, &v->port) < 0 ||
	    !parse_host(rest, (size_t)(colon - rest), v))
		return refuse(e,
			      "it needs a host and a port, such as "
			      "socks5://192.0.2.1:1080, http://[2001:db8::1]:"
			      "3128 or http://proxy.example:3128");
	return 0;
}

/* --- all ----------------------------------------------------------------- */

/* Behind "SCHEME://"; NULL: it has none of ours. */
static const char *find_rest(const char *url, enum exec_via_kind *kind)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t len = strlen(schemes[i].scheme);

		if (strncasecmp(url, schemes[i].scheme, len) != 0)
			continue;
		*kind = schemes[i].kind;
		return url + len;
	}
	return NULL;
}

static int parse(const char *url, struct exec_via *v, struct err *e)
{
	const char *rest, *at;
	int error = 0;

	if (strcasecmp(url, "direct") == 0)
		return 0;
	rest = find_rest(url, &v->kind);
	if (!rest)
		return refuse(e, "it is direct, socks5://HOST:PORT or "
				 "http://HOST:PORT");
	at = strrchr(rest, '@');
	if (at)
		error = parse_user(rest, (size_t)(at - rest), v, e);
	return error ? error : parse_server(at ? at + 1 : rest, v, e);
}

int exec_via_parse(const char *url, struct exec_via *out, struct err *e)
{
	struct exec_via v = { .kind = EXEC_VIA_DIRECT };
	int error = parse(url, &v, e);

	if (!error)
		*out = v;
	exec_via_wipe(&v);
	return error;
}

void exec_via_wipe(struct exec_via *v)
{
	explicit_bzero(v->password, sizeof(v->password));
}

void exec_via_cover(char *url)
{
	char *rest = strstr(url, "://"), *at = strrchr(url, '@'), *colon;

	if (!rest || !at || at < rest)
		return;
	colon = strchr(rest + 3, ':');
	if (colon && colon < at)
		memset(colon + 1, '*', (size_t)(at - colon - 1));
}
