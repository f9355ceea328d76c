/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waylay.h - transparent proxying for any program; see libwaylay(3).
 *
 * Listeners that accept for somebody else, the original destination of what
 * they get, sockets that speak with a foreign address, and the interception
 * that brings traffic to a listener.  Works without waylayd.
 *
 * Rules that hold for all functions:
 * - They return 0, a count or a descriptor, or -errno; they never print, never
 *   end the process, and leave no descriptor behind when they fail.
 * - What they write to is untouched when they fail, but for the error.
 * - Descriptors are close-on-exec and belong to the caller: close(2).
 * - An address is a struct sockaddr_in or sockaddr_in6, told by sa_family.
 * - A structure whose first field is `size` has its own sizeof there.  Fields
 *   that a program does not know of, or sets to zero, have their default.
 * - They keep no state but in objects; one object is used by one thread at a
 *   time.
 */
#ifndef WAYLAY_H
#define WAYLAY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- errors -------------------------------------------------------------- */

enum { WAYLAY_ERROR_TEXT = 1012 };

/*
 * What went wrong.  Every function takes one, or NULL.  A shorter one is
 * filled as far as it goes; nothing is written when a function succeeds.
 */
struct waylay_error {
	size_t size;
	int code;		      /* errno, positive */
	char text[WAYLAY_ERROR_TEXT]; /* one sentence, no newline */
};

#define WAYLAY_ERROR_INIT                                                      \
	{                                                                      \
		sizeof(struct waylay_error), 0, ""                             \
	}

/* "0.1.0": of the library, not of this header. */
const char *waylay_version(void);

/* --- sockets ------------------------------------------------------------- */

enum {
	/* What every socket of this library carries (SO_MARK): no waylay
	 * intercepts it. */
	WAYLAY_MARK = 0x2000,
	WAYLAY_BACKLOG = 4096,
};

/* For waylay_options.flags */
enum {
	WAYLAY_NONBLOCK = 1 << 0,  /* O_NONBLOCK */
	WAYLAY_REUSEPORT = 1 << 1, /* listeners: several share an address */
};

/* How a socket is to be.  NULL instead of one: all defaults. */
struct waylay_options {
	size_t size;
	uint32_t mark;	/* 0: WAYLAY_MARK */
	uint32_t flags; /* WAYLAY_NONBLOCK... */
	int backlog;	/* waylay_listen_tcp(); 0: WAYLAY_BACKLOG */
	int timeout_ms; /* waylay_connect(); 0: as long as the kernel tries */
};

#define WAYLAY_OPTIONS_INIT                                                    \
	{                                                                      \
		sizeof(struct waylay_options), 0, 0, 0, 0                      \
	}

/*
 * A listener that accepts what is addressed to others, once an interception
 * (or a TPROXY rule) brings it.  Port 0: any; getsockname(2) tells which.  An
 * IPv6 listener is for IPv6 alone.  On 127.0.0.1 and ::1 nobody else reaches
 * it; on the wildcard address other hosts do, directly.
 * Returns a descriptor.  Needs CAP_NET_RAW or CAP_NET_ADMIN.
 */
int waylay_listen_tcp(const struct sockaddr *at,
		      const struct waylay_options *options,
		      struct waylay_error *error);
/* For waylay_recv(). */
int waylay_listen_udp(const struct sockaddr *at,
		      const struct waylay_options *options,
		      struct waylay_error *error);

/* How a connection came to this host. */
enum waylay_way {
	WAYLAY_PLAIN,	 /* its destination is an address of this host */
	WAYLAY_TPROXY,	 /* intercepted, the destination is on the socket */
	WAYLAY_REDIRECT, /* a NAT rule had changed it; conntrack knows */
};

/*
 * Where did the client of this accepted connection want to go?  Returns an
 * enum waylay_way and sets *destination; an IPv4 address on an IPv6 socket
 * comes as IPv4.  -ENOTCONN for a listener, -EPROTOTYPE for a UDP socket.
 */
int waylay_destination(int fd, struct sockaddr_storage *destination,
		       struct waylay_error *error);

/*
 * A connection to `to` (TCP: SOCK_STREAM; UDP: SOCK_DGRAM) from the address
 * `from`, which need not be of this host; its port 0: any.  from NULL: an own
 * address.  Waits until it is there, but with WAYLAY_NONBLOCK: then poll(2)
 * for POLLOUT and ask for SO_ERROR.  Answers to a foreign address come back
 * only while an interception is installed on this host.
 * Returns a descriptor.
 */
int waylay_connect(int type, const struct sockaddr *from,
		   const struct sockaddr *to,
		   const struct waylay_options *options,
		   struct waylay_error *error);

/* One datagram, to be received or sent. */
struct waylay_datagram {
	size_t size;
	void *bytes;	 /* the caller's */
	size_t capacity; /* waylay_recv(): room at bytes; 65535 always fits */
	size_t len;	 /* of the payload; more than capacity: it was cut */
	struct sockaddr_storage from;
	struct sockaddr_storage to; /* received: the original destination;
				     * ss_family 0: the kernel did not say */
};

/*
 * The next datagram of a listener.  Blocks as the descriptor does; -EAGAIN when
 * there is none.  Sets len, from and to.
 */
int waylay_recv(int fd, struct waylay_datagram *datagram,
		struct waylay_error *error);

/*
 * A descriptor for waylay_send() over one family: AF_INET or AF_INET6.  It
 * receives nothing.  Needs CAP_NET_RAW.
 */
int waylay_sender(int family, const struct waylay_options *options,
		  struct waylay_error *error);
/*
 * Send len bytes from any address to any: from, to, bytes and len count.  No
 * socket is bound to `from`, so nobody's datagrams are lost.
 */
int waylay_send(int sender, const struct waylay_datagram *datagram,
		struct waylay_error *error);

/* --- interception -------------------------------------------------------- */

/*
 * Which traffic is brought to which listeners.  One can be installed in a
 * network namespace at a time, by waylayd or by one program.
 */
struct waylay_intercept;

/* NULL when memory is out. */
struct waylay_intercept *waylay_intercept_new(void);

/*
 * Say what is selected.  value is in the words of waylay.conf(5); NULL: as if
 * never said.
 *
 *	from		interfaces: "eth1, veth-*", or "host"; must be said
 *	tcp, udp	ports: "80, 8000-8999", "any"; one of them must be said
 *	except-src	networks: "10.0.0.0/8, private"
 *	except-dst	the same
 *	except-port	ports
 *	engine		"auto" (default), "ebpf", "nft", "iptables"
 *	on-failure	"open" (default), "closed": when nobody listens
 *	mark		"0x1000/0x3000" (default): see waylay.conf(5)
 *	table		"7700" (default)
 *
 * -EINVAL: a wrong value, and the error says why; -ENOENT: no such name.  What
 * is installed changes with the next waylay_intercept_install() only.
 */
int waylay_intercept_set(struct waylay_intercept *intercept, const char *name,
			 const char *value, struct waylay_error *error);

/*
 * Who gets it: a transparent listener of this process, TCP or UDP.  One for
 * each protocol and family; a later one takes the place of an earlier one.
 * What is not delivered passes.  The descriptor itself is not kept.
 */
int waylay_intercept_deliver(struct waylay_intercept *intercept, int listener,
			     struct waylay_error *error);
/* The same for a listener of another process.  type: SOCK_STREAM, SOCK_DGRAM */
int waylay_intercept_deliver_to(struct waylay_intercept *intercept, int type,
				const struct sockaddr *listener,
				struct waylay_error *error);

/*
 * Make it so, in the network namespace of this process; again: with what was
 * said since.  All of it holds afterwards, or nothing changes.  -EBUSY: a
 * waylayd or another program intercepts here.  -EPERM: needs CAP_NET_ADMIN,
 * and engine ebpf CAP_BPF and CAP_PERFMON too.  Starts child processes (nft,
 * iptables) and waits for them.
 */
int waylay_intercept_install(struct waylay_intercept *intercept,
			     struct waylay_error *error);
/*
 * To be called now and then: interfaces that came are taken in, and what
 * somebody else removed is put back.  1: it had to be, 0: all was there.
 */
int waylay_intercept_check(struct waylay_intercept *intercept,
			   struct waylay_error *error);

enum waylay_text {
	WAYLAY_TEXT_CONFIG, /* as a file for waylayd */
	WAYLAY_TEXT_RULES,  /* commands that do what is installed */
	WAYLAY_TEXT_ENGINE, /* "ebpf" */
};
/*
 * What there is, as text.  Writes at most `size` bytes with the NUL and returns
 * the length of all of it, as snprintf(3) does.  The last two: -ENOENT when
 * nothing is installed.
 */
int waylay_intercept_text(const struct waylay_intercept *intercept,
			  enum waylay_text which, char *text, size_t size,
			  struct waylay_error *error);

/* Take away what is installed; nothing installed is no error. */
int waylay_intercept_remove(struct waylay_intercept *intercept,
			    struct waylay_error *error);
/* Removes first.  NULL is allowed. */
void waylay_intercept_free(struct waylay_intercept *intercept);

/* Take away what a killed program, or waylayd, has left in this namespace.
 * -EBUSY: somebody who lives has it. */
int waylay_clean(struct waylay_error *error);

#ifdef __cplusplus
}
#endif

#endif
