/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_watch.c - notice that files have changed; see file_watch.h.
 */
#include "daemon/file_watch.h"

#include "base/log.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what a file is ------------------------------------------------------ */

static void identify(const char *path, struct file_identity *out)
{
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (stat(path, &st) < 0)
		return;
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	out->size = st.st_size;
	out->changed = st.st_ctim;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static bool is_same(const struct file_identity *a,
		    const struct file_identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       !is_before(&a->changed, &b->changed) &&
	       !is_before(&b->changed, &a->changed);
}

/* --- looking ------------------------------------------------------------- */

static bool watch_dir_of(struct file_watch *w, const char *path)
{
	char copy[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, path, len + 1);
	return inotify_add_watch(w->fd, dirname(copy),
				 IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM |
					 IN_CREATE | IN_DELETE | IN_ATTRIB |
					 IN_DELETE_SELF | IN_MOVE_SELF |
					 IN_ONLYDIR) >= 0;
}

/* Where the path says, and where a symbolic link leads to.  To watch what is
 * watched already changes nothing. */
static bool watch_dirs(struct file_watch *w)
{
	char real[PATH_MAX];
	bool is_complete = true;

	for (size_t i = 0; i < w->count; i++) {
		const char *path = w->files[i].path;

		if (!watch_dir_of(w, path))
			is_complete = false;
		else if (realpath(path, real) && strcmp(real, path) != 0)
			(void)watch_dir_of(w, real); /* the best there is */
	}
	return is_complete;
}

/* Has any changed since the last look? */
static bool look(struct file_watch *w)
{
	bool has_changed = false;

	for (size_t i = 0; i < w->count; i++) {
		struct file_identity now;

		identify(w->files[i].path, &now);
		has_changed |= !is_same(&now, &w->files[i].is);
		w->files[i].is = now;
	}
	return has_changed;
}

static void look_in(struct file_watch *w, uint64_t delay_ms)
{
	w->is_retrying = delay_ms == FILE_WATCH_RETRY_MS;
	wheel_set(&w->loop->wheel, &w->timer, w->loop->now_ms + delay_ms);
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct file_watch *w =
		(struct file_watch *)((char *)t -
				      offsetof(struct file_watch, timer));
	bool is_complete = watch_dirs(w); /* before the look: none is missed */

	(void)now_ms;
	if (look(w)) {
		w->is_changing = true;
		look_in(w, FILE_WATCH_QUIET_MS);
		return;
	}
	if (!is_complete)
		look_in(w, FILE_WATCH_RETRY_MS);
	if (!w->is_changing)
		return;
	w->is_changing = false;
	w->fn(w->ctx); /* may begin anew */
}

static void on_events(struct loop *l, struct watch *watch, uint32_t events)
{
	struct file_watch *w =
		(struct file_watch *)((char *)watch -
				      offsetof(struct file_watch, watch));
	char buf[4096]
		__attribute__((aligned(__alignof__(struct inotify_event))));

	(void)l;
	(void)events;
	while (w->fd >= 0 && read(w->fd, buf, sizeof(buf)) > 0)
		; /* what it was does not matter */
	/* A look that is planned is not put off, however busy the directory. */
	if (w->fd >= 0 && (w->is_retrying || !timer_is_set(&w->timer)))
		look_in(w, FILE_WATCH_QUIET_MS);
}

/* --- life ---------------------------------------------------------------- */

void file_watch_init(struct file_watch *w, struct loop *l, file_watch_fn fn,
		     void *ctx)
{
	*w = (struct file_watch){
		.loop = l,
		.watch.fn = on_events,
		.timer.fn = on_timer,
		.fn = fn,
		.ctx = ctx,
		.fd = -1,
	};
}

static int copy_paths(struct file_watch *w, const struct file_watch_set *s)
{
	w->files = calloc(s->count, sizeof(*w->files));
	if (!w->files)
		return -ENOMEM;
	for (; w->count < s->count; w->count++) {
		w->files[w->count].path = strdup(s->paths[w->count]);
		if (!w->files[w->count].path)
			return -ENOMEM;
	}
	return 0;
}

static int open_inotify(struct file_watch *w)
{
	int error;

	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		return -errno;
	error = loop_add(w->loop, w->fd, EPOLLIN, &w->watch);
	if (error < 0)
		return error;
	if (watch_dirs(w))
		return 0;
	error = -errno;
	look_in(w, FILE_WATCH_RETRY_MS);
	return error;
}

void file_watch_begin(struct file_watch *w, const struct file_watch_set *s)
{
	bool has_changed = false;
	int error;

	file_watch_close(w);
	if (!s->count)
		return;
	error = copy_paths(w, s);
	if (!error)
		error = open_inotify(w);
	if (error < 0)
		log_warning("cannot watch %s and other files: %s; changes of "
			    "them may not be seen",
			    s->paths[0], strerror(-error));
	if (w->fd < 0)
		return;
	(void)look(w);
	for (size_t i = 0; i < w->count; i++)
		has_changed |= w->files[i].is.ino &&
			       !is_before(&w->files[i].is.changed, &s->since);
	if (!has_changed)
		return;
	w->is_changing = true;
	look_in(w, FILE_WATCH_QUIET_MS);
}

void file_watch_close(struct file_watch *w)
{
	if (!w->loop)
		return; /* of zeros */
	wheel_cancel(&w->loop->wheel, &w->timer);
	if (w->fd >= 0) {
		loop_del(w->loop, w->fd);
		close(w->fd);
	}
	w->fd = -1;
	for (size_t i = 0; i < w->count; i++)
		free(w->files[i].path);
	free(w->files);
	w->files = NULL;
	w->count = 0;
	w->is_changing = false;
}
