/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A role for the tests of spawners, linked statically and started like a real role. It
 * executes one-letter commands that it receives on HFD_CTL, and answers them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fdtab.h"
#include "policy/policies.h"

static volatile sig_atomic_t signals;
static volatile char *volatile nowhere = (volatile char *)8;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void answer(long value)
{
	struct iovec iov = { &value, sizeof(value) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	(void)sendmsg(HFD_CTL, &mh, MSG_NOSIGNAL);
}

static void *spin(void *arg)
{
	for (;;)
		signals = signals;
	return arg;
}

/* The kernel stops no thread that waits for a process in this way. That process ends with the next command. */
static void *wait_in_kernel(void *arg)
{
	char command;
	struct iovec iov = { &command, 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	long pid = syscall(__NR_clone, (long)(CLONE_VFORK | SIGCHLD), 0L, 0L, 0L, 0L);

	if (pid == 0) {
		(void)recvmsg(HFD_CTL, &mh, 0);
		_exit(0);
	}
	answer(pid > 0 ? 7777 : errno);
	return arg;
}

static void obey(char command)
{
	pthread_t thread;
	struct sigaction sa = { .sa_handler = on_signal };
	pid_t pid;

	switch (command) {
	case 'h': /* hello */
		answer(0);
		break;
	case 'f': /* netd's own filter */
		answer(sandbox_filter(&policy_netd, NULL));
		break;
	case 'x': /* what that filter forbids */
		syscall(__NR_execve, 0x11L, 0x22L, 0x33L);
		answer(errno);
		break;
	case 's': /* a signal handler, then how often it ran */
		sigaction(SIGUSR1, &sa, NULL);
		answer(signals);
		break;
	case 'o': /* open something, in the start filter */
		answer(open("/", O_RDONLY) < 0 ? errno : 0);
		break;
	case 'k': /* a process of its own */
		answer(fork() < 0 ? errno : 0);
		break;
	case 'l': /* a process that is left behind, and has one as well */
		pid = fork();
		if (pid == 0)
			for (unsigned i = 0;; i++)
				if (i || fork() >= 0)
					pause();
		answer(pid < 0 ? errno : 0);
		break;
	case 't': /* a thread that never sleeps */
		answer(pthread_create(&thread, NULL, spin, NULL));
		break;
	case 'w': /* a thread that says 7777 after a system call that SIGSTOP does not interrupt */
		answer(pthread_create(&thread, NULL, wait_in_kernel, NULL));
		break;
	case 'b': /* a bad pointer */
		*nowhere = 1;
		break;
	default:
		_exit(command);
	}
}

int main(int argc, char **argv)
{
	char command;
	struct iovec iov = { &command, 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (argc != 2 || strcmp(argv[1], "--supervised") != 0)
		return 99;
	for (;;) {
		n = recvmsg(HFD_CTL, &mh, 0);
		if (n == 1)
			obey(command);
		else if (n == 0 || errno != EINTR)
			pause();
	}
}
