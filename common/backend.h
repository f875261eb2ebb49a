/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop of a vhost-user back-end, shared by netd and blkd: one connection
 * to a front-end, its queues and one epoll set. The device (a disk in blkd, a NIC in
 * netd) passes a table of functions. The loop validates every message of the
 * front-end before it calls one of them.
 *
 * A connection has two phases. *Open*: messages may carry descriptors (guest memory,
 * eventfds). *Sealed*: starts with the first ring, and only if the front-end is our
 * own vCPU process (backend_config.own_front). From then on the loop accepts no
 * descriptor and runs under the strict seccomp filter; it needs only epoll_pwait, write,
 * read, recvmsg, sendmsg and exit_group. A connection with a foreign front-end
 * (QEMU) stays open, because QEMU may change the memory map while rings run.
 */
#ifndef COMMON_BACKEND_H
#define COMMON_BACKEND_H

#include "common/ctl.h"
#include "common/dirty.h"
#include "common/fdtab.h"
#include "common/inflight.h"
#include "common/log.h"
#include "common/shm.h"
#include "common/stats.h"
#include "common/vhost_user.h"
#include "common/vring.h"

struct backend;

/* Chains that the loop takes from one queue before it serves the next queue. */
#define BACKEND_CHAIN_BUDGET 128

struct backend_ops {
	const char *name;	    /* "blk", "net": for log messages */
	uint64_t features;	    /* Virtio feature bits of the device; the loop adds those of rings */
	uint64_t protocol_features; /* Vhost-user protocol features, in addition to those of the loop */

	/*
	 * Called with the features that the driver accepted, ring features included. No
	 * ring runs at that time. It may be called more than once.
	 */
	void (*set_features)(struct backend *be, uint64_t features);
	/*
	 * Called after a ring has started, and before it stops. queue_stop must complete
	 * or drop every request in flight, because GET_VRING_BASE then reports where the
	 * ring stands. After a fault vq->running is already false, and vq_push() drops
	 * the chain without writing to the ring. When the front-end disables a ring, the
	 * loop stops it; when the front-end enables it, the ring continues at the same entry.
	 */
	void (*queue_start)(struct backend *be, struct vq *vq);
	void (*queue_stop)(struct backend *be, struct vq *vq);
	/*
	 * Serve at most @budget chains of @vq. Returns true if the budget ended the work,
	 * so that the loop calls again soon. Kicks are disabled meanwhile; afterwards
	 * the loop enables them and checks the ring once more, unless the device has set
	 * vq->quiet.
	 */
	bool (*queue_work)(struct backend *be, struct vq *vq, unsigned budget);
	/*
	 * A descriptor of the device (tap, eventfd of io_uring, timer) is ready. Returns
	 * true if the loop should call again soon (with @events 0).
	 */
	bool (*fd_ready)(struct backend *be, int fd, uint32_t events);
	/*
	 * Read or write @len bytes at offset @off of the virtio configuration space. The
	 * loop has checked that they lie inside config_len bytes. set_config returns false
	 * to refuse the write.
	 */
	unsigned config_len;
	void (*get_config)(struct backend *be, unsigned off, void *buf, unsigned len);
	bool (*set_config)(struct backend *be, unsigned off, const void *buf, unsigned len);
	/* RESET_DEVICE, or device status 0: restore the state of the start. May be NULL. */
	void (*reset)(struct backend *be);
	/*
	 * With backend_config.checkpoint, while all rings stand still: keep the device's state as that of a checkpoint,
	 * or with @back return to it. May be repeated, by another process as well. Returns false if that is not
	 * possible. NULL: the device has no such state.
	 */
	bool (*checkpoint)(struct backend *be, bool back);
	/*
	 * The same: write a part of the device's state to the file of --save, or with @load read it from that of --from, and
	 * set *@s for the reply. Returns false if the device has no such state. May be NULL.
	 */
	bool (*saved)(struct backend *be, bool load, struct vhu_saved *s);
	/*
	 * Called during busy polling: check for work that no descriptor reports. Returns
	 * true if there was work. May be NULL.
	 */
	bool (*poll)(struct backend *be);
	/* Called after each wait of the loop, if tick_ms is not 0, whether or not there was an event. */
	void (*tick)(struct backend *be);
};

struct backend_config {
	const struct backend_ops *ops;
	void *device;
	const char *device_name; /* "blk0" */
	unsigned max_queues;
	uint64_t features;		/* The subset of ops->features that this instance offers */
	uint64_t protocol_features_off; /* Protocol features that this instance does not offer */
	struct shm_policy memory;	/* Which descriptors the front-end may send as guest memory */
	bool own_front;			/* The front-end is our vCPU process: seal when the first ring starts */
	bool log_pages;			/* Offer to log the pages that this process writes */
	bool checkpoint;		/* Accept VHU_HOLD and VHU_GO: the guest can go back to an earlier state */
	/*
	 * How many processes served this device before this one; 2 after two crashes. If
	 * not 0, each ring continues at the index of its used ring, and the loop interrupts
	 * the driver once, in case the previous process ended before it did. The connection
	 * to our own front-end outlives the previous process: the loop first sends
	 * VHU_RESUME with this number, and drops every message until the front-end has
	 * answered with the same number.
	 */
	uint32_t generation;
	/* Called once, at sealing, to install the strict seccomp filter. May be NULL. */
	void (*seal)(struct backend *be);
	unsigned poll_us; /* Busy polling before a sleep, in microseconds; 0: off */
	unsigned tick_ms; /* Longest wait before ops->tick(), in milliseconds, at most INT_MAX; 0: never call it */
};

struct backend {
	struct backend_config c;
	struct guest_mem mem;
	struct dirty_log log; /* Written pages; the front-end's */
	struct vq vq[MAX_QUEUES];
	/* The loop counts wake-ups, kicks, calls, faults, bad messages and polls; the device counts the rest. */
	struct stats stats;
	uint64_t acked_features, protocol_features;
	bool sealed, features_set, owner_set;
	bool held;  /* Between VHU_HOLD and VHU_GO: no ring runs */
	bool going; /* VHU_GO starts rings: every interrupt of theirs was sent before they were held */
	/*
	 * Set by the device while the host's kernel processes a request, perhaps on this
	 * very processor, and will report the end through a descriptor. The loop then
	 * sleeps instead of polling.
	 */
	bool host_busy;
	bool quit; /* CTL_STOP received, or the supervisor is gone: accept no further connection */
	uint8_t status;

	/* Private to backend*.c. */
	bool have_epoll, have_ctl, gone;
	bool awaiting_resume;
	bool by_path;	      /* The front-end connects to HFD_LISTEN */
	enum ctl_front front; /* The value of the last CTL_FRONT */
	bool own_inflight;    /* The supervisor supplied the inflight area, not the front-end */
	int exit_status;
	struct log_limit bad_lines;	       /* Rate limit of log messages about rejected messages */
	const char *bad_log;		       /* Why the last END of a handler (backend_private.h) */
	unsigned turn;			       /* Index of the queue that is served first */
	uint64_t again[(HFD_LIMIT + 63) / 64]; /* Bit n: call fd_ready() for descriptor n again */
	bool polling;
	bool slept_busy;     /* host_busy was set at the last sleep */
	uint8_t poll_misses; /* Polls in a row that found no work */
	uint8_t poll_hits;   /* Polls that found work, modulo 256 */
	uint16_t poll_rests; /* Short sleeps left until the next poll */
	uint64_t slept_at;   /* Start of the last sleep, in microseconds (now_us()) */
	struct vhu_rx rx;
	struct inflight_area inflight;
	struct inflight_area lent; /* HFD_INFLIGHT mapped, for a front-end that asks for an area; base NULL: none */
	struct inflight_queue inflight_queue[MAX_QUEUES];
	struct backend_ring {
		uint16_t num, base;
		struct vhu_vring_addr addr;
		bool have_addr, have_kick, have_call, have_err;
		bool enable;	/* The last SET_VRING_ENABLE was 1 */
		bool started;	/* Between queue_start() and queue_stop() */
		bool faulted;	/* Stays stopped until GET_VRING_BASE or a reset */
		bool want_work; /* Call queue_work() in this turn of the loop */
	} ring[MAX_QUEUES];
};

/*
 * Prepare @be for its first connection; call it before the seccomp filter is
 * installed. Creates HFD_EPOLL and watches HFD_CTL, if that is a socket. A foreign
 * front-end may ask for an inflight area (common/inflight.h): unless the supervisor
 * has put one at HFD_INFLIGHT, creates it there, and does not offer the feature if
 * that fails. Call backend_watch() for the device's descriptors afterwards. Returns
 * 0, or -1 with errno set.
 */
int backend_prepare(struct backend *be, const struct backend_config *c);
/*
 * Watch a descriptor of the device until the process ends; the loop calls
 * ops->fd_ready() when one of @epoll_events is pending. Returns 0, or -1 with errno set.
 */
int backend_watch(struct backend *be, int fd, uint32_t epoll_events);
/*
 * Use the supervisor's inflight area at HFD_INFLIGHT, which outlives this process. It
 * has room for every queue, with up to INFLIGHT_MAX_SIZE entries each. Call it between
 * backend_prepare() and the seccomp filter. The front-end is then not offered an area.
 * Returns false if the descriptor does not hold such an area.
 */
bool backend_keep_inflight(struct backend *be);
/*
 * Eight bytes in the supervisor's inflight area that the device may use, 0 at first. The
 * process that replaces this one finds them as they were left. NULL: there is no area.
 */
uint64_t *backend_note(struct backend *be);
/*
 * Wait for a front-end on HFD_LISTEN and move its connection to HFD_FRONT. Returns 0, or
 * -1 with errno set; ECANCELED if the supervisor sent CTL_STOP or is gone (@be->quit).
 */
int backend_accept(struct backend *be);
/*
 * Serve the front-end at HFD_FRONT until it closes the connection or the supervisor
 * sends CTL_STOP. Returns the exit status: 0, or 1 if the front-end broke the protocol
 * so that its next message cannot be found. Unless the connection was sealed, it
 * unmaps and closes everything that the front-end sent, closes HFD_FRONT, and may be
 * called again after backend_accept(), if @be->quit is false.
 */
int backend_run(struct backend *be);

/* For the device: publish the chains pushed on @vq, and interrupt the driver if it asked for that. */
void backend_flush(struct backend *be, struct vq *vq);
/* For the device: have the loop call queue_work() for @vq soon, as after a kick. */
void backend_wake(struct backend *be, struct vq *vq);

static inline bool backend_has(const struct backend *be, unsigned bit)
{
	return (be->acked_features >> bit) & 1;
}

#endif
