/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front-end of a vhost-user connection for one device. The back-end is our own netd,
 * blkd or fsd, or a foreign program (--vhost-user-net, --vhost-user-blk, --vhost-user-fs). Runs in the vCPU
 * process with the engines that have devices of their own (kvm, lguest).
 *
 * The back-end may be compromised: if a reply has the wrong size, request number or index,
 * the connection is closed. The device is then dead, but the guest goes on.
 *
 * A reply that does not come in time also closes the connection, with one exception: our
 * own helpers while the guest runs. The host's kernel can delay a healthy helper (netd in
 * an ioctl that waits until another program has configured the network). The helper is
 * then *late*: what the guest's driver asks for meanwhile is recorded here, and sent once
 * the helper replies.
 */
#ifndef VCPU_FRONT_H
#define VCPU_FRONT_H

#include "common/ctl.h"
#include "common/vhost_user.h"

/* How long a reply may take, in milliseconds. */
#define FRONT_TIMEOUT_MS 5000
/* How many replies of a helper may be late during one run of the guest; one more closes the connection. */
#define FRONT_LATE_MAX 8

/* A ring as the driver laid it out; guest-physical addresses. */
struct front_ring {
	uint16_t size;
	uint64_t desc, avail, used;
};

struct front {
	const char *name; /* "blk0" */
	int sock;	  /* Connected vhost-user socket, non-blocking */
	enum device_kind kind;
	bool foreign;	  /* Not our own helper: eventfds are sent at every start of a queue */
	bool used_before; /* Foreign, and it served an earlier start of the guest */
	unsigned nqueues;
	int kick[MAX_QUEUES], call[MAX_QUEUES], err;   /* Eventfds, owned by the caller */
	uint64_t features;			       /* Features that the back-end offers and that we support */
	uint64_t protocol;			       /* Protocol features in use */
	uint8_t config[VHU_CONFIG_MAX];		       /* Configuration space, read by front_attach() */
	unsigned config_len;			       /* Bytes of it; 0: the back-end has none */
	bool dead;				       /* The connection is closed for good */
	bool running[MAX_QUEUES], enabled[MAX_QUEUES]; /* State that the driver has asked for */
	bool active[MAX_QUEUES];		       /* The back-end may be using this ring */
	bool current[MAX_QUEUES];		       /* The back-end has the addresses in @ring */
	bool attached;				       /* front_attach() succeeded */
	uint32_t overdue;			       /* Request whose reply is late; 0: none */
	unsigned late;				       /* Number of late replies so far */
	/* Configuration that must still be sent to a late helper: @unsent bytes from @unsent_at on. */
	unsigned unsent, unsent_at;
	bool restarted; /* VHU_RESUME received: send everything again */
	/* With --checkpoint. */
	int log;		/* Descriptor of the log of pages that the helper writes; 0: none */
	uint64_t log_bytes;	/* Its size */
	bool held;		/* Between front_hold() and front_go() */
	uint32_t sent;		/* VHU_HOLD or VHU_GO that was sent, without its reply yet; 0: none */
	bool any_page;		/* A process of the helper may have written pages that its log does not name */
	struct vhu_rings rings; /* Where the rings stand, while @held */
	bool leaving;		/* Between front_leave() and front_renew() */
	bool renewed;		/* front_load() waits for a new process of the helper */
	/* The state that a restarted helper needs. */
	bool have_features;
	uint64_t driver_features, generation;
	struct front_ring ring[MAX_QUEUES];
	const struct guest_mem *mem;
	char error[160];     /* Why front_attach() failed */
	unsigned timeout_ms; /* 0: FRONT_TIMEOUT_MS */
	struct vhu_rx rx;
};

/*
 * Negotiate with the back-end, send guest memory and eventfds, and read the configuration
 * space; before the guest runs. The caller has set name, sock, kind, foreign, nqueues
 * (wanted), kick, call and err; nqueues becomes the number that the back-end has. Where the
 * protocol asks for addresses of the front-end, guest-physical addresses are sent, so that
 * the back-end learns nothing about the memory layout of this process. Returns 0, or -1
 * with f->error set.
 */
int front_attach(struct front *f, const struct guest_mem *mem);

/*
 * The bool functions below return true if the back-end has accepted the request, or if it
 * is late and the request was recorded; false if it was refused or the connection is closed.
 */

/* Set the features that the driver has accepted. Only while no queue runs. */
bool front_features(struct front *f, uint64_t features);
/* Start queue @q with the ring @r; enable it with front_enable(). */
bool front_start(struct front *f, unsigned q, const struct front_ring *r);
/* Enable or disable queue @q without stopping it, as for a queue pair that the driver does not use now. */
bool front_enable(struct front *f, unsigned q, bool on);
/* Stop a queue, or all. The back-end then uses none of its memory, unless front_stopping() is true. */
void front_stop(struct front *f, unsigned q);
void front_stop_all(struct front *f);
/* True if a late helper may still use the memory of a stopped queue. */
bool front_stopping(const struct front *f);
/* Write @len bytes at @off of the configuration space. */
bool front_set_config(struct front *f, unsigned off, const void *buf, unsigned len);

/*
 * Call this when the socket is readable. It may be a late reply; then everything recorded
 * meanwhile is sent. It may be VHU_RESUME of a restarted helper; then all state is sent
 * again, and its rings continue. Anything else closes the connection. Returns false if the
 * connection has ended: do not watch the socket any more.
 */
bool front_event(struct front *f);

/*
 * For checkpoints, with our own helpers that have a log. What the driver has set up, and where the rings stood.
 */
struct front_saved {
	bool running[MAX_QUEUES], enabled[MAX_QUEUES], have_features;
	uint64_t driver_features;
	struct front_ring ring[MAX_QUEUES];
	uint8_t config[VHU_CONFIG_MAX];
	struct vhu_rings rings;
};

/*
 * Make the helper finish what is in flight and stop all rings; it uses no guest memory until front_go(). Returns false
 * if it does not confirm that within the time limit.
 */
bool front_hold(struct front *f);
/*
 * Send the request of front_hold() or front_go(), which are then called next and wait for the reply. So several helpers
 * work at the same time.
 */
void front_hold_early(struct front *f);
void front_go_early(struct front *f, enum vhu_go what);
/*
 * Instead of front_hold(), for --reset=fresh: from front_leave() on, everything that the helper sends is dropped. When
 * its process has ended, and before the next one starts, front_renew() forgets what it has sent, and that it was late
 * or did not work. front_load() then waits for the next process, which it sets up as the first one was.
 */
void front_leave(struct front *f);
void front_renew(struct front *f);
/* While held: store what front_load() needs. */
void front_save(const struct front *f, struct front_saved *s);
/* While held: set up the helper as it was then. Returns false if it refuses. */
bool front_load(struct front *f, const struct front_saved *s);
/*
 * While held, for a disk that is a snapshot, or a share: let its helper write what the guest has changed, or knows and
 * has open, to the file of --save at *@at, or with @load read it from that of --from. *@at moves behind it. Returns false with f->error set.
 */
bool front_file(struct front *f, bool load, uint64_t *at);
/* Let the helper go on; @what says what becomes of its device's state. Returns false if it refuses. */
bool front_go(struct front *f, enum vhu_go what);

/* Create VFD_REPLY; once, before the first front_attach(). Returns 0, or -1 with errno set. */
int front_prepare(void);

#endif
