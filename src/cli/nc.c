/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc.c - `waylay nc`: netcat with foreign addresses.
 *
 * Opens what the options name, has it intercepted if they say so, and hands it
 * to the parts that move bytes.  Whatever happens, an interception is removed
 * before this returns; then a signal that ended us takes its usual effect.
 *
 *	nc_options.c   words		nc_connect.c   a connection
 *	nc_take.c      interception	nc_listen.c    listeners
 *	nc_watch.c     waiting		nc_pump.c      TCP, standard streams
 *	nc_end.c       FIN or RST	nc_udp.c       UDP, standard streams
 *	nc_spawn.c     a command	nc_exec_*.c    connections for commands
 */
#include "cli/cli.h"

#include "cli/nc_connect.h"
#include "cli/nc_end.h"
#include "cli/nc_exec.h"
#include "cli/nc_listen.h"
#include "cli/nc_names.h"
#include "cli/nc_options.h"
#include "cli/nc_pump.h"
#include "cli/nc_scan.h"
#include "cli/nc_take.h"
#include "cli/nc_udp.h"
#include "net/sock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct nc {
	const struct nc_options *options;
	struct nc_watch watch;
	struct nc_take take;
};

/* Functions below return an exit status, or STOPPED after a signal. */
enum { STOPPED = -1 };

static int fail(const struct err *e)
{
	bool is_privilege = e->code == EPERM || e->code == EACCES;

	return cli_fail(is_privilege ? CLI_NO_PRIVILEGE : CLI_FAILED, "nc: %s",
			e->text);
}

/* The same where a missing privilege is not the only cause of EPERM. */
static int fail_plainly(const struct err *e)
{
	return cli_fail(CLI_FAILED, "nc: %s", e->text);
}

static int status_of(int result, const struct err *e)
{
	if (result == -EINTR)
		return STOPPED;
	return result < 0 ? fail_plainly(e) : result;
}

/* --- TCP and standard streams -------------------------------------------- */

static int fail_with_peer(const char *peer, struct err *e)
{
	(void)err_prefix(e, "connection with %s", peer);
	return fail_plainly(e);
}

/* Takes net. */
static int pump(struct nc *nc, int net, const struct addr *peer_addr)
{
	const struct nc_pump p = {
		.watch = &nc->watch,
		.options = nc->options,
		.net = net,
		.in = nc->options->has_no_input ? -1 : STDIN_FILENO,
		.out = STDOUT_FILENO,
	};
	struct err e = { 0 }, late = { 0 };
	enum nc_pumped result = nc_pump_run(&p, &e);
	char peer[ADDR_TEXT_MAX];
	int ended;

	addr_format(peer_addr, peer);

	if (result == NC_CUT || result == NC_STOPPED) {
		close(net); /* RST */
		return result == NC_CUT ? fail_with_peer(peer, &e) : STOPPED;
	}
	ended = nc_end_orderly(&nc->watch, net, &late);
	if (ended == -EINTR)
		return STOPPED;
	if (result == NC_SILENT)
		return fail_with_peer(peer, &e);
	return ended < 0 ? fail_with_peer(peer, &late) : CLI_OK;
}

/* --- listening ----------------------------------------------------------- */

/* A client after the other; without -k one, and nobody else is kept waiting. */
static int serve_streams(struct nc *nc, struct nc_listeners *l)
{
	int status;

	do {
		struct nc_visit v;
		struct err e;
		int net = nc_listen_accept(l, &nc->watch, &v, &e);

		if (net < 0)
			return status_of(net, &e);
		if (!nc->options->is_kept)
			nc_listen_close(l);
		nc_listen_say_visit(nc->options, &v, 0);
		status = pump(nc, net, &v.client);
	} while (nc->options->is_kept && status != STOPPED);
	return status;
}

/* peer: whom the socket is connected to, or NULL. */
static int run_udp(struct nc_udp *u, const struct addr *peer)
{
	char text[ADDR_TEXT_MAX];
	struct err e = { 0 };

	switch (nc_udp_run(u, &e)) {
	case NC_CUT:
		return peer ? fail_with_peer(addr_format(peer, text), &e)
			    : fail_plainly(&e);
	case NC_STOPPED:
		return STOPPED;
	case NC_SILENT:
	case NC_FINISHED:
		break;
	}
	return CLI_OK;
}

/* The listeners go with what is copied. */
static int serve_datagrams(struct nc *nc, struct nc_listeners *l)
{
	struct nc_udp u = {
		.watch = &nc->watch,
		.options = nc->options,
		.sockets = *l,
	};

	l->count = 0;
	return run_udp(&u, NULL);
}

static int serve_commands(struct nc *nc, struct nc_listeners *l)
{
	struct nc_exec x = {
		.watch = &nc->watch,
		.options = nc->options,
		.listeners = l,
	};
	struct err e;
	int result =
		nc->options->is_udp ? nc_exec_udp(&x, &e) : nc_exec_tcp(&x, &e);

	return status_of(result, &e);
}

static int serve(struct nc *nc, struct nc_listeners *l)
{
	if (nc->options->command)
		return serve_commands(nc, l);
	if (nc->options->is_udp)
		return serve_datagrams(nc, l);
	return serve_streams(nc, l);
}

static int listen_and_serve(struct nc *nc)
{
	struct nc_listeners l = { .count = 0 };
	struct err e;
	int status;

	if (nc_listen_open(nc->options, &l, &e) < 0)
		return fail(&e);
	if (nc->options->from &&
	    nc_take_traffic(&nc->take, nc->options, l.fds, l.count, &e) < 0) {
		nc_listen_close(&l);
		return fail(&e);
	}
	nc_listen_say_ready(nc->options, &l);
	status = serve(nc, &l);
	nc_listen_close(&l);
	return status;
}

/* --- connecting ---------------------------------------------------------- */

static void say_connected(const struct nc_options *o, uint16_t port)
{
	if (o->is_verbose)
		fprintf(stderr, "Connection to %s %u port [%s/%s] succeeded!\n",
			o->host, port, o->is_udp ? "udp" : "tcp",
			nc_names_service(o, port));
}

/* Who the command is told of: we are the client. */
static void describe(const struct nc_options *o, int net, const struct addr *to,
		     struct nc_visit *out)
{
	*out = (struct nc_visit){ .destination = *to, .is_udp = o->is_udp };
	(void)sock_local_addr(net, &out->client); /* is a socket of ours */
}

static int execute(struct nc *nc, int net, const struct addr *to)
{
	struct nc_listeners none = { .count = 0 };
	struct nc_exec x = {
		.watch = &nc->watch,
		.options = nc->options,
		.listeners = &none,
	};
	struct nc_visit v;
	struct err e;

	describe(nc->options, net, to, &v);
	return status_of(nc_exec_one(&x, net, &v, &e), &e);
}

static int talk_udp(struct nc *nc, int net, const struct addr *to)
{
	struct nc_udp u = {
		.watch = &nc->watch,
		.options = nc->options,
		.sockets = { .fds = { net }, .count = 1 },
		.is_connected = true,
	};

	return run_udp(&u, to);
}

/* Of -z.  Answers to a foreign address come only as long as we are here. */
static int end_scan(struct nc *nc, int net)
{
	struct err e;

	if (nc->options->is_udp)
		close(net);
	else if (!nc->options->from)
		sock_close_orderly(net);
	else if (nc_end_orderly(&nc->watch, net, &e) == -EINTR)
		return STOPPED;
	return CLI_OK;
}

/* Takes net. */
static int use(struct nc *nc, int net, const struct addr *to)
{
	say_connected(nc->options, to->port);
	if (nc->options->is_scan)
		return end_scan(nc, net);
	if (!nc->options->is_udp)
		(void)nc_end_guarded(net); /* a valid option */
	if (nc->options->command)
		return execute(nc, net, to);
	return nc->options->is_udp ? talk_udp(nc, net, to) : pump(nc, net, to);
}

static int open_one(const struct nc_way *way, const struct addr *to,
		    struct err *e)
{
	int net = nc_connect(way, to, e), error;

	if (net < 0 || !way->options->is_scan || !way->options->is_udp)
		return net;
	error = nc_scan_udp(way, net, to, e);
	if (!error)
		return net;
	close(net);
	return error;
}

/* The first of its addresses that answers.  With -v each failure is said;
 * without, the last one, unless ports are only tried. */
static int connect_port(struct nc *nc, const struct nc_way *way,
			const struct nc_addresses *all, uint16_t port)
{
	const struct nc_options *o = nc->options;

	for (size_t i = 0; i < all->count; i++) {
		struct addr to = all->list[i];
		struct err e = { 0 };
		bool is_last = i + 1 == all->count;
		int net;

		to.port = port;
		net = open_one(way, &to, &e);
		if (net >= 0)
			return use(nc, net, &to);
		if (net == -EINTR)
			return STOPPED;
		if (o->is_verbose || (is_last && !o->is_scan))
			(void)fail_plainly(&e);
	}
	return CLI_FAILED;
}

/* 0 if any of the ports could be used to the end, as OpenBSD's netcat. */
static int connect_ports(struct nc *nc, const struct nc_way *way,
			 const struct nc_addresses *all)
{
	const struct nc_options *o = nc->options;
	int best = CLI_FAILED, worst = CLI_OK;

	for (size_t i = 0; i < o->port_count; i++) {
		for (uint32_t port = o->ports[i].first;
		     port <= o->ports[i].last; port++) {
			int status = connect_port(nc, way, all, (uint16_t)port);

			if (status == STOPPED)
				return STOPPED;
			if (status == CLI_OK)
				best = CLI_OK;
			else
				worst = status;
		}
	}
	return best == CLI_OK ? CLI_OK : worst;
}

static int connect_and_talk(struct nc *nc)
{
	struct nc_way way = { .watch = &nc->watch, .options = nc->options };
	struct nc_addresses all;
	int is_foreign;
	struct err e;

	is_foreign = nc_connect_is_foreign(nc->options, &e);
	if (is_foreign < 0 || nc_names_resolve(nc->options, &all, &e) < 0)
		return fail_plainly(&e);
	way.is_foreign = is_foreign;
	if (nc->options->from &&
	    nc_take_answers(&nc->take, nc->options, &e) < 0)
		return fail(&e);
	return connect_ports(nc, &way, &all);
}

/* --- the command --------------------------------------------------------- */

static int run(struct nc *nc)
{
	struct err e;
	int status;

	if (nc_watch_open(&nc->watch, &nc->take, &e) < 0)
		return fail(&e);
	status = nc->options->is_listening ? listen_and_serve(nc)
					   : connect_and_talk(nc);
	if (nc_take_remove(&nc->take, &e) < 0)
		status = fail(&e);
	nc_watch_close(&nc->watch);
	if (status != STOPPED)
		return status;
	(void)raise(nc->watch.signal); /* its effect is what a shell expects */
	return CLI_FAILED;
}

int cli_nc(const struct cli *cli, int argc, char **argv)
{
	struct nc_options options;
	struct nc nc = { .options = &options, .take = NC_TAKE_NONE };
	int status = nc_options_read(cli, argc, argv, &options);
	struct err e;

	if (status == CLI_OK && nc_take_judge(&options, &e) < 0)
		status = cli_fail(CLI_USAGE, "nc: %s\nusage: waylay nc %s",
				  e.text, CLI_NC_USAGE);
	return status == CLI_OK ? run(&nc) : status;
}
