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

static int open_setting(const char *name, int flags)
{
	char path[128];
	int fd;

	if (snprintf(path, sizeof(path), "/proc/sys/%s", name) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sysctl_read(const char *name)
{
	int fd = open_setting(name, O_RDONLY);
	char text[32], *end;
	ssize_t len;
	long value;

	if (fd < 0)
		return fd;
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

int sysctl_write(const char *name, int value)
{
	int fd = open_setting(name, O_WRONLY);
	int error = 0;

	if (fd < 0)
		return fd;
	if (dprintf(fd, "%d\n", value) < 0)
		error = -errno;
	close(fd);
	return error;
}
