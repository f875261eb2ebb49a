/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A clock without system calls, for x86-64 hosts without a vDSO (kernel parameter
 * vdso=0, some sandboxes). There clock_gettime(2) is a system call, which the seccomp
 * filters refuse. Before the filter, the time stamp counter (TSC) of the processor is
 * measured against the kernel's clock; afterwards the time is computed from it.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/*
 * Measure the counter against CLOCK_MONOTONIC if this host has no vDSO. Call it before
 * a filter is installed. Takes 2 ms the first time; otherwise it does nothing.
 */
void clock_prepare(void);
/* Measure on any host, and every time. For tests. */
void clock_measure(void);
/* CLOCK_MONOTONIC in microseconds, computed from the counter; 0 if it was not measured. */
uint64_t clock_by_counter_us(void);

#endif
