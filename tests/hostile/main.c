/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostile: runs every case of a hostile guest or compromised vCPU process against the built
 * netd and blkd, and prints a table of results. Cases that need a tap or namespaces need
 * root.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

struct report report;
char bin_dir[512], self_dir[512], work_dir[64];
bool sanitized;

static const char *only, *group_name;
static bool list;
static unsigned passed, failed, skips;
static bool skip_said;
static sigjmp_buf out_of_case;

static struct {
	pthread_t id;
	void (*fn)(void *arg);
	void *arg;
} thread[4];
static unsigned nthreads;
static volatile int threads_end;

static void *repeat(void *p)
{
	unsigned i = (unsigned)(uintptr_t)p;

	while (!threads_end)
		thread[i].fn(thread[i].arg);
	return NULL;
}

void thread_start(void (*fn)(void *arg), void *arg)
{
	need(nthreads < ARRAY_SIZE(thread));
	threads_end = false;
	thread[nthreads].fn = fn;
	thread[nthreads].arg = arg;
	need(pthread_create(&thread[nthreads].id, NULL, repeat, (void *)(uintptr_t)nthreads) == 0);
	nthreads++;
}

void threads_stop(void)
{
	threads_end = true;
	while (nthreads)
		pthread_join(thread[--nthreads].id, NULL);
}

void need_(bool ok, const char *what, const char *file, int line)
{
	if (ok)
		return;
	/* Keep the reason that the case itself gave. */
	if (!*report.why)
		snprintf(report.why, sizeof(report.why), "%s:%d: %s", file, line, what);
	siglongjmp(out_of_case, 1);
}

void counted(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(report.counted, sizeof(report.counted), fmt, ap);
	va_end(ap);
}

void skipped(const char *why)
{
	skip_said = true;
	snprintf(report.why, sizeof(report.why), "%s", why);
	siglongjmp(out_of_case, 1);
}

static const char *seen_text(enum seen s)
{
	return s == YES ? "yes" : s == NO ? "NO" : "-";
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void group(const char *name)
{
	group_name = name;
	if (!only && !list)
		printf("\n== %s\n%-6s %-54s %-16s %-16s %-5s %-7s %9s\n", name, "", "case", "expected", "counted",
		       "alive", "sibling", "ms");
}

void play(const char *name, const char *expect, void (*fn)(const void *arg), const void *arg)
{
	char full[160];
	double began = seconds();
	bool good;

	snprintf(full, sizeof(full), "%s: %s", group_name, name);
	if (list)
		puts(full);
	if (list || (only && !strstr(full, only)))
		return;
	memset(&report, 0, sizeof(report));
	skip_said = false;
	if (sigsetjmp(out_of_case, 1) == 0)
		fn(arg);
	threads_stop();
	good = !*report.why && strcmp(report.counted, expect) == 0 && report.alive != NO && report.sibling != NO;
	printf("%-6s %-54s %-16s %-16s %-5s %-7s %9.1f\n",
	       skip_said ? "skip"
	       : good	 ? "ok"
			 : "NOT OK",
	       only ? full : name, expect, report.counted, seen_text(report.alive), seen_text(report.sibling),
	       (seconds() - began) * 1000);
	if (*report.why)
		printf("       | %s\n", report.why);
	fflush(stdout);
	if (skip_said)
		skips++;
	else if (good)
		passed++;
	else
		failed++;
	/* After a failed case, the next one needs a fresh device. */
	if (!good)
		dev_end_all();
}

/* Folder of @path into @to. */
static void folder_of(const char *path, char *to, size_t size)
{
	const char *slash = strrchr(path, '/');

	snprintf(to, size, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

static bool is_sanitized(void)
{
	static char text[1 << 16];
	char path[600];
	bool found = false;
	size_t n, keep = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/lguest-sep-blkd", bin_dir);
	f = fopen(path, "r");
	if (!f)
		return false;
	while (!found && (n = fread(text + keep, 1, sizeof(text) - keep, f)) > 0) {
		found = memmem(text, keep + n, "__asan_", 7) != NULL;
		keep = 0;
		if (n > 8) {
			memmove(text, text + n - 8, 8);
			keep = 8;
		}
	}
	fclose(f);
	return found;
}

static void arguments(int argc, char **argv)
{
	folder_of(argv[0], self_dir, sizeof(self_dir));
	snprintf(bin_dir, sizeof(bin_dir), "%.490s/../../bin", self_dir);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--bin") == 0 && i + 1 < argc)
			snprintf(bin_dir, sizeof(bin_dir), "%s", argv[++i]);
		else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
			only = argv[++i];
		else if (strcmp(argv[i], "--list") == 0)
			list = true;
		else {
			fprintf(stderr, "usage: %s [--bin DIR] [--only TEXT] [--list]\n", argv[0]);
			exit(2);
		}
	}
}

static void remove_scratch(void)
{
	char command[100];

	/* Do not list the file system that never answers. */
	snprintf(command, sizeof(command), "%s/stall", work_dir);
	umount2(command, MNT_FORCE | MNT_DETACH);
	snprintf(command, sizeof(command), "rm -rf %s", work_dir);
	if (system(command) != 0)
		fprintf(stderr, "%s is left\n", work_dir);
}

int main(int argc, char **argv)
{
	static void (*const groups[])(void) = {
		rings_group,	  messages_group, block_group,	block_host_group, nbd_group,
		net_group,	  reset_group,	  socket_group, connection_group, confinement_group,
		violations_group, taken_group,	  log_group,	suites_group,
	};

	arguments(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	snprintf(work_dir, sizeof(work_dir), "/tmp/hostile-XXXXXX");
	if (!mkdtemp(work_dir)) {
		perror(work_dir);
		return 1;
	}
	/* Hide the mounts and taps of the cases from other processes. */
	if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0)
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	sanitized = is_sanitized();
	/* The search for leaks makes system calls that no role may make. */
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	if (!list)
		printf("hostile cases against %s%s\n", bin_dir, sanitized ? " (with a sanitizer)" : "");
	for (unsigned i = 0; i < ARRAY_SIZE(groups); i++) {
		groups[i]();
		dev_end_all();
	}
	remove_scratch();
	if (list)
		return 0;
	printf("\n%u passed, %u failed, %u skipped\n", passed, failed, skips);
	return failed || !passed;
}
