/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp_logger.c - logs who sends how much where, and sends it on as it came.
 *	udp_logger 127.0.0.1 lan0 53,5000-5999	(IPv6: ::1)
 */
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <waylay.h>

static void print(const char *word, const struct sockaddr_storage *a)
{
	char host[64] = "?", port[8] = "?";

	getnameinfo((const struct sockaddr *)a, sizeof(*a), host, sizeof(host),
		    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	printf("%s %s %s ", word, host, port);
}

static int pass_on(int listener, int sender, struct waylay_error *e)
{
	static char bytes[65535];
	struct waylay_datagram d = { .size = sizeof(d),
				     .bytes = bytes,
				     .capacity = sizeof(bytes) };
	int error = waylay_recv(listener, &d, e);

	if (error < 0)
		return error;
	print("from", &d.from);
	print("to", &d.to);
	printf("bytes %zu\n", d.len);
	fflush(stdout);
	return waylay_send(sender, &d, e);
}

int main(int argc, char **argv)
{
	struct waylay_intercept *take = waylay_intercept_new();
	struct waylay_error e = WAYLAY_ERROR_INIT;
	struct pollfd on[2] = { { .events = POLLIN }, { .events = POLLIN } };
	struct addrinfo *at;
	sigset_t end;
	int sender;

	if (argc != 4 || getaddrinfo(argv[1], "0", NULL, &at))
		return 2;
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	sigprocmask(SIG_BLOCK, &end, NULL);
	on[1].fd = signalfd(-1, &end, SFD_CLOEXEC);
	if ((sender = waylay_sender(at->ai_family, NULL, &e)) < 0 ||
	    (on[0].fd = waylay_listen_udp(at->ai_addr, NULL, &e)) < 0 ||
	    waylay_intercept_set(take, "from", argv[2], &e) < 0 ||
	    waylay_intercept_set(take, "udp", argv[3], &e) < 0 ||
	    waylay_intercept_deliver(take, on[0].fd, &e) < 0 ||
	    waylay_intercept_install(take, &e) < 0)
		return fprintf(stderr, "%s\n", e.text), 1;
	fputs("ready\n", stderr);
	while (poll(on, 2, -1) > 0 && !on[1].revents)
		if (pass_on(on[0].fd, sender, &e) < 0)
			fprintf(stderr, "%s\n", e.text);
	waylay_intercept_free(take);
	return 0;
}
