/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system calls that a name in a policy stands for on i386. Build host only;
 * included only by policy/compile.c.
 */
#ifndef POLICY_I386_H
#define POLICY_I386_H

#include <linux/net.h>
#include <stdbool.h>

/*
 * Calls that glibc makes on i386 instead of, or in addition to, the call of the
 * same name on x86-64. @replaced: i386 does not use the first name.
 */
static const struct {
	const char *name, *calls[3];
	bool replaced;
} i386_names[] = {
	{ "mmap", { "mmap2" }, true },
	{ "fcntl", { "fcntl64" }, false },
	{ "fstat", { "fstat64" }, false },
	{ "newfstatat", { "fstatat64" }, true },
	{ "ftruncate", { "ftruncate64" }, false },
	{ "lseek", { "_llseek" }, false },
	{ "setresuid", { "setresuid32" }, true },
	{ "setresgid", { "setresgid32" }, true },
	{ "arch_prctl", { "set_thread_area" }, false },
	{ "futex", { "futex_time64" }, false },
	{ "ppoll", { "ppoll_time64" }, false },
	{ "clock_gettime", { "clock_gettime64" }, false },
	{ "clock_nanosleep", { "clock_nanosleep_time64", "nanosleep" }, false },
	{ "timerfd_settime", { "timerfd_settime64" }, false },
	{ "rt_sigtimedwait", { "rt_sigtimedwait_time64" }, false },
	{ "rt_sigreturn", { "sigreturn" }, false },
	{ "preadv2", { "preadv" }, false },
	{ "fstatfs", { "fstatfs64" }, true },
	{ "pwritev2", { "pwritev" }, false },
	{ "getuid", { "getuid32" }, false },
	{ "utimensat", { "utimensat_time64" }, false },
	{ "wait4", { "waitpid" }, false },
};

/* Calls that glibc makes through socketcall(2), for kernels before 4.3. */
static const struct {
	const char *name;
	unsigned call;
} i386_sockets[] = {
	{ "socket", SYS_SOCKET },	  { "connect", SYS_CONNECT },	    { "bind", SYS_BIND },
	{ "listen", SYS_LISTEN },	  { "socketpair", SYS_SOCKETPAIR }, { "shutdown", SYS_SHUTDOWN },
	{ "setsockopt", SYS_SETSOCKOPT }, { "getsockopt", SYS_GETSOCKOPT }, { "sendmsg", SYS_SENDMSG },
	{ "recvmsg", SYS_RECVMSG },	  { "accept4", SYS_ACCEPT4 },	    { "getsockname", SYS_GETSOCKNAME },
	{ "sendto", SYS_SENDTO },	  { "recvfrom", SYS_RECVFROM },	    { "getpeername", SYS_GETPEERNAME },
};

#endif
