/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll_plug.c - an epoll loop that is there already gets a transparent
 * listener; each client is told where it wanted to go.
 *	epoll_plug 127.0.0.1 lan0 80	(IPv6: ::1)
 */
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <waylay.h>

static struct waylay_intercept *plug(int epoll_fd, char **argv, int *listener)
{
	const struct waylay_options options = { .size = sizeof(options),
						.flags = WAYLAY_NONBLOCK };
	struct waylay_intercept *take = waylay_intercept_new();
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct epoll_event on = { .events = EPOLLIN };
	struct addrinfo *at;

	if (getaddrinfo(argv[1], "0", NULL, &at) ||
	    (*listener = waylay_listen_tcp(at->ai_addr, &options, &e)) < 0 ||
	    waylay_intercept_set(take, "from", argv[2], &e) < 0 ||
	    waylay_intercept_set(take, "tcp", argv[3], &e) < 0 ||
	    waylay_intercept_deliver(take, *listener, &e) < 0 ||
	    waylay_intercept_install(take, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return NULL;
	}
	on.data.fd = *listener;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, *listener, &on) ? NULL : take;
}

static void on_client(int listener)
{
	static const char *const ways[] = { "plain", "tproxy", "redirect" };
	char host[64] = "?", port[8] = "?";
	struct sockaddr_storage to;
	int fd = accept(listener, NULL, NULL), way;

	if (fd < 0)
		return;
	way = waylay_destination(fd, &to, NULL);
	if (way >= 0) {
		getnameinfo((struct sockaddr *)&to, sizeof(to), host,
			    sizeof(host), port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV);
		dprintf(fd, "%s %s %s\n", ways[way], host, port);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	struct epoll_event on = { .events = EPOLLIN };
	int loop = epoll_create1(EPOLL_CLOEXEC), listener;
	struct waylay_intercept *take;
	sigset_t end;

	if (argc != 4)
		return 2;
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	on.data.fd = signalfd(-1, &end, SFD_CLOEXEC);
	epoll_ctl(loop, EPOLL_CTL_ADD, on.data.fd, &on);
	if (!(take = plug(loop, argv, &listener)))
		return 1;
	fputs("ready\n", stderr);
	while (epoll_wait(loop, &on, 1, -1) == 1 && on.data.fd == listener)
		on_client(listener);
	waylay_intercept_free(take);
	return 0;
}
