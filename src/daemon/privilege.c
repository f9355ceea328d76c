/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privilege.c - what a child may still do; see privilege.h.
 */
#include "daemon/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* For every role: beside the calls of base/loop.c, what libc and a failing
 * assertion need. */
static const int allowed_all[] = {
	/* sockets */
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(fcntl),
	SCMP_SYS(close),
	SCMP_SYS(clock_gettime),
	/* memory, end */
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(tgkill),
	SCMP_SYS(write),
};

static const int allowed_worker[] = {
	SCMP_SYS(accept4),     SCMP_SYS(recvmmsg),  SCMP_SYS(sendmmsg),
	SCMP_SYS(getpeername), SCMP_SYS(shutdown),  SCMP_SYS(splice),
	SCMP_SYS(pipe2),       SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait), SCMP_SYS(getrandom),
};

/* c-ares, beside poll(2) of our own: TCP is written by writev(2). */
static const int allowed_resolver[] = {
	SCMP_SYS(poll),	       SCMP_SYS(ppoll),	 SCMP_SYS(read),
	SCMP_SYS(readv),       SCMP_SYS(writev), SCMP_SYS(getrandom),
	SCMP_SYS(getpeername),
};

/* ioctl: SIOCINQ and SIOCOUTQ.  clone3 to eventfd2: the thread of cut_grace.c,
 * which begins afterwards. */
static const int allowed_cutter[] = {
	SCMP_SYS(bpf),		SCMP_SYS(membarrier),
	SCMP_SYS(ioctl),	SCMP_SYS(shutdown),
	SCMP_SYS(getpeername),	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),	SCMP_SYS(epoll_pwait),
	SCMP_SYS(read),		SCMP_SYS(getrandom),
	SCMP_SYS(clone3),	SCMP_SYS(clone),
	SCMP_SYS(mprotect),	SCMP_SYS(rseq),
	SCMP_SYS(eventfd2),	SCMP_SYS(set_robust_list),
	SCMP_SYS(rt_sigaction),
};

enum { ROLE_CAPS_MAX = 3 };

struct role {
	const int *allowed;
	size_t allowed_count;
	unsigned caps[ROLE_CAPS_MAX]; /* the first cap_count */
	unsigned cap_count;
};

static const struct role roles[] = {
	[PRIVILEGE_WORKER] = { allowed_worker,
			       sizeof(allowed_worker) / sizeof(int),
			       { CAP_NET_RAW, CAP_NET_BIND_SERVICE },
			       2 },
	[PRIVILEGE_RESOLVER] = { allowed_resolver,
				 sizeof(allowed_resolver) / sizeof(int),
				 { CAP_NET_RAW },
				 1 },
	[PRIVILEGE_CUTTER] = { allowed_cutter,
			       sizeof(allowed_cutter) / sizeof(int),
			       { CAP_NET_ADMIN, CAP_BPF },
			       2 },
};

static const int socket_families[] = { 2 /* AF_INET */, 10 /* AF_INET6 */ };
static const int socket_types[] = { 1 /* SOCK_STREAM */, 2 /* SOCK_DGRAM */ };

enum { SOCKET_TYPE_MASK = 0xf };

/* socket(): the internet families, streams and datagrams only. */
static int allow_sockets(scmp_filter_ctx ctx)
{
	int error = 0;

	for (int f = 0; f < 2; f++)
		for (int t = 0; t < 2 && !error; t++)
			error = seccomp_rule_add(
				ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				SCMP_A0(SCMP_CMP_EQ,
					(scmp_datum_t)socket_families[f]),
				SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK,
					(scmp_datum_t)socket_types[t]));
	return error;
}

static int allow_calls(scmp_filter_ctx ctx, const int *calls, size_t count)
{
	int error = 0;

	for (size_t i = 0; i < count && !error; i++)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return error;
}

static int load_filter(const struct role *role, bool is_strict, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(is_strict ? SCMP_ACT_KILL_PROCESS
						     : SCMP_ACT_ERRNO(EPERM));
	int error;

	if (!ctx)
		return err_set(e, ENOMEM, "cannot make a system call filter");
	error = allow_calls(ctx, allowed_all,
			    sizeof(allowed_all) / sizeof(*allowed_all));
	if (!error)
		error = allow_calls(ctx, role->allowed, role->allowed_count);
	if (!error)
		error = allow_sockets(ctx);
	if (!error)
		error = seccomp_load(ctx);
	seccomp_release(ctx);
	if (error < 0)
		return err_errno(e, -error,
				 "cannot load the system call "
				 "filter");
	return 0;
}

/* /proc/self/fdinfo is a directory without files to open once its process
 * has no other root; it needs no preparation and is never writable. */
static int empty_root(struct err *e)
{
	if (chroot("/proc/self/fdinfo") < 0 || chdir("/") < 0)
		return err_errno(e, errno,
				 "cannot enter an empty root "
				 "directory");
	return 0;
}

/* Does `id` exist in our user namespace?  Below `waylay exec` of an ordinary
 * user there is one user and one group, and nobody else to become. */
static bool is_mapped(const char *map, unsigned id)
{
	FILE *f = fopen(map, "re");
	unsigned first, outside, count;
	bool is_there = !f; /* no user namespaces, or no /proc: tried then */

	while (f && !is_there &&
	       fscanf(f, "%u %u %u", &first, &outside, &count) == 3)
		is_there = id >= first && id - first < count;
	if (f)
		(void)fclose(f); /* was only read */
	return is_there;
}

/* In a namespace that an ordinary user has made it is not. */
static bool can_leave_groups(void)
{
	FILE *f = fopen("/proc/self/setgroups", "re");
	char word[8] = "allow";

	if (f && fscanf(f, "%7s", word) != 1)
		word[0] = '\0';
	if (f)
		(void)fclose(f); /* was only read */
	return !strcmp(word, "allow");
}

/* Takes effect; as the same user if there is no other.  libcap-ng's code. */
static int apply(uid_t uid, gid_t gid, bool has_user)
{
	int error;

	if (has_user)
		return capng_change_id((int)uid, (int)gid,
				       CAPNG_DROP_SUPP_GRP |
					       CAPNG_CLEAR_BOUNDING);
	error = capng_apply(CAPNG_SELECT_BOUNDS);
	return error ? error : capng_apply(CAPNG_SELECT_CAPS);
}

static int drop_capabilities(const struct role *role, struct err *e)
{
	const struct passwd *user = getpwnam("waylay");
	uid_t uid = user ? user->pw_uid : 65534; /* nobody */
	gid_t gid = user ? user->pw_gid : 65534;
	bool has_user = can_leave_groups() &&
			is_mapped("/proc/self/uid_map", uid) &&
			is_mapped("/proc/self/gid_map", gid);
	int error = 0;

	if (empty_root(e) < 0)
		return -e->code;
	capng_clear(CAPNG_SELECT_BOTH);
	for (unsigned i = 0; i < role->cap_count && !error; i++)
		error = capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED,
				     role->caps[i]);
	if (!error)
		error = apply(uid, gid, has_user);
	if (error)
		return err_set(e, EPERM,
			       "cannot give up privileges (libcap-ng "
			       "says %d)",
			       error);
	return 0;
}

int privilege_drop(enum privilege_role who, bool is_strict, struct err *e)
{
	struct rlimit no_core = { 0, 0 };
	int error;

	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return err_errno(e, errno, "cannot forbid core files");
	error = drop_capabilities(&roles[who], e);
	if (error < 0)
		return error;
	if (prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, errno, "cannot forbid new privileges");
	return load_filter(&roles[who], is_strict, e);
}

int privilege_check(struct err *e)
{
	static const struct {
		unsigned cap;
		const char *name;
	} needed[] = {
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
		{ CAP_NET_RAW, "CAP_NET_RAW" },
		{ CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE" },
		{ CAP_SETPCAP, "CAP_SETPCAP" },
		{ CAP_SETUID, "CAP_SETUID" },
		{ CAP_SETGID, "CAP_SETGID" },
		{ CAP_SYS_CHROOT, "CAP_SYS_CHROOT" },
	};

	capng_get_caps_process();
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!capng_have_capability(CAPNG_EFFECTIVE, needed[i].cap))
			return err_set(e, EPERM,
				       "not privileged: waylayd needs %s; "
				       "start it as root",
				       needed[i].name);
	return 0;
}
