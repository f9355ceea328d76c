/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_reply.c - speak to a client with the server's address; see udp_reply.h.
 */
#include "relay/udp_reply.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>

/* Every IPv6 link carries 1280, RFC 8200 section 5; every IPv4 link that
 * does not is older than this program. */
enum { FRAGMENT_MTU = 1280 };

static int sender_fd(const struct udp_sender *s, const struct addr *to)
{
	return s->raw_fd[to->family == AF_INET6];
}

/* raw(7): the port of the address must be 0 (it would be a protocol). */
static socklen_t raw_destination(const struct addr *to,
				 struct sockaddr_storage *ss)
{
	struct addr ip = *to;

	ip.port = 0;
	return addr_to_sockaddr(&ip, ss);
}

static bool send_one(int fd, const struct addr *to,
		     const struct packet_head *head, const uint8_t *payload,
		     size_t len)
{
	struct iovec iov[2] = {
		{ (void *)head->bytes, head->len },
		{ (void *)payload, len },
	};
	struct sockaddr_storage ss;
	struct msghdr msg = {
		.msg_name = &ss,
		.msg_namelen = raw_destination(to, &ss),
		.msg_iov = iov,
		.msg_iovlen = 2,
	};

	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool send_fragments(struct udp_sender *s, const struct addr *to,
			   const struct packet_head *whole,
			   const struct dgram *d)
{
	uint32_t id = ++s->fragment_id;
	size_t at = 0;

	do {
		struct packet_head head;
		const uint8_t *part;
		size_t len;

		at = packet_fragment(whole, d->bytes, d->len, FRAGMENT_MTU, id,
				     at, &head, &part, &len);
		if (!send_one(sender_fd(s, to), to, &head, part, len))
			return false;
	} while (at);
	count(s->shared, COUNTER_udp_fragmented);
	return true;
}

/* The datagram that sendmmsg() stopped at. */
static bool send_refused(struct udp_sender *s, const struct addr *to,
			 const struct packet_head *head, const struct dgram *d)
{
	if (errno == EMSGSIZE && send_fragments(s, to, head, d))
		return true;
	count(s->shared, COUNTER_udp_reply_failed);
	return false;
}

uint64_t udp_reply(struct udp_sender *s, const struct addr *server,
		   const struct addr *client, const struct dgram_batch *b)
{
	struct mmsghdr msgs[DGRAM_BATCH];
	struct iovec iov[DGRAM_BATCH][2];
	struct sockaddr_storage ss;
	socklen_t ss_len = raw_destination(client, &ss);
	uint64_t bytes = 0;
	size_t at = 0;

	for (size_t i = 0; i < b->count; i++) {
		const struct dgram *d = &b->dgrams[i];

		packet_udp(server ? server : &d->src, client, d->bytes, d->len,
			   &s->heads[i]);
		iov[i][0] =
			(struct iovec){ s->heads[i].bytes, s->heads[i].len };
		iov[i][1] = (struct iovec){ d->bytes, d->len };
		msgs[i] = (struct mmsghdr){
			.msg_hdr = {
				.msg_name = &ss,
				.msg_namelen = ss_len,
				.msg_iov = iov[i],
				.msg_iovlen = 2,
			},
		};
	}
	while (at < b->count) {
		int sent = sendmmsg(sender_fd(s, client), msgs + at,
				    (unsigned)(b->count - at),
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		for (int i = 0; i < sent; i++)
			bytes += b->dgrams[at++].len;
		if (sent <= 0) {
			if (send_refused(s, client, &s->heads[at],
					 &b->dgrams[at]))
				bytes += b->dgrams[at].len;
			at++;
		}
	}
	return bytes;
}

void udp_reply_icmp(struct udp_sender *s, const struct packet_icmp *m)
{
	struct packet_head head;

	packet_icmp_error(m, &head);
	if (send_one(sender_fd(s, &m->client), &m->client, &head, NULL, 0))
		count(s->shared, COUNTER_udp_icmp);
	else
		count(s->shared, COUNTER_udp_reply_failed);
}

void udp_reply_refuse(struct udp_sender *s, const struct addr *client,
		      const struct addr *server, size_t quoted_len)
{
	bool is_v6 = client->family == AF_INET6;
	struct packet_icmp m = {
		.type = is_v6 ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH,
		.code = is_v6 ? ICMP6_DST_UNREACH_NOPORT : ICMP_PORT_UNREACH,
		.offender = *server,
		.client = *client,
		.server = *server,
		.quoted_len = quoted_len,
	};

	udp_reply_icmp(s, &m);
}
