/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockdiag.h - sockets that outlive their program.
 *
 * A TCP connection that this side closed first leaves a TIME_WAIT socket for
 * a minute.  With a foreign address it is harmful once nobody intercepts any
 * more: early demux attaches it to packets of the same four-tuple, and
 * ip_forward() drops packets that have a socket.  So who stops intercepting
 * takes them away.  sock_diag(7), SOCK_DESTROY (CONFIG_INET_DIAG_DESTROY).
 */
#ifndef WL_NET_SOCKDIAG_H
#define WL_NET_SOCKDIAG_H

#include "base/err.h"

#include <stdint.h>

/*
 * End all TCP sockets in TIME_WAIT, of both families, that carry this mark
 * under this mask.  The number that went, or -errno; -EOPNOTSUPP where the
 * kernel cannot do it.
 */
int sockdiag_end_time_wait(uint32_t mark, uint32_t mask, struct err *e);

#endif
