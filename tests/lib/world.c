/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's memory with one queue in it. Runs in test programs only.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/world.h"

static void on_fault(struct vq *vq, enum guest_fault f, uint64_t detail)
{
	struct world *w = vq->owner;

	(void)detail;
	w->faults++;
	w->last = f;
}

struct world *world_new(void)
{
	static const uint64_t gpa[] = { A_GPA, B_GPA, C_GPA }, len[] = { A_LEN, B_LEN, C_LEN };
	struct world *w = calloc(1, sizeof(*w));

	for (unsigned i = 0; i < 3; i++) {
		w->room[i] = aligned_alloc(PAGE, len[i]);
		memset(w->room[i], 0, len[i]);
		w->mem.r[i] =
			(struct shm_region){ .gpa = gpa[i], .size = len[i], .uva = gpa[i] << 8, .hva = w->room[i] };
	}
	w->mem.nregions = 3;
	return w;
}

void world_free(struct world *w)
{
	for (unsigned i = 0; i < 3; i++)
		free(w->room[i]);
	free(w);
}

bool world_start(struct world *w, bool event_idx, bool indirect)
{
	const struct vq_setup s = { .size = WORLD_SIZE,
				    .desc = DESC,
				    .avail = AVAIL,
				    .used = USED,
				    .event_idx = event_idx,
				    .indirect = indirect };

	w->vq.on_fault = on_fault;
	w->vq.owner = w;
	w->vq.name = "test0";
	return vq_start(&w->vq, &w->mem, &s) == VQ_START_OK;
}

void world_put(struct world *w, uint64_t table, unsigned i, struct vring_desc d)
{
	memcpy((uint8_t *)shm_ptr(&w->mem, table + 16 * i, 16), &d, 16);
}

void world_offer(struct world *w, uint16_t head)
{
	w->vq.avail->ring[w->vq.avail->idx % WORLD_SIZE] = head;
	w->vq.avail->idx++;
}
