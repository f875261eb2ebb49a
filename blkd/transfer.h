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

#endif
