/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Executes checked requests. Called by device.c. */
#ifndef BLKD_TRANSFER_H
#define BLKD_TRANSFER_H

#include "blkd/device.h"

/* Execute a request that blk_judge() accepted. On return it has finished or is in the io_uring. */
void blkd_begin(struct blkd *d, struct blk_req *r);

/*
 * Submit pushed operations, process finished ones, and wait until at most @leave operations
 * are in the io_uring.
 */
void blkd_pump(struct blkd *d, unsigned leave);

/*
 * True if the driver should be interrupted before more chains are taken. @bytes: data since the last time. Beside a
 * request that waited for the disk an interrupt costs nothing.
 */
static inline bool blkd_call_due(struct blkd *d, const struct vq *vq, uint64_t bytes)
{
	bool waited = d->waited;
	uint16_t done = (uint16_t)(vq->next_used - vq->signalled);
	uint16_t left = (uint16_t)(vq->avail_seen - vq->last_avail);

	d->waited = false;
	if (waited || done >= BLK_BATCH || bytes >= BLK_BATCH_BYTES)
		return true;
	/* A driver that has added chains since is awake. */
	return done >= BLK_AHEAD && left <= BLK_AHEAD && !vq_has_news(vq);
}

#endif
