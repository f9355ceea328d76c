// SPDX-License-Identifier: Apache-2.0
/*
 * cut_stream_test.c - a whole connection, cut through at any moment, loses,
 * doubles and changes nothing.
 *
 * Two ends send random bytes to each other, first by a relay's two sockets,
 * then by the rewriting that doc/cut-through.md describes, over links that
 * lose, double and reorder.  No BPF here: what is tested is the design, with
 * the model that the program is compared with in cut_model_test.c.
 *
 * The seed is printed; WAYLAY_SEED repeats a run, WAYLAY_RUNS asks for more.
 */
#include "engine/cut_stream_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
	RUNS = 250,
	ABORTS = 100,
	BULK = 1900, /* more than the smallest of buffers */
	KEEPALIVE = 500 * END_TICKS_MS,
	TICKS_MAX = 180 * 1000 * END_TICKS_MS,
};

/* What an end's program does. */
struct app {
	uint32_t total, written, chunk;	  /* bytes to send; at a time */
	unsigned laziness, read_laziness; /* once in so many ticks */
	bool is_closing; /* FIN at the end of its bytes, else of the other's */
	uint8_t bytes[END_STREAM_MAX];
};

struct trial {
	struct stream stream;
	struct app app[2];
	uint64_t cut_from; /* ticks */
};

static struct trial trial;

/* --- drawing ------------------------------------------------------------- */

static unsigned pick(struct rnd *r, const unsigned from[4])
{
	return from[rnd_draw(r, 4)];
}

static uint32_t draw_number(struct rnd *r)
{
	if (rnd_draw(r, 2)) /* about to wrap */
		return 0u - rnd_draw(r, 100000);
	return (uint32_t)nrand48(r->state) << 1 ^ (uint32_t)rnd_draw(r, 65536);
}

static void tuple(const char *src, uint16_t sport, const char *dst,
		  uint16_t dport, struct wl_cut_tuple *out)
{
	memset(out, 0, sizeof(*out));
	assert_int_equal(inet_pton(AF_INET, src, out->src), 1);
	assert_int_equal(inet_pton(AF_INET, dst, out->dst), 1);
	out->sport = htons(sport);
	out->dport = htons(dport);
}

static void turn(const struct wl_cut_tuple *t, struct wl_cut_tuple *out)
{
	*out = (struct wl_cut_tuple){ .sport = t->dport, .dport = t->sport };
	memcpy(out->src, t->dst, 16);
	memcpy(out->dst, t->src, 16);
}

static const unsigned buffers[4] = { 2000, 20000, 40000, 120000 };
static const unsigned socket_buffers[4] = { 20000, 20000, 40000, 65535 };
static const unsigned scales[4] = { 0, 0, 3, 7 };
static const unsigned sizes[4] = { 536, 1000, 1400, 1460 };
static const unsigned flights[4] = { 3000, 8000, 20000, 60000 };
static const unsigned odds[4] = { 0, 0, 100, 20 };
static const unsigned delays[4] = { 1, 5, 50, 300 };
static const unsigned totals[4] = { 500, 30000, 100000, 200000 };
static const unsigned paces[4] = { 3, 20, 60, 400 };

static void begin_peer(struct end *e, struct end *peer)
{
	uint32_t most = 65535u << e->own_scale;

	e->rto = END_RTO;
	e->offered = e->buffer < most ? e->buffer : most;
	e->ts_recent = peer->clock_base;
	peer->right = peer->window_max = e->offered;
	peer->peer_scale = e->own_scale;
	peer->in_base = e->out_base;
}

/* Both peers of one leg, as their handshake has left them. */
static void draw_leg(struct stream *w, int leg, bool has_timestamps)
{
	struct end *e = &w->end[leg], *s = &w->sock[leg];
	bool has_sack = rnd_draw(w->r, 2);

	turn(&e->at, &s->at);
	e->buffer = pick(w->r, buffers);
	s->buffer = pick(w->r, socket_buffers);
	e->mss = (uint16_t)pick(w->r, sizes) - 12;
	e->mss_taken = (uint16_t)pick(w->r, sizes);
	s->mss = e->mss_taken - 12;
	s->own_scale = (uint8_t)pick(w->r, scales);
	e->own_scale = (uint8_t)pick(w->r, scales);
	for (int i = 0; i < 2; i++) {
		struct end *one = i ? s : e;

		one->cwnd = (uint16_t)pick(w->r, flights);
		one->has_sack = has_sack;
		one->has_timestamps = has_timestamps;
		one->out_base = draw_number(w->r);
		one->clock_base = draw_number(w->r);
		one->clock_hz = 1000;
	}
	begin_peer(e, s);
	begin_peer(s, e);
}

static void send_packet(struct end *e, const struct segment *s)
{
	stream_send(&trial.stream, e, s);
}

static void draw_model(struct stream *w, int leg, bool is_readdressed)
{
	struct model *m = &w->model[leg];
	struct packet_view v = { .proto = IPPROTO_TCP, .at = w->end[leg].at };
	bool is_low = packet_key(&v, &m->key);

	m->is_there = true;
	m->route_mtu = 1500;
	m->cut.state = WL_CUT_WATCH;
	m->cut.shape = is_low ? WL_CUT_LOW : 0;
	if (!is_readdressed)
		return;
	m->cut.shape |= WL_CUT_READDRESSED | (leg ? WL_CUT_SERVER_LEG : 0);
	m->cut.to = w->sock[!leg].at;
	m->partner = &w->model[!leg];
}

static void draw_stream(struct stream *w, struct rnd *r)
{
	bool has_timestamps = rnd_draw(r, 2), is_readdressed = rnd_draw(r, 2);
	struct wl_cut_tuple *client = &w->end[0].at, *server = &w->end[1].at;

	memset(w, 0, sizeof(*w));
	w->r = r;
	w->shape = (struct stream_shape){
		.loss = pick(r, odds),
		.twice = pick(r, odds),
		.late = pick(r, odds),
		.jitter = 1 + pick(r, delays),
		.delay = pick(r, delays),
		.laziness = pick(r, paces),
		.ts_margin = 1,
		.is_readdressed = is_readdressed,
	};
	tuple("10.0.0.2", 5000, "198.51.100.7", 80, client);
	turn(client, server);
	if (is_readdressed)
		tuple("198.51.100.7", 80, "198.51.100.1", 40000, server);
	for (int leg = 0; leg < 2; leg++) {
		draw_leg(w, leg, has_timestamps);
		w->end[leg].send = w->sock[leg].send = send_packet;
	}
	for (int leg = 0; leg < 2; leg++)
		draw_model(w, leg, is_readdressed);
}

static void draw_app(struct rnd *r, struct app *a)
{
	*a = (struct app){ .total = pick(r, totals),
			   .chunk = 500 + rnd_draw(r, 8000),
			   .laziness = pick(r, paces),
			   .read_laziness = pick(r, paces),
			   .is_closing = rnd_draw(r, 2) };
	if (a->total)
		a->total -= rnd_draw(r, a->total);
	rnd_fill(r, a->bytes, a->total);
}

static void draw(struct rnd *r)
{
	draw_stream(&trial.stream, r);
	draw_app(r, &trial.app[0]);
	draw_app(r, &trial.app[1]);
	for (int leg = 0; leg < 2; leg++)
		trial.stream.shape.is_bulk[leg] = trial.app[leg].total > BULK;
	if (!trial.app[0].is_closing)
		trial.app[1].is_closing = true;
	trial.cut_from =
		1 + rnd_draw(r, rnd_draw(r, 2) ? 30 : 300 * END_TICKS_MS);
}

/* --- the ends' programs --------------------------------------------------- */

static void app_write(struct trial *t, int leg)
{
	struct app *a = &t->app[leg];
	struct end *e = &t->stream.end[leg];
	uint32_t count = a->total - a->written;

	if (count > a->chunk)
		count = a->chunk;
	if (count)
		end_write(e, a->bytes + a->written, count);
	a->written += count;
	if (a->written == a->total && !e->is_shut &&
	    (a->is_closing || end_has_eof(e)))
		end_shut(e);
}

static void app_read(struct trial *t, int leg)
{
	struct end *e = &t->stream.end[leg];

	if (end_unread(e))
		end_consume(e, 1 + rnd_draw(t->stream.r, end_unread(e)));
}

static void app_tick(struct trial *t, int leg)
{
	struct end *e = &t->stream.end[leg];

	if (e->is_dead || e->is_reset)
		return;
	if (stream_chance(&t->stream, t->app[leg].laziness))
		app_write(t, leg);
	if (stream_chance(&t->stream, t->app[leg].read_laziness))
		app_read(t, leg);
}

/* --- judging ------------------------------------------------------------- */

static bool is_over(const struct end *e)
{
	return e->is_shut && e->una == end_sent_max(e) && end_has_eof(e) &&
	       !end_unread(e);
}

static void expect_end(const struct trial *t, int leg)
{
	const struct end *e = &t->stream.end[leg];
	const struct app *from = &t->app[!leg];

	assert_int_equal(e->read, from->total);
	assert_memory_equal(e->in, from->bytes, from->total);
	assert_int_equal(e->strange_bytes, 0);
	assert_int_equal(e->strange_acks, 0);
	/* Raised to the edge, an acknowledgement offers as much more. */
	if (!t->stream.model[0].raised && !t->stream.model[1].raised)
		assert_int_equal(e->overruns, 0);
}

static void describe(const struct trial *t)
{
	const struct stream *w = &t->stream;

	print_message("at %u ms, phase %d since %u, loss %u twice %u late %u "
		      "jitter %u delay %u, %s\n",
		      (unsigned)w->now / END_TICKS_MS, w->phase,
		      (unsigned)w->switched_at / END_TICKS_MS, w->shape.loss,
		      w->shape.twice, w->shape.late, w->shape.jitter,
		      w->shape.delay,
		      w->shape.is_readdressed ? "readdressed" : "equal");
	for (int i = 0; i < 4; i++) {
		const struct end *e = i < 2 ? &w->end[i] : &w->sock[i - 2];

		print_message("%s %d: written %u shut %d una %u nxt %u right "
			      "%u; rcv %u read %u eof %d offered %u; buffer %u "
			      "scale %u\n",
			      i < 2 ? "end" : "sock", i % 2, e->written,
			      e->is_shut, e->una, e->nxt, e->right, e->rcv_nxt,
			      e->read, end_has_eof(e), e->offered, e->buffer,
			      e->own_scale);
	}
}

static void run(struct trial *t)
{
	struct stream *w = &t->stream;

	while (!is_over(&w->end[0]) || !is_over(&w->end[1])) {
		app_tick(t, 0);
		app_tick(t, 1);
		stream_tick(w, w->now >= t->cut_from);
		if (w->now < TICKS_MAX)
			continue;
		describe(t);
		fail_msg("it stands still");
	}
	assert_int_equal(w->wrong_sums, 0);
	assert_int_equal(w->stray, 0);
	expect_end(t, 0);
	expect_end(t, 1);
}

static int runs(void)
{
	const char *given = getenv("WAYLAY_RUNS");

	return given ? atoi(given) : RUNS;
}

static void test_streams(void **state)
{
	unsigned cut = 0, closed = 0, old = 0;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	for (int i = 0; i < runs(); i++) {
		draw(&r);
		run(&trial);
		cut += trial.stream.phase >= STREAM_ON;
		closed += trial.stream.phase == STREAM_CLOSED;
		for (int leg = 0; leg < 2; leg++)
			old += trial.stream.end[leg].paws_losses;
	}
	print_message("%u of %d were cut, %u sockets closed, %u segments "
		      "that were wanted looked old\n",
		      cut, runs(), closed, old);
	assert_true(runs() < RUNS || cut > RUNS / 20);
}

/* --- RST ----------------------------------------------------------------- */

static void run_for(struct trial *t, uint64_t ticks)
{
	while (ticks-- > 0) {
		app_tick(t, 0);
		app_tick(t, 1);
		stream_tick(&t->stream, true);
	}
}

/* Some time after the switch one end is gone, with or without a word that
 * arrives.  The other hears of it, if it asks from time to time: not while our
 * socket goes on asking the one that is gone, which ends by time, and not in
 * this model. */
static bool abort_one(struct trial *t, int leg, uint64_t wait)
{
	struct stream *w = &t->stream;
	struct end *other = &w->end[!leg];
	uint64_t until = w->now + TICKS_MAX;

	run_for(t, wait);
	if (w->phase == STREAM_RELAYED || is_over(&w->end[leg]) ||
	    is_over(other))
		return false;
	end_abort(&w->end[leg]);
	while (!other->is_reset && w->now < until) {
		app_tick(t, !leg);
		if (w->now % KEEPALIVE == 0)
			end_emit(other, other->una - 1, 0, 0);
		stream_tick(w, true);
	}
	assert_int_equal(w->stray, 0);
	if (w->phase == STREAM_ON)
		return false;
	if (!other->is_reset)
		describe(t);
	assert_true(other->is_reset);
	return true;
}

static void test_aborts(void **state)
{
	int aborted = 0;
	struct rnd r;

	(void)state; /* unused */
	rnd_begin(&r);
	for (int i = 0; i < ABORTS; i++) {
		draw(&r);
		trial.cut_from = 1;
		aborted += abort_one(&trial, (int)rnd_draw(&r, 2),
				     rnd_draw(&r, 200 * END_TICKS_MS));
	}
	print_message("%d of %d were aborted\n", aborted, ABORTS);
	assert_true(aborted > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
