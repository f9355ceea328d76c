/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew_size.c - how many workers there are, and how much each may have.
 */
#include "daemon/crew.h"

#include "policy/policy.h"

#include <sys/resource.h>
#include <unistd.h>

enum {
	FDS_OTHER = 128, /* of a worker: not for TCP flows */
	FLOWS_MAX = 1 << 20,
};

uint32_t crew_slots(const struct config *c)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (c->workers)
		return c->workers;
	if (cpus < 1)
		return 1;
	return cpus < WORKERS_MAX ? (uint32_t)cpus : WORKERS_MAX;
}

uint32_t crew_nofile(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return 1024;
	return r.rlim_cur > 2 * FLOWS_MAX ? 2 * FLOWS_MAX
					  : (uint32_t)r.rlim_cur;
}

/* Two descriptors a TCP flow; UDP flows take theirs from the same sum, and
 * whoever comes first has them. */
uint32_t crew_tcp_flow_max(const struct config *c)
{
	uint32_t nofile = crew_nofile();
	uint32_t by_fds =
		nofile > FDS_OTHER + 32 ? (nofile - FDS_OTHER) / 2 : 16;

	if (c->limits.tcp_flows && c->limits.tcp_flows < by_fds)
		return c->limits.tcp_flows;
	return by_fds;
}
