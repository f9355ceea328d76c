/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nl.c - request and answer by netlink; see nl.h.
 */
#include "net/nl.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int nl_open(struct nl *nl, int bus, uint32_t groups)
{
	*nl = (struct nl){ .sock = mnl_socket_open2(bus, SOCK_CLOEXEC) };
	if (!nl->sock)
		return -errno;
	if (mnl_socket_bind(nl->sock, groups, MNL_SOCKET_AUTOPID) < 0) {
		int error = -errno;

		nl_close(nl);
		return error;
	}
	return 0;
}

void nl_close(struct nl *nl)
{
	if (nl->sock)
		(void)mnl_socket_close(nl->sock); /* nothing to be done */
	nl->sock = NULL;
}

int nl_fd(const struct nl *nl)
{
	return mnl_socket_get_fd(nl->sock);
}

struct nlmsghdr *nl_begin(struct nl *nl, char *buf, uint16_t type,
			  uint16_t flags, size_t extra, void **body)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nlh->nlmsg_seq = ++nl->seq;
	*body = mnl_nlmsg_put_extra_header(nlh, extra);
	return nlh;
}

int nl_talk(struct nl *nl, struct nlmsghdr *nlh, mnl_cb_t each, void *ctx)
{
	unsigned portid = mnl_socket_get_portid(nl->sock);
	char buf[NL_BUF_BYTES];
	ssize_t len;
	int more = MNL_CB_OK;

	/* NLM_F_DUMP is two bits, one of them that of NLM_F_EXCL */
	if ((nlh->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		nlh->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(nl->sock, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (more > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(nl->sock, buf, sizeof(buf));
		if (len < 0)
			return -errno;
		more = mnl_cb_run(buf, (size_t)len, nl->seq, portid, each, ctx);
	}
	return more < 0 ? -errno : 0;
}

/* --- reading a message --------------------------------------------------- */

static int collect_attr(const struct nlattr *attr, void *ctx)
{
	struct nl_attrs *a = ctx;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < NL_ATTRS)
		a->at[type] = attr;
	return MNL_CB_OK;
}

void nl_parse(const struct nlmsghdr *nlh, size_t body, struct nl_attrs *out)
{
	*out = (struct nl_attrs){ 0 };
	(void)mnl_attr_parse(nlh, (unsigned)body, collect_attr, out);
}

uint32_t nl_u32(const struct nl_attrs *a, int type)
{
	if (!a->at[type] || mnl_attr_get_payload_len(a->at[type]) < 4)
		return 0;
	return mnl_attr_get_u32(a->at[type]);
}

uint8_t nl_u8(const struct nl_attrs *a, int type)
{
	if (!a->at[type] || mnl_attr_get_payload_len(a->at[type]) < 1)
		return 0;
	return mnl_attr_get_u8(a->at[type]);
}

void *nl_add_seen(void **all, size_t *count, size_t *cap, size_t size)
{
	char *bytes;

	if (*count == *cap) {
		size_t more = *cap ? *cap * 2 : 32;
		void *grown = realloc(*all, more * size);

		if (!grown)
			return NULL;
		*all = grown;
		*cap = more;
	}
	bytes = (char *)*all + size * (*count)++;
	return memset(bytes, 0, size);
}
