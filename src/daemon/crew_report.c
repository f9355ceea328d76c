/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew_report.c - lines about workers and upstreams; see crew_report.h.
 */
#include "daemon/crew_report.h"

#include "base/log.h"
#include "daemon/crew.h"

#include <stddef.h>
#include <string.h>

/* --- one worker ---------------------------------------------------------- */

/* Is it time to say it (again)?  Notes the time if so. */
static bool may_say(const struct member *m, uint64_t *said_ms)
{
	uint64_t now_ms = m->crew->loop->now_ms;

	if (*said_ms && now_ms - *said_ms < CREW_SAY_MS)
		return false;
	*said_ms = now_ms;
	return true;
}

/* P8: one line that names limit and remedy. */
static void report_pause(struct member *m)
{
	if (!atomic_load(&m->shared->is_accept_paused) ||
	    !may_say(m, &m->pause_said_ms))
		return;
	log_warning("worker %d accepts no more connections for now: its %u "
		    "descriptors (RLIMIT_NOFILE) are used up by %u flows; "
		    "raise the limit (LimitNOFILE=) or add workers",
		    (int)m->pid, crew_nofile(),
		    atomic_load(&m->shared->tcp_flows));
}

/* T06: the ladder of relay/leg.h, one line for all flows since the last. */
static void report_ports(struct member *m)
{
	uint64_t other =
		atomic_load(&m->shared->counters[COUNTER_spoof_other_port]);
	uint64_t failed =
		atomic_load(&m->shared->counters[COUNTER_spoof_failed]);

	if (other + failed == m->ports_said || !may_say(m, &m->ports_said_ms))
		return;
	m->ports_said = other + failed;
	log_warning("worker %d: %llu flows could not keep the client's port, "
		    "which is in use on this host: %llu got another port of "
		    "the same address, %llu were refused (see `ss -anp`)",
		    (int)m->pid, (unsigned long long)(other + failed),
		    (unsigned long long)other, (unsigned long long)failed);
}

/* --- upstreams ----------------------------------------------------------- */

static void report_upstreams(struct crew *crew)
{
	struct str text = { 0 };
	bool is_warning;

	while (upstream_log_next(&crew->report.upstreams, crew->loop->now_ms,
				 &text, &is_warning)) {
		if (is_warning)
			log_warning("%s", str_get(&text));
		else
			log_info("%s", str_get(&text));
		str_reset(&text);
	}
	str_done(&text);
}

/* Who was told to get no more flows has none: now it can be taken away. */
static void report_drained(struct crew *crew)
{
	const struct generation *g = crew->current;
	bool *said = crew->report.is_drained;

	for (size_t i = 0; i < g->config->upstream_count; i++) {
		if (board_is_open(g->board, i)) {
			said[i] = false;
			continue;
		}
		if (said[i] || crew_upstream_flows(crew, i))
			continue;
		said[i] = true;
		log_info("upstream %s has no more flows",
			 g->config->upstreams[i].name);
	}
}

/* --- looking ------------------------------------------------------------- */

static void look(struct crew *crew)
{
	uint64_t counters[COUNTER_COUNT];

	crew_counters(crew, counters);
	complaints_look(&crew->report.complaints, counters, crew->loop->now_ms);
	if (!crew->current)
		return;
	crew_end_disabled(crew);
	report_upstreams(crew);
	report_drained(crew);
}

static void on_look(struct timer *t, uint64_t now_ms)
{
	struct crew_report *r =
		(struct crew_report *)((char *)t -
				       offsetof(struct crew_report, look));
	struct crew *crew =
		(struct crew *)((char *)r - offsetof(struct crew, report));

	look(crew);
	wheel_set(&crew->loop->wheel, t, now_ms + CREW_LOOK_MS);
}

void crew_report_begin(struct crew *crew)
{
	struct crew_report *r = &crew->report;
	const struct generation *g = crew->current;

	upstream_log_begin(&r->upstreams, g ? g->config : NULL,
			   g ? g->board : NULL);
	memset(r->is_drained, 0, sizeof(r->is_drained));
	for (size_t i = 0; g && i < g->config->upstream_count; i++)
		r->is_drained[i] = !board_is_open(g->board, i);
	r->look.fn = on_look;
	if (!timer_is_set(&r->look))
		wheel_set(&crew->loop->wheel, &r->look,
			  crew->loop->now_ms + CREW_LOOK_MS);
}

void crew_report_member(struct member *m)
{
	report_pause(m);
	report_ports(m);
	if (m->crew->current)
		report_upstreams(m->crew);
}
