/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial_test.c - legs through proxies that follow a script.
 */
#include "relay/dial.h"

#include "relay/dial_stage_test.h"

enum { STEPS_MAX = 3 };

/* --- scripts ------------------------------------------------------------- */

struct line {
	const char *bytes;
	size_t len;
};

#define LINE(text)                                                             \
	{                                                                      \
		text, sizeof(text) - 1                                         \
	}
#define REQUEST "\5\1\0\1\306\63\144\7\1\273"
#define GRANTED "\5\0\0\1\0\0\0\0\0\0"
#define REFUSED "\5\5\0\1\0\0\0\0\0\0"
/* clang-format off */
#define ASK_CONNECT "CONNECT 198.51.100.7:443 HTTP/1.1\r\n" \
		    "Host: 198.51.100.7:443\r\n" \
		    "Connection: close\r\n\r\n"
/* clang-format on */

/* What the proxy hears and says, by turns. */
struct script {
	const char *name;
	enum upstream_kind kind;
	enum pipeline pipeline;
	size_t count;
	struct {
		struct line hears, says;
	} steps[STEPS_MAX];
};

/* clang-format off */
static const struct script successes[] = {
	{ "SOCKS5, a word at a time", UPSTREAM_SOCKS5, PIPELINE_OFF, 2,
	  { { LINE("\5\1\0"), LINE("\5\0") },
	    { LINE(REQUEST), LINE(GRANTED) } } },
	{ "SOCKS5, all words at once", UPSTREAM_SOCKS5, PIPELINE_ON, 1,
	  { { LINE("\5\1\0" REQUEST), LINE("\5\0" GRANTED) } } },
	{ "SOCKS5, bound to a name", UPSTREAM_SOCKS5, PIPELINE_OFF, 2,
	  { { LINE("\5\1\0"), LINE("\5\0") },
	    { LINE(REQUEST), LINE("\5\0\0\3\4here\0\0") } } },
	{ "CONNECT", UPSTREAM_HTTP_CONNECT, PIPELINE_AUTO, 1,
	  { { LINE(ASK_CONNECT), LINE("HTTP/1.1 200 OK\r\n\r\n") } } },
	{ "CONNECT with an interim answer", UPSTREAM_HTTP_CONNECT,
	  PIPELINE_AUTO, 1,
	  { { LINE(ASK_CONNECT),
	      LINE("HTTP/1.1 100 Continue\r\n\r\n"
		   "HTTP/1.0 200 Fine\r\nContent-Length: 5\r\n\r\n") } } },
};
/* clang-format on */

enum { SCRIPTS = sizeof(successes) / sizeof(*successes) };

static const struct line glued = LINE("220 the server's own words\r\n");

static size_t said_bytes(const struct script *p)
{
	size_t sum = 0;

	for (size_t i = 0; i < p->count; i++)
		sum += p->steps[i].says.len;
	return sum;
}

/* Say it in two pieces, and let the dial see the first one alone. */
static void say_cut(struct stage *s, const struct line *l, size_t cut)
{
	if (cut && cut < l->len) {
		say(s, l->bytes, cut);
		(void)turn(s);
		say(s, l->bytes + cut, l->len - cut);
	} else {
		say(s, l->bytes, l->len);
	}
}

/* `cut` counts over all that the proxy says, the server's words included. */
static void play(struct stage *s, const struct script *p, size_t cut)
{
	size_t before = 0;

	call(s);
	for (size_t i = 0; i < p->count; i++) {
		const struct line *l = &p->steps[i].says;
		char last[512];
		struct line all = { last, l->len + glued.len };

		assert_int_equal(s->dial.state, DIAL_TALKING);
		hear(s, p->steps[i].hears.bytes, p->steps[i].hears.len);
		hear_nothing(s);
		memcpy(last, l->bytes, l->len);
		memcpy(last + l->len, glued.bytes, glued.len);
		if (i + 1 < p->count)
			all.len = l->len;
		say_cut(s, &all, cut > before ? cut - before : 0);
		if (s->dial.state == DIAL_TALKING)
			(void)turn(s);
		before += l->len;
	}
}

/* The server's words are all there, once, and nobody has said more. */
static void check_done(struct stage *s, const struct script *p, size_t cut)
{
	char got[256];
	int fd;

	if (s->dial.state != DIAL_DONE)
		fail_msg("%s, cut at %zu: state %d, end %s", p->name, cut,
			 s->dial.state, flow_end_name(s->dial.end));
	assert_null(s->dial.talk);
	hear_nothing(s);
	fd = dial_take(&s->dial);
	assert_int_equal(s->dial.fd, -1);
	be_patient(fd);
	assert_int_equal(recv(fd, got, glued.len, MSG_WAITALL), glued.len);
	assert_memory_equal(got, glued.bytes, glued.len);
	assert_int_equal(recv(fd, got, 1, MSG_DONTWAIT), -1);
	close(fd);
}

/* R-SOCKS-4, R-CONN-3, T18, T19: cut at every byte, what is the proxy's is
 * taken and what is the server's is left. */
static void test_R_SOCKS_4_cut_at_every_byte(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < SCRIPTS; i++) {
		const struct script *p = &successes[i];
		size_t cuts = said_bytes(p) + glued.len;
		struct stage s;

		begin(&s, p->kind);
		s.upstream.pipeline = p->pipeline;
		for (size_t cut = 0; cut < cuts; cut++) {
			play(&s, p, cut);
			check_done(&s, p, cut);
			hang_up(&s);
		}
		end(&s);
	}
}

/* A byte at a time; each edge brings one. */
static void test_byte_by_byte(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < SCRIPTS; i++) {
		const struct script *p = &successes[i];
		struct stage s;

		begin(&s, p->kind);
		s.upstream.pipeline = p->pipeline;
		call(&s);
		for (size_t n = 0; n < p->count; n++) {
			const struct line *l = &p->steps[n].says;

			hear(&s, p->steps[n].hears.bytes,
			     p->steps[n].hears.len);
			for (size_t b = 0; b < l->len; b++) {
				assert_int_equal(s.dial.state, DIAL_TALKING);
				say(&s, &l->bytes[b], 1);
				(void)turn(&s);
			}
		}
		say(&s, glued.bytes, glued.len);
		check_done(&s, p, 0);
		end(&s);
	}
}

/* R-CONN-6: a head that is longer than one look, in one piece. */
static void test_R_CONN_6_long_head(void **state)
{
	static const char begins[] = "HTTP/1.1 200 OK\r\nX-Padding: ";
	static const char ends[] = "\r\n\r\n";
	struct script p = successes[3];
	char head[9000];
	struct stage s;

	(void)state; /* unused */
	memset(head, 'x', sizeof(head));
	memcpy(head, begins, sizeof(begins) - 1);
	memcpy(head + sizeof(head) - 4, ends, 4);
	begin(&s, p.kind);
	call(&s);
	hear(&s, p.steps[0].hears.bytes, p.steps[0].hears.len);
	say(&s, head, sizeof(head));
	while (s.dial.state == DIAL_TALKING)
		(void)turn(&s);
	say(&s, glued.bytes, glued.len);
	check_done(&s, &p, 0);
	end(&s);
}

/* --- failures ------------------------------------------------------------ */

enum last { CLOSES, RESETS, SAYS_MORE, IS_SILENT };

/* What the proxy hears (all of it at once) and says, and its last deed. */
struct failure {
	const char *name;
	enum upstream_kind kind;
	enum pipeline pipeline;
	struct line says; /* after its first word was heard */
	enum last last;
	enum flow_end end;
	unsigned reply;
	bool is_to_blame;
};

/* clang-format off */
static const struct failure failures[] = {
	{ "closes at once", UPSTREAM_SOCKS5, PIPELINE_OFF, LINE(""), CLOSES,
	  END_UPSTREAM_PROTOCOL, 0, true },
	{ "resets at once", UPSTREAM_SOCKS5, PIPELINE_OFF, LINE(""), RESETS,
	  END_UPSTREAM_PROTOCOL, 0, true },
	{ "closes within a word", UPSTREAM_SOCKS5, PIPELINE_OFF, LINE("\5"),
	  CLOSES, END_UPSTREAM_PROTOCOL, 0, true },
	{ "closes between two words", UPSTREAM_SOCKS5, PIPELINE_ON,
	  LINE("\5\0"), CLOSES, END_UPSTREAM_PROTOCOL, 0, true },
	{ "closes within the last word", UPSTREAM_SOCKS5, PIPELINE_ON,
	  LINE("\5\0\5\0\0\1\0\0\0"), CLOSES, END_UPSTREAM_PROTOCOL, 0, true },
	{ "resets within the last word", UPSTREAM_SOCKS5, PIPELINE_ON,
	  LINE("\5\0\5\0\0\1\0\0\0"), RESETS, END_UPSTREAM_PROTOCOL, 0, true },
	{ "refuses and closes", UPSTREAM_SOCKS5, PIPELINE_ON,
	  LINE("\5\0" REFUSED), CLOSES, END_SERVER_REFUSED, 5, false },
	{ "refuses and resets: its words come first", UPSTREAM_SOCKS5,
	  PIPELINE_ON, LINE("\5\0" REFUSED), RESETS, END_SERVER_REFUSED, 5,
	  false },
	{ "R-SOCKS-5: refuses and stays", UPSTREAM_SOCKS5, PIPELINE_ON,
	  LINE("\5\0" REFUSED), SAYS_MORE, END_SERVER_REFUSED, 5, false },
	{ "speaks another protocol", UPSTREAM_SOCKS5, PIPELINE_OFF,
	  LINE("SSH-2.0-x\r\n"), SAYS_MORE, END_UPSTREAM_PROTOCOL, 0, true },
	{ "is silent from the beginning", UPSTREAM_SOCKS5, PIPELINE_ON,
	  LINE(""), IS_SILENT, END_UPSTREAM_TIMEOUT, 0, true },
	{ "waits for a server that does not answer", UPSTREAM_SOCKS5,
	  PIPELINE_ON, LINE("\5\0"), IS_SILENT, END_UPSTREAM_TIMEOUT, 0,
	  false },
	{ "CONNECT: closes in its head", UPSTREAM_HTTP_CONNECT, PIPELINE_AUTO,
	  LINE("HTTP/1.1 200 OK\r\nVia: x"), CLOSES, END_UPSTREAM_PROTOCOL, 0,
	  true },
	{ "CONNECT: 403", UPSTREAM_HTTP_CONNECT, PIPELINE_AUTO,
	  LINE("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"), CLOSES,
	  END_UPSTREAM_REFUSED, 403, false },
	{ "CONNECT: waits for the server, perhaps", UPSTREAM_HTTP_CONNECT,
	  PIPELINE_AUTO, LINE(""), IS_SILENT, END_UPSTREAM_TIMEOUT, 0, false },
};
/* clang-format on */

static void act(struct stage *s, enum last last)
{
	struct linger reset = { .l_onoff = 1 };

	switch (last) {
	case CLOSES:
		assert_int_equal(shutdown(s->peer, SHUT_WR), 0);
		return;
	case RESETS:
		assert_int_equal(setsockopt(s->peer, SOL_SOCKET, SO_LINGER,
					    &reset, sizeof(reset)),
				 0);
		close(s->peer);
		s->peer = -1;
		return;
	case SAYS_MORE:
	case IS_SILENT:
		return;
	}
}

/* What it says and its last deed come one after the other, or, so that they
 * may be one edge, together.  All that it was told is read, so that a close
 * is a FIN and no RST. */
static void play_failure(struct stage *s, const struct failure *f,
			 bool is_apart)
{
	char got[512];

	call(s);
	assert_true(recv(s->peer, got, sizeof(got), 0) > 0);
	if (f->says.len)
		say(s, f->says.bytes, f->says.len);
	if (f->says.len && is_apart)
		(void)turn(s);
	if (s->dial.state == DIAL_TALKING)
		act(s, f->last);
	if (f->last == IS_SILENT)
		dial_time_out(&s->dial);
	while (s->dial.state == DIAL_TALKING)
		(void)turn(s);
}

static void check_failure(const struct failure *f, bool is_apart)
{
	struct stage s;

	begin(&s, f->kind);
	s.upstream.pipeline = f->pipeline;
	play_failure(&s, f, is_apart || f->last == IS_SILENT);
	if (s.dial.state != DIAL_FAILED || s.dial.end != f->end ||
	    s.dial.reply != f->reply || s.dial.is_to_blame != f->is_to_blame)
		fail_msg("%s: state %d, end %s, reply %u, blame %d", f->name,
			 s.dial.state, flow_end_name(s.dial.end), s.dial.reply,
			 s.dial.is_to_blame);
	assert_int_equal(s.dial.fd, -1);
	assert_null(s.dial.talk);
	end(&s);
}

static void test_failures(void **state)
{
	(void)state; /* unused */
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		check_failure(&failures[i], true);
		check_failure(&failures[i], false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R_SOCKS_4_cut_at_every_byte),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_R_CONN_6_long_head),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
