/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks that the file systems of the files to open respond: see answers.h. Runs in the parent before the window. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/fmt.h"
#include "parent/options/util.h"
#include "parent/setup/answers.h"
#include "parent/setup/inherited.h"
#include "parent/setup/local.h"

/* What was open at the start, kernel, initrd, firmware, --save, --shmem, disks, shares, and the files for output. */
#define PATHS_MAX (6 + MAX_DEVICES + 2 + MAX_DEVICES + MAX_DEVICES + MAX_PORTS)
/* Descriptors that are closed one by one where the host has no close_range(2). */
#define HIGHEST 4096

struct named_path {
	const char *option, *path;
};

static unsigned collect(const struct config *c, struct named_path list[PATHS_MAX])
{
	unsigned n = 0;

	list[n++] = (struct named_path){ "", "a file that was open at the start" };
	if (!c->no_kernel)
		list[n++] = (struct named_path){ c->from ? "--from=" : "", c->kernel };
	if (c->initrd)
		list[n++] = (struct named_path){ "--initrd=", c->initrd };
	if (c->shmem.path)
		list[n++] = (struct named_path){ "--shmem=", c->shmem.path };
	if (c->save)
		list[n++] = (struct named_path){ "--save=", c->save };
	if (c->firmware_path)
		list[n++] = (struct named_path){ "--firmware=", c->firmware_path };
	for (unsigned i = 0; i < c->ndisks; i++)
		list[n++] = (struct named_path){ disk_how(&c->disk[i]), c->disk[i].path };
	for (unsigned i = 0; i < c->nshares; i++)
		list[n++] = (struct named_path){ c->share[i].option, c->share[i].path };
	/* Those that do not exist yet: the lookup of the name asks the same server. */
	if (c->result)
		list[n++] = (struct named_path){ "--result=", c->result };
	if (c->console.path)
		list[n++] = (struct named_path){ "--console=", c->console.path };
	for (unsigned i = 0; i < c->nnets; i++)
		if (c->net[i].kind == NET_VHOST_USER)
			list[n++] = (struct named_path){ "--vhost-user-net=", c->net[i].path };
	for (unsigned i = 0; i < c->nnets; i++)
		if (c->net[i].pcap)
			list[n++] = (struct named_path){ "pcap=", c->net[i].pcap };
	for (unsigned i = 0; i < c->nports; i++)
		if (c->port[i].path)
			list[n++] = (struct named_path){ "--port=", c->port[i].path };
	return n;
}

/* In the child: ask for the kind of the file system of @path, or of its directory if there is no such file yet. */
static void ask_kind(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";
	struct statfs f;

	if (statfs(path, &f) == 0 || errno != ENOENT)
		return;
	if (slash)
		fmt_line(dir, sizeof(dir), "%.*s", (int)(slash + 1 - path), path);
	(void)!statfs(dir, &f);
}

/*
 * In the child: stat each file, and send the parent one byte after each answer. @kind_of: one of the paths, where the
 * kind of the file system is asked for as well; or NULL.
 */
static NORETURN void ask_all(const struct named_path *list, unsigned n, const char *kind_of, int to)
{
	struct stat st;

	/* A child that is left behind must not keep the user's pipes, locks and sockets open. */
	if (dup2(to, STDIN_FILENO) < 0)
		_exit(1);
	close_fds(STDIN_FILENO + 1, ~0u, HIGHEST);
	for (unsigned i = 0; i < n; i++) {
		if (i) /* The first one is the closing above. */
			(void)!stat(list[i].path, &st);
		if (list[i].path == kind_of)
			ask_kind(kind_of);
		if (write(STDIN_FILENO, "", 1) != 1)
			break;
	}
	_exit(0);
}

/* True if no file of @list has a server that could be dead. */
static bool all_local(const struct named_path *list, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		if (!path_is_local(list[i].path))
			return false;
	return inherited_are_local();
}

int files_answer(const struct config *c, unsigned wait_ms)
{
	struct named_path list[PATHS_MAX];
	unsigned n = collect(c, list), done = 0;
	int fd[2];
	pid_t pid;

	if (all_local(list, n))
		return 0;
	if (pipe2(fd, O_CLOEXEC) < 0)
		return complain(-1, "cannot make a pipe: %m");
	pid = fork();
	if (pid < 0)
		return complain(-1, "cannot make a process: %m");
	if (!pid)
		ask_all(list, n, c->shmem.path, fd[1]);
	close(fd[1]);
	while (done < n) {
		struct pollfd p = { .fd = fd[0], .events = POLLIN };
		char buf[PATHS_MAX];
		ssize_t got = poll(&p, 1, (int)wait_ms) == 1 ? read(fd[0], buf, sizeof(buf)) : -1;

		if (got <= 0)
			break;
		done += (unsigned)got;
	}
	close(fd[0]);
	if (done >= n) {
		(void)waitpid(pid, NULL, 0);
		return 0;
	}
	kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, WNOHANG);
	return complain(
		-1,
		"%s%s: its file system does not answer (waited %u s); is its server alive (FUSE, NFS)? Process %d waits for it",
		list[done].option, list[done].path, wait_ms / 1000, (int)pid);
}
