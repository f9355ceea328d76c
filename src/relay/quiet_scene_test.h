/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quiet_scene_test.h - what a leg of cut_scene_test.h has unsent and unread,
 * and how it gets small windows.
 */
#ifndef WL_RELAY_QUIET_SCENE_TEST_H
#define WL_RELAY_QUIET_SCENE_TEST_H

#include "relay/cut_scene_test.h"
#include "relay/tcp_quiet.h"

static inline int tcp_option(const struct pair *t, int side, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(t->flow->side[side].fd, IPPROTO_TCP, option,
				    &value, &len),
			 0);
	return value;
}

static inline unsigned unsent(const struct pair *t, int side)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(t->flow->side[side].fd, IPPROTO_TCP,
				    TCP_INFO, &info, &len),
			 0);
	return info.tcpi_notsent_bytes;
}

static inline bool holds_bytes(const struct pair *t)
{
	for (int way = 0; way < 2; way++)
		if (t->flow->dir[way].spill || t->flow->dir[way].pipe_held)
			return true;
	return false;
}

/* `who` says much, and all of it is read, until its leg has a small buffer. */
static inline void get_small(struct scene *s, struct pair *t, int who)
{
	if (t->flow->cut.stage == CUT_NONE)
		get_watched(s, t);
	while (!t->flow->is_shrunk[who]) {
		make_due(t);
		(void)say(t, who, 20000);
		hear_all(s, t, who);
		settle(s);
		if (is_asked(s))
			answer(s, CUT_NOT_YET, CUT_CAUSE_UNSEEN);
		t->flow->cut.tries = 0;
	}
	make_young(t->flow);
}

#endif
