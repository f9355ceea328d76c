/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair_test.c - what a socket tells, beside what was on the wire; see
 * repair_wire_test.h.
 */
#include "net/repair.h"

#include "net/repair_wire_test.h"

#include <linux/filter.h>
#include <poll.h>
#include <sys/wait.h>

static struct repair_facts look(const struct pair *p, int who)
{
	struct repair_facts f;

	assert_int_equal(repair_look(p->fd[who], &f), 0);
	return f;
}

static bool is_behind(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* --- numbers ------------------------------------------------------------- */

/* Both sockets tell what was on the wire, now. */
static void check_numbers(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		const struct heard *own = &p->heard[i], *peer = &p->heard[!i];
		struct repair_facts f = look(p, i);

		hear(p);
		assert_int_equal(f.written, own->next);
		assert_int_equal(f.read + f.unread, peer->next);
		assert_int_equal(f.unacked, own->next - peer->ack);
		assert_int_equal(f.unsent, 0);
		assert_int_equal(f.own_edge, own->right);
		assert_int_equal(f.peer_edge, peer->right);
		assert_true(f.is_established);
		assert_false(f.has_gap);
		if (own->has_clock)
			assert_false(is_behind(f.own_ts + 1, own->clock));
	}
}

static void numbers_are_those_of_the_wire(void **state)
{
	(void)state;
	netns_begin();
	for (int i = 0; i < 1 + netns_has_v6(); i++) {
		struct pair p;

		make_pair(hosts[i], &p);
		check_numbers(&p);
		say(&p, 0, CHUNK);
		check_numbers(&p);
		say(&p, 0, CHUNK);
		say(&p, 1, 7 * CHUNK);
		check_numbers(&p);
		take(&p, 1, CHUNK);
		check_numbers(&p);
		assert_int_equal(look(&p, 1).unread, CHUNK);
		take(&p, 1, CHUNK);
		take(&p, 0, 7 * CHUNK);
		check_numbers(&p);
		end_pair(&p);
	}
}

/* A segment sent after the look is not behind its clock. */
static void the_clock_is_that_of_the_next_segment(void **state)
{
	struct pair p;

	(void)state;
	netns_begin();
	make_pair(hosts[0], &p);
	for (int i = 0; i < 200; i++) {
		struct repair_facts f = look(&p, i % 2);

		assert_false(is_behind(f.own_ts + 1, p.heard[i % 2].clock));
		say(&p, i % 2, 1);
		assert_false(is_behind(p.heard[i % 2].clock, f.own_ts));
		take(&p, !(i % 2), 1);
	}
	end_pair(&p);
}

/* --- options ------------------------------------------------------------- */

static const struct {
	const char *sentence, *name, *value;
} settings[] = {
	{ "as they are", "tcp_ecn", "2" },
	{ "no timestamps", "tcp_timestamps", "0" },
	{ "no SACK", "tcp_sack", "0" },
	{ "no window scale", "tcp_window_scaling", "0" },
	{ "ECN", "tcp_ecn", "1" },
};

static void check_options(struct pair *p, bool has_ecn)
{
	for (int i = 0; i < 2; i++) {
		const struct heard *own = &p->heard[i], *peer = &p->heard[!i];
		struct repair_facts f = look(p, i);

		assert_int_equal(f.has_timestamps, own->has_clock);
		assert_int_equal(f.has_sack, own->has_sack && peer->has_sack);
		assert_int_equal(f.has_ecn, has_ecn);
		assert_int_equal(f.own_shift, own->has_scale ? own->shift : 0);
		assert_int_equal(f.peer_shift,
				 peer->has_scale ? peer->shift : 0);
		assert_int_equal(f.own_mss, own->mss);
		assert_int_equal(f.peer_mss, peer->mss);
		assert_false(f.has_fast_open);
	}
}

static void options_are_those_that_were_agreed_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		struct pair p;

		print_message("%s\n", settings[i].sentence);
		netns_begin();
		write_setting(settings[i].name, settings[i].value);
		for (int v6 = 0; v6 < 1 + netns_has_v6(); v6++) {
			make_pair(hosts[v6], &p);
			check_options(&p, !strcmp(settings[i].value, "1"));
			say(&p, 0, CHUNK);
			check_numbers(&p);
			end_pair(&p);
		}
	}
}

/* --- what is left alone -------------------------------------------------- */

static void unsent_bytes_are_told_and_the_socket_is_left_alone(void **state)
{
	static const uint8_t bytes[WIRE_MAX];
	struct repair_facts f;
	uint32_t sent = 0;
	struct pair p;
	ssize_t n;

	(void)state;
	netns_begin();
	make_pair(hosts[0], &p);
	while ((n = send(p.fd[0], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		sent += (uint32_t)n;
	hear(&p);
	f = look(&p, 0);
	assert_true(f.unsent > 0);
	assert_true(f.unacked >= f.unsent);
	assert_true(f.is_established);
	while (sent) {
		uint32_t piece = sent < CHUNK ? sent : CHUNK;

		take(&p, 1, piece);
		sent -= piece;
	}
	check_numbers(&p);
	end_pair(&p);
}

static void a_fin_ends_being_established(void **state)
{
	(void)state;
	for (int who = 0; who < 2; who++) {
		struct pair p;

		netns_begin();
		make_pair(hosts[0], &p);
		assert_int_equal(shutdown(p.fd[who], SHUT_WR), 0);
		assert_false(look(&p, 0).is_established);
		assert_false(look(&p, 1).is_established);
		end_pair(&p);
	}
}

static void looking_keeps_reuse_of_the_address(void **state)
{
	struct pair p;

	(void)state;
	netns_begin();
	make_pair(hosts[0], &p);
	for (int on = 0; on < 2; on++) {
		int value = -1;
		socklen_t len = sizeof(value);

		assert_int_equal(setsockopt(p.fd[0], SOL_SOCKET, SO_REUSEADDR,
					    &on, sizeof(on)),
				 0);
		(void)look(&p, 0);
		assert_int_equal(getsockopt(p.fd[0], SOL_SOCKET, SO_REUSEADDR,
					    &value, &len),
				 0);
		assert_int_equal(value, on);
	}
	end_pair(&p);
}

static void without_privilege_nothing_is_told(void **state)
{
	struct pair p;
	int status;
	pid_t pid;

	(void)state;
	netns_begin();
	make_pair(hosts[0], &p);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct repair_facts f;

		_exit(setuid(65534) == 0 &&
		      repair_look(p.fd[0], &f) == -EPERM &&
		      repair_close(p.fd[0]) == -EPERM);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 1);
	check_numbers(&p);
	end_pair(&p);
}

/* --- a gap --------------------------------------------------------------- */

/* Segments of LOST bytes never come, nor what is sent again of them: a filter
 * of the receiving socket takes them as the network would.  It sees the header
 * of TCP: twenty bytes and timestamps. */
enum { LOST = 999, HEADER = 32 };

static void set_filter(int fd, bool drops)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, HEADER + LOST, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, WIRE_MAX),
	};
	const struct sock_fprog program = { .len = sizeof(code) / sizeof(*code),
					    .filter = code };
	int zero = 0;

	if (drops)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER,
					    &program, sizeof(program)),
				 0);
	else
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER,
					    &zero, sizeof(zero)),
				 0);
}

static void bytes_behind_a_gap_are_told(void **state)
{
	struct pair p;

	(void)state;
	netns_begin();
	make_pair(hosts[0], &p);
	set_filter(p.fd[1], true);
	say(&p, 0, LOST);
	assert_false(look(&p, 1).has_gap);
	say(&p, 0, CHUNK);
	assert_true(look(&p, 1).has_gap);
	set_filter(p.fd[1], false);
	take(&p, 1, LOST + CHUNK);
	assert_false(look(&p, 1).has_gap);
	end_pair(&p);
}

/* --- leaving ------------------------------------------------------------- */

/* Closed in repair mode, with unread bytes, with SO_LINGER that asks for RST,
 * by the first or the last who has it: the peer hears nothing. */
static void closing_says_nothing(void **state)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	(void)state;
	netns_begin();
	for (int i = 0; i < 8; i++) {
		struct pollfd poll_it = { .events = POLLIN };
		struct pair p;
		uint32_t heard;
		int other;

		make_pair(hosts[0], &p);
		say(&p, 0, CHUNK);
		if (i & 1)
			take(&p, 1, CHUNK);
		if (i & 2)
			assert_int_equal(setsockopt(p.fd[1], SOL_SOCKET,
						    SO_LINGER, &reset,
						    sizeof(reset)),
					 0);
		other = i & 4 ? dup(p.fd[1]) : -1;
		heard = p.heard[1].count;
		assert_int_equal(repair_close(p.fd[1]), 0);
		if (other >= 0)
			close(other);
		hear(&p);
		assert_int_equal(p.heard[1].count, heard);
		poll_it.fd = p.fd[0];
		assert_int_equal(poll(&poll_it, 1, 0), 0);
		/* and it has gone */
		say(&p, 0, 1);
		assert_int_equal(poll(&poll_it, 1, 5000), 1);
		assert_int_equal(sock_error(p.fd[0]), ECONNRESET);
		p.fd[1] = -1;
		end_pair(&p);
	}
}

static void an_acknowledgement_does_not_wait(void **state)
{
	struct pair p;

	(void)state;
	netns_begin();
	make_pair(hosts[0], &p);
	for (int i = 0; i < 8; i++) { /* so that it waits for an answer */
		say(&p, 0, 1);
		take(&p, 1, 1);
		say(&p, 1, 1);
		take(&p, 0, 1);
	}
	say(&p, 0, 1);
	take(&p, 1, 1);
	repair_flush_ack(p.fd[1]);
	hear(&p);
	assert_int_equal(p.heard[1].ack, p.heard[0].next);
	end_pair(&p);
}

static void a_held_window_does_not_grow(void **state)
{
	enum { PIECES = 4, LARGE = 8000 };
	uint32_t right, heard;
	struct pair p;

	(void)state;
	netns_begin();
	make_pair(hosts[0], &p);
	say(&p, 0, LARGE);
	take(&p, 1, LARGE);
	right = look(&p, 1).own_edge;
	heard = p.heard[1].count;
	repair_hold_window(p.fd[1]);
	for (int i = 0; i < PIECES; i++) {
		say(&p, 0, LARGE);
		take(&p, 1, LARGE);
	}
	heard = p.heard[1].count - heard;
	assert_true(heard > 0);
	assert_true(p.heard[1].right - right <= heard << p.heard[1].shift);
	assert_true(heard << p.heard[1].shift < PIECES * LARGE);
	end_pair(&p);
}

/* --- traffic ------------------------------------------------------------- */

enum { TRAFFIC = 24 << 20, PIECE = 16 << 10 };

static uint8_t byte_at(uint32_t i)
{
	return (uint8_t)(i * 2654435761u >> 24);
}

/* What one end has done so far. */
struct traffic {
	int fd;
	uint32_t sent, got, looks;
};

static bool send_some(struct traffic *t)
{
	uint8_t out[PIECE];
	uint32_t len = TRAFFIC - t->sent < PIECE ? TRAFFIC - t->sent : PIECE;
	ssize_t n;

	for (uint32_t i = 0; i < len; i++)
		out[i] = byte_at(t->sent + i);
	n = len ? send(t->fd, out, len, MSG_DONTWAIT) : 0;
	t->sent += n > 0 ? (uint32_t)n : 0;
	return n >= 0 || errno == EAGAIN;
}

static bool receive_some(struct traffic *t)
{
	uint8_t in[PIECE];
	ssize_t n = recv(t->fd, in, sizeof(in), MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		if (in[i] != byte_at(t->got++))
			return false;
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* The numbers of the socket are those of its owner. */
static bool look_once(struct traffic *t, uint32_t *sent_0, uint32_t *got_0)
{
	struct repair_facts f;
	int error = repair_look(t->fd, &f);

	if (error || f.unsent)
		return !error || error == -EAGAIN;
	if (!t->looks++) {
		*sent_0 = f.written - t->sent;
		*got_0 = f.read - t->got;
	}
	return f.written - *sent_0 == t->sent && f.read - *got_0 == t->got;
}

/* Send all and receive all, and look at the socket between any two calls. */
static int exchange(int fd)
{
	struct traffic t = { .fd = fd };
	uint32_t sent_0 = 0, got_0 = 0;
	int one = 1;

	/* writable when nothing is unsent */
	if (setsockopt(fd, SOL_TCP, TCP_NOTSENT_LOWAT, &one, sizeof(one)) < 0)
		return 7;
	while (t.sent < TRAFFIC || t.got < TRAFFIC) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (t.sent < TRAFFIC)
			p.events |= POLLOUT;
		if (poll(&p, 1, 10000) != 1)
			return 1;
		if (p.revents & POLLIN && !receive_some(&t))
			return 2;
		if (!look_once(&t, &sent_0, &got_0))
			return 3;
		if (p.revents & POLLOUT && !send_some(&t))
			return 4;
		if (!look_once(&t, &sent_0, &got_0))
			return 5;
	}
	return t.looks < 100 ? 6 : 0;
}

static void looking_at_traffic_loses_nothing(void **state)
{
	struct pair p;
	pid_t pids[2];
	int status;

	(void)state;
	netns_begin();
	make_pair(hosts[0], &p);
	close(p.wire);
	p.wire = -1;
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i])
			_exit(exchange(p.fd[i]));
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	end_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_those_of_the_wire),
		cmocka_unit_test(the_clock_is_that_of_the_next_segment),
		cmocka_unit_test(options_are_those_that_were_agreed_on),
		cmocka_unit_test(
			unsent_bytes_are_told_and_the_socket_is_left_alone),
		cmocka_unit_test(a_fin_ends_being_established),
		cmocka_unit_test(looking_keeps_reuse_of_the_address),
		cmocka_unit_test(without_privilege_nothing_is_told),
		cmocka_unit_test(bytes_behind_a_gap_are_told),
		cmocka_unit_test(closing_says_nothing),
		cmocka_unit_test(an_acknowledgement_does_not_wait),
		cmocka_unit_test(a_held_window_does_not_grow),
		cmocka_unit_test(looking_at_traffic_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
