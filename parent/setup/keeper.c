/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process that closes files of dead file servers after the supervisor has ended: see keeper.h. It is started
 * without any privilege, after the window.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/setup/keeper.h"
#include "parent/setup/local.h"

/* Not in every version of linux/magic.h. */
#define MAGIC_FUSE 0x65735546
#define MAGIC_CIFS 0xff534d42
#define MAGIC_SMB2 0xfe534d42
#define MAGIC_CEPH 0x00c36400

/* How long the servers may take to tell the kinds of their file systems (ms). */
#define ASK_MS 2000
/* How long the child may take to be ready, and how often we check that it still runs (ms). */
#define START_MS 10000
#define STEP_MS	 50

bool file_has_server(int fd)
{
	static const uint32_t magic[] = { MAGIC_FUSE, NFS_SUPER_MAGIC,	SMB_SUPER_MAGIC, MAGIC_CIFS,  MAGIC_SMB2,
					  MAGIC_CEPH, CODA_SUPER_MAGIC, V9FS_MAGIC,	 AFS_FS_MAGIC };
	struct statfs f;

	if (fd < 0 || fstatfs(fd, &f) < 0)
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(magic); i++)
		if ((uint32_t)f.f_type == magic[i])
			return true;
	return false;
}

/* What the child finds out. */
struct answer {
	bool any;
	uint32_t served;
};

static int output_fd(const struct host *h, unsigned i)
{
	switch (i) {
	case OUTPUT_CONSOLE:
		return h->console_file;
	case OUTPUT_RESULT:
		return h->c->result_fd ? h->c->result_fd : -1;
	case OUTPUT_OUT:
		return h->term.out;
	case OUTPUT_ERR:
		return h->term.err;
	case OUTPUT_IN:
		return h->term.in;
	default:
		return h->port_file[i];
	}
}

/* Returns the bits of the outputs for which @holds is true. */
static uint32_t outputs_that(const struct host *h, bool (*holds)(int fd))
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < OUTPUT_COUNT; i++)
		if (holds(output_fd(h, i)))
			bits |= UINT32_C(1) << i;
	return bits;
}

/* Asks no server. */
static bool is_file(int fd)
{
	struct statx st;

	/* syscall(), because libc's statx() falls back to stat(2), which may wait. */
	return fd >= 0 && syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
	       S_ISREG(st.stx_mode);
}

static struct answer ask(const struct host *h)
{
	struct answer a = { .served = outputs_that(h, file_has_server) };

	a.any = a.served || file_has_server(h->kernel) || file_has_server(h->initrd) || file_has_server(h->save);
	for (unsigned i = 0; i < h->c->ndisks; i++)
		a.any |= file_has_server(h->disk[i].fd) || file_has_server(h->disk[i].delta) ||
			 file_has_server(h->disk[i].upper);
	for (unsigned i = 0; i < h->c->nnets; i++)
		a.any |= file_has_server(h->net[i].capture);
	return a;
}

static bool is_open_and_not_local(int fd)
{
	return fd >= 0 && !file_is_local(fd);
}

/* True if none of the files that ask() looks at has a server. */
static bool all_local(const struct host *h)
{
	bool other = outputs_that(h, is_open_and_not_local) || is_open_and_not_local(h->kernel) ||
		     is_open_and_not_local(h->initrd) || is_open_and_not_local(h->save);

	for (unsigned i = 0; i < h->c->ndisks; i++)
		other |= is_open_and_not_local(h->disk[i].fd) || is_open_and_not_local(h->disk[i].delta) ||
			 is_open_and_not_local(h->disk[i].upper);
	for (unsigned i = 0; i < h->c->nnets; i++)
		other |= is_open_and_not_local(h->net[i].capture);
	return !other;
}

/* Its exit signal is not SIGCHLD, so that waiting for other children does not reap it. */
static pid_t clone_with_files(void)
{
	return (pid_t)syscall(__NR_clone, CLONE_FILES, 0, 0, 0, 0);
}

/*
 * fstatfs(2) asks the server, and no signal ends that wait: a child calls it. The child shares our descriptors, because
 * one that stays behind must not keep open what we close.
 */
bool keeper_wanted(struct host *h)
{
	struct answer a;
	bool answered;
	struct pollfd p;
	int answer[2];
	pid_t pid;

	h->served = 0;
	if (all_local(h))
		return false;
	if (pipe2(answer, O_CLOEXEC) < 0)
		return true;
	pid = clone_with_files();
	if (pid == 0) {
		a = ask(h);
		(void)!write(answer[1], &a, sizeof(a));
		syscall(__NR_exit, 0);
	}
	p = (struct pollfd){ .fd = answer[0], .events = POLLIN };
	answered = pid > 0 && poll(&p, 1, ASK_MS) == 1 && read(answer[0], &a, sizeof(a)) == sizeof(a);
	if (pid > 0 && !answered)
		kill(pid, SIGKILL);
	if (pid > 0)
		(void)waitpid(pid, NULL, answered ? __WALL : __WALL | WNOHANG);
	close(answer[0]);
	close(answer[1]);
	h->served = answered ? a.served : outputs_that(h, is_file);
	return !answered || a.any;
}

/* In the child: write a byte to @said once the strict mode is on, then wait on @never, a pipe that is never written. */
static NORETURN void keep(int said, int never, pid_t supervisor)
{
	sigset_t all;
	char c;

	/* Signals of the terminal reach the whole process group, and are for the supervisor. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == supervisor &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0 && write(said, "", 1) == 1)
		for (;;)
			(void)!read(never, &c, 1);
	syscall(__NR_exit, 1);
	__builtin_unreachable();
}

/* Wait until the child has written to @fd. Returns 0, or -1 with errno set if it has ended before that. */
static int wait_for(int fd, pid_t pid)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int status;

	for (unsigned ms = 0; ms < START_MS; ms += STEP_MS) {
		if (poll(&p, 1, STEP_MS) > 0)
			return 0;
		if (waitpid(pid, &status, WNOHANG | __WALL) == pid) {
			errno = EINVAL;
			return -1;
		}
	}
	kill(pid, SIGKILL);
	(void)waitpid(pid, &status, __WALL);
	errno = ETIMEDOUT;
	return -1;
}

int keeper_start(void)
{
	pid_t self = getpid(), pid;
	int said[2], never[2], result = -1;

	if (pipe2(said, O_CLOEXEC) < 0)
		return -1;
	if (pipe2(never, O_CLOEXEC) == 0) {
		pid = clone_with_files();
		if (pid == 0)
			keep(said[1], never[0], self);
		result = pid < 0 ? -1 : wait_for(said[0], pid);
		if (result < 0) {
			close(never[0]);
			close(never[1]);
		}
	}
	close(said[0]);
	close(said[1]);
	return result;
}
