/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut_orders.h - what the supervisor wants of the cutter, in shared memory.
 *
 * The cutter lives longer than a configuration, so it knows none: only these
 * times, which a reload changes.  Which flows shall end is said here too, since
 * there may be more of them than a channel holds.  The supervisor writes; the
 * cutter only takes a wish back that it has fulfilled, and tells how many
 * records are worth a look.
 */
#ifndef WL_DAEMON_CUT_ORDERS_H
#define WL_DAEMON_CUT_ORDERS_H

#include "policy/model.h"

#include <stdatomic.h>
#include <stdint.h>

struct cut_wish {
	_Atomic uint64_t name; /* flow_record.name of the flow, plus 1; or 0 */
	_Atomic uint8_t why;   /* enum flow_end */
};

struct cut_orders {
	/* Of silence, in seconds: the map knows no smaller ones. */
	_Atomic uint32_t idle_s, half_closed_s, udp_s, dns_s;
	/* By the cutter: records from here on were never used, and their memory
	 * was never touched. */
	_Atomic uint32_t record_count;
	uint32_t flow_max;	/* length of ends[] */
	struct cut_wish ends[]; /* by slot of the records */
};

/* NULL: no memory.  To be freed by cut_orders_free(). */
struct cut_orders *cut_orders_new(uint32_t flow_max);
void cut_orders_free(struct cut_orders *o);

void cut_orders_set_times(struct cut_orders *o, const struct timeouts *t);
/* The flow of this slot and name shall end, unless it has by then. */
void cut_orders_end(struct cut_orders *o, uint32_t slot, uint64_t name,
		    uint8_t why);

#endif
