/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_refusal.h - frames that tell the command that it was refused.
 *
 * Rules to `reject` that need no name are carried out in the kernel, which
 * keeps no record of them.  But its answers pass the command's own interface,
 * and say whom they are for and whom they refuse:
 *
 *	TCP	RST+ACK with sequence number 0: the answer to a SYN.  (The
 *		relay's resets come behind a handshake; of 2^32 connections one
 *		has that number then.)
 *	UDP	ICMP "port unreachable" from the gateway itself; quotes the
 *		datagram.  Others report, through the relay, from other
 *		addresses.
 *
 * A frame is input from outside: it may be cut anywhere, and may lie.
 */
#ifndef WL_CLI_EXEC_REFUSAL_H
#define WL_CLI_EXEC_REFUSAL_H

#include "net/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exec_refusal {
	bool is_udp;
	struct addr client, server;
};

/* An Ethernet frame that arrived for the command.  `gateways` are the
 * addresses of the other end, IPv4 and IPv6. */
bool exec_refusal_read(const uint8_t *frame, size_t len,
		       const struct addr gateways[2], struct exec_refusal *out);

#endif
