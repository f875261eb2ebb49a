/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of the guest. */
#ifndef FSD_REQUEST_H
#define FSD_REQUEST_H

#include "fsd/fsd.h"

/*
 * Check the form of the request in r->chain, whose buffers vq_pop() has stored in r->iov, and copy it. Returns
 * FAULT_NONE or the reason for guest_fault().
 */
enum guest_fault fsd_judge(struct fs_req *r);
/* True if a judged request changes a file, so that it may wait for the host's disk: FSYNC for seconds. */
bool fsd_may_wait(const struct fs_req *r);
/*
 * Execute a judged request and write its reply into the chain. Returns the number of bytes written: 0 for requests
 * without reply (FORGET).
 */
uint32_t fsd_execute(struct fsd *d, struct fs_req *r);

#endif
