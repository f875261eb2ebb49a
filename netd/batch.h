/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends many small frames of the guest to a tap with one system call. netd writes frames that
 * it has copied and checked through an io_uring, which is created and restricted before
 * confinement: it only writes, and only to the taps (and the control channel). Without an io_uring (its host has none,
 * a capture, a rate limit, passt), and for a few frames at a time, each frame is one write(2).
 */
#ifndef NETD_BATCH_H
#define NETD_BATCH_H

#include "common/ring.h"
#include "netd/netd.h"

/* Most frames of a batch: a power of two. */
#define BATCH_MAX 32
/* Frames up to this many bytes are copied whole. */
#define TX_WHOLE 1600

/* The private copy of a frame or of its first bytes, as the tap gets it. */
struct frame_copy {
	struct virtio_net_hdr_mrg_rxbuf hdr;
	uint8_t frame[TX_WHOLE];
};

/*
 * Create the io_uring for the taps at HFD_TAP0 and above, @pairs of them. If HFD_CTL is a
 * socket, the io_uring keeps it: the supervisor sees it closed only when the io_uring of a
 * dead netd has released the taps too. Before confinement. Returns 0 or -errno.
 */
int batch_open(unsigned pairs);
/* Seal the mappings of the io_uring (sandbox_mseal()). */
void batch_mseal(void);
/* True if there is an io_uring, and it works. */
bool batch_works(void);

/* The io_uring; only netd/batch.c and tests use it. */
extern struct ring batch_ring;

/* Where the copy of the next frame goes. */
struct frame_copy *batch_next(void);
/* Add the chain @head to the batch, which has room. Its frame is the @len bytes at @at, in batch_next(). */
void batch_add(uint16_t head, const void *at, size_t len);
/*
 * Send the frames to the tap of @p and push their chains. If the tap is full, gives back the
 * chains of those that it has not taken, and the @later chains that were popped after them
 * and not pushed; sets p->tap_full, and returns false.
 */
bool batch_send(struct backend *be, struct net_pair *p, struct vq *vq, unsigned later);

#endif
