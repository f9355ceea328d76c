/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_http.c - the host of a first request in HTTP/1 (RFC 9110, RFC 9112).
 *
 *	method SP target SP HTTP/1.x CRLF
 *	name ":" value CRLF ...
 *	CRLF
 *
 * An authority in the target wins over Host, and with two Hosts there is no
 * name (R-HTTP-1): so the whole head is read before a name is told.  A line
 * may end with LF alone, as servers take it.  What servers take in different
 * ways is no HTTP here: folded lines, space before a colon, control bytes.
 *
 * Every step reads on where the one before ended, and says at once when no
 * further byte can make it right: SSH or SMTP do not wait for the deadline.
 */
#include "relay/name.h"

#include "policy/domains.h"

#include <string.h>
#include <strings.h>

enum {
	METHOD_MAX = 32, /* the longest registered one has 17 */
	PORT_DIGITS_MAX = 5,
};

struct text {
	const uint8_t *at;
	size_t len;
};

struct head {
	struct text left; /* not read yet */
	struct text method, target, host;
	bool has_host;
};

/* --- bytes --------------------------------------------------------------- */

enum { TOKEN = 1, TARGET = 2, VALUE = 4, ALL = TOKEN | TARGET | VALUE };

static const uint8_t classes[256] = {
	['\t'] = VALUE,	      [' '] = VALUE,
	['!'] = ALL,	      ['"'] = TARGET | VALUE,
	['#' ... '\''] = ALL, ['(' ... ')'] = TARGET | VALUE,
	['*' ... '+'] = ALL,  [','] = TARGET | VALUE,
	['-' ... '.'] = ALL,  ['/'] = TARGET | VALUE,
	['0' ... '9'] = ALL,  [':' ... '@'] = TARGET | VALUE,
	['A' ... 'Z'] = ALL,  ['[' ... ']'] = TARGET | VALUE,
	['^' ... 'z'] = ALL,  ['{'] = TARGET | VALUE,
	['|'] = ALL,	      ['}'] = TARGET | VALUE,
	['~'] = ALL,	      [0x80 ... 0xff] = TARGET | VALUE,
};

static struct text take(struct text *from, size_t count)
{
	struct text taken = { from->at, count };

	from->at += count;
	from->len -= count;
	return taken;
}

/* All bytes of one class.  FOUND: something else follows. */
static enum name_result take_class(struct text *from, uint8_t class,
				   struct text *out)
{
	size_t count = 0;

	while (count < from->len && classes[from->at[count]] & class)
		count++;
	*out = take(from, count);
	return from->len ? NAME_FOUND : NAME_MORE;
}

static enum name_result take_literal(struct text *from, const char *literal)
{
	size_t count = strlen(literal);

	if (count > from->len)
		count = from->len;
	if (memcmp(from->at, literal, count) != 0)
		return NAME_NONE;
	take(from, count);
	return literal[count] ? NAME_MORE : NAME_FOUND;
}

static enum name_result take_line_end(struct text *from)
{
	if (from->len && *from->at == '\n')
		return take_literal(from, "\n");
	return take_literal(from, "\r\n");
}

static bool is_text(const struct text *t, const char *wanted)
{
	size_t len = strlen(wanted);

	return t->len == len &&
	       strncasecmp((const char *)t->at, wanted, len) == 0;
}

/* --- the request line ---------------------------------------------------- */

static enum name_result take_method(struct head *h)
{
	enum name_result r = take_class(&h->left, TOKEN, &h->method);

	if (h->method.len > METHOD_MAX)
		return NAME_NONE;
	if (r != NAME_FOUND)
		return r;
	return h->method.len ? take_literal(&h->left, " ") : NAME_NONE;
}

static bool is_connect(const struct head *h)
{
	return h->method.len == 7 && memcmp(h->method.at, "CONNECT", 7) == 0;
}

static bool is_scheme_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

/* Behind "scheme://"; length 0: there is none. */
static struct text after_scheme(const struct text *target)
{
	struct text rest = *target;
	size_t count = 0;

	while (count < rest.len && is_scheme_char(rest.at[count]))
		count++;
	take(&rest, count);
	if (!count || take_literal(&rest, "://") != NAME_FOUND)
		rest.len = 0;
	return rest;
}

static bool is_target(const struct head *h)
{
	if (!h->target.len)
		return false;
	if (*h->target.at == '/' || is_connect(h) || is_text(&h->target, "*"))
		return true;
	return after_scheme(&h->target).len > 0;
}

static enum name_result take_target(struct head *h)
{
	enum name_result r = take_class(&h->left, TARGET, &h->target);

	if (r != NAME_FOUND)
		return r;
	return is_target(h) ? take_literal(&h->left, " ") : NAME_NONE;
}

static enum name_result take_version(struct head *h)
{
	enum name_result r = take_literal(&h->left, "HTTP/1.");

	if (r != NAME_FOUND)
		return r;
	if (!h->left.len)
		return NAME_MORE;
	if (*h->left.at < '0' || *h->left.at > '9')
		return NAME_NONE;
	take(&h->left, 1);
	return take_line_end(&h->left);
}

/* --- fields -------------------------------------------------------------- */

static struct text trim(struct text t)
{
	while (t.len && (t.at[0] == ' ' || t.at[0] == '\t'))
		take(&t, 1);
	while (t.len && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
		t.len--;
	return t;
}

static enum name_result take_field(struct head *h)
{
	struct text name, value;
	enum name_result r = take_class(&h->left, TOKEN, &name);

	if (r != NAME_FOUND)
		return r;
	if (!name.len)
		return NAME_NONE;
	r = take_literal(&h->left, ":");
	if (r == NAME_FOUND)
		r = take_class(&h->left, VALUE, &value);
	if (r == NAME_FOUND)
		r = take_line_end(&h->left);
	if (r != NAME_FOUND || !is_text(&name, "host"))
		return r;
	if (h->has_host)
		return NAME_NONE;
	h->has_host = true;
	h->host = trim(value);
	return NAME_FOUND;
}

static enum name_result take_fields(struct head *h)
{
	enum name_result r = NAME_FOUND;

	while (r == NAME_FOUND && h->left.len) {
		if (*h->left.at == '\r' || *h->left.at == '\n')
			return take_line_end(&h->left);
		r = take_field(h);
	}
	return r == NAME_FOUND ? NAME_MORE : r;
}

/* --- the name ------------------------------------------------------------ */

static struct text authority_of(const struct head *h)
{
	struct text t;

	if (is_connect(h))
		return h->target;
	if (*h->target.at == '/' || *h->target.at == '*')
		return h->host;
	t = after_scheme(&h->target);
	for (size_t i = 0; i < t.len; i++)
		if (strchr("/?#", t.at[i]))
			return take(&t, i);
	return t;
}

/* Without ":port", where the port may be empty. */
static bool cut_port(struct text *t)
{
	const uint8_t *colon = memrchr(t->at, ':', t->len);
	size_t digits;

	if (!colon)
		return true;
	digits = t->len - (size_t)(colon + 1 - t->at);
	if (digits > PORT_DIGITS_MAX)
		return false;
	for (size_t i = 1; i <= digits; i++)
		if (colon[i] < '0' || colon[i] > '9')
			return false;
	t->len = (size_t)(colon - t->at);
	return true;
}

enum name_result name_http(const uint8_t *bytes, size_t len,
			   char out[HOST_TEXT_MAX])
{
	struct head h = { .left = { bytes, len } };
	enum name_result r = take_method(&h);
	struct text name;

	if (r == NAME_FOUND)
		r = take_target(&h);
	if (r == NAME_FOUND)
		r = take_version(&h);
	if (r == NAME_FOUND)
		r = take_fields(&h);
	if (r != NAME_FOUND)
		return r;
	name = authority_of(&h);
	if (!name.len || !cut_port(&name) ||
	    !domain_normalise((const char *)name.at, name.len, out))
		return NAME_NONE;
	return NAME_FOUND;
}
