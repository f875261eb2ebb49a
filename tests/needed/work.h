/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the parts of tests/needed/work: starting and ending a helper (work.c),
 * what disks are asked for (disk.c, nbd.c) and what NICs are (net.c).
 */
#ifndef TESTS_NEEDED_WORK_H
#define TESTS_NEEDED_WORK_H

#include <stdio.h>
#include <stdlib.h>

#include "common/ctl.h"
#include "tests/lib/front.h"

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
/* Descriptors that the helper gets at their numbers; -1: none. */
extern int image, delta, map, tap, capture, shared, saved;

/*
 * start_role() starts @program with the configuration @rc; begin() also shares memory and negotiates @features; end() stops
 * the program.
 */
void start_role(const char *program);
void begin(const char *program, uint64_t features);
void end(void);
/* Set up queue @q with 64 entries and its descriptors, without enabling it. */
struct front_queue *ring(unsigned q);
/* Offer a chain with an invalid address: the queue stops, and the front-end is notified. */
void break_ring(struct front_queue *q);

/* What the guest has changed, or knows, is written to the file @saved (--save), and read from it (--from). */
void to_file_and_back(void);

/* For disks: create the files; describe a disk in @rc. */
void make_images(void);
void describe_disk(bool own_front);

/* 0: everything was done. */
int blkd(const char *program);
int blkd_saved(const char *program);
int blkd_nbd(const char *program);
int handover(const char *program);
int netd(const char *program);
int controld(const char *program);
/* @own_front: under the tight filter; otherwise under a foreign front-end. */
int fsd(const char *program, bool own_front, bool read_write);
int fsd_saved(const char *program);

#endif
