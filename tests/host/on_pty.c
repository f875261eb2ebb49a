/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * on-pty PATTERN TEXT COMMAND…: run COMMAND on a terminal of its own, pass on
 * what it prints, and type TEXT (\ooo are octal bytes) once PATTERN has been
 * printed. Its exit status is ours. For tests; static, so that it runs anywhere.
 *
 * With --stall first, nothing is read from the terminal once PATTERN has been
 * printed; TEXT is typed some seconds later, when its buffers are full.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t unescape(const char *s, char *out)
{
	size_t n = 0;

	while (*s) {
		if (*s == '\\' && strspn(s + 1, "01234567") >= 3) {
			char octal[4] = { s[1], s[2], s[3], '\0' };

			out[n++] = (char)strtoul(octal, NULL, 8);
			s += 4;
		} else {
			out[n++] = *s++;
		}
	}
	return n;
}

int main(int argc, char **argv)
{
	static char seen[65536];
	size_t have = 0;
	int tty, status, typed = 0;
	bool stall = argc > 1 && !strcmp(argv[1], "--stall");
	pid_t pid;

	argc -= stall;
	argv += stall;

	if (argc < 4)
		return 2;
	pid = forkpty(&tty, NULL, NULL, NULL);
	if (pid < 0)
		return 1;
	if (!pid) {
		execvp(argv[3], argv + 3);
		perror(argv[3]);
		_exit(127);
	}
	for (;;) {
		char buf[4096];
		ssize_t n = read(tty, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* EIO: the other end was closed */
		if (write(STDOUT_FILENO, buf, (size_t)n) < 0)
			return 1;
		if (typed || have + (size_t)n >= sizeof(seen))
			continue;
		memcpy(seen + have, buf, (size_t)n);
		have += (size_t)n;
		if (memmem(seen, have, argv[1], strlen(argv[1]))) {
			n = (ssize_t)unescape(argv[2], seen);
			if (stall)
				sleep(5);
			typed = write(tty, seen, (size_t)n) == n;
			if (stall)
				break;
		}
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
