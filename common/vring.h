/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues as the device sees them (virtio 1.2, clause 2.7), and the
 * walker of descriptor chains. Nothing here does I/O, logs or allocates, and
 * nothing believes the guest: see the rules in docs/architecture.md, "Rings".
 *
 * Every field in guest memory is read once, into a local, and judged there.
 */
#ifndef COMMON_VRING_H
#define COMMON_VRING_H

#include <linux/virtio_ring.h>
#include <sys/uio.h>

#include "fault.h"
#include "shm.h"
#include "util.h"

/* Largest queue that is accepted. A power of two, and no more than IOV_MAX. */
#define VQ_MAX_SIZE 1024

struct inflight_queue;

/* Set up by vq_start(), fixed until vq_stop(): geometry is never read again from shared state. */
struct vq {
	unsigned index;	  /* of its device */
	const char *name; /* device, for lines: "blk0" */
	uint16_t size;	  /* power of two, <= VQ_MAX_SIZE */
	bool running;	  /* vq_start() succeeded, no fault, not stopped */
	bool enabled;	  /* SET_VRING_ENABLE, or the transport's queue_enable */
	bool event_idx, indirect;
	bool broken; /* guest_fault() was called; until the next vq_start() */

	struct vring_desc *desc; /* shared with the guest, as are the next two */
	struct vring_avail *avail;
	struct vring_used *used;
	const struct guest_mem *mem;

	uint16_t last_avail; /* next entry of avail to take */
	uint16_t avail_seen; /* avail->idx when it was last read and judged */
	uint16_t next_used;  /* our own used->idx, with what is not published yet; never read back */
	uint16_t published;  /* what used->idx was set to */
	uint16_t signalled;  /* next_used at the last call that was made or judged */
	bool signalled_valid;
	uint16_t in_flight; /* popped, not yet pushed */
	bool kicks_off;	    /* as the driver was last told */
	/*
	 * The device is not waiting for chains on this queue (a receive queue that
	 * has buffers): the loop leaves kicks off until the device clears it.
	 */
	bool quiet;
	struct inflight_queue *inflight; /* common/inflight.h; NULL: not tracked */

	void (*on_fault)(struct vq *vq, enum guest_fault f, uint64_t detail);
	void *owner; /* the device's */

	uint64_t n_new; /* chains taken from the available ring since vq_start(), less those given back */
	uint64_t n_chains, n_calls, n_calls_suppressed, n_faults;
};

/* What a queue starts from; addresses are already pointers, checked by vq_start(). */
struct vq_setup {
	uint16_t size;
	uint16_t last_avail;
	uint64_t desc, avail, used;
	bool addresses_are_uva; /* vhost-user: front-end addresses; transports: guest physical */
	bool event_idx, indirect;
};

enum vq_start_error {
	VQ_START_OK,
	VQ_START_SIZE,	/* 0, not a power of two, or over VQ_MAX_SIZE */
	VQ_START_DESC,	/* out of memory or not 16-aligned (2.7: each part on its own) */
	VQ_START_AVAIL, /* out of memory or not 2-aligned */
	VQ_START_USED,	/* out of memory or not 4-aligned */
};

/* next_used is taken over from used->idx, as the vhost-user specification has it. */
enum vq_start_error vq_start(struct vq *vq, const struct guest_mem *mem, const struct vq_setup *s);
void vq_stop(struct vq *vq);

/* One chain, judged: the first nout entries of iov are readable, the next nin writable. */
struct vq_chain {
	uint16_t head;
	uint16_t nout, nin;
	uint32_t out_len, in_len; /* bytes */
};

enum vq_pop { VQ_POP_CHAIN, VQ_POP_EMPTY, VQ_POP_FAULT };

/*
 * The walker: a pure function of what it reads. Follows the chain at @head,
 * fills at most @cap entries of @iov, never writes past them, reads no
 * descriptor twice, takes at most vq->size buffers (direct and indirect
 * together; the one that points at an indirect table is not a buffer). Returns
 * FAULT_NONE or the reason; *@detail is the value at fault.
 * A buffer that crosses from one region into an adjacent one is split.
 */
enum guest_fault vq_walk(const struct vq *vq, uint16_t head, struct iovec *iov, unsigned cap, struct vq_chain *out,
			 uint64_t *detail);

/* Take the next available chain. On VQ_POP_FAULT guest_fault() has been called. */
enum vq_pop vq_pop(struct vq *vq, struct iovec *iov, unsigned cap, struct vq_chain *out);
/*
 * Give the last @n popped chains back unread (receive queues that run out of
 * room): the ones popped last, none of them pushed.
 */
void vq_unpop(struct vq *vq, unsigned n);

/*
 * Put a chain on the used ring without publishing it; @written: bytes written
 * into it. After a fault or a stop it only forgets the chain.
 */
void vq_push(struct vq *vq, uint16_t head, uint32_t written);
/* Publish everything pushed so far: one store to used->idx. False if there was nothing. */
bool vq_publish(struct vq *vq);
/* After vq_publish(): does the driver want a call? (2.7.7.2, 2.7.10; counts both answers) */
bool vq_wants_call(struct vq *vq);

/*
 * Ask the driver for kicks, or not (2.7.10.1). vq_enable_kicks() returns true
 * if chains came in that vq_pop() has not seen: then work on, a kick may have
 * been missed.
 */
bool vq_enable_kicks(struct vq *vq);
void vq_disable_kicks(struct vq *vq);
/* Has the driver added chains since avail->idx was last judged? One read, nothing written. */
bool vq_has_news(const struct vq *vq);

/* Copy between iovecs and a flat buffer; returns the bytes copied. Skips @off bytes first. */
size_t iov_to_buf(const struct iovec *iov, unsigned n, size_t off, void *buf, size_t len);
size_t iov_from_buf(const struct iovec *iov, unsigned n, size_t off, const void *buf, size_t len);
/*
 * The part [off, off + len) of @iov as a new list of at most @cap; returns its
 * count, or -1 if it does not fit or is not all there.
 */
int iov_slice(const struct iovec *iov, unsigned n, size_t off, size_t len, struct iovec *to, unsigned cap);

#endif
