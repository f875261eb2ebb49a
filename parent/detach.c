/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two processes of --detach: see detach.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "parent/detach.h"
#include "parent/options/util.h"
#include "parent/room/confine.h"

static void close_fd(int *fd)
{
	close(*fd);
	*fd = -1;
}

/* Copy the available bytes from @from to @to. What @to does not take is lost. Returns false at the end of @from. */
static bool copy(int from, int to)
{
	char buf[1024];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (n > 0 && write(to, buf, (size_t)n) != n && to == STDOUT_FILENO)
		complain(0, "--detach: cannot write the guest's name to standard output: %m");
	return n > 0;
}

/* Pass on messages and the line, until both pipes have ended or the line has come. Returns true if it has. */
static bool pass_on(int tell, int errors)
{
	struct pollfd p[] = { { .fd = errors, .events = POLLIN }, { .fd = tell, .events = POLLIN } };
	bool ready = false;

	while (!ready && (p[0].fd >= 0 || p[1].fd >= 0)) {
		if (poll(p, ARRAY_SIZE(p), -1) < 0) {
			if (errno == EINTR)
				continue;
			return false;
		}
		if (p[0].revents && !copy(errors, STDERR_FILENO))
			p[0].fd = -1;
		else if (p[0].revents)
			continue; /* Messages that came before the line are shown before it. */
		if (p[1].revents) {
			ready = copy(tell, STDOUT_FILENO) && !(p[1].revents & POLLERR);
			p[1].fd = -1;
		}
	}
	return ready;
}

/*
 * A signal that ends this process also ends the guest: the supervisor then cannot write its line to
 * the pipe (parent/supervise/msg.c).
 */
static int wait_for_guest(pid_t child, int tell, int errors)
{
	int status;

	/* This process needs no privilege any more, while the child uses them. */
	if (confine_self((uid_t)-1, (gid_t)-1) < 0)
		return EXIT_HOST;
	if (pass_on(tell, errors))
		return EXIT_POWEROFF;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return complain(EXIT_HOST, "--detach: %m");
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_HOST;
}

int detach(int *tell)
{
	int line[2], errors[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t child;

	if (null < 0 || pipe2(line, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0)
		return complain(EXIT_HOST, "--detach: cannot make its pipes: %m");
	child = fork();
	if (child < 0)
		return complain(EXIT_HOST, "--detach: cannot start a process: %m");
	if (child) {
		close_fd(&line[1]);
		close_fd(&errors[1]);
		return wait_for_guest(child, line[0], errors[0]);
	}
	close_fd(&line[0]);
	close_fd(&errors[0]);
	/* The launcher may be stopped: the guest's messages must not wait for it. */
	if (setsid() < 0 || fcntl(errors[1], F_SETFL, O_NONBLOCK) < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 || dup2(errors[1], STDERR_FILENO) < 0)
		return complain(EXIT_HOST, "--detach: %m");
	close_fd(&errors[1]);
	close_fd(&null);
	*tell = line[1];
	return -1;
}
