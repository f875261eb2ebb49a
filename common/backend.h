/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop that netd and blkd share: one vhost-user connection, its queues, and
 * one epoll set. The device gives a table of functions; everything that the
 * front-end says is judged here, before the device sees any of it.
 *
 * Two phases. *Open*: memory and eventfds may be handed over (messages carry
 * descriptors). *Sealed* (only under our own front-end, see backend_config.own_front):
 * from the moment the first ring starts no message can carry a descriptor any more,
 * and the tight filter is on. A foreign front-end (QEMU) keeps the back-end open.
 */
#ifndef COMMON_BACKEND_H
#define COMMON_BACKEND_H

#include "fdtab.h"
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

	/* The driver's features are final (ring features included in @features); called before any queue_start. */
	void (*set_features)(struct backend *be, uint64_t features);
	/*
	 * A ring has started / is about to stop. queue_stop must leave nothing in
	 * flight: it completes or drops what it has, so that GET_VRING_BASE is exact.
	 */
	void (*queue_start)(struct backend *be, struct vq *vq);
	void (*queue_stop)(struct backend *be, struct vq *vq);
	/*
	 * Work on @vq, at most @budget chains. Returns true if it stopped for the
	 * budget's sake and wants to be called again soon. Kicks are switched off
	 * while it works; the loop switches them on and looks again.
	 */
	bool (*queue_work)(struct backend *be, struct vq *vq, unsigned budget);
	/* A descriptor of the device's own (tap, ring eventfd, timer) is ready. Returns true to be called again soon. */
	bool (*fd_ready)(struct backend *be, int fd, uint32_t events);
	/* Device configuration space; @len bytes at @off, already inside config_len. set: false if refused. */
	unsigned config_len;
	void (*get_config)(struct backend *be, unsigned off, void *buf, unsigned len);
	bool (*set_config)(struct backend *be, unsigned off, const void *buf, unsigned len);
	/* RESET_DEVICE, or status 0: device state back to what it was at start. May be NULL. */
	void (*reset)(struct backend *be);
};

struct backend_config {
	const struct backend_ops *ops;
	void *device;
	const char *device_name; /* "blk0" */
	unsigned max_queues;
	uint64_t features;	/* the subset of ops->features that this instance offers */
	struct shm_policy memory;
	bool own_front;	  /* memory and eventfds come once: seal when the first ring starts */
	bool kill_on_fault; /* --on-fault=kill is the supervisor's: the loop only reports */
	/* Called once, when sealing: the tight filter goes on here. */
	void (*seal)(struct backend *be);
	unsigned poll_us; /* adaptive busy-poll: how long to look at rings before sleeping; 0 off */
};

struct backend {
	struct backend_config c;
	struct guest_mem mem;
	struct vq vq[MAX_QUEUES];
	struct stats stats;
	uint64_t acked_features, protocol_features;
	bool sealed, features_set, owner_set, quit;
	uint8_t status;
	/* private to backend.c */
	struct vhu_rx rx;
	struct {
		uint16_t num, base;
		struct vhu_vring_addr addr;
		bool have_addr, have_kick, have_call, have_err, want_work;
	} ring[MAX_QUEUES];
};

/*
 * Run on the connected socket HFD_FRONT until the front-end goes or the
 * supervisor says stop. Makes HFD_EPOLL. Returns the process's exit status.
 * Descriptors of the device are watched with backend_watch() before or in it.
 */
int backend_run(struct backend *be, const struct backend_config *c);
/* Call before the filter is on: everything backend_run() needs from the kernel (epoll). 0 or -1 with errno. */
int backend_prepare(struct backend *be, const struct backend_config *c);
int backend_watch(struct backend *be, int fd, uint32_t epoll_events);

/* For the device: publish what was pushed on @vq and call the driver if it wants that. */
void backend_flush(struct backend *be, struct vq *vq);
/* A chain of @vq is done: vq_push(). Publishing is batched until backend_flush(). */
static inline bool backend_has(const struct backend *be, unsigned bit)
{
	return (be->acked_features >> bit) & 1;
}

#endif
