/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_tap.c - the process that looks at the command's interface; see
 * exec_tap.h.
 *
 * Frames come in the blocks of a ring (TPACKET_V3): the kernel hands a block
 * over when it is full or RETIRE_MS old.  To know when all that came before
 * `stop` has been handed over, a frame of our own is sent behind it and waited
 * for.  It does not come if the ring has overflown: then END_MS is the end.
 */
#include "cli/exec_tap.h"

#include "base/loop.h"
#include "base/str.h"
#include "cli/enclave.h"
#include "cli/exec_refusal.h"
#include "cli/exec_user.h"
#include "cli/pcap.h"
#include "cli/said.h"
#include "net/link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	BLOCK_BYTES = 1 << 19,
	BLOCKS = 16,
	FRAME_BYTES = 2048, /* V3 asks for it, and does not use it */
	RETIRE_MS = 10,
	END_MS = 2000,
	LOOSE_MAX = 1 << 16, /* that a full disk may cost */
};

static const char capture[] = "the capture";

/* A frame that nobody understands: IEEE's type for local experiments. */
enum { MARKER_TYPE = ETH_P_802_EX1 };
static const char marker[] = "waylay-tap: the end";

struct tap {
	int socket, marker_socket, link;
	bool is_ending, has_ended; /* the marker was sent, was seen */
	uint8_t *ring;
	unsigned block;	   /* the next one */
	FILE *pcap;	   /* NULL: none */
	off_t pcap_whole;  /* bytes of it that stay, whole frames; -1: a pipe */
	size_t pcap_loose; /* bytes behind them */
	int pcap_error;	   /* the first; nothing is written behind it */
	int flows_fd;
	unsigned long untold; /* refusals for which the pipe had no room */
	struct addr gateways[2];
};

/* --- frames -------------------------------------------------------------- */

static bool has_room(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLOUT);
}

/* A line is shorter than PIPE_BUF: it is written whole or not at all. */
static void tell(struct tap *t, const struct exec_refusal *r)
{
	char client[ADDR_TEXT_MAX], server[ADDR_TEXT_MAX], when[32];
	time_t now = time(NULL);
	struct tm tm;

	if (!has_room(t->flows_fd)) {
		t->untold++;
		return;
	}
	if (!gmtime_r(&now, &tm) ||
	    !strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm))
		when[0] = '\0';
	(void)dprintf(t->flows_fd,
		      "{\"time\":\"%s\",\"level\":\"info\",\"message\":"
		      "\"flow\",\"proto\":\"%s\",\"client\":\"%s\","
		      "\"server\":\"%s\",\"upstream\":\"reject\",\"up\":0,"
		      "\"down\":0,\"ms\":0,\"end\":\"rejected\","
		      "\"started\":\"%s\"}\n",
		      when, r->is_udp ? "udp" : "tcp",
		      addr_format(&r->client, client),
		      addr_format(&r->server, server), when);
}

static bool is_marker(const uint8_t *frame, size_t len)
{
	return len >= ETH_HLEN + sizeof(marker) &&
	       frame[12] == MARKER_TYPE >> 8 &&
	       frame[13] == (MARKER_TYPE & 0xff) &&
	       !memcmp(frame + ETH_HLEN, marker, sizeof(marker));
}

/* A file that is cut in a frame would be a broken one. */
static void break_pcap(struct tap *t, int error)
{
	t->pcap_error = error;
	__fpurge(t->pcap);
	if (t->pcap_whole >= 0) /* if it fails the sentence is still true */
		(void)!ftruncate(fileno(t->pcap), t->pcap_whole);
}

static void flush_pcap(struct tap *t)
{
	if (!t->pcap || t->pcap_error)
		return;
	if (fflush(t->pcap) != 0) {
		break_pcap(t, -errno);
		return;
	}
	t->pcap_whole = ftello(t->pcap);
	t->pcap_loose = 0;
}

static void write_frame(struct tap *t, const struct pcap_frame *frame)
{
	int error;

	if (!t->pcap || t->pcap_error)
		return;
	error = pcap_write_frame(t->pcap, frame);
	if (error < 0) {
		break_pcap(t, error);
		return;
	}
	t->pcap_loose += frame->len;
	if (t->pcap_loose > LOOSE_MAX)
		flush_pcap(t);
}

static void take_frame(struct tap *t, const struct tpacket3_hdr *h)
{
	const uint8_t *bytes = (const uint8_t *)h + h->tp_mac;
	const struct sockaddr_ll *from =
		(const void *)((const uint8_t *)h +
			       TPACKET_ALIGN(sizeof(struct tpacket3_hdr)));
	struct pcap_frame frame = {
		.seconds = h->tp_sec,
		.microseconds = h->tp_nsec / 1000,
		.bytes = bytes,
		.len = h->tp_snaplen,
		.wire_bytes = h->tp_len,
	};
	struct exec_refusal r;

	if (t->is_ending && is_marker(bytes, h->tp_snaplen)) {
		t->has_ended = true;
		return;
	}
	write_frame(t, &frame);
	if (t->flows_fd >= 0 && from->sll_pkttype != PACKET_OUTGOING &&
	    exec_refusal_read(bytes, h->tp_snaplen, t->gateways, &r))
		tell(t, &r);
}

static void take_block(struct tap *t, struct tpacket_block_desc *b)
{
	const uint8_t *at = (const uint8_t *)b + b->hdr.bh1.offset_to_first_pkt;

	for (uint32_t i = 0; i < b->hdr.bh1.num_pkts; i++) {
		const struct tpacket3_hdr *h = (const void *)at;

		take_frame(t, h);
		at += h->tp_next_offset;
	}
}

/* All blocks that are handed over. */
static void take_blocks(struct tap *t)
{
	for (;;) {
		struct tpacket_block_desc *b =
			(void *)(t->ring + (size_t)t->block * BLOCK_BYTES);
		_Atomic uint32_t *status =
			(_Atomic uint32_t *)&b->hdr.bh1.block_status;

		if (!(atomic_load(status) & TP_STATUS_USER))
			break;
		take_block(t, b);
		atomic_store(status, TP_STATUS_KERNEL);
		t->block = (t->block + 1) % BLOCKS;
	}
	/* Who reads the file while it grows sees whole frames, soon. */
	flush_pcap(t);
}

/* --- its life ------------------------------------------------------------ */

static int set_ring(struct tap *t)
{
	struct tpacket_req3 ring = {
		.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = BLOCKS,
		.tp_frame_size = FRAME_BYTES,
		.tp_frame_nr = BLOCK_BYTES / FRAME_BYTES * BLOCKS,
		.tp_retire_blk_tov = RETIRE_MS,
	};
	int version = TPACKET_V3;

	if (setsockopt(t->socket, SOL_PACKET, PACKET_VERSION, &version,
		       sizeof(version)) < 0 ||
	    setsockopt(t->socket, SOL_PACKET, PACKET_RX_RING, &ring,
		       sizeof(ring)) < 0)
		return -errno;
	t->ring = mmap(NULL, (size_t)BLOCK_BYTES * BLOCKS,
		       PROT_READ | PROT_WRITE, MAP_SHARED, t->socket, 0);
	return t->ring == MAP_FAILED ? -errno : 0;
}

static int open_socket(struct tap *t, struct err *e)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL) };
	int error;

	/* Protocol 0: nothing comes before it is bound. */
	t->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	/* A socket does not see what it sends itself. */
	t->marker_socket = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (t->socket < 0 || t->marker_socket < 0)
		return err_errno(e, errno, "cannot open a packet socket");
	error = set_ring(t);
	if (error < 0)
		return err_errno(e, -error, "cannot make a ring for frames");
	t->link = at.sll_ifindex = link_index(ENCLAVE_INNER_LINK);
	if (bind(t->socket, (struct sockaddr *)&at, sizeof(at)) < 0)
		return err_errno(e, errno, "cannot listen on %s",
				 ENCLAVE_INNER_LINK);
	return 0;
}

static int open_pcap(struct tap *t, int fd, const char *name, struct err *e)
{
	if (fd < 0)
		return 0;
	t->pcap = fdopen(fd, "w");
	if (!t->pcap)
		return err_errno(e, errno, "cannot write %s", name);
	t->pcap_error = pcap_write_head(t->pcap);
	flush_pcap(t);
	return t->pcap_error < 0
		       ? err_errno(e, -t->pcap_error, "cannot write %s", name)
		       : 0;
}

static int begin(struct tap *t, const struct exec_tap *of, int inner_ns,
		 struct err *e)
{
	int error;

	if (setns(inner_ns, CLONE_NEWNET) < 0)
		return err_errno(e, errno,
				 "cannot enter the command's "
				 "network namespace");
	error = open_socket(t, e);
	if (!error)
		error = open_pcap(t, of->pcap_fd, of->pcap_name, e);
	if (!error)
		error = exec_user_be_nobody(e);
	return error;
}

/* If it cannot be sent, it does not come. */
static void send_marker(struct tap *t)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(MARKER_TYPE),
				  .sll_ifindex = t->link,
				  .sll_halen = ETH_ALEN };

	t->is_ending = true;
	(void)!sendto(t->marker_socket, marker, sizeof(marker), 0,
		      (struct sockaddr *)&to, sizeof(to));
}

static void serve(struct tap *t, int stop_fd)
{
	struct pollfd p[] = { { .fd = t->socket, .events = POLLIN },
			      { .fd = stop_fd, .events = POLLIN } };
	uint64_t now_ms = clock_ms(), end_ms = UINT64_MAX;

	while (!t->has_ended && now_ms < end_ms) {
		(void)poll(p, 2, t->is_ending ? (int)(end_ms - now_ms) : -1);
		take_blocks(t);
		now_ms = clock_ms();
		if (t->is_ending || !p[1].revents)
			continue;
		end_ms = now_ms + END_MS;
		p[1].fd = -1;
		send_marker(t);
	}
}

/* What is wrong with the result; e stays as it is: nothing. */
static void judge(struct tap *t, const char *name, struct err *e)
{
	struct tpacket_stats_v3 stats = { 0 };
	socklen_t len = sizeof(stats);

	(void)getsockopt(t->socket, SOL_PACKET, PACKET_STATISTICS, &stats,
			 &len); /* zeros then */
	if (t->pcap && fclose(t->pcap) != 0 && !t->pcap_error)
		t->pcap_error = -errno;
	if (t->pcap_error < 0)
		(void)err_errno(e, -t->pcap_error,
				"%s ends before the command did: cannot write",
				name);
	else if (t->pcap && stats.tp_drops)
		(void)err_set(e, ENOBUFS, "%u frames are missing in %s",
			      stats.tp_drops, name);
	else if (t->pcap && !t->has_ended)
		(void)err_set(e, ETIME, "the last frames may be missing in %s",
			      name);
	else if (t->untold)
		(void)err_set(e, ENOBUFS, "%lu refusals were not told of",
			      t->untold);
}

static void set_gateways(struct tap *t)
{
	for (int i = 0; i < 2; i++)
		enclave_gateway(i, &t->gateways[i]);
}

static _Noreturn void be_tap(const struct exec_tap *of, int inner_ns,
			     int flows_fd, int stop_fd, int said_fd)
{
	struct tap t = { .flows_fd = of->has_refusals ? flows_fd : -1 };
	struct err e = { 0 };

	(void)setpgid(0, 0); /* Ctrl-C is for the command */
	(void)prctl(PR_SET_NAME, "waylay-tap");
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* setrlimit(2): an error is enough */
	set_gateways(&t);
	if (begin(&t, of, inner_ns, &e) == 0) {
		said_tell(said_fd, &e);
		serve(&t, stop_fd);
		judge(&t, of->pcap_name, &e);
	}
	said_tell(said_fd, &e);
	_exit(e.code != 0);
}

/* --- from outside -------------------------------------------------------- */

int exec_tap_begin(struct exec_tap *t, int inner_ns, struct err *e)
{
	int flows[2], stop[2], said[2];

	if (pipe2(flows, O_CLOEXEC) < 0 || pipe2(stop, O_CLOEXEC) < 0 ||
	    pipe2(said, O_CLOEXEC) < 0)
		return err_errno(e, errno, "cannot make pipes");
	t->pid = fork();
	if (t->pid == 0) {
		close(stop[1]); /* its end is our end */
		be_tap(t, inner_ns, flows[1], stop[0], said[1]);
	}
	if (t->pid < 0)
		return err_errno(e, errno, "cannot fork");
	close(flows[1]);
	close(stop[0]);
	close(said[1]);
	t->flows_fd = flows[0];
	t->stop_fd = stop[1];
	t->said_fd = said[0];
	return said_hear(t->said_fd, capture, e);
}

int exec_tap_end(struct exec_tap *t, struct err *e)
{
	int error;

	if (!t->pid)
		return 0;
	close(t->stop_fd);
	error = said_hear(t->said_fd, capture, e);
	close(t->said_fd);
	while (waitpid(t->pid, NULL, 0) < 0 && errno == EINTR)
		;
	t->pid = 0;
	return error;
}
