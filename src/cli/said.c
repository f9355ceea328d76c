/* SPDX-License-Identifier: Apache-2.0 */
/*
 * said.c - a struct err through a pipe; see said.h.
 */
#include "cli/said.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

_Static_assert(sizeof(struct err) <= PIPE_BUF, "it must come whole");

void said_tell(int fd, const struct err *e)
{
	(void)!write(fd, e, sizeof(*e)); /* nobody listens: nobody asks */
}

int said_hear(int fd, const char *what, struct err *e)
{
	struct err heard;
	ssize_t n;

	do
		n = read(fd, &heard, sizeof(heard));
	while (n < 0 && errno == EINTR);
	if (n != sizeof(heard))
		return err_set(e, EIO, "%s ended without a word", what);
	if (!heard.code)
		return 0;
	heard.text[sizeof(heard.text) - 1] = '\0';
	*e = heard;
	return -heard.code;
}
