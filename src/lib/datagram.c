/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagram.c - datagrams to and from anybody; see waylay.h.
 *
 * What is sent goes out of a raw socket, which has no address: a socket bound
 * to the foreign address would, as long as it lives, get what others send
 * there.  See net/packet.h.
 */
#include "lib/args.h"
#include "lib/error.h"
#include "net/dgram.h"
#include "net/packet.h"
#include "net/sock.h"

#include <errno.h>
#include <linux/in6.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	CONTROL_BYTES = 256,
	FRAGMENT_MTU = 1280, /* every IPv6 link carries it, RFC 8200 */
	LEN_MAX_V4 = 65507,  /* 65535 without both headers */
	LEN_MAX_V6 = 65527,
};

static int check_size(const struct waylay_datagram *d, struct err *e)
{
	if (!d)
		return err_set(e, EINVAL, "no datagram is given");
	if (d->size < sizeof(*d))
		return err_set(e, EINVAL,
			       "a struct waylay_datagram of %zu bytes; it has "
			       "%zu",
			       d->size, sizeof(*d));
	return 0;
}

/* --- receiving ----------------------------------------------------------- */

static void store(struct addr *a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (a->family)
		(void)addr_to_sockaddr(a, out);
}

static int check_receiver(int fd, struct err *e)
{
	int protocol = args_socket_is(fd, SO_PROTOCOL);

	if (protocol < 0)
		return err_errno(e, -protocol, "descriptor %d is no socket",
				 fd);
	if (protocol != IPPROTO_UDP)
		return err_set(e, EPROTOTYPE, "descriptor %d is no UDP socket",
			       fd);
	return 0;
}

static int receive(int fd, struct waylay_datagram *d, struct err *e)
{
	_Alignas(struct cmsghdr) char control[CONTROL_BYTES];
	struct iovec iov = { d->bytes, d->capacity };
	struct sockaddr_storage ss = { 0 };
	struct msghdr msg = {
		.msg_name = &ss,
		.msg_namelen = sizeof(ss),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct addr from, to;
	ssize_t len = recvmsg(fd, &msg, MSG_TRUNC | MSG_CMSG_CLOEXEC);

	if (len < 0)
		return err_errno(e, errno, "cannot receive a datagram");
	addr_from_sockaddr((struct sockaddr *)&ss, &from);
	(void)addr_unmap(&from);
	dgram_origdst(&msg, &to);
	(void)addr_unmap(&to); /* of IPv4, on an IPv6 socket */
	d->len = (size_t)len;
	store(&from, &d->from);
	store(&to, &d->to);
	return 0;
}

int waylay_recv(int fd, struct waylay_datagram *datagram,
		struct waylay_error *error)
{
	struct err e;
	int result = check_size(datagram, &e);

	if (!result && !datagram->bytes && datagram->capacity)
		result = err_set(&e, EINVAL, "no room for the datagram");
	if (!result)
		result = check_receiver(fd, &e);
	if (!result)
		result = receive(fd, datagram, &e);
	return error_pass(error, &e, result);
}

/* --- sending ------------------------------------------------------------- */

int waylay_sender(int family, const struct waylay_options *options,
		  struct waylay_error *error)
{
	struct waylay_options o;
	struct err e = { 0 };
	int fd, result = args_options(options, &o, &e);

	if (!result && family != AF_INET && family != AF_INET6)
		result = err_set(&e, EAFNOSUPPORT,
				 "a sender of family %d, neither AF_INET nor "
				 "AF_INET6",
				 family);
	if (result < 0)
		return error_tell(error, &e);
	fd = sock_raw_sender(family, o.mark, &e);
	if (fd == -EPERM)
		(void)err_set(&e, EPERM,
			      "cannot open a raw socket: it needs CAP_NET_RAW");
	if (fd < 0)
		return error_tell(error, &e);
	result = args_blocking(fd, &o, &e);
	if (result < 0) {
		close(fd);
		return error_tell(error, &e);
	}
	return fd;
}

/* A datagram as the kernel is given it. */
struct parcel {
	struct addr from, to;
	const uint8_t *bytes;
	size_t len;
	struct packet_head head;
};

/* Into any other socket the headers would go as payload. */
static int check_sender(int fd, const struct parcel *p, struct err *e)
{
	int protocol = args_socket_is(fd, SO_PROTOCOL);
	int family = args_socket_is(fd, SO_DOMAIN);

	if (protocol < 0)
		return err_errno(e, -protocol, "descriptor %d is no socket",
				 fd);
	if (protocol != IPPROTO_RAW)
		return err_set(e, EPROTOTYPE,
			       "descriptor %d was not made by waylay_sender",
			       fd);
	if (family != p->to.family)
		return err_set(e, EAFNOSUPPORT,
			       "the sender and the datagram are of two "
			       "families");
	return 0;
}

static int fill_parcel(const struct waylay_datagram *d, struct parcel *p,
		       struct err *e)
{
	int error = check_size(d, e);

	if (!error)
		error = args_address((const struct sockaddr *)&d->from,
				     "source", &p->from, e);
	if (!error)
		error = args_address((const struct sockaddr *)&d->to,
				     "destination", &p->to, e);
	if (error < 0)
		return error;
	if (p->from.family != p->to.family)
		return err_set(e, EAFNOSUPPORT,
			       "a datagram from IPv4 to IPv6, or the other way "
			       "round");
	if (!p->from.port || !p->to.port)
		return err_set(e, EINVAL, "a datagram from or to port 0");
	if (d->len > (p->to.family == AF_INET ? LEN_MAX_V4 : LEN_MAX_V6))
		return err_set(e, EMSGSIZE,
			       "%zu bytes are more than a datagram carries",
			       d->len);
	if (!d->bytes && d->len)
		return err_set(e, EINVAL, "the datagram has no bytes");
	p->bytes = d->bytes;
	p->len = d->len;
	return 0;
}

/* raw(7): the port of the address would be a protocol. */
static int send_part(int fd, const struct addr *to,
		     const struct packet_head *head, const uint8_t *bytes,
		     size_t len)
{
	struct iovec iov[2] = {
		{ (void *)head->bytes, head->len },
		{ (void *)bytes, len },
	};
	struct addr ip = *to;
	struct sockaddr_storage ss;
	struct msghdr msg = { .msg_name = &ss, .msg_iov = iov };

	msg.msg_iovlen = 2;
	ip.port = 0;
	msg.msg_namelen = addr_to_sockaddr(&ip, &ss);
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A raw socket does not part what is too long for the way. */
static int send_fragments(int fd, const struct parcel *p)
{
	uint32_t id;
	size_t at = 0;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return -EAGAIN; /* early in the life of a host */
	do {
		struct packet_head head;
		const uint8_t *part;
		size_t len;
		int error;

		at = packet_fragment(&p->head, p->bytes, p->len, FRAGMENT_MTU,
				     id, at, &head, &part, &len);
		error = send_part(fd, &p->to, &head, part, len);
		if (error < 0)
			return error;
	} while (at);
	return 0;
}

static int send_parcel(int fd, struct parcel *p, struct err *e)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
	int error;

	packet_udp(&p->from, &p->to, p->bytes, p->len, &p->head);
	error = send_part(fd, &p->to, &p->head, p->bytes, p->len);
	if (error == -EMSGSIZE)
		error = send_fragments(fd, p);
	if (error < 0)
		return err_errno(e, -error, "cannot send to %s/udp from %s",
				 addr_format(&p->to, to),
				 addr_format(&p->from, from));
	return 0;
}

int waylay_send(int sender, const struct waylay_datagram *datagram,
		struct waylay_error *error)
{
	struct parcel p;
	struct err e;
	int result = fill_parcel(datagram, &p, &e);

	if (!result)
		result = check_sender(sender, &p, &e);
	if (!result)
		result = send_parcel(sender, &p, &e);
	return error_pass(error, &e, result);
}
