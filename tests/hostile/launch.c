/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the real lguest-sep from a directory of its own, with the test role in place of one
 * of its roles, and checks its output and what it leaves behind. For test programs only.
 */
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hostile/launch.h"

#define KERNEL	     "/../../../.cache/kernel/vmlinuz"
#define MOST_OPTIONS 8

static char kernel[600];

/* Link the executables into a directory, with the test role in place of @role (or of none). */
static void build_folder(const char *role)
{
	char command[2400];

	snprintf(command, sizeof(command),
		 "chmod 755 %s; rm -rf %s/bin && mkdir %s/bin && cp %s/lguest-sep* %s/bin/ && "
		 "truncate -s 1M %s/image && chmod 666 %s/image",
		 work_dir, work_dir, work_dir, bin_dir, work_dir, work_dir, work_dir);
	need(system(command) == 0);
	if (!role)
		return;
	snprintf(command, sizeof(command), "cp %s/../host/hostile_role %s/bin/lguest-sep-%s", self_dir, work_dir, role);
	need(system(command) == 0);
}

void launch_prepare(const char *role)
{
	const char *top = getenv("HOSTILE_TOP");

	snprintf(kernel, sizeof(kernel), "%s%s", top ? top : self_dir, top ? "/.cache/kernel/vmlinuz" : KERNEL);
	if (access(kernel, R_OK) != 0)
		skipped("no kernel: tools/quickstart kernel");
	if (!host_net())
		skipped("no tap in a network namespace on this host");
	build_folder(role);
}

pid_t launch(const struct launch *l)
{
	char path[100], block[160], out[100];
	const char *argv[MOST_OPTIONS + 12] = { path,	  "--drop-to",
						"nobody", "--timeout=300",
						block,	  "--tunnet=10.99.8.1/24" };
	unsigned n = 6;
	pid_t pid = fork();
	int fd;

	need(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "%s/bin/lguest-sep", work_dir);
	snprintf(block, sizeof(block), "--block=%s/image,serial=%s", work_dir, l->serial ? l->serial : "s");
	snprintf(out, sizeof(out), "%s/said", work_dir);
	/* A NIC of the case replaces the default one. */
	for (unsigned i = 0; i < MOST_OPTIONS && l->option[i]; i++)
		n -= strncmp(l->option[i], "--tunnet=", 9) == 0;
	for (unsigned i = 0; i < MOST_OPTIONS && l->option[i]; i++)
		argv[n++] = l->option[i];
	argv[n++] = "128";
	argv[n++] = kernel;
	argv[n++] = "console=hvc0";
	argv[n++] = l->word;
	fd = open(out, O_RDWR | O_CREAT | O_TRUNC, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	execv(path, (char *const *)(uintptr_t)argv);
	_exit(95);
}

int launch_end(pid_t pid, unsigned ms)
{
	int status = 0;

	for (unsigned i = 0; i < ms; i++, usleep(1000))
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	need(!"it did not end");
	return 0;
}

/* Processes whose executable's path begins with that of @program in the directory of this test. */
static unsigned processes_of(const char *program)
{
	char path[300], exe[600], ours[100];
	struct dirent *e;
	unsigned n = 0;
	DIR *d = opendir("/proc");

	snprintf(ours, sizeof(ours), "%s/bin/%s", work_dir, program);
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

unsigned launch_left(void)
{
	return processes_of("");
}

/* True if process @pid has a seccomp filter. */
static bool confined(pid_t pid)
{
	char path[40], line[200];
	bool on = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		on |= strncmp(line, "Seccomp:\t2", 10) == 0;
	fclose(f);
	return on;
}

bool launch_runs(pid_t pid, const char *role)
{
	char program[40];

	snprintf(program, sizeof(program), "lguest-sep-%s", role);
	for (unsigned i = 0; i < PATIENCE; i++, usleep(1000))
		if (confined(pid) && processes_of(program))
			return true;
	return false;
}

bool launch_gone(void)
{
	/* A tap goes some time after the last process that had it open: an io_uring is released by a thread of the kernel. */
	for (unsigned i = 0; i < PATIENCE; i++, usleep(1000))
		if (!launch_left() && !if_nametoindex("tap0"))
			return true;
	return false;
}

unsigned launch_said(const char *what, char *line, size_t size)
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
		if (line)
			snprintf(line, size, "%s", text);
	}
	fclose(f);
	return n;
}
