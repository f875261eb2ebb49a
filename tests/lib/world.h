/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's memory (two adjacent regions, a hole and a third region) with one queue in it,
 * without any process. For tests of the code that walks rings.
 */
#ifndef TESTS_LIB_WORLD_H
#define TESTS_LIB_WORLD_H

#include "common/vring.h"

#define WORLD_SIZE 8 /* of the queue */
#define PAGE	   0x1000ull
/* Two regions side by side, a hole, and a third one. */
#define A_GPA 0x10000ull
#define A_LEN (4 * PAGE)
#define B_GPA (A_GPA + A_LEN)
#define B_LEN (4 * PAGE)
#define C_GPA 0x100000ull
#define C_LEN PAGE
#define DESC  A_GPA
#define AVAIL (A_GPA + 0x400)
#define USED  (A_GPA + 0x600)
#define TABLE (A_GPA + 0x1000)
#define DATA  (A_GPA + 0x2000)

struct world {
	struct guest_mem mem;
	struct vq vq;
	uint8_t *room[3];
	unsigned faults;
	enum guest_fault last;
};

/* Each region is a separate allocation, so that a sanitizer detects an access behind its end. */
struct world *world_new(void);
void world_free(struct world *w);
/* (Re)start the queue. */
bool world_start(struct world *w, bool event_idx, bool indirect);
/* Write entry @i of the descriptor table at @table. */
void world_put(struct world *w, uint64_t table, unsigned i, struct vring_desc d);
/* Add a chain to the available ring. */
void world_offer(struct world *w, uint16_t head);

#endif
