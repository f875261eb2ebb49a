/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front-end end of a vhost-user connection: one device, behind our own
 * netd or blkd or somebody else's back-end. Runs in the vCPU process, for every
 * engine that has devices of its own (kvm, lguest).
 *
 * The back-end may have been taken over: an answer of another size, number or
 * request, or none in time, ends the connection; it never ends the guest.
 */
#ifndef VCPU_FRONT_H
#define VCPU_FRONT_H

#include "common/ctl.h"
#include "common/vhost_user.h"

/* How long an answer may take. */
#define FRONT_TIMEOUT_MS 5000

/* A ring as the driver laid it out; guest-physical addresses. */
struct front_ring {
	uint16_t size;
	uint64_t desc, avail, used;
};

struct front {
	const char *name; /* "blk0" */
	int sock;
	enum device_kind kind;
	bool foreign; /* not our own helper: eventfds are handed over at every start */
	unsigned nqueues;
	int kick[MAX_QUEUES], call[MAX_QUEUES], err; /* eventfds; stay the caller's */
	uint64_t features;			     /* what the back-end offers, of what we know */
	uint64_t protocol;
	uint8_t config[VHU_CONFIG_MAX]; /* device configuration, read at attach */
	unsigned config_len;		/* 0: the back-end has none */
	bool dead;			/* the connection is of no more use */
	bool running[MAX_QUEUES], enabled[MAX_QUEUES];
	/* What a helper that was started again is told anew. */
	bool have_features, restarted;
	uint64_t driver_features, generation;
	struct front_ring ring[MAX_QUEUES];
	const struct guest_mem *mem;
	char error[160];     /* why front_attach() failed */
	unsigned timeout_ms; /* 0: FRONT_TIMEOUT_MS */
	struct vhu_rx rx;
};

/*
 * Before the guest runs, under the start filter: negotiate, hand over memory and
 * eventfds, read the configuration. Guest-physical addresses are used as the
 * front-end's own, so that a back-end learns nothing of this process. name, sock, kind,
 * foreign, nqueues, kick, call, err and config_len (wanted) are filled in by the
 * caller; nqueues becomes what the back-end has. 0, or -1 with f->error.
 */
int front_attach(struct front *f, const struct guest_mem *mem);

/*
 * The driver's features, for all queues that start after it. Only while no
 * queue runs. False: refused or dead.
 */
bool front_features(struct front *f, uint64_t features);
bool front_start(struct front *f, unsigned q, const struct front_ring *r);
/* Without its stopping: a queue pair that the driver does not use now. */
bool front_enable(struct front *f, unsigned q, bool on);
/* Nothing of the queue is in flight afterwards. */
void front_stop(struct front *f, unsigned q);
void front_stop_all(struct front *f);
bool front_set_config(struct front *f, unsigned off, const void *buf, unsigned len);

/*
 * The connection has something to say that was not asked for: a helper that was
 * started again (VHU_RESUME) is told everything anew, and its rings go on; anything
 * else ends the connection. False: it has ended; do not watch it any more.
 */
bool front_event(struct front *f);

/* Once, before the first front_attach(): what waiting needs (VFD_REPLY). 0 or -1 with errno. */
int front_prepare(void);

#endif
