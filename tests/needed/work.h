/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the parts of tests/needed/work: starting and ending a helper (work.c),
 * what disks are asked for (disk.c) and what NICs are (net.c).
 */
#ifndef TESTS_NEEDED_WORK_H
#define TESTS_NEEDED_WORK_H

#include <stdio.h>
#include <stdlib.h>

#include "common/ctl.h"
#include "tests/lib/front.h"

#define BIT(n)	(UINT64_C(1) << (n))
#define MEM	(8u << 20)
#define DISK	(1u << 20)
#define HDR	0x80000u
#define STATUS	0x90000u
#define DATA	0x100000u
#define WAIT_MS 3000

#define MUST(x)                                                               \
	do {                                                                  \
		if (!(x)) {                                                   \
			fprintf(stderr, "work: line %d: %s\n", __LINE__, #x); \
			exit(1);                                              \
		}                                                             \
	} while (0)

extern struct front f;
extern struct role_config rc;
/* What the helper gets at its number, where it is of that kind; -1: nothing. */
extern int image, delta, map, tap;

/* Start @program as @rc says, with memory and its features agreed on; end it in good order. */
void begin(const char *program, uint64_t features);
void end(void);
/* Queue @q of 64 entries, with its descriptors, not yet enabled. */
struct front_queue *ring(unsigned q);
/* A chain that points nowhere stops the queue, and the front-end hears of it. */
void break_ring(struct front_queue *q);

/* 0: everything was done. */
int blkd(const char *program);
int handover(const char *program);
int netd(const char *program);

#endif
