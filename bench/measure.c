/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the load generators share (measure.h). Runs only in programs of bench/,
 * never in a role.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "bench/measure.h"

void bench_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static bool scaled(const char *s, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(s, &end, 10);
	if (errno || end == s)
		return false;
	switch (*end) {
	case 'G':
		*out <<= 10; /* fall through */
	case 'M':
		*out <<= 10; /* fall through */
	case 'k':
		*out <<= 10;
		end++;
		break;
	}
	return !*end;
}

void bench_options(int argc, char **argv, const struct bench_option *o, unsigned n)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		bool good = false;

		for (unsigned k = 0; k < n && !good; k++) {
			size_t len = strlen(o[k].name);

			if (strncmp(a, "--", 2) != 0 || strncmp(a + 2, o[k].name, len) != 0)
				continue;
			a += 2 + len;
			if (!*a && o[k].flag)
				good = *o[k].flag = true;
			else if (*a == '=' && o[k].text)
				good = (*o[k].text = a + 1);
			else if (*a == '=' && o[k].number)
				good = scaled(a + 1, o[k].number);
			a = argv[i];
		}
		if (!good) {
			fprintf(stderr, "%s: bad option %s; there are:", argv[0], a);
			for (unsigned k = 0; k < n; k++)
				fprintf(stderr, " --%s%s", o[k].name, o[k].flag ? "" : "=");
			fputc('\n', stderr);
			exit(2);
		}
	}
}

void bench_pin(uint64_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((int)(cpu & 1023), &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		bench_die("pin to a processor");
}

uint64_t bench_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void bench_latency_add(struct bench_latency *l, uint64_t ns)
{
	unsigned octave = 63 - (unsigned)__builtin_clzll(ns | BENCH_STEPS);

	/* The four bits below the highest one. */
	l->count[octave * BENCH_STEPS + ((ns >> (octave - 4)) & (BENCH_STEPS - 1))]++;
	l->n++;
}

uint64_t bench_latency_at(const struct bench_latency *l, double part)
{
	uint64_t want = (uint64_t)((double)l->n * part), sum = 0;

	for (unsigned i = 4 * BENCH_STEPS; i < 64 * BENCH_STEPS; i++) {
		sum += l->count[i];
		if (sum > want)
			return (uint64_t)(BENCH_STEPS + i % BENCH_STEPS) << (i / BENCH_STEPS - 4);
	}
	return 0;
}

pid_t bench_peer(int sock)
{
	struct ucred c;
	socklen_t len = sizeof(c);

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &c, &len) == 0 ? c.pid : 0;
}

static uint64_t file_sum(const char *path, uint64_t (*each)(uint64_t))
{
	FILE *f = fopen(path, "re");
	uint64_t sum = 0;
	long long v;

	while (f && fscanf(f, "%lld", &v) == 1) {
		sum += each ? each((uint64_t)v) : (uint64_t)v;
		/* Only the first number of schedstat. */
		if (!each)
			break;
	}
	if (f)
		fclose(f);
	return sum;
}

static uint64_t child_cpu(uint64_t pid)
{
	return bench_cpu_ns((pid_t)pid);
}

/* Find threads by trying numbers: the threads of a process that starts none later have close IDs. */
uint64_t bench_cpu_ns(pid_t pid)
{
	char path[96], command[96];
	uint64_t sum = 0;
	int tid;
	FILE *ls;

	if (pid <= 0)
		return 0;
	snprintf(command, sizeof(command), "ls /proc/%d/task 2>&-", (int)pid);
	ls = popen(command, "re");
	while (ls && fscanf(ls, "%d", &tid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid, tid);
		sum += file_sum(path, NULL);
		snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, tid);
		sum += file_sum(path, child_cpu);
	}
	if (ls)
		pclose(ls);
	return sum;
}

void bench_print(const struct bench_result *r)
{
	double s = (double)r->ns / 1e9, ops = r->ops ? (double)r->ops : 1;

	printf("{\"ops_per_s\": %.0f, \"mib_per_s\": %.1f, \"cpu_us_per_op\": %.3f, "
	       "\"kicks_per_op\": %.4f, \"calls_per_op\": %.4f, \"ops\": %llu, \"bad\": %llu",
	       (double)r->ops / s, (double)r->bytes / s / 1048576, (double)r->cpu_ns / 1e3 / ops,
	       (double)r->kicks / ops, (double)r->calls / ops, (unsigned long long)r->ops, (unsigned long long)r->bad);
	if (r->latency && r->latency->n)
		printf(", \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f",
		       (double)bench_latency_at(r->latency, 0.5) / 1e3,
		       (double)bench_latency_at(r->latency, 0.99) / 1e3,
		       (double)bench_latency_at(r->latency, 0.999) / 1e3);
	printf("}\n");
}
