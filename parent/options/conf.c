/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the file of --config: see conf.h. Runs in the parent before it opens anything else,
 * and in lguest-sep audit, which parses the command lines of other users' processes: so only
 * a regular file is opened for reading, because the open(2) of a device may have effects.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/fmt.h"
#include "common/log.h"
#include "parent/options/conf.h"

#define SIZE_MAX_BYTES 65536
#define MAX_WORDS      4096
/* How long the file system of the file may take, in ms. */
#define WAIT_MS 5000

static char text[SIZE_MAX_BYTES + 1], reason[128];
static char *words[MAX_WORDS + 1];

/* Open @path, a regular file, for reading. Returns -1 with the reason in @reason. */
static int open_regular(const char *path)
{
	int place = open(path, O_PATH | O_CLOEXEC), fd = -1;
	char again[32];
	struct stat st;

	if (place < 0) {
		fmt_line(reason, sizeof(reason), "cannot open it: %m");
		return -1;
	}
	if (fstat(place, &st) < 0 || !S_ISREG(st.st_mode)) {
		fmt_line(reason, sizeof(reason), "it is not a regular file");
	} else {
		/* O_PATH has no effect on the file, and this opens the same one, whatever its name is now. */
		fmt_line(again, sizeof(again), "/proc/self/fd/%d", place);
		fd = open(again, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fmt_line(reason, sizeof(reason), "cannot open it: %m");
	}
	close(place);
	return fd;
}

/* Read @path to @text. Returns its length, or -1 with the reason in @reason. */
static ssize_t read_file(const char *path)
{
	int fd = open_regular(path);
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || st.st_size > SIZE_MAX_BYTES) {
		fmt_line(reason, sizeof(reason), "it is larger than %u bytes", SIZE_MAX_BYTES);
	} else {
		n = read(fd, text, SIZE_MAX_BYTES);
		if (n < 0)
			fmt_line(reason, sizeof(reason), "cannot read it: %m");
	}
	close(fd);
	if (n > 0 && memchr(text, '\0', (size_t)n)) {
		fmt_line(reason, sizeof(reason), "it is not a text file");
		return -1;
	}
	return n;
}

/* In the child: send a byte that is 1 and the text of @path to @to, or 0 and the reason. */
static NORETURN void send_file(const char *path, int to)
{
	char first = 0;
	ssize_t n;

	/* A child that is left behind must not keep the user's pipes and sockets open. */
	if (dup2(to, STDIN_FILENO) < 0)
		_exit(1);
	close_fds(STDIN_FILENO + 1, ~0u, 65536);
	n = read_file(path);
	first = n >= 0;
	(void)!write(STDIN_FILENO, &first, 1);
	(void)!write(STDIN_FILENO, first ? text : reason, first ? (size_t)n : strlen(reason));
	_exit(0);
}

/* Read @from until its end into @buf. Returns the number of bytes, or -1 if that takes more than WAIT_MS. */
static ssize_t receive(int from, char *buf, size_t size)
{
	uint64_t until = now_ms() + WAIT_MS;
	size_t len = 0;
	ssize_t n;

	for (;;) {
		struct pollfd p = { .fd = from, .events = POLLIN };
		uint64_t now = now_ms();

		if (now >= until || poll(&p, 1, (int)(until - now)) != 1)
			return -1;
		n = read(from, buf + len, size - len);
		if (n <= 0)
			return (ssize_t)len;
		len += (size_t)n;
	}
}

/*
 * The same as read_file(), in a child: if the file's server (FUSE, NFS) does not answer, no signal but SIGKILL ends the
 * wait. The child can then stay behind.
 */
static ssize_t read_bounded(const char *path)
{
	static char got[sizeof(text) + 1];
	ssize_t n;
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		fmt_line(reason, sizeof(reason), "cannot make a process that reads it: %m");
		return -1;
	}
	if (!pid)
		send_file(path, fd[1]);
	close(fd[1]);
	n = receive(fd[0], got, sizeof(got) - 1);
	close(fd[0]);
	if (n < 0)
		kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, n < 0 ? WNOHANG : 0);
	if (n < 1) {
		fmt_line(reason, sizeof(reason), "its file system does not answer (waited %u s); is its server alive?",
			 WAIT_MS / 1000);
		return -1;
	}
	got[n] = '\0';
	if (!*got) {
		fmt_line(reason, sizeof(reason), "%s", got + 1);
		return -1;
	}
	memcpy(text, got + 1, (size_t)n);
	return n - 1;
}

/* Cut the blanks off both ends of @line. Returns the rest. */
static char *trim(char *line)
{
	size_t len;

	line += strspn(line, " \t\r");
	len = strlen(line);
	while (len && strchr(" \t\r", line[len - 1]))
		len--;
	line[len] = '\0';
	return line;
}

char **conf_words(const char *path, char *program, int n, char **rest, int *argc, const char **why)
{
	ssize_t len = read_bounded(path);
	char *line = text, *next;
	int count = 0;

	*why = reason;
	if (len < 0)
		return NULL;
	if (n >= MAX_WORDS - 1) {
		fmt_line(reason, sizeof(reason), "the command line has too many words in addition to it");
		return NULL;
	}
	text[len] = '\0';
	words[count++] = program;
	for (; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line = trim(line);
		if (!*line || *line == '#')
			continue;
		if (count + n >= MAX_WORDS) {
			fmt_line(reason, sizeof(reason), "it has more than %u lines", MAX_WORDS - n);
			return NULL;
		}
		words[count++] = line;
	}
	for (int i = 0; i < n; i++)
		words[count++] = rest[i];
	words[count] = NULL;
	*argc = count;
	return words;
}
