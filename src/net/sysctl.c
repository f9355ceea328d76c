/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysctl.c - read kernel settings; see sysctl.h.
 */
#include "net/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int sysctl_read(const char *name)
{
	char path[128], text[32], *end;
	ssize_t len;
	long value;
	int fd;

	if (snprintf(path, sizeof(path), "/proc/sys/%s", name) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return -EIO;
	text[len] = '\0';
	value = strtol(text, &end, 10);
	if (end == text || value < 0 || value > 0x7fffffff)
		return -ERANGE;
	return (int)value;
}
