/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device side of split virtqueues (virtio 1.2, clause 2.7). A driver puts a request
 * into a queue as a *chain* of descriptors, each of which names a buffer in guest memory.
 * vq_pop() takes the next chain and judges it; vq_push() and vq_publish() return it.
 * All descriptors of all devices are judged here: see "Rings" in docs/architecture.md.
 *
 * Nothing here does I/O, logs or allocates. Each field in guest memory is read once, into
 * a local variable, and judged there.
 */
#ifndef COMMON_VRING_H
#define COMMON_VRING_H

#include <linux/virtio_ring.h>
#include <sys/uio.h>

#include "common/dirty.h"
#include "common/fault.h"
#include "common/shm.h"
#include "common/util.h"

/* Largest queue size that is accepted. A power of two, at most IOV_MAX. */
#define VQ_MAX_SIZE 1024

struct inflight_queue;

/* One queue. vq_start() sets size and addresses; they are never read again from shared memory. */
struct vq {
	unsigned index;	  /* Number of the queue in its device */
	const char *name; /* Name of the device for messages: "blk0" */
	uint16_t size;	  /* Entries: a power of two, at most VQ_MAX_SIZE */
	bool running;	  /* vq_start() succeeded, and neither a fault nor vq_stop() came since */
	bool enabled;	  /* SET_VRING_ENABLE, or queue_enable of virtio-pci */
	bool event_idx, indirect;
	bool broken; /* guest_fault() was called since vq_start() */

	struct vring_desc *desc;   /* Guest memory: the guest can change it at any time */
	struct vring_avail *avail; /* The same */
	struct vring_used *used;   /* The same */
	const struct guest_mem *mem;

	uint16_t last_avail;  /* Index of the next entry of the available ring to take */
	uint16_t avail_seen;  /* avail->idx when it was last read and judged */
	uint16_t next_used;   /* Private copy of used->idx, including chains not yet published */
	uint16_t published;   /* Value last written to used->idx */
	uint16_t signalled;   /* used->idx when vq_wants_call() last decided */
	bool signalled_valid; /* signalled is set since vq_start() */
	uint16_t in_flight;   /* Chains popped and not yet pushed */
	bool kicks_off;	      /* vq_disable_kicks() was called last */
	/*
	 * The device does not need chains now (a receive queue that has buffers): the
	 * loop leaves kicks disabled until the device clears this.
	 */
	bool quiet;
	struct inflight_queue *inflight; /* common/inflight.h; NULL: not tracked */

	/*
	 * Logs of written pages (common/dirty.h): for the buffers of chains, and for the used ring, which is logged at
	 * the guest physical address used_gpa. NULL: not logged. The owner sets them after vq_start().
	 */
	const struct dirty_log *log, *used_log;
	uint64_t used_gpa;

	void (*on_fault)(struct vq *vq, enum guest_fault f, uint64_t detail);
	void *owner; /* For the device's own use */

	uint64_t n_new; /* Chains taken from the available ring since vq_start(), minus those given back */
	uint64_t n_chains, n_calls, n_calls_suppressed, n_faults;
};

/* Parameters of vq_start(), as the front-end or driver sent them: not checked yet. */
struct vq_setup {
	uint16_t size;
	uint16_t last_avail;
	uint64_t desc, avail, used;
	bool addresses_are_uva; /* True: addresses of the front-end (vhost-user); false: guest physical */
	bool event_idx, indirect;
};

enum vq_start_error {
	VQ_START_OK,
	VQ_START_SIZE,	/* Size is 0, not a power of two, or larger than VQ_MAX_SIZE */
	VQ_START_DESC,	/* Descriptor table outside guest memory or not aligned to 16 bytes (2.7) */
	VQ_START_AVAIL, /* Available ring outside guest memory or not aligned to 2 bytes */
	VQ_START_USED,	/* Used ring outside guest memory or not aligned to 4 bytes */
};

/*
 * Validate @s and start the queue. The next used index is read from used->idx, as the
 * vhost-user specification demands. @mem must stay mapped until vq_stop().
 */
enum vq_start_error vq_start(struct vq *vq, const struct guest_mem *mem, const struct vq_setup *s);
/* Stop the queue and drop its pointers into guest memory. */
void vq_stop(struct vq *vq);

/* A judged chain. Its buffers are in a list: first @nout that the device reads, then @nin that it writes. */
struct vq_chain {
	uint16_t head; /* Index of its first descriptor, for vq_push() */
	uint16_t nout, nin;
	uint32_t out_len, in_len; /* Total bytes of the two kinds */
};

enum vq_pop { VQ_POP_CHAIN, VQ_POP_EMPTY, VQ_POP_FAULT };

/*
 * Follow the chain that begins at descriptor @head, judge each descriptor, and store its
 * buffers in @iov, at most @cap entries. Reads no descriptor twice. Accepts at most
 * vq->size buffers, direct and indirect together; a descriptor that points to an indirect
 * table does not count. A buffer that crosses from one region of guest memory into the
 * next one becomes two entries. Returns FAULT_NONE or the reason; *@detail: the invalid
 * value. Has no side effects on @vq.
 */
enum guest_fault vq_walk(const struct vq *vq, uint16_t head, struct iovec *iov, unsigned cap, struct vq_chain *out,
			 uint64_t *detail);

/*
 * Take the next available chain and judge it, as vq_walk() does. VQ_POP_FAULT: the chain
 * is invalid, guest_fault() was called and the queue has stopped.
 */
enum vq_pop vq_pop(struct vq *vq, struct iovec *iov, unsigned cap, struct vq_chain *out);
/* Number of chains that vq_pop() can take without a look at the ring's index: at least so many are available. */
static inline unsigned vq_known(const struct vq *vq)
{
	return (uint16_t)(vq->avail_seen - vq->last_avail);
}
/*
 * Undo the last @n calls of vq_pop(), for a receive queue with too few buffers for a
 * frame. None of these chains may have been pushed.
 */
void vq_unpop(struct vq *vq, unsigned n);

/*
 * Put a chain on the used ring; the driver sees it after vq_publish(). @written: bytes
 * that the device wrote into its buffers. After a fault or vq_stop() it drops the chain.
 */
void vq_push(struct vq *vq, uint16_t head, uint32_t written);
/*
 * The device has written, or may have written, bytes [off, off + len) of the @n entries of @iov, which vq_pop() has
 * stored: log their pages if the front-end asked for that. Call it after each write, and before vq_push(). Causes a
 * fault if the log does not cover a page.
 */
void vq_log(struct vq *vq, const struct iovec *iov, unsigned n, size_t off, size_t len);
static inline void vq_wrote(struct vq *vq, const struct iovec *iov, unsigned n, size_t off, size_t len)
{
	if (__builtin_expect(vq->log != NULL, 0))
		vq_log(vq, iov, n, off, len);
}
/* Publish all chains pushed so far with one store to used->idx. False if there were none. */
bool vq_publish(struct vq *vq);
/* After vq_publish(): true if the driver wants an interrupt (2.7.7.2, 2.7.10). Counts both results. */
bool vq_wants_call(struct vq *vq);

/*
 * Ask the driver to send kicks, or not to (2.7.10.1). vq_enable_kicks() returns true if
 * chains have arrived that vq_pop() has not seen: continue working, because the driver
 * may not have kicked for them.
 */
bool vq_enable_kicks(struct vq *vq);
void vq_disable_kicks(struct vq *vq);
/* True if the driver has added chains since avail->idx was last judged. Only reads. */
bool vq_has_news(const struct vq *vq);

#endif
