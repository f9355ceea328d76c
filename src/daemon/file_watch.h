/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_watch.h - notice that files have changed.
 *
 * inotify(7) tells of the directories in which the files lie; that something
 * happened there is only a reason to look.  Whether a file is another one is
 * said by its identity: device, inode, size and time of change.  So the way in
 * which it was replaced does not matter: written anew, renamed over, removed
 * and made again, or a symbolic link on the way that leads elsewhere now.
 *
 *	an event --200 ms--> look: changed? --200 ms--> look: changed again?
 *	                                     <---------------- yes
 *	                                                no: tell, once
 *
 * Who writes a file for longer than that without renaming is told of twice.
 * A directory that is gone is looked for every FILE_WATCH_RETRY_MS.
 */
#ifndef WL_DAEMON_FILE_WATCH_H
#define WL_DAEMON_FILE_WATCH_H

#include "base/loop.h"

#include <stddef.h>
#include <sys/types.h>
#include <time.h>

enum { FILE_WATCH_QUIET_MS = 200, FILE_WATCH_RETRY_MS = 5000 };

typedef void (*file_watch_fn)(void *ctx);

/* What a file is at a moment; zeros: there is none. */
struct file_identity {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

struct file_watch {
	struct loop *loop;
	struct watch watch;
	struct timer timer; /* the next look */
	file_watch_fn fn;
	void *ctx;
	struct watched_file {
		char *path;
		struct file_identity is;
	} * files;
	size_t count;
	int fd;		  /* inotify; -1: nothing is watched */
	bool is_changing; /* told of when it is quiet */
	bool is_retrying; /* the timer waits for a directory */
};

struct file_watch_set {
	const char *const *paths; /* absolute; copied */
	size_t count;
	/* CLOCK_REALTIME_COARSE before the files were read: what changed later
	 * is a change. */
	struct timespec since;
};

/* fn may call all of these. */
void file_watch_init(struct file_watch *w, struct loop *l, file_watch_fn fn,
		     void *ctx);
/* Watch these from now on, and no others.  What cannot be watched is logged. */
void file_watch_begin(struct file_watch *w, const struct file_watch_set *s);
void file_watch_close(struct file_watch *w);

#endif
