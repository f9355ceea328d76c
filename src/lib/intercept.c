/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intercept.c - bring traffic to a listener; see waylay.h.
 *
 * The public face of selection.h (what) and carry.h (how).
 */
#include "lib/args.h"
#include "lib/carry.h"
#include "lib/error.h"
#include "lib/selection.h"
#include "net/sock.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct waylay_intercept {
	struct selection selection;
	struct carry carry;
};

struct waylay_intercept *waylay_intercept_new(void)
{
	struct waylay_intercept *i = calloc(1, sizeof(*i));

	if (i)
		i->carry = CARRY_NONE;
	return i;
}

static int check_object(const struct waylay_intercept *i, struct err *e)
{
	return i ? 0 : err_set(e, EINVAL, "no interception is given");
}

int waylay_intercept_set(struct waylay_intercept *intercept, const char *name,
			 const char *value, struct waylay_error *error)
{
	struct err e = { 0 };
	int result = check_object(intercept, &e);

	if (!result)
		result = selection_set(&intercept->selection, name, value, &e);
	return error_pass(error, &e, result);
}

/* --- listeners ----------------------------------------------------------- */

static int family_option(int fd, int level, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, option, &value, &len) < 0 ? 0 : value;
}

/* One flag in the kernel, told at the level of the socket's family. */
static bool is_transparent(int fd, int family)
{
	return family == AF_INET6
		       ? family_option(fd, SOL_IPV6, IPV6_TRANSPARENT)
		       : family_option(fd, SOL_IP, IP_TRANSPARENT);
}

static int check_listener(int fd, int *type, struct addr *at, struct err *e)
{
	int error;

	*type = args_socket_is(fd, SO_TYPE);
	if (*type < 0)
		return err_errno(e, -*type, "descriptor %d is no socket", fd);
	error = sock_local_addr(fd, at);
	if (error < 0)
		return err_errno(e, -error, "descriptor %d has no address", fd);
	if (!at->family || (*type != SOCK_STREAM && *type != SOCK_DGRAM))
		return err_set(e, EAFNOSUPPORT,
			       "descriptor %d is no TCP or UDP socket", fd);
	if (!at->port)
		return err_set(e, EINVAL, "descriptor %d is not bound", fd);
	if (*type == SOCK_STREAM && !args_socket_is(fd, SO_ACCEPTCONN))
		return err_set(e, EINVAL,
			       "descriptor %d does not listen: call listen(2)",
			       fd);
	if (!is_transparent(fd, at->family))
		return err_set(e, EINVAL,
			       "descriptor %d is not transparent: set "
			       "IP_TRANSPARENT, or use waylay_listen_tcp",
			       fd);
	return 0;
}

static int deliver(struct selection *s, int type, const struct addr *at,
		   struct err *e)
{
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return err_set(e, EPROTOTYPE,
			       "a listener of type %d: neither SOCK_STREAM nor "
			       "SOCK_DGRAM",
			       type);
	if (!at->port)
		return err_set(e, EINVAL, "the listener has no port");
	if (at->scope)
		return err_set(e, EINVAL,
			       "a listener on a link-local address cannot be "
			       "delivered to");
	selection_deliver(s, type == SOCK_STREAM ? PROTO_TCP : PROTO_UDP, at);
	return 0;
}

/* Of :: without IPV6_V6ONLY, which is for both families. */
static bool is_for_both(int fd, const struct addr *at)
{
	return at->family == AF_INET6 &&
	       IN6_IS_ADDR_UNSPECIFIED((const struct in6_addr *)at->ip) &&
	       !family_option(fd, SOL_IPV6, IPV6_V6ONLY);
}

static int deliver_fd(struct selection *s, int fd, struct err *e)
{
	struct addr at;
	int type, error = check_listener(fd, &type, &at, e);

	if (error < 0)
		return error;
	if (is_for_both(fd, &at)) {
		const struct addr v4 = { .family = AF_INET, .port = at.port };

		error = deliver(s, type, &v4, e);
	}
	return error < 0 ? error : deliver(s, type, &at, e);
}

int waylay_intercept_deliver(struct waylay_intercept *intercept, int listener,
			     struct waylay_error *error)
{
	struct err e = { 0 };
	int result = check_object(intercept, &e);

	if (!result)
		result = deliver_fd(&intercept->selection, listener, &e);
	return error_pass(error, &e, result);
}

int waylay_intercept_deliver_to(struct waylay_intercept *intercept, int type,
				const struct sockaddr *listener,
				struct waylay_error *error)
{
	struct err e = { 0 };
	struct addr at;
	int result = check_object(intercept, &e);

	if (!result)
		result = args_address(listener, "listener", &at, &e);
	if (!result)
		result = deliver(&intercept->selection, type, &at, &e);
	return error_pass(error, &e, result);
}

/* --- installing ---------------------------------------------------------- */

int waylay_intercept_install(struct waylay_intercept *intercept,
			     struct waylay_error *error)
{
	struct config *config = NULL;
	struct err e = { 0 };
	int result = check_object(intercept, &e);

	if (!result) {
		config = selection_config(&intercept->selection, &e);
		result = config ? 0 : -e.code;
	}
	if (!result)
		result = carry_install(&intercept->carry, config, &e);
	return error_pass(error, &e, result);
}

int waylay_intercept_check(struct waylay_intercept *intercept,
			   struct waylay_error *error)
{
	struct err e = { 0 };
	int result = check_object(intercept, &e);

	if (!result)
		result = carry_check(&intercept->carry, &e);
	return error_pass(error, &e, result);
}

int waylay_intercept_remove(struct waylay_intercept *intercept,
			    struct waylay_error *error)
{
	struct err e = { 0 };
	int result = check_object(intercept, &e);

	if (!result)
		result = carry_remove(&intercept->carry, &e);
	return error_pass(error, &e, result);
}

void waylay_intercept_free(struct waylay_intercept *intercept)
{
	if (!intercept)
		return;
	(void)carry_remove(&intercept->carry, NULL); /* nobody to tell */
	selection_done(&intercept->selection);
	free(intercept);
}

int waylay_clean(struct waylay_error *error)
{
	struct err e = { 0 };

	return error_pass(error, &e, carry_clean(&e));
}

/* --- inspecting ---------------------------------------------------------- */

static int render(const struct waylay_intercept *i, enum waylay_text which,
		  struct str *out, struct err *e)
{
	if (which != WAYLAY_TEXT_CONFIG && !carry_is_installed(&i->carry))
		return err_set(e, ENOENT, "nothing is installed");
	switch (which) {
	case WAYLAY_TEXT_CONFIG:
		selection_write(&i->selection, out);
		break;
	case WAYLAY_TEXT_RULES:
		engine_render(i->carry.engine, &i->carry.plan, out);
		break;
	case WAYLAY_TEXT_ENGINE:
		str_add(out, i->carry.engine->name);
		break;
	}
	return str_ok(out) ? 0 : err_set(e, ENOMEM, "no memory for a text");
}

static int put_text(const struct str *from, char *text, size_t size,
		    struct err *e)
{
	size_t len = from->len;

	if (len > INT_MAX)
		return err_set(e, EOVERFLOW, "the text is too long");
	if (size) {
		size_t part = len < size ? len : size - 1;

		memcpy(text, str_get(from), part);
		text[part] = '\0';
	}
	return (int)len;
}

int waylay_intercept_text(const struct waylay_intercept *intercept,
			  enum waylay_text which, char *text, size_t size,
			  struct waylay_error *error)
{
	struct str out = { 0 };
	struct err e = { 0 };
	int result = check_object(intercept, &e);

	if (!result && ((size && !text) || which < WAYLAY_TEXT_CONFIG ||
			which > WAYLAY_TEXT_ENGINE))
		result = err_set(&e, EINVAL, "no such text, or no room");
	if (!result)
		result = render(intercept, which, &out, &e);
	if (!result)
		result = put_text(&out, text, size, &e);
	str_done(&out);
	return error_pass(error, &e, result);
}
