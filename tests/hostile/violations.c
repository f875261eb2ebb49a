/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Violations speak: the real lguest-sep runs with a test role in the place of one
 * of its roles, which gets ready and then makes one forbidden call. It is ended at
 * once, one line names it, the call and its first arguments, and nothing is left.
 * The supervisor itself has the call put into it from outside. Needs root.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

#define KERNEL "/../../../.cache/kernel/vmlinuz"

static char kernel[600];

/* The executables in a folder of our own, with the test role in the place of @role (or none). */
static void build_folder(const char *role)
{
	char command[2400];

	snprintf(command, sizeof(command),
		 "chmod 755 %s; rm -rf %s/bin && mkdir %s/bin && cp %s/lguest-sep* %s/bin/ && "
		 "truncate -s 1M %s/image && chmod 666 %s/image", work_dir, work_dir, work_dir,
		 bin_dir, work_dir, work_dir, work_dir);
	need(system(command) == 0);
	if (!role)
		return;
	snprintf(command, sizeof(command), "cp %s/../host/hostile_role %s/bin/lguest-sep-%s", self_dir,
		 work_dir, role);
	need(system(command) == 0);
}

static pid_t launch(void)
{
	char path[100], block[100], out[100];
	pid_t pid = fork();
	int fd;

	need(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "%s/bin/lguest-sep", work_dir);
	snprintf(block, sizeof(block), "--block=%s/image", work_dir);
	snprintf(out, sizeof(out), "%s/said", work_dir);
	fd = open(out, O_RDWR | O_CREAT | O_TRUNC, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	execl(path, path, "--drop-to", "nobody", "--timeout=30",
	      "--max-restarts=0", block, "--tunnet=10.99.8.1/24", "128",
	      kernel, "console=hvc0", NULL);
	_exit(95);
}

static int wait_end(pid_t pid)
{
	int status = 0;

	for (unsigned i = 0; i < 4 * PATIENCE; i++, usleep(1000))
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	need(!"it did not end");
	return 0;
}

/* Processes whose executable is one of the folder's. */
static unsigned left_over(void)
{
	char path[300], exe[600], ours[100];
	struct dirent *e;
	unsigned n = 0;
	DIR *d = opendir("/proc");

	snprintf(ours, sizeof(ours), "%s/bin/", work_dir);
	while (d && (e = readdir(d))) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%s/exe", e->d_name);
		len = readlink(path, exe, sizeof(exe) - 1);
		exe[len > 0 ? len : 0] = '\0';
		n += len > 0 && strncmp(exe, ours, strlen(ours)) == 0;
	}
	if (d)
		closedir(d);
	return n;
}

static bool all_gone(void)
{
	for (unsigned i = 0; i < PATIENCE && left_over(); i++)
		usleep(1000);
	return !left_over();
}

/* Lines of what was said that have @what in them; the last of them into @line. */
static unsigned lines_with(const char *what, char *line, size_t size)
{
	char path[100], text[1024];
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/said", work_dir);
	f = fopen(path, "r");
	need(f != NULL);
	while (fgets(text, sizeof(text), f)) {
		if (!strstr(text, what))
			continue;
		n++;
		snprintf(line, size, "%s", text);
	}
	fclose(f);
	return n;
}

struct violation {
	const char *role, *name, *want;
	long nr;
};

static void role_betrays(const void *arg)
{
	const struct violation *v = arg;
	char line[1024] = "", call[200];
	int status;

	if (access(kernel, R_OK) != 0)
		skipped("no kernel: tools/quickstart kernel");
	if (!host_net())
		skipped("no tap in a network namespace on this host");
	build_folder(v->role);
	status = wait_end(launch());
	need(WIFEXITED(status) && WEXITSTATUS(status) != 0 && WEXITSTATUS(status) < 95);
	need(lines_with("ended by its filter", line, sizeof(line)) == 1);
	snprintf(call, sizeof(call), "system call %ld %s", v->nr, v->want);
	need(strstr(line, call) != NULL);
	need(strncmp(line, "lguest-sep: ", 12) == 0 && strstr(line, v->name) != NULL);
	need(all_gone());
	counted("named");
}

#ifdef __x86_64__
/* The supervisor waits in a system call: it is made to make another one in its place. */
static void put_call_into(pid_t pid, long nr)
{
	struct user_regs_struct regs;
	int status;

	need(ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0);
	need(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	need(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0);
	need(regs.orig_rax != (unsigned long)-1);
	regs.rip -= 2;
	regs.rax = (unsigned long)nr;
	regs.orig_rax = (unsigned long)-1;
	regs.rdi = regs.rsi = regs.rdx = 0;
	need(ptrace(PTRACE_SETREGS, pid, NULL, &regs) == 0);
	need(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
}

static void supervisor_betrays(const void *arg)
{
	pid_t pid;
	int status;

	if (access(kernel, R_OK) != 0)
		skipped("no kernel: tools/quickstart kernel");
	if (!host_net())
		skipped("no tap in a network namespace on this host");
	build_folder(NULL);
	pid = launch();
	for (unsigned i = 0; i < PATIENCE && left_over() < 5; i++)
		usleep(1000);
	need(left_over() >= 5); /* supervisor, spawners, helpers */
	usleep(300000);
	put_call_into(pid, *(const long *)arg);
	status = wait_end(pid);
	need(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	need(all_gone());
	counted("ended");
}
#endif

void violations_group(void)
{
	static const struct violation violations[] = {
		{ "blkd", "blk0", "(execve), arguments 0x11 0x22 0x33", __NR_execve },
		{ "netd", "net0", "(socket), arguments 0x2 0x1 0x6", __NR_socket },
		{ "vcpu", "vcpu", "(ptrace), arguments 0x10 0x1 0x0", __NR_ptrace },
	};
	char text[100];

	if (sanitized || geteuid() != 0)
		return;
	snprintf(kernel, sizeof(kernel), "%s%s", getenv("HOSTILE_TOP") ? getenv("HOSTILE_TOP") : self_dir,
		 getenv("HOSTILE_TOP") ? "/.cache/kernel/vmlinuz" : KERNEL);
	group("violations speak");
	for (unsigned i = 0; i < ARRAY_SIZE(violations); i++) {
		snprintf(text, sizeof(text), "a forbidden call of %s, mid-run", violations[i].role);
		play(text, "named", role_betrays, &violations[i]);
	}
#ifdef __x86_64__
	static const long calls[] = { __NR_execve, __NR_socket, __NR_openat };

	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		snprintf(text, sizeof(text), "a forbidden call of the supervisor (%ld)", calls[i]);
		play(text, "ended", supervisor_betrays, &calls[i]);
	}
#endif
}
