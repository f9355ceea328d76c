/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.c - make and remove the control socket; see socket.h.
 *
 * The run directory must not be writable by others: then nobody can change
 * what lies at the path between our look at it and our use of it.
 */
#include "control/socket.h"

#include "base/err.h"
#include "control/server.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIR_MODE = 0700, SOCKET_MODE = 0600, BACKLOG = 64 };

static int dir_prepare(const char *path, struct err *e)
{
	struct stat st;

	if (mkdir(path, DIR_MODE) < 0 && errno != EEXIST)
		return err_errno(e, errno, "cannot make the run directory %s",
				 path);
	if (stat(path, &st) < 0)
		return err_errno(e, errno, "cannot look at %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "run directory %s is no directory",
			       path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(e, EPERM,
			       "run directory %s belongs to another user "
			       "(uid %u)",
			       path, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(e, EPERM,
			       "run directory %s is writable by others "
			       "(mode %04o; chmod it to 0700)",
			       path, st.st_mode & 07777);
	return 0;
}

static int refuse_living(int fd, const char *path, struct err *e)
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len); /* pid 0 */
	return err_set(e, EADDRINUSE, "another waylayd (pid %d) answers on %s",
		       peer.pid, path);
}

/* 0: nobody listens there. */
static int probe_living(const struct sockaddr_un *sun, struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = 0;

	if (fd < 0)
		return err_errno(e, errno, "cannot make a socket");
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0)
		rc = refuse_living(fd, sun->sun_path, e);
	else if (errno != ECONNREFUSED)
		rc = err_errno(e, errno, "cannot tell who owns %s",
			       sun->sun_path);
	close(fd);
	return rc;
}

static int remove_stale(const struct sockaddr_un *sun, struct err *e)
{
	struct stat st;
	int rc;

	if (lstat(sun->sun_path, &st) < 0 && errno == ENOENT)
		return 0;
	if (lstat(sun->sun_path, &st) < 0)
		return err_errno(e, errno, "cannot look at %s", sun->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, EEXIST,
			       "%s is not a socket; remove it, or choose "
			       "another run directory",
			       sun->sun_path);
	rc = probe_living(sun, e);
	if (rc < 0)
		return rc;
	if (unlink(sun->sun_path) < 0)
		return err_errno(e, errno, "cannot remove the old %s",
				 sun->sun_path);
	return 0;
}

/* Linux gives the name the mode of the socket's inode, minus the umask
 * (unix_bind() in net/unix/af_unix.c), so it never is more open than this. */
static int bind_and_listen(int fd, const struct sockaddr_un *sun,
			   struct stat *st, struct err *e)
{
	if (fchmod(fd, SOCKET_MODE) < 0 ||
	    bind(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0)
		return err_errno(e, errno, "cannot make the socket %s",
				 sun->sun_path);
	if (lstat(sun->sun_path, st) < 0 || listen(fd, BACKLOG) < 0) {
		int code = errno;

		(void)unlink(sun->sun_path); /* best effort, error follows */
		return err_errno(e, code, "cannot listen on %s", sun->sun_path);
	}
	return 0;
}

int control_socket_open(struct control_server *s, const char *run_dir,
			struct err *e)
{
	struct sockaddr_un sun;
	struct stat st = { 0 };
	int fd;
	int rc = control_address(run_dir, &sun, e);

	if (rc == 0)
		rc = dir_prepare(run_dir, e);
	if (rc == 0)
		rc = remove_stale(&sun, e);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, errno, "cannot make a socket");
	rc = bind_and_listen(fd, &sun, &st, e);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	s->fd = fd;
	s->address = sun;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

void control_socket_close(struct control_server *s)
{
	struct stat st;

	if (lstat(s->address.sun_path, &st) == 0 && st.st_dev == s->dev &&
	    st.st_ino == s->ino)
		(void)unlink(s->address.sun_path); /* or it is gone already */
	close(s->fd);
	s->fd = -1;
}
