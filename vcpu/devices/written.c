/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log of pages that this process writes: see written.h. Runs in the vCPU process, under the device lock. */
#include "vcpu/devices/written.h"

#define PAGE_BITS 12

static const struct guest_mem *memory; /* NULL: nothing is recorded */
static uint64_t *const *bitmap;

void written_start(const struct guest_mem *mem, uint64_t *const bits[SHM_MAX_REGIONS])
{
	memory = mem;
	bitmap = bits;
}

void written_mark(const void *p, size_t len)
{
	for (unsigned i = 0; memory && len && i < memory->nregions; i++) {
		const struct shm_region *r = &memory->r[i];
		uint64_t off = (uint64_t)((uintptr_t)p - (uintptr_t)r->hva);

		if ((uintptr_t)p < (uintptr_t)r->hva || !range_ok(off, len, r->size))
			continue;
		for (uint64_t page = off >> PAGE_BITS; page <= (off + len - 1) >> PAGE_BITS; page++)
			bitmap[i][page / 64] |= BIT64(page % 64);
		return;
	}
}

void written_mark_iov(const struct iovec *iov, unsigned n, size_t len)
{
	for (unsigned i = 0; i < n && len; i++) {
		size_t some = MIN(len, iov[i].iov_len);

		written_mark(iov[i].iov_base, some);
		len -= some;
	}
}

/* 2.7.8: flags, index, the elements, and behind them the index at which the driver shall kick. */
void written_mark_ring(const struct vq *vq)
{
	if (vq->running)
		written_mark(vq->used, 3 * sizeof(uint16_t) + vq->size * sizeof(struct vring_used_elem));
}
