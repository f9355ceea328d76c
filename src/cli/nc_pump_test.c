/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nc_pump_test.c - bytes that must arrive, and ends that must be told.
 *
 * The pump runs between two pipes and one end of a TCP connection over lo; the
 * test has the other ends.  What is small enough waits there before the pump
 * begins; what is not is moved by threads.
 */
#include "cli/nc_pump.h"

#include "base/random_test.h"
#include "cli/nc_place_test.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- scenes -------------------------------------------------------------- */

enum end { OPEN, FIN, RST };

static const struct scene {
	const char *name;
	const char *input, *said; /* by standard input, by the peer */
	bool input_ends;
	enum end peer_ends;
	struct nc_options options;
	enum nc_pumped result;
	const char *sent; /* what the peer has got */
	bool sends_fin;
	const char *why; /* is contained in the error */
} scenes[] = {
	{ "both have ended",
	  "up",
	  "down",
	  true,
	  FIN,
	  { .quit_ms = -1 },
	  NC_FINISHED,
	  "up",
	  false,
	  "" },
	{ "-N passes the end on",
	  "up",
	  "down",
	  true,
	  FIN,
	  { .quit_ms = -1, .wants_shutdown = true },
	  NC_FINISHED,
	  "up",
	  true,
	  "" },
	{ "nothing at all",
	  "",
	  "",
	  true,
	  FIN,
	  { .quit_ms = -1 },
	  NC_FINISHED,
	  "",
	  false,
	  "" },
	{ "-q does not wait for the peer",
	  "up",
	  "down",
	  true,
	  OPEN,
	  { .quit_ms = 0, .wants_shutdown = true },
	  NC_FINISHED,
	  "up",
	  true,
	  "" },
	{ "a listener does not wait for input",
	  "up",
	  "down",
	  false,
	  FIN,
	  { .quit_ms = -1, .is_listening = true },
	  NC_FINISHED,
	  "up",
	  false,
	  "" },
	{ "a reset is told after what was said before it",
	  "",
	  "down",
	  true,
	  RST,
	  { .quit_ms = -1 },
	  NC_CUT,
	  "",
	  false,
	  "broke off" },
	{ "a reset of who had sent nothing",
	  "",
	  "",
	  false,
	  RST,
	  { .quit_ms = -1 },
	  NC_CUT,
	  "",
	  false,
	  "broke off" },
	{ "silence, and input has not ended",
	  "up",
	  "down",
	  false,
	  FIN,
	  { .quit_ms = -1, .wait_ms = 20 },
	  NC_CUT,
	  "up",
	  false,
	  "nothing moved" },
	{ "silence of the peer alone",
	  "up",
	  "down",
	  true,
	  OPEN,
	  { .quit_ms = -1, .wait_ms = 20 },
	  NC_SILENT,
	  "up",
	  false,
	  "nothing moved" },
	{ "-C makes CR LF of LF, once",
	  "a\nb\r\n\n\r",
	  "a\nb",
	  true,
	  FIN,
	  { .quit_ms = -1, .has_crlf = true },
	  NC_FINISHED,
	  "a\r\nb\r\n\r\n\r",
	  false,
	  "" },
};

static void prepare(const struct scene *s, struct place *p)
{
	open_place(p);
	p->options = s->options;
	put(p->in, s->input);
	if (s->input_ends)
		close_one(&p->in);
	put(p->peer, s->said);
	if (s->peer_ends == FIN)
		assert_int_equal(shutdown(p->peer, SHUT_WR), 0);
	if (s->peer_ends == RST)
		reset_by_peer(p);
}

static void scenes_go_as_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i++) {
		const struct scene *s = &scenes[i];
		struct err e = { 0 };
		enum nc_pumped result;
		struct place p;

		prepare(s, &p);
		result = nc_pump_run(&p.pump, &e);
		if (result != s->result || !strstr(e.text, s->why))
			fail_msg("%s: %d, '%s'", s->name, (int)result, e.text);
		if (strcmp(get(p.out), s->said) != 0)
			fail_msg("%s: the peer's bytes", s->name);
		if (p.peer >= 0 && strcmp(get(p.peer), s->sent) != 0)
			fail_msg("%s: the bytes of input", s->name);
		if (p.peer >= 0 && has_ended(p.peer) != s->sends_fin)
			fail_msg("%s: FIN", s->name);
		close_place(&p);
	}
}

static void without_input_it_only_receives(void **state)
{
	struct err e = { 0 };
	struct place p;

	(void)state;
	open_place(&p);
	close_one(&p.pump.in);
	put(p.peer, "down");
	close_one(&p.peer);
	assert_int_equal(nc_pump_run(&p.pump, &e), NC_FINISHED);
	assert_string_equal(get(p.out), "down");
	close_place(&p);
}

static void output_that_nobody_reads_cuts_the_stream(void **state)
{
	struct err e = { 0 };
	struct place p;

	(void)state;
	open_place(&p);
	put(p.peer, "down");
	close_one(&p.out);
	assert_int_equal(nc_pump_run(&p.pump, &e), NC_CUT);
	assert_non_null(strstr(e.text, "standard output: Broken pipe"));
	close_place(&p);
}

static void what_a_closed_peer_does_not_take_is_told(void **state)
{
	struct err e = { 0 };
	struct place p;

	(void)state;
	open_place(&p);
	close_one(&p.peer);
	put(p.in, "up");
	assert_int_equal(nc_pump_run(&p.pump, &e), NC_CUT);
	assert_non_null(strstr(e.text, "not all that was to be sent"));
	close_place(&p);
}

/* Fills standard output, and reads it when the other direction has worked. */
static void *read_late(void *arg)
{
	static char many[300000];
	struct place *p = arg;
	struct pollfd out = { .fd = p->out, .events = POLLIN };
	size_t left = sizeof(many);
	char up[2];
	bool is_whole;

	is_whole = write(p->peer, many, left) == (ssize_t)left &&
		   poll(&out, 1, -1) == 1 && write(p->in, "up", 2) == 2 &&
		   read(p->peer, up, sizeof(up)) == sizeof(up);
	close_one(&p->in);
	(void)shutdown(p->peer, SHUT_WR);
	while (is_whole && left) {
		ssize_t len = read(p->out, many, sizeof(many));

		is_whole = len > 0;
		left -= len > 0 ? (size_t)len : 0;
	}
	return is_whole ? p : NULL;
}

static void output_that_is_read_late_does_not_stop_input(void **state)
{
	struct err e = { 0 };
	struct place p;
	pthread_t thread;
	void *done;

	(void)state;
	open_place(&p);
	(void)alarm(20); /* the fault is to wait for ever */
	assert_int_equal(pthread_create(&thread, NULL, read_late, &p), 0);
	assert_int_equal(nc_pump_run(&p.pump, &e), NC_FINISHED);
	assert_int_equal(pthread_join(thread, &done), 0);
	(void)alarm(0);
	assert_ptr_equal(done, &p);
	close_place(&p);
}

static void a_signal_stops_it(void **state)
{
	struct err e = { 0 };
	struct place p;

	(void)state;
	open_place(&p);
	raise(SIGTERM);
	assert_int_equal(nc_pump_run(&p.pump, &e), NC_STOPPED);
	assert_int_equal(p.watch.signal, SIGTERM);
	close_place(&p);
}

/* --- many bytes, both ways ----------------------------------------------- */

enum { MANY = 3 << 20, PART_MAX = 200000 };

struct mover {
	int fd;
	uint8_t *bytes;
	size_t count; /* moved */
	struct rnd random;
};

static size_t next_part(struct mover *m)
{
	size_t left = MANY - m->count;
	size_t part = 1 + rnd_draw(&m->random, PART_MAX);

	return part < left ? part : left;
}

static void *send_many(void *arg)
{
	struct mover *m = arg;
	ssize_t len = 1;

	while (m->count < MANY && len > 0) {
		len = write(m->fd, m->bytes + m->count, next_part(m));
		m->count += len > 0 ? (size_t)len : 0;
	}
	(void)shutdown(m->fd, SHUT_WR); /* of a pipe: is closed below */
	return NULL;
}

static void *receive_many(void *arg)
{
	struct mover *m = arg;
	ssize_t len = 1;

	while (len > 0) {
		len = m->count < MANY
			      ? read(m->fd, m->bytes + m->count, next_part(m))
			      : read(m->fd, &(char){ 0 }, 1);
		m->count += len > 0 ? (size_t)len : 0;
	}
	return NULL;
}

static void *send_input(void *arg)
{
	struct mover *m = arg;

	(void)send_many(m);
	close(m->fd);
	return NULL;
}

static void every_byte_arrives_both_ways(void **state)
{
	struct rnd random;
	struct mover up, down, got_up, got_down;
	struct mover *const all[] = { &up, &down, &got_up, &got_down };
	void *(*const run[])(void *) = { send_input, send_many, receive_many,
					 receive_many };
	pthread_t threads[COUNT(all)];
	struct err e = { 0 };
	struct place p;

	(void)state;
	rnd_begin(&random);
	open_place(&p);
	p.options.wants_shutdown = true;
	up.fd = p.in;
	down.fd = got_up.fd = p.peer;
	got_down.fd = p.out;
	for (size_t i = 0; i < COUNT(all); i++) {
		*all[i] = (struct mover){ all[i]->fd, malloc(MANY), 0, random };
		(void)rnd_draw(&random, 1); /* another for the next */
		assert_non_null(all[i]->bytes);
	}
	rnd_fill(&random, up.bytes, MANY);
	rnd_fill(&random, down.bytes, MANY);
	for (size_t i = 0; i < COUNT(all); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, run[i], all[i]), 0);
	p.in = -1; /* closed by its thread */
	assert_int_equal(nc_pump_run(&p.pump, &e), NC_FINISHED);
	close_one(&p.pump.out);
	for (size_t i = 0; i < COUNT(all); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(got_up.count, MANY);
	assert_int_equal(got_down.count, MANY);
	assert_memory_equal(got_up.bytes, up.bytes, MANY);
	assert_memory_equal(got_down.bytes, down.bytes, MANY);
	for (size_t i = 0; i < COUNT(all); i++)
		free(all[i]->bytes);
	close_place(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scenes_go_as_told),
		cmocka_unit_test(without_input_it_only_receives),
		cmocka_unit_test(output_that_nobody_reads_cuts_the_stream),
		cmocka_unit_test(what_a_closed_peer_does_not_take_is_told),
		cmocka_unit_test(output_that_is_read_late_does_not_stop_input),
		cmocka_unit_test(a_signal_stops_it),
		cmocka_unit_test(every_byte_arrives_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
