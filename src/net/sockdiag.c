/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockdiag.c - sockets that outlive their program; see sockdiag.h.
 */
#include "net/sockdiag.h"

#include "net/nl.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

struct found {
	uint32_t mark, mask; /* wanted */
	struct inet_diag_sockid *ids;
	size_t count, cap;
	bool is_out_of_memory;
};

static int find_mark(const struct nlattr *attr, void *ctx)
{
	const struct nlattr **mark = ctx;

	if (mnl_attr_get_type(attr) == INET_DIAG_MARK &&
	    mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
		*mark = attr;
	return MNL_CB_OK;
}

static void keep(struct found *f, const struct inet_diag_sockid *id)
{
	if (f->count == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 64;
		void *ids = realloc(f->ids, cap * sizeof(*f->ids));

		if (!ids) {
			f->is_out_of_memory = true;
			return;
		}
		f->ids = ids;
		f->cap = cap;
	}
	f->ids[f->count++] = *id;
}

static int note_socket(const struct nlmsghdr *nlh, void *ctx)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *mark = NULL;
	struct found *f = ctx;

	mnl_attr_parse(nlh, sizeof(*msg), find_mark, &mark);
	if (mark && (mnl_attr_get_u32(mark) & f->mask) == f->mark)
		keep(f, &msg->id);
	return MNL_CB_OK;
}

static int dump(struct nl *nl, int family, struct found *f)
{
	struct inet_diag_req_v2 *req;
	char buf[NL_BUF_BYTES];
	struct nlmsghdr *nlh =
		nl_begin(nl, buf, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, sizeof(*req),
			 (void **)&req);
	int error;

	req->sdiag_family = (uint8_t)family;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = 1 << TCP_TIME_WAIT;
	error = nl_talk(nl, nlh, note_socket, f);
	return !error && f->is_out_of_memory ? -ENOMEM : error;
}

static int destroy(struct nl *nl, int family, const struct inet_diag_sockid *id)
{
	struct inet_diag_req_v2 *req;
	char buf[NL_BUF_BYTES];
	struct nlmsghdr *nlh =
		nl_begin(nl, buf, SOCK_DESTROY, 0, sizeof(*req), (void **)&req);
	int error;

	req->sdiag_family = (uint8_t)family;
	req->sdiag_protocol = IPPROTO_TCP;
	req->id = *id;
	error = nl_talk(nl, nlh, NULL, NULL);
	return error == -ENOENT ? 0 : error; /* its minute was over */
}

static int end_family(struct nl *nl, int family, struct found *f)
{
	int error;

	f->count = 0;
	error = dump(nl, family, f);
	for (size_t i = 0; i < f->count && !error; i++)
		error = destroy(nl, family, &f->ids[i]);
	return error < 0 ? error : (int)f->count;
}

int sockdiag_end_time_wait(uint32_t mark, uint32_t mask, struct err *e)
{
	struct found f = { .mark = mark, .mask = mask };
	struct nl nl;
	int v4, v6 = 0;

	v4 = nl_open(&nl, NETLINK_SOCK_DIAG, 0);
	if (v4 < 0)
		return err_errno(e, -v4, "cannot open netlink (sock_diag)");
	v4 = end_family(&nl, AF_INET, &f);
	if (v4 >= 0)
		v6 = end_family(&nl, AF_INET6, &f);
	free(f.ids);
	nl_close(&nl);
	if (v4 < 0 || v6 < 0)
		return err_errno(e, v4 < 0 ? -v4 : -v6,
				 "cannot end sockets in TIME_WAIT");
	return v4 + v6;
}
