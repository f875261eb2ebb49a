/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tests/integration/audit.bats preloads this into lguest-sep to remove one layer
 * (WEAKEN=WORD): something that the parent does for a role, or a request that a broken or
 * compromised supervisor would send to a spawner. The audit must find each of them.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/spawn_proto.h"

static bool is(const char *word)
{
	const char *how = getenv("WEAKEN");

	return how && !strcmp(how, word);
}

/* True in the child that becomes a spawner, which is process 1 of its namespace. */
static bool in_room(void)
{
	return getpid() == 1;
}

#define REAL(name)                     \
	static __typeof__(name) *real; \
	if (!real)                     \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

/* ---- set-up of the spawners, and the end of the privileged window ---- */

int setgroups(size_t n, const gid_t *list)
{
	static const gid_t some = 12345;

	REAL(setgroups);
	return is("groups") ? real(1, &some) : real(n, list);
}

/* The group that was requested, to be reported back to the caller that checks it. */
static gid_t asked_gid;

int setresgid(gid_t r, gid_t e, gid_t s)
{
	REAL(setresgid);
	asked_gid = r;
	return is("gid") ? 0 : real(r, e, s);
}

int getresgid(gid_t *r, gid_t *e, gid_t *s)
{
	REAL(getresgid);
	if (!is("gid"))
		return real(r, e, s);
	*r = *e = *s = asked_gid;
	return 0;
}

int capng_apply(int set);

static bool asked_caps; /* To give up capabilities: from then on capget() reports none. */

int capng_apply(int set)
{
	REAL(capng_apply);
	asked_caps = is("caps");
	return asked_caps || is("bounding") ? 0 : real(set);
}

int setresuid(uid_t r, uid_t e, uid_t s)
{
	REAL(setresuid);
	if (is("caps"))
		prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP, 0, 0, 0);
	return real(r, e, s);
}

int unshare(int flags)
{
	REAL(unshare);
	return real(is("namespaces") ? flags & ~CLONE_NEWIPC : flags);
}

int mount(const char *what, const char *where, const char *type, unsigned long flags, const void *data)
{
	REAL(mount);
	if (is("root") && flags & MS_REMOUNT && flags & MS_RDONLY)
		return 0;
	return real(what, where, type, flags, data);
}

/* With 64-bit offsets the headers make it setrlimit64(). */
int setrlimit(__rlimit_resource_t which, const struct rlimit *l)
{
	static __typeof__(setrlimit) *real;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "setrlimit64");
	return is("core") && in_room() && which == RLIMIT_CORE ? 0 : real(which, l);
}

int prctl(int what, ...)
{
	unsigned long a[4];
	va_list ap;

	REAL(prctl);
	va_start(ap, what);
	for (unsigned i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (what == PR_CAPBSET_READ && (is("bounding") || is("caps")))
		return real(what, a[0]) < 0 ? -1 : 0; /* Report an empty set, so that nothing is dropped. */
	/* Call in_room() last: the confined supervisor may not call getpid(). */
	return what == PR_SET_NO_NEW_PRIVS && is("bare") && in_room() ? 0 : real(what, a[0], a[1], a[2], a[3]);
}

long syscall(long number, ...)
{
	unsigned long a[6];
	va_list ap;

	REAL(syscall);
	va_start(ap, number);
	for (unsigned i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (number == __NR_seccomp && is("bare") && in_room())
		return 0;
	if (number == __NR_capget && asked_caps) {
		memset((void *)a[1], 0, sizeof(struct __user_cap_data_struct[_LINUX_CAPABILITY_U32S_3]));
		return 0;
	}
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Leave guest memory unsealed. */
int fcntl64(int fd, int command, ...)
{
	unsigned long arg;
	va_list ap;

	REAL(fcntl64);
	va_start(ap, command);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	return is("seals") && command == F_ADD_SEALS ? 0 : real(fd, command, arg);
}

/* Start a process that does not belong to the guest. */
static __attribute__((constructor)) void stranger(void)
{
	pid_t parent = getpid();

	if (!is("stranger") || fork() != 0)
		return;
	/* Poll for the parent's end: it changes its user, which cancels the death signal. */
	while (getppid() == parent)
		usleep(50000);
	_exit(0);
}

/* ---- requests to the disk's spawner ---- */

static bool changed(struct spawn_msg *m)
{
	if (is("processes"))
		m->threads = 1;
	else if (is("descriptors"))
		m->nofile = VFD_LIMIT;
	else if (is("size"))
		m->fsize = UINT64_MAX;
	else if (is("space"))
		m->as = 0;
	else
		return false;
	return true;
}

ssize_t sendmsg(int sock, const struct msghdr *mh, int flags)
{
	static struct spawn_msg copy;
	static union {
		char buf[CMSG_SPACE(SPAWN_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { &copy, sizeof(copy) };
	struct msghdr mine = *mh;
	struct cmsghdr *c;
	int extra = 1; /* the supervisor's standard output */

	REAL(sendmsg);
	if (mh->msg_iovlen != 1 || mh->msg_iov[0].iov_len != sizeof(copy))
		return real(sock, mh, flags);
	memcpy(&copy, mh->msg_iov[0].iov_base, sizeof(copy));
	if (copy.type != SPAWN_START || copy.role != ROLE_BLKD)
		return real(sock, mh, flags);
	mine.msg_iov = &iov;
	if (is("descriptor")) {
		memcpy(&control, mh->msg_control, mh->msg_controllen);
		mine.msg_control = &control;
		c = CMSG_FIRSTHDR(&mine);
		memcpy(control.buf + CMSG_LEN(copy.nfds * sizeof(int)), &extra, sizeof(extra));
		c->cmsg_len += sizeof(int);
		mine.msg_controllen = CMSG_SPACE((copy.nfds + 1) * sizeof(int));
		copy.number[copy.nfds++] = HFD_TAP0;
	} else if (!changed(&copy)) {
		return real(sock, mh, flags);
	}
	return real(sock, &mine, flags);
}
