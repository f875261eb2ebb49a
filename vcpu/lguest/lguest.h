/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interface between the files of vcpu/lguest/. All of it runs in the vCPU process.
 *
 * There are two threads. The main thread is the vCPU: it sends INITIALIZE, runs the guest
 * by reading /dev/lguest, and emulates what the guest asks for. The host's kernel keeps a
 * pointer to this thread without a reference count. That is safe, because the first thread
 * of a process outlives all others, and no other process has the descriptor. The second
 * thread (events.c) waits for everything else: call eventfds of netd and blkd, which become
 * interrupts (but see wait.c), console input, the supervisor. lguest.lock (the device lock)
 * protects all state of devices.
 *
 * /dev/lguest has two dialects (drivers/lguest/lguest_user.c):
 *   PAGE  Linux 3.5 to 3.19: devices in a page above guest RAM, legacy virtio;
 *   PCI   Linux 4.0 to 4.13: virtio 1.0 on a PCI bus, accesses emulated here.
 */
#ifndef VCPU_LGUEST_H
#define VCPU_LGUEST_H

#include <pthread.h>
#include <semaphore.h>

#include "vcpu/devices/devices.h"
#include "vcpu/devices/own.h"
#include "vcpu/engine.h"
#include "vcpu/lguest/page.h"
#include "vcpu/load/load.h"

#define LGUEST_PAGE_SIZE 4096u
#define LGUEST_IRQS	 32 /* IRQ 0 is the guest's clock, which the host's kernel raises */

enum lguest_dialect { LGUEST_PAGE, LGUEST_PCI };

/* After this many kicks in a row with only one request in flight, the vCPU thread waits for answers. */
#define LGUEST_WAIT_ALONE 16
/* After this many waits, it stops waiting, to find out whether there is still only one request. */
#define LGUEST_WAITS_MAX 4096

/* State of a disk's only queue, for wait.c. */
struct lguest_wait {
	uint64_t avail_at, used_at;	 /* Guest-physical addresses of the two rings below */
	const struct vring_avail *avail; /* In guest memory; NULL: they cannot be read */
	const struct vring_used *used;	 /* The same */
	uint16_t size;			 /* Entries */
	bool waited;			 /* The vCPU thread waits: its call eventfd is in VFD_WAIT */
	unsigned alone;			 /* Kicks in a row with only one request in flight */
	unsigned waits;			 /* Kicks since @waited was set */
	unsigned rest;			 /* Kicks left that are not waited for */
	unsigned misses;		 /* Answers in a row that took too long */
};

struct lguest {
	struct vm *vm;
	enum lguest_dialect dialect;
	struct devices devices;
	struct load_result load;
	uint64_t ram;	     /* PAGE dialect: bytes of RAM that the guest may use */
	uint64_t window_end; /* PCI dialect: addresses of BARs are [mem_bytes, window_end) */
	struct lguest_page page;

	pthread_mutex_t lock;
	pthread_t helper; /* The second thread */
	sem_t confined;	  /* Posted by it after it has installed its filter, or failed to */
	sem_t start;	  /* Posted when it may serve the devices */
	int filter_error; /* Errno if it could not install its filter; otherwise 0 */

	struct lguest_wait wait[DEVICES_MAX]; /* Indexed by device */
	uint32_t *flag;			      /* The guest's irq_pending, once it was found (flag.c) */
	uint64_t flag_next;		      /* Number of the exit at which it is searched next */
	unsigned flag_pause;		      /* Milliseconds between two checks; used by the second thread */
};

#endif
