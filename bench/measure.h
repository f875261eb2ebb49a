/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the load generators share: options, clocks, processor time of a daemon,
 * latencies, results as JSON. Runs only in programs of bench/, never in a role.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* An option --name=value. A flag has NULL in @text and @number. */
struct bench_option {
	const char *name;
	const char **text;
	uint64_t *number; /* decimal, with k, M or G for powers of 1024 */
	bool *flag;
};
/* Parse the options. On an error, prints one line and exits with status 2. */
void bench_options(int argc, char **argv, const struct bench_option *o, unsigned n);

void bench_die(const char *what) __attribute__((noreturn)); /* with errno's text */
void bench_pin(uint64_t cpu);
uint64_t bench_ns(void); /* monotonic clock, nanoseconds */

/* A histogram of latencies in nanoseconds, with 16 steps per octave. */
#define BENCH_STEPS 16
struct bench_latency {
	uint64_t count[64 * BENCH_STEPS];
	uint64_t n;
};
void bench_latency_add(struct bench_latency *l, uint64_t ns);
uint64_t bench_latency_at(const struct bench_latency *l, double part); /* 0.5: the median */

/* Returns the process that listened at the other end of the connected socket @sock, or 0. */
pid_t bench_peer(int sock);
/* Returns the CPU time of @pid, its threads and all of its children, in nanoseconds. */
uint64_t bench_cpu_ns(pid_t pid);

/* One result: what was done in @ns nanoseconds, and the back-end's CPU time. */
struct bench_result {
	uint64_t ops, bytes, ns, cpu_ns, bad;
	uint64_t kicks, calls; /* made, received */
	const struct bench_latency *latency;
};
/* Print the result as one line of JSON to standard output. */
void bench_print(const struct bench_result *r);

#endif
