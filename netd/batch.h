/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends many small frames of the guest to a tap, or reads many from it, with one system call. netd does both on
 * private copies through an io_uring, which is created and restricted before confinement: it only reads and writes, and
 * only the taps (and the control channel). Without an io_uring (its host has none, a capture, a rate limit, passt), and
 * for a few frames at a time, each frame is one read or write.
 */
#ifndef NETD_BATCH_H
#define NETD_BATCH_H

#include "common/ring.h"
#include "netd/netd.h"

/* Most frames of a batch: a power of two. */
#define BATCH_MAX 32
/* For fewer frames, io_uring_enter(2) costs more than as many calls of read(2) or write(2). */
#define BATCH_WORTH 4
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

/* True if many frames can be read with one call. Not while frames that were read so wait for buffers of the guest. */
bool batch_can_read(void);
/*
 * Read up to @n frames, at most BATCH_MAX, from the tap of @p; batch_can_read() is true. got[i]: the bytes of frame i,
 * which is in batch_frame(i), with its header of @hdr bytes; or -errno: -EAGAIN if the tap was empty, -ECANCELED if
 * nothing was read. No read is in flight afterwards.
 */
void batch_read(const struct net_pair *p, unsigned hdr, unsigned n, int *got);
/* Where batch_read() puts frame @i. The caller sets its field full if the guest shall have it. */
struct held_frame *batch_frame(unsigned i);
/* The oldest frame that was read for @p and is full; NULL if there is none. */
struct held_frame *batch_waiting(const struct net_pair *p);
/* Drop the frames that were read for @p and wait. */
void batch_forget(const struct net_pair *p);

#endif
