/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a compromised role can still reach. A real spawner starts a test role (tests/host/hostile_role.c) in real
 * namespaces, which makes forbidden system calls. Under the start filter they must fail; under each role's own filter
 * they must kill the role at once and be named. Needs root, and executables without a sanitizer.
 */
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

#include "policy/policies.h"
#include "tests/hostile/confinement.h"
#include "tests/hostile/hostile.h"

/* Placeholders for the process IDs of a sibling and of the supervisor, until they are known. */
#define SIBLING	   0x7ffffff1ul
#define SUPERVISOR 0x7ffffff2ul

static struct taken attacker = { .s = { .sock = -1, .children = -1 } },
		    sibling = { .s = { .sock = -1, .children = -1 } };

int open_program(const char *folder, const char *name)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool hear(struct spawner *s, struct spawn_msg *m)
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
	need(spawner_begin(&t->s, &r) == 0 && spawner_finish(&t->s) == 0);
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

bool attempt_by(struct taken *t, const struct attempt *a, long *got, struct spawn_msg *end)
{
	struct pollfd p = { .fd = t->ctl, .events = POLLIN };

	need(send(t->ctl, a, sizeof(*a), MSG_NOSIGNAL) == (ssize_t)sizeof(*a));
	need(poll(&p, 1, PATIENCE) == 1);
	if (recv(t->ctl, got, sizeof(*got), 0) == (ssize_t)sizeof(*got))
		return true;
	need(hear(&t->s, end) && end->type == SPAWN_ENDED);
	return false;
}

static bool attempt(struct attempt a, long *got, struct spawn_msg *end)
{
	for (unsigned i = 0; i < 6; i++)
		a.arg[i] = fill_in(a.arg[i]);
	return attempt_by(&attacker, &a, got, end);
}

#define A(call, ...)                                      \
	{                                                 \
		NO_FILTER, call, { __VA_ARGS__ }, -1, "", \
		{                                         \
			0                                 \
		}                                         \
	}
#define T(call, n, words, ...)                              \
	{                                                   \
		NO_FILTER, call, { __VA_ARGS__ }, n, words, \
		{                                           \
			0                                   \
		}                                           \
	}

static const struct reach reaches[] = {
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
	{ "make others wait at an eventfd", A(__NR_fcntl, HFD_CALL0, F_SETFL, O_RDWR) },
};

/* Until the role's own filter is installed, namespaces and the empty root must stop what the start filter allows. */
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
	/* Sibling, supervisor and role still live. */
	need(kill(sibling.pid, 0) == 0);
	need(attempt((struct attempt){ .nr = __NR_getpid, .text_arg = -1 }, &got, &end) && got > 0);
}

/* Check the text of the supervisor's message. */
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
	unsigned n;
	long got;

	for (n = 0; n < ARRAY_SIZE(reaches); n++) {
		struct attempt a = reaches[n].a;

		start(&sibling);
		start(&attacker);
		a.filter = o->filter;
		need(!attempt(a, &got, &end));
		named(&a, &end);
		need(kill(sibling.pid, 0) == 0);
	}
	counted("%u of %zu", n, ARRAY_SIZE(reaches));
}

/* QEMU's filter allows more calls; for these its namespaces and root directory must be a barrier. */
static void qemu_gets_nowhere(const void *arg)
{
	struct spawn_msg end;
	unsigned n = 0;
	long got = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(reaches); i++) {
		struct attempt a = reaches[i].a;
		bool maps = a.nr == __NR_mmap || a.nr == __NR_mprotect, local = a.nr == __NR_socket;

		/* Allowed: a JIT maps code, and a local socket reaches nothing in an empty root directory. */
		if (maps || (local && a.arg[0] == AF_UNIX))
			continue;
		start(&sibling);
		start(&attacker);
		a.filter = *(const unsigned *)arg;
		need(!attempt(a, &got, &end) || got < 0);
		need(kill(sibling.pid, 0) == 0);
		n++;
	}
	need(n >= 20);
	counted("none");
}

/* Without namespaces of its own, calls that this filter allows would reach all processes of the user. */
static void qemu_stays_alone(const void *arg)
{
	static const struct attempt away[] = {
		A(__NR_clone, SIGCHLD, 0, 0, 0),
		A(__NR_kill, (unsigned long)-1, SIGKILL),
		A(__NR_tgkill, SIBLING, SIBLING, SIGABRT),
		A(__NR_tgkill, 1, 1, SIGABRT),
	};
	static const unsigned filter[] = { F_QEMU_LOAD, F_QEMU };
	struct spawn_msg end;
	long got = 0;

	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(away) * ARRAY_SIZE(filter); i++) {
		struct attempt a = away[i / ARRAY_SIZE(filter)];

		start(&sibling);
		start(&attacker);
		a.filter = filter[i % ARRAY_SIZE(filter)];
		need(!attempt(a, &got, &end));
		need(kill(sibling.pid, 0) == 0);
	}
	counted("ended");
}

void confinement_group(void)
{
	static const struct own own[] = {
		{ "blkd", F_BLKD },
		{ "netd", F_NETD },
		{ "fsd", F_FSD },
		{ "controld", F_CONTROLD },
		{ "blkd before its rings run", F_BLKD_FOREIGN },
		{ "blkd of a saved snapshot", F_BLKD_SAVED },
		{ "blkd of a saved snapshot before its rings run", F_BLKD_SAVED_FOREIGN },
		{ "netd before its rings run", F_NETD_FOREIGN },
		{ "fsd before its rings run", F_FSD_FOREIGN },
		{ "fsd of a saved share", F_FSD_SAVED },
		{ "fsd of a saved share before its rings run", F_FSD_SAVED_FOREIGN },
		{ "fsd of a writable share", F_FSD_RW },
		{ "fsd of a writable share before its rings run", F_FSD_RW_FOREIGN },
		{ "vCPU process, kvm", F_KVM },
		{ "vCPU process, lguest", F_LGUEST },
		{ "vCPU process while it loads, kvm", F_KVM_LOAD },
		{ "vCPU process while it loads, lguest", F_LGUEST_LOAD },
	};
	static const unsigned qemu = F_QEMU, qemu_load = F_QEMU_LOAD;
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
	confinement_fsd();
	play("what QEMU's filter lets through", "none", qemu_gets_nowhere, &qemu);
	play("what it lets through before QEMU is executed", "none", qemu_gets_nowhere, &qemu_load);
	play("a process that QEMU's filter would make, and signals to all", "ended", qemu_stays_alone, NULL);
	spawner_destroy(&attacker.s);
	spawner_destroy(&sibling.s);
}
