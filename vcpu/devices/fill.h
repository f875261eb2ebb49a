/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input for the guest: bytes of ours into the buffers of a receive queue. */
#ifndef VCPU_FILL_H
#define VCPU_FILL_H

#include "common/vring.h"

/*
 * Copy @buf, of @len bytes, into the chains that the driver offers in @vq, at most @vq->size of them, so that a driver
 * that adds chains without end cannot hold up the caller. A chain without a writable buffer is a fault of the guest
 * (virtio 1.2, clause 5.3.6). Where the queue runs empty, kicks are switched on. Sets *@used if a chain was used: the
 * caller then calls vq_publish(). Returns the number of bytes that were copied.
 */
size_t fill_queue(struct vq *vq, const uint8_t *buf, size_t len, bool *used);

#endif
