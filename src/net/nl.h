/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nl.h - one question to the kernel by netlink, and its answer.
 *
 * A thin layer over libmnl for what rule.c, route.c and link.c need: send a
 * request, wait for the acknowledgement or walk the dump.  Synchronous, for the
 * supervisor and the tools only; a worker has no netlink.
 */
#ifndef WL_NET_NL_H
#define WL_NET_NL_H

#include <libmnl/libmnl.h>
#include <stdint.h>

enum { NL_BUF_BYTES = 32768 };

struct nl {
	struct mnl_socket *sock;
	uint32_t seq;
};

/* bus: NETLINK_ROUTE...; groups: multicast bits or 0.  0 or -errno. */
int nl_open(struct nl *nl, int bus, uint32_t groups);
void nl_close(struct nl *nl);
int nl_fd(const struct nl *nl);

/* Begin a message in buf (NL_BUF_BYTES): type, flags, and a zeroed body of
 * `extra` bytes, returned in *body. */
struct nlmsghdr *nl_begin(struct nl *nl, char *buf, uint16_t type,
			  uint16_t flags, size_t extra, void **body);
/* Send it and run `each` (may be NULL) for every answer until it is
 * acknowledged or the dump ends.  0 or -errno as the kernel said. */
int nl_talk(struct nl *nl, struct nlmsghdr *nlh, mnl_cb_t each, void *ctx);

/* --- reading a message --------------------------------------------------- */

enum { NL_ATTRS = 32 };

struct nl_attrs {
	const struct nlattr *at[NL_ATTRS]; /* by type; NULL: not there */
};

/* The attributes behind a body of `body` bytes; higher types are ignored. */
void nl_parse(const struct nlmsghdr *nlh, size_t body, struct nl_attrs *out);
/* 0 if it is not there or too short. */
uint32_t nl_u32(const struct nl_attrs *a, int type);
uint8_t nl_u8(const struct nl_attrs *a, int type);

/* Room for one more of `size` bytes in an array that grows, zeroed; NULL:
 * memory is out. */
void *nl_add_seen(void **all, size_t *count, size_t *cap, size_t size);

#endif
