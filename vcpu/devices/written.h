/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records which pages of guest memory this process itself has written, for its own devices:
 * KVM's log of dirty pages does not contain these. Runs in the vCPU process, under the
 * engine's device lock. Without written_start() the functions do nothing.
 */
#ifndef VCPU_WRITTEN_H
#define VCPU_WRITTEN_H

#include "common/vring.h"

/*
 * Record from now on. @bits: for each region of @mem a bitmap with one bit for each page; the caller reads and clears
 * them. Both must stay valid.
 */
void written_start(const struct guest_mem *mem, uint64_t *const bits[SHM_MAX_REGIONS]);
/* The device is about to write, or has written, @len bytes at @p, which lie in one region. */
void written_mark(const void *p, size_t len);
/* The same for the first @len bytes of the buffers @iov. */
void written_mark_iov(const struct iovec *iov, unsigned n, size_t len);
/* The same for the used ring of a queue that runs, and what else of its rings the device writes. */
void written_mark_ring(const struct vq *vq);

#endif
