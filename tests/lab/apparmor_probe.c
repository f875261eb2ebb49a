/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tries what a taken process would try, and prints one word for each attempt that succeeds. tests/lab/apparmor.sh
 * runs it with each profile, without any other confinement. Static, so that it needs no file to start.
 *
 * apparmor_probe PROFILE FILE PID: change to PROFILE at the exec of FILE, a copy of this program; PID belongs to
 * another program.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void report(const char *what, int result)
{
	if (result >= 0)
		printf(" %s", what);
}

static int executes(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execl("/bin/busybox", "true", NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int traces(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return -1;
	kill(pid, SIGCONT);
	return 0;
}

static void attempts(pid_t pid)
{
	report("read", open("/etc/passwd", O_RDONLY));
	report("create", open("/tmp/probe-new", O_WRONLY | O_CREAT, 0600));
	report("write", open("/tmp/probe-old", O_WRONLY));
	report("truncate", truncate("/tmp/probe-old", 0));
	report("rename", rename("/tmp/probe-from", "/tmp/probe-to"));
	report("mkdir", mkdir("/tmp/probe-dir", 0700));
	report("exec", executes());
	report("unix", socket(AF_UNIX, SOCK_STREAM, 0));
	report("inet", socket(AF_INET, SOCK_STREAM, 0));
	report("raw", socket(AF_INET, SOCK_RAW, 1));
	report("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
	report("packet", socket(AF_PACKET, SOCK_RAW, 0));
	report("kill", kill(pid, SIGCONT));
	report("ptrace", traces(pid));
	report("mount", mount("none", "/mnt", "tmpfs", 0, NULL));
	report("chroot", chroot("/tmp"));
	report("setuid", setuid(65534));
	printf("\n");
}

int main(int argc, char **argv)
{
	char request[100];
	FILE *f;

	if (argc == 2) {
		attempts(atoi(argv[1]));
		return 0;
	}
	if (argc != 4)
		return 2;
	f = fopen("/proc/self/attr/apparmor/exec", "w");
	if (!f)
		return 1;
	snprintf(request, sizeof(request), "exec %s", argv[1]);
	if (fputs(request, f) < 0 || fclose(f) != 0) {
		printf(" no profile %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	execl(argv[2], argv[2], argv[3], NULL);
	printf(" not executed: %s\n", strerror(errno));
	return 1;
}
