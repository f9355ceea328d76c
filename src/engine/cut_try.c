/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_try.c - do the programs work that have been loaded?  See cut_priv.h.
 *
 * No packet is sent: the kernel runs a program on a segment that is handed to
 * it (BPF_PROG_TEST_RUN), as if lo had received it.  Its flow is an entry of
 * the map for that moment, beside those that may be there: from 127.0.0.1 to
 * 127.0.0.2, which nobody can cut through, and to an interface that is none, so
 * that a forged packet of it goes nowhere.
 */
#include "engine/cut_priv.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <net/ethernet.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum {
	NO_IFINDEX = INT32_MAX,
	SEGMENT_BYTES = 60,
	TRIES_MAX = 5,
};

struct trial {
	const struct cut_table *table;
	int program_fd;
	uint8_t frame[ETH_HLEN + SEGMENT_BYTES];
	uint32_t verdict;
};

/* From port 40000 to port 80, with timestamps: sequence number about to wrap,
 * window 1000. */
static const uint8_t came[SEGMENT_BYTES] = {
	0x45, 0x00, 0x00, 0x3c, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0x2a, 0x85,
	0x7f, 0x00, 0x00, 0x01, 0x7f, 0x00, 0x00, 0x02, 0x9c, 0x40, 0x00, 0x50,
	0xff, 0xff, 0xff, 0xf0, 0x00, 0x00, 0x00, 0x10, 0x80, 0x18, 0x03, 0xe8,
	0x5e, 0xc1, 0x00, 0x00, 0x01, 0x01, 0x08, 0x0a, 0x01, 0x02, 0x03, 0x04,
	0x0a, 0x0b, 0x0c, 0x0d, 0x77, 0x61, 0x79, 0x6c, 0x61, 0x79, 0x0d, 0x0a,
};
static const struct wl_cut_way change = {
	.seq_add = 0x12345678,
	.ack_add = -0x11111111u,
	.ts_add = 0x01000001,
	.echo_add = -0x02000002u,
	.shift = -2,
	.how = WL_CUT_TIMESTAMPS,
};
static const uint8_t goes[SEGMENT_BYTES] = {
	0x45, 0x00, 0x00, 0x3c, 0x12, 0x34, 0x40, 0x00, 0x3f, 0x06, 0x2b, 0x85,
	0x7f, 0x00, 0x00, 0x01, 0x7f, 0x00, 0x00, 0x02, 0x9c, 0x40, 0x00, 0x50,
	0x12, 0x34, 0x56, 0x68, 0xee, 0xee, 0xee, 0xff, 0x80, 0x18, 0x00, 0xfa,
	0x1c, 0x26, 0x00, 0x00, 0x01, 0x01, 0x08, 0x0a, 0x02, 0x02, 0x03, 0x05,
	0x08, 0x0b, 0x0c, 0x0b, 0x77, 0x61, 0x79, 0x6c, 0x61, 0x79, 0x0d, 0x0a,
};

/* --- sockets ------------------------------------------------------------- */

int cut_try_repair(struct err *e)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	int error = fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on,
					 sizeof(on)) < 0
			    ? errno
			    : 0;

	if (fd >= 0)
		close(fd);
	return error ? err_errno(e, error,
				 "cannot take a connection out of its socket "
				 "(TCP_REPAIR, needs CAP_NET_ADMIN)")
		     : 0;
}

/* --- programs ------------------------------------------------------------ */

static void make_flow(struct wl_cut_key *key, struct wl_cut *value)
{
	struct addr client = { .ip = { 127, 0, 0, 1 },
			       .port = 40000,
			       .family = AF_INET };
	struct addr server = { .ip = { 127, 0, 0, 2 },
			       .port = 80,
			       .family = AF_INET };
	bool is_low = cut_key(IPPROTO_TCP, &client, &server, key);

	*value = (struct wl_cut){ .state = WL_CUT_WATCH,
				  .shape = is_low ? WL_CUT_LOW : 0 };
	for (int i = 0; i < 2; i++)
		value->way[i] = (struct wl_cut_way){
			.ifindex = NO_IFINDEX,
			.mtu = UINT16_MAX,
			.route_s = cut_now_s(),
			.to = { 2 },
			.from = { 2 },
			.marks = WL_CUT_SEEN | WL_CUT_ROUTED,
		};
}

/* An entry of one that was killed while it tried is in the way, or none. */
static int put_on(const struct cut_table *t, struct wl_cut_key *key)
{
	struct wl_cut_change on = { .op = WL_CUT_OP_START,
				    .way = { change, change } };
	struct wl_cut value;
	int error;

	make_flow(&on.key, &value);
	*key = on.key;
	(void)cut_table_drop(t, key);
	error = cut_table_add(t, key, &value);
	return error ? error : cut_table_change(t, &on);
}

static int run_once(struct trial *p)
{
	uint8_t in[ETH_HLEN + SEGMENT_BYTES] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = in,
		    .data_size_in = sizeof(in), .data_out = p->frame,
		    .data_size_out = sizeof(p->frame), .repeat = 1);
	struct wl_cut_key key;
	int error = put_on(p->table, &key);

	in[12] = ETHERTYPE_IP >> 8;
	memcpy(in + ETH_HLEN, came, sizeof(came));
	if (!error)
		error = bpf_prog_test_run_opts(p->program_fd, &run);
	(void)cut_table_drop(p->table, &key); /* or it was not added */
	p->verdict = run.retval;
	return error;
}

static bool is_right(const struct trial *p)
{
	return p->verdict == TC_ACT_REDIRECT &&
	       !memcmp(p->frame + ETH_HLEN, goes, sizeof(goes));
}

/* Again, since a second of the program's clock may end between us and it, and
 * then it asks for a route that is not there.  A map that is full of a killed
 * daemon's flows has no room for ours: what these meet is tried by them. */
int cut_try_programs(const struct cut_table *t, int ether_fd, struct err *e)
{
	struct trial p = { .table = t, .program_fd = ether_fd };
	int error = 0;

	for (int i = 0; i < TRIES_MAX && !error && !is_right(&p); i++)
		error = run_once(&p);
	if (error == -E2BIG)
		return 0;
	if (error)
		return err_errno(e, -error,
				 "the kernel cannot try the BPF programs");
	if (!is_right(&p))
		return err_set(e, EPROTO,
			       "the BPF programs can be loaded, but rewrite a "
			       "segment wrongly");
	return 0;
}
