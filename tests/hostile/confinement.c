/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a role that was taken over can still reach: a test role (tests/host/
 * hostile_role.c) in a real room, started by a real spawner, tries it under the
 * start filter (it must fail) and under each role's own (it must end there and
 * then, and be named). Needs root, and executables without a sanitizer.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostile.h"
#include "parent/spawn.h"
#include "policy/policies.h"
#include "tests/host/hostile_role.h"

#define ROLE_ID 54321
/* Stands for the pid of a sibling, or of the supervisor, until it is known. */
#define SIBLING	   0x7ffffff1ul
#define SUPERVISOR 0x7ffffff2ul

/* One role and its spawner. */
struct taken {
	struct spawner s;
	int ctl;
	pid_t pid;
};
static struct taken attacker, sibling;

static int open_program(const char *folder, const char *name)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool hear(struct spawner *s, struct spawn_msg *m)
{
	struct pollfd p = { .fd = s->sock, .events = POLLIN };

	return poll(&p, 1, PATIENCE) == 1 && spawner_recv(s, m) == 1;
}

static pid_t child_of(pid_t pid)
{
	char path[64], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return (pid_t)strtol(text, NULL, 10);
}

static void furnish(struct taken *t)
{
	static int exe = -1, init = -1;
	char folder[560];
	struct room r = { .name = "test0", .role = ROLE_BLKD, .uid = ROLE_ID, .gid = ROLE_ID, .diag = 2 };

	if (t->s.pid > 0)
		return;
	if (exe < 0) {
		snprintf(folder, sizeof(folder), "%s/../host", self_dir);
		exe = open_program(folder, "hostile_role");
		init = open_program(bin_dir, "lguest-sep-init");
	}
	need(exe >= 0 && init >= 0);
	r.exe = exe;
	r.init_exe = init;
	need(spawner_create(&t->s, &r) == 0);
}

static void start(struct taken *t)
{
	struct role_fds f = { 0 };
	struct spawn_msg m;
	int pair[2];

	furnish(t);
	if (t->s.running)
		return;
	need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	role_fds_add(&f, pair[1], HFD_CTL);
	need(spawner_start_role(&t->s, &f, HFD_LIMIT, 0, 4096, 0) == 0);
	close(pair[1]);
	if (t->ctl > 0)
		close(t->ctl);
	t->ctl = pair[0];
	need(hear(&t->s, &m) && m.type == SPAWN_STARTED);
	t->pid = child_of(t->s.pid);
	need(t->pid > 0);
}

static unsigned long fill_in(unsigned long arg)
{
	return arg == SIBLING ? (unsigned long)sibling.pid : arg == SUPERVISOR ? (unsigned long)getpid() : arg;
}

/* True with the answer; false if the role ended, with how. */
static bool attempt(struct attempt a, long *got, struct spawn_msg *end)
{
	struct pollfd p = { .fd = attacker.ctl, .events = POLLIN };

	for (unsigned i = 0; i < 6; i++)
		a.arg[i] = fill_in(a.arg[i]);
	need(send(attacker.ctl, &a, sizeof(a), MSG_NOSIGNAL) == (ssize_t)sizeof(a));
	need(poll(&p, 1, PATIENCE) == 1);
	if (recv(attacker.ctl, got, sizeof(*got), 0) == (ssize_t)sizeof(*got))
		return true;
	need(hear(&attacker.s, end) && end->type == SPAWN_ENDED);
	return false;
}

#define A(call, ...)                                     \
	{                                                \
		NO_FILTER, call, { __VA_ARGS__ }, -1, "" \
	}
#define T(call, n, words, ...)                             \
	{                                                  \
		NO_FILTER, call, { __VA_ARGS__ }, n, words \
	}

static const struct reach {
	const char *name;
	struct attempt a;
} reaches[] = {
	{ "ptrace a sibling", A(__NR_ptrace, PTRACE_ATTACH, SIBLING) },
	{ "ptrace the supervisor", A(__NR_ptrace, PTRACE_SEIZE, SUPERVISOR) },
	{ "kill a sibling", A(__NR_kill, SIBLING, SIGKILL) },
	{ "kill the supervisor", A(__NR_kill, SUPERVISOR, SIGKILL) },
	{ "signal the supervisor", A(__NR_kill, SUPERVISOR, SIGTERM) },
	{ "signal a sibling's thread", A(__NR_tgkill, SIBLING, SIBLING, SIGTERM) },
	{ "open a pidfd of a sibling", A(__NR_pidfd_open, SIBLING, 0) },
	{ "read a sibling's memory", A(__NR_process_vm_readv, SIBLING, 0, 0, 0, 0) },
	{ "open a sibling's /proc", T(__NR_openat, 1, "/proc/1/mem", (unsigned long)AT_FDCWD, 0, O_RDWR) },
	{ "open a file", T(__NR_openat, 1, "/etc/passwd", (unsigned long)AT_FDCWD, 0, O_RDONLY) },
	{ "open the root", T(__NR_openat, 1, "/", (unsigned long)AT_FDCWD, 0, O_RDONLY) },
	{ "make a file", T(__NR_openat, 1, "/x", (unsigned long)AT_FDCWD, 0, O_WRONLY | O_CREAT, 0600) },
	{ "write terminal input", T(__NR_ioctl, 2, "x", HFD_CTL, TIOCSTI) },
	{ "make a local socket", A(__NR_socket, AF_UNIX, SOCK_STREAM, 0) },
	{ "make an internet socket", A(__NR_socket, AF_INET, SOCK_STREAM, 0) },
	{ "map executable memory", A(__NR_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0ul, 0) },
	{ "map memory to write and execute",
	  A(__NR_mmap, 0, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0ul, 0) },
	{ "make memory executable", A(__NR_mprotect, 0x10000, 4096, PROT_READ | PROT_EXEC) },
	{ "execute a program", T(__NR_execve, 0, "/bin/sh", 0, 0, 0) },
	{ "make a process", A(__NR_clone, SIGCHLD, 0, 0, 0) },
	{ "make a namespace", A(__NR_unshare, CLONE_NEWUSER) },
	{ "change its root", T(__NR_chroot, 0, "/", 0) },
	{ "mount", A(__NR_mount, 0, 0, 0, 0, 0) },
	{ "become root", A(__NR_setresuid, 0, 0, 0) },
	{ "load a program into the kernel", A(__NR_bpf, 0, 0, 0) },
};

/* Before its own filter is on, rooms and namespaces have to hold what the start filter lets through. */
static void fails(const void *arg)
{
	const struct reach *r = arg;
	struct spawn_msg end;
	long got = 0;

	start(&sibling);
	start(&attacker);
	need(attempt(r->a, &got, &end));
	need(got < 0);
	counted("%s", "fails");
	/* Sibling and supervisor are still there, and so is the role. */
	need(kill(sibling.pid, 0) == 0);
	need(attempt((struct attempt){ .nr = __NR_getpid, .text_arg = -1 }, &got, &end) && got > 0);
}

/* The text that the supervisor's line will have. */
static void named(const struct attempt *a, const struct spawn_msg *end)
{
	char want[160], text[256];

	spawn_end_text(end, text, sizeof(text));
	snprintf(want, sizeof(want), "ended by its filter: system call %ld (%s), arguments 0x%lx ", a->nr,
		 syscall_name((uint64_t)a->nr), a->text_arg == 0 ? 0 : fill_in(a->arg[0]));
	if (a->text_arg == 0)
		*strstr(want, " 0x") = '\0';
	need(strncmp(text, want, strlen(want)) == 0);
}

struct own {
	const char *name;
	unsigned filter;
};

static void ends_there(const void *arg)
{
	const struct own *o = arg;
	struct spawn_msg end;
	unsigned n = 0;
	long got;

	for (unsigned i = 0; i < ARRAY_SIZE(reaches); i++) {
		struct attempt a = reaches[i].a;

		start(&sibling);
		start(&attacker);
		a.filter = o->filter;
		need(!attempt(a, &got, &end));
		named(&a, &end);
		need(kill(sibling.pid, 0) == 0);
		n++;
	}
	counted("%u of %zu", n, ARRAY_SIZE(reaches));
}

/* QEMU's filter lets more calls through; for those its room has to hold. */
static void qemu_gets_nowhere(const void *arg)
{
	struct spawn_msg end;
	unsigned n = 0;
	long got = 0;

	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(reaches); i++) {
		struct attempt a = reaches[i].a;
		bool maps = a.nr == __NR_mmap || a.nr == __NR_mprotect, local = a.nr == __NR_socket;

		/* A JIT maps code, and a local socket reaches nothing in an empty root. */
		if (maps || (local && a.arg[0] == AF_UNIX))
			continue;
		start(&sibling);
		start(&attacker);
		a.filter = F_QEMU;
		need(!attempt(a, &got, &end) || got < 0);
		need(kill(sibling.pid, 0) == 0);
		n++;
	}
	need(n >= 20);
	counted("none");
}

void confinement_group(void)
{
	static const struct own own[] = {
		{ "blkd", F_BLKD },
		{ "netd", F_NETD },
		{ "blkd before its rings run", F_BLKD_FOREIGN },
		{ "netd before its rings run", F_NETD_FOREIGN },
		{ "vCPU process, kvm", F_KVM },
		{ "vCPU process, lguest", F_LGUEST },
	};
	char text[100], all[32];

	if (sanitized || geteuid() != 0)
		return;
	group("confinement, start filter in a real room");
	for (unsigned i = 0; i < ARRAY_SIZE(reaches); i++)
		play(reaches[i].name, "fails", fails, &reaches[i]);
	group("confinement, own filter: ended and named");
	snprintf(all, sizeof(all), "%zu of %zu", ARRAY_SIZE(reaches), ARRAY_SIZE(reaches));
	for (unsigned i = 0; i < ARRAY_SIZE(own); i++) {
		snprintf(text, sizeof(text), "all of the above from %s", own[i].name);
		play(text, all, ends_there, &own[i]);
	}
	play("what QEMU's filter lets through", "none", qemu_gets_nowhere, NULL);
	spawner_destroy(&attacker.s);
	spawner_destroy(&sibling.s);
}
