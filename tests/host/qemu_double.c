/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for a QEMU program that its guest has taken over: the word after "try=" on the
 * guest's command line chooses what it tries to reach. It prints "reached" if that succeeds, or
 * "failed"; its filter may end it first. tests/integration/machines.bats mounts it over the
 * program of each machine.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int say(int reached)
{
	const char *text = reached ? "reached\n" : "failed\n";

	return write(STDOUT_FILENO, text, strlen(text)) < 0;
}

static int opened(const char *path, int flags)
{
	return syscall(SYS_openat, AT_FDCWD, path, flags, 0600) >= 0;
}

static int creates(void)
{
	static const char *const path[] = { "/new",	 "/tmp/new",	"/usr/bin/new", "/usr/share/qemu/new",
					    "/proc/new", "/dev/shm/new" };
	int reached = 0;

	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++)
		reached |= opened(path[i], O_WRONLY | O_CREAT);
	return reached;
}

static int connects(void)
{
	static const struct sockaddr_un abstract = { AF_UNIX, "\0anything" }, path = { AF_UNIX, "/run/socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return fd >= 0 && (connect(fd, (const struct sockaddr *)&abstract, 11) == 0 ||
			   connect(fd, (const struct sockaddr *)&path, sizeof(path)) == 0);
}

static int grows(void)
{
	int fd = memfd_create("file", 0);

	return fd >= 0 && write(fd, "x", 1) == 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? strstr(argv[argc - 1], "try=") : NULL;

	what = what ? what + 4 : "";
	if (!strcmp(what, "read"))
		return say(opened(argv[0], O_RDONLY));
	if (!strcmp(what, "others"))
		return say(opened("/etc/passwd", O_RDONLY) || opened("/root", O_RDONLY) || opened("/home", O_RDONLY));
	if (!strcmp(what, "create"))
		return say(creates());
	if (!strcmp(what, "write"))
		return say(opened(argv[0], O_WRONLY));
	if (!strcmp(what, "update"))
		return say(opened(argv[0], O_RDWR));
	if (!strcmp(what, "memory"))
		return say(opened("/proc/self/mem", O_RDWR));
	if (!strcmp(what, "grow"))
		return say(grows());
	if (!strcmp(what, "connect"))
		return say(connects());
	if (!strcmp(what, "internet"))
		return say(socket(AF_INET, SOCK_STREAM, 0) >= 0);
	if (!strcmp(what, "netlink"))
		return say(socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
	if (!strcmp(what, "fork"))
		return say(syscall(SYS_fork) >= 0);
	if (!strcmp(what, "execute"))
		return say(execl(argv[0], argv[0], (char *)NULL) == 0);
	return 2;
}
