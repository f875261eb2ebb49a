/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop that netd and blkd share: one vhost-user connection, its queues, and
 * one epoll set. The device gives a table of functions; everything that the
 * front-end says is judged here, before the device sees any of it.
 *
 * Two phases. *Open*: memory and eventfds may be handed over (messages carry
 * descriptors). *Sealed* (only under our own front-end, see backend_config.own_front):
 * from the moment the first ring starts no message can carry a descriptor any more,
 * and the tight filter is on: from then on the loop itself needs epoll_pwait,
 * write, read, recvmsg, sendmsg and exit_group alone. A foreign front-end
 * (QEMU) keeps the back-end open.
 */
#ifndef COMMON_BACKEND_H
#define COMMON_BACKEND_H

#include "fdtab.h"
#include "inflight.h"
#include "shm.h"
#include "stats.h"
#include "vhost_user.h"
#include "vring.h"

struct backend;

/* How much one wake-up may do for one queue before the next one has its turn. */
#define BACKEND_CHAIN_BUDGET 128

struct backend_ops {
	const char *name;	    /* "blk", "net": used in lines */
	uint64_t features;	    /* device features; ring features are added by the loop */
	uint64_t protocol_features; /* beyond those of the loop */

	/*
	 * The driver's features (ring features included in @features); called while no
	 * ring runs, perhaps more than once.
	 */
	void (*set_features)(struct backend *be, uint64_t features);
	/*
	 * A ring has started / is about to stop. queue_stop must leave nothing in
	 * flight: it completes or drops what it has, so that GET_VRING_BASE is exact.
	 * After a fault vq->running is already false, and vq_push() only forgets.
	 * A ring that the front-end disables is stopped, and started again where it was.
	 */
	void (*queue_start)(struct backend *be, struct vq *vq);
	void (*queue_stop)(struct backend *be, struct vq *vq);
	/*
	 * Work on @vq, at most @budget chains. Returns true if it stopped for the
	 * budget's sake and wants to be called again soon. Kicks are switched off
	 * while it works; the loop switches them on and looks again, unless the
	 * device has set vq->quiet.
	 */
	bool (*queue_work)(struct backend *be, struct vq *vq, unsigned budget);
	/*
	 * A descriptor of the device's own (tap, ring eventfd, timer) is ready.
	 * Returns true to be called again soon (with @events 0).
	 */
	bool (*fd_ready)(struct backend *be, int fd, uint32_t events);
	/*
	 * Device configuration space; @len bytes at @off, already inside config_len.
	 * set: false if refused.
	 */
	unsigned config_len;
	void (*get_config)(struct backend *be, unsigned off, void *buf, unsigned len);
	bool (*set_config)(struct backend *be, unsigned off, const void *buf, unsigned len);
	/* RESET_DEVICE, or status 0: device state back to what it was at start. May be NULL. */
	void (*reset)(struct backend *be);
	/*
	 * While busy-polling: serve what has come without a descriptor to say so.
	 * True if there was something. May be NULL.
	 */
	bool (*poll)(struct backend *be);
};

struct backend_config {
	const struct backend_ops *ops;
	void *device;
	const char *device_name; /* "blk0" */
	unsigned max_queues;
	uint64_t features;		/* the subset of ops->features that this instance offers */
	uint64_t protocol_features_off; /* of the loop's and the device's, those that this instance does not offer */
	struct shm_policy memory;
	bool own_front; /* memory and eventfds come once: seal when the first ring starts */
	/*
	 * How many processes served this device before. Not 0: rings go on where their
	 * used ring is, and the driver is called once when they start. Under our own
	 * front-end, whose connection outlived those processes, the loop then first says
	 * VHU_RESUME with this number, and looks at nothing that is said before the
	 * front-end has said the same.
	 */
	uint32_t generation;
	/* Called once, when sealing: the tight filter goes on here. May be NULL. */
	void (*seal)(struct backend *be);
	unsigned poll_us; /* adaptive busy-poll: how long to look at rings before sleeping; 0 off */
};

struct backend {
	struct backend_config c;
	struct guest_mem mem;
	struct vq vq[MAX_QUEUES];
	/* Kicks, calls, faults, messages, polls are the loop's; the rest is the device's. */
	struct stats stats;
	uint64_t acked_features, protocol_features;
	bool sealed, features_set, owner_set;
	/*
	 * The device's: the host's kernel works for us, perhaps on our own processor, and
	 * will say so by a descriptor. Then the loop sleeps instead of polling.
	 */
	bool host_busy;
	bool quit; /* the supervisor said stop, or went away: do not accept again */
	uint8_t status;

	/* Private to backend*.c. */
	bool have_epoll, have_ctl, gone;
	bool awaiting_resume;
	bool own_inflight; /* the area was the supervisor's gift, not the front-end's */
	int exit_status;
	unsigned turn;			       /* the queue that is served first */
	uint64_t again[(HFD_LIMIT + 63) / 64]; /* descriptors whose fd_ready() wants to be called again */
	bool polling;
	bool slept_busy;		/* the last sleep was for the host's work, not the driver's */
	uint8_t poll_misses, poll_hits; /* polls in vain, in a row; those that found work */
	uint16_t poll_rests;		/* short sleeps until the next poll is worth it */
	uint64_t slept_at;
	struct vhu_rx rx;
	struct inflight_area inflight;
	struct inflight_queue inflight_queue[MAX_QUEUES];
	struct backend_ring {
		uint16_t num, base;
		struct vhu_vring_addr addr;
		bool have_addr, have_kick, have_call, have_err;
		bool enable;  /* SET_VRING_ENABLE 1 */
		bool started; /* queue_start() without its queue_stop() yet */
		bool faulted; /* stays stopped until GET_VRING_BASE or a reset */
		bool want_work;
	} ring[MAX_QUEUES];
};

/*
 * Before the filter is on: makes HFD_EPOLL and watches HFD_CTL, if that is a
 * socket. The device's own descriptors are watched after it. 0 or -1 with errno.
 */
int backend_prepare(struct backend *be, const struct backend_config *c);
/*
 * Watch a descriptor of the device for the life of the process:
 * ops->fd_ready(). 0 or -1 with errno.
 */
int backend_watch(struct backend *be, int fd, uint32_t epoll_events);
/*
 * After backend_prepare(), before the filter: the area at HFD_INFLIGHT, for every
 * queue of up to INFLIGHT_MAX_SIZE entries, is the one that survives this process.
 * False if it is not fit. The front-end is then not offered one of its own.
 */
bool backend_keep_inflight(struct backend *be);
/* A word of the device's own in that area, 0 at first, that its successor finds; NULL: there is no area. */
uint64_t *backend_note(struct backend *be);
/*
 * Wait for a front-end on HFD_LISTEN and put its connection on HFD_FRONT. 0 or -1
 * with errno; ECANCELED: the supervisor said stop, or went away (@be->quit).
 */
int backend_accept(struct backend *be);
/*
 * Serve the connected socket HFD_FRONT until the front-end goes or the
 * supervisor says stop. Returns the exit status: 0, or 1 if the connection broke
 * the protocol beyond repair. Unless it was sealed, everything that the
 * front-end gave is given back, HFD_FRONT is closed, and it can be called again
 * after backend_accept(); @be->quit says not to.
 */
int backend_run(struct backend *be);

/* For the device: publish what was pushed on @vq and call the driver if it wants that. */
void backend_flush(struct backend *be, struct vq *vq);
/* For the device: call queue_work() for @vq soon, as if it had been kicked. */
void backend_wake(struct backend *be, struct vq *vq);

static inline bool backend_has(const struct backend *be, unsigned bit)
{
	return (be->acked_features >> bit) & 1;
}

#endif
