/* SPDX-License-Identifier: Apache-2.0 */
/* tcp_echo_proxy.c - stands between clients and servers, seen by neither.
 *	tcp_echo_proxy 127.0.0.1 lan0 80,8000-8999	(IPv6: ::1) */
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <waylay.h>

static void *copy(void *arg) /* from legs[0] to legs[1] */
{
	const int *legs = arg;
	char bytes[16384];
	ssize_t len, sent = 0;

	while (sent >= 0 && (len = read(legs[0], bytes, sizeof(bytes))) > 0)
		for (ssize_t at = 0; at < len && sent >= 0; at += sent)
			sent = write(legs[1], bytes + at, (size_t)(len - at));
	shutdown(legs[1], SHUT_WR);
	return NULL;
}

static void *serve(void *arg)
{
	int client = (int)(intptr_t)arg, server = -1;
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct sockaddr_storage from = { 0 }, to;
	socklen_t len = sizeof(from);
	pthread_t other;

	getpeername(client, (struct sockaddr *)&from, &len);
	if (waylay_destination(client, &to, &e) == WAYLAY_TPROXY)
		server = waylay_connect(SOCK_STREAM, (struct sockaddr *)&from,
					(struct sockaddr *)&to, NULL, &e);
	if (server >= 0 &&
	    !pthread_create(&other, NULL, copy, (int[]){ client, server })) {
		copy((int[]){ server, client });
		pthread_join(other, NULL);
	}
	close(server);
	close(client);
	return NULL;
}

static _Noreturn void *accept_all(void *listener)
{
	for (pthread_t t;;) {
		intptr_t fd = accept((int)(intptr_t)listener, NULL, NULL);

		if (fd >= 0 && !pthread_create(&t, NULL, serve, (void *)fd))
			pthread_detach(t);
	}
}

int main(int argc, char **argv)
{
	struct waylay_intercept *take = waylay_intercept_new();
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct addrinfo *at;
	int fd = -1, number;
	sigset_t all;
	pthread_t t;

	if (argc != 4 || getaddrinfo(argv[1], "0", NULL, &at) ||
	    (fd = waylay_listen_tcp(at->ai_addr, NULL, &e)) < 0 ||
	    waylay_intercept_set(take, "from", argv[2], &e) < 0 ||
	    waylay_intercept_set(take, "tcp", argv[3], &e) < 0 ||
	    waylay_intercept_deliver(take, fd, &e) < 0 ||
	    waylay_intercept_install(take, &e) < 0)
		return fprintf(stderr, "%s\n", e.code ? e.text : "usage?"), 1;
	sigfillset(&all); /* before a thread is made that could get one */
	sigprocmask(SIG_BLOCK, &all, NULL);
	pthread_create(&t, NULL, accept_all, (void *)(intptr_t)fd);
	fputs("ready\n", stderr);
	while (!sigwait(&all, &number) && number != SIGTERM && number != SIGINT)
		;
	waylay_intercept_free(take);
	return 0;
}
