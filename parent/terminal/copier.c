/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and writes files in processes of their own: see copier.h. Only the supervisor has such processes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/fdtab.h"
#include "common/sandbox.h"
#include "common/util.h"
#include "parent/terminal/copier.h"
#include "policy/policies.h"

#define MAX_COPIERS 32
/* How long a copier may take to be ready, and how often we look (ms). */
#define START_MS 10000
#define STEP_MS	 1
/* Descriptors that are closed one by one where the host has no close_range(2). */
#define HIGHEST 65536

/* Shared between us and one copier, in a page of its own. Only the copier writes to it. */
struct progress {
	_Atomic uint32_t ready; /* It is behind its filter. */
	_Atomic int32_t error;	/* errno of a failed write; 0: none. */
	_Atomic uint64_t done;	/* Bytes written to the file. */
};

struct copier {
	int fd; /* Our end of the pipe, which nobody closes while we run. */
	pid_t pid;
	uint64_t sent; /* Bytes that we wrote to the pipe. */
	struct progress *progress;
};

static struct copier copiers[MAX_COPIERS];
static unsigned ncopiers;

/* Copy until the end. Runs in the copier, under its filter. */
static NORETURN void copy(struct progress *p, bool replace)
{
	static char buf[65536];
	ssize_t n, done, part;

	while ((n = read(OFD_FROM, buf, sizeof(buf))) > 0) {
		if (replace && ftruncate(OFD_TO, 0) < 0)
			break;
		replace = false;
		for (done = 0; done < n; done += part) {
			/* A server may take none of the bytes without an error. */
			errno = EIO;
			part = write(OFD_TO, buf + done, (size_t)(n - done));
			if (part <= 0)
				break;
			atomic_fetch_add(&p->done, (uint64_t)part);
		}
		if (done < n)
			break;
	}
	if (n)
		atomic_store(&p->error, errno);
	_exit(0);
}

static NORETURN void child(int from, int to, struct progress *p, bool replace)
{
	sigset_t all;

	/* Signals of the terminal reach the whole process group, and are for the supervisor. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	(void)prctl(PR_SET_NAME, "lguest-sep-copy");
	from = fcntl(from, F_DUPFD_CLOEXEC, OFD_COUNT);
	to = fcntl(to, F_DUPFD_CLOEXEC, OFD_COUNT);
	if (from < 0 || to < 0 || dup2(from, OFD_FROM) < 0 || dup2(to, OFD_TO) < 0)
		_exit(1);
	close_fds(OFD_COUNT, ~0U, HIGHEST);
	if (sandbox_filter(&policy_copier, NULL) < 0)
		_exit(1);
	atomic_store(&p->ready, 1);
	copy(p, replace);
}

/* Returns 0 once the copier is ready, or -1 with errno set; then it was killed. */
static int wait_ready(const struct copier *w)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000 };

	for (unsigned ms = 0; ms < START_MS; ms += STEP_MS) {
		if (atomic_load(&w->progress->ready))
			return 0;
		if (waitpid(w->pid, NULL, WNOHANG) == w->pid) {
			errno = ECHILD;
			return -1;
		}
		nanosleep(&step, NULL);
	}
	kill(w->pid, SIGKILL);
	(void)waitpid(w->pid, NULL, WNOHANG);
	errno = ETIMEDOUT;
	return -1;
}

/* Start a process that copies @file to a pipe or from one. Returns our end of the pipe, or -1 with errno set. */
static int start(int file, bool output, bool replace)
{
	struct copier *w = &copiers[ncopiers];
	int end[2], ours, theirs, result = -1;

	if (ncopiers == MAX_COPIERS) {
		errno = EMFILE;
		return -1;
	}
	if (pipe2(end, O_CLOEXEC) < 0)
		return -1;
	ours = end[output];
	theirs = end[!output];
	w->progress = mmap(NULL, sizeof(*w->progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w->progress != MAP_FAILED) {
		w->pid = fork();
		if (w->pid == 0)
			child(output ? theirs : file, output ? file : theirs, w->progress, replace);
		result = w->pid < 0 || fcntl(ours, F_SETFL, O_NONBLOCK) < 0 ? -1 : wait_ready(w);
	}
	close(theirs);
	if (result < 0) {
		close(ours);
		return -1;
	}
	w->fd = ours;
	w->sent = 0;
	ncopiers++;
	return ours;
}

int copier_output(int file, bool replace)
{
	return start(file, true, replace);
}

int copier_input(int file)
{
	return start(file, false, false);
}

static struct copier *copier_of(int fd)
{
	for (unsigned i = ncopiers; i-- > 0;)
		if (copiers[i].fd == fd)
			return &copiers[i];
	return NULL;
}

ssize_t copier_write(int fd, const void *buf, size_t n)
{
	struct copier *w = copier_of(fd);
	ssize_t done = write(fd, buf, n);

	if (!w)
		return done;
	if (done > 0)
		w->sent += (uint64_t)done;
	else if (done < 0 && errno == EPIPE)
		errno = atomic_load(&w->progress->error) ? atomic_load(&w->progress->error) : EPIPE;
	return done;
}

int copier_error(int fd)
{
	const struct copier *w = copier_of(fd);

	return w ? atomic_load(&w->progress->error) : 0;
}

uint64_t copier_left(int fd)
{
	const struct copier *w = copier_of(fd);

	return w ? w->sent - MIN(w->sent, atomic_load(&w->progress->done)) : 0;
}

void copier_forget(int fd)
{
	struct copier *w = copier_of(fd);

	if (w)
		w->sent = atomic_load(&w->progress->done);
}

pid_t copier_pid(int fd)
{
	const struct copier *w = copier_of(fd);

	return w ? w->pid : 0;
}
