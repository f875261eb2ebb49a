/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lguest engine's own contract, between engine_lguest.c and lguest_*.c.
 * Runs in the vCPU process.
 *
 * Two threads. The main thread is the vCPU: it issues INITIALIZE, sits in
 * pread() on /dev/lguest, and emulates what the guest asks for. The host kernel
 * keeps an uncounted pointer to it; as the process's first thread its task
 * outlives every other one, and no other process holds the descriptor. The
 * helper thread waits for everything else: calls of netd and blkd (which become
 * interrupts; a lone request's is waited for by the main thread, lguest_wait.c),
 * console input, the supervisor. Devices are touched under lguest.lock alone.
 *
 * Two dialects of the device (drivers/lguest/lguest_user.c):
 *   PAGE  Linux 3.5 to 3.19: devices in a page above guest RAM, legacy virtio;
 *   PCI   Linux 4.0 to 4.13: virtio 1.0 on a PCI bus, accesses emulated here.
 */
#ifndef VCPU_LGUEST_H
#define VCPU_LGUEST_H

#include <pthread.h>
#include <semaphore.h>

#include "vcpu/devices.h"
#include "vcpu/engine.h"
#include "vcpu/lguest_page.h"
#include "vcpu/load.h"

#define LGUEST_PAGE_SIZE 4096u
#define LGUEST_IRQS	 32 /* irq 0 is the guest's clock, raised by the host kernel */

enum lguest_dialect { LGUEST_PAGE, LGUEST_PCI };

/* Kicks in a row, each for the only request under way, before answers are waited for; */
#define LGUEST_WAIT_ALONE 16
/* and how many are, before the driver is left to itself again. */
#define LGUEST_WAITS_MAX 4096

/* A disk's one queue (lguest_wait.c). */
struct lguest_wait {
	uint64_t avail_at, used_at; /* guest-physical: where these two are: */
	const struct vring_avail *avail;
	const struct vring_used *used; /* shared with the guest */
	uint16_t size;
	bool waited;	       /* its call is in VFD_WAIT */
	unsigned alone;	       /* kicks in a row for the only request under way */
	unsigned waits;	       /* kicks since it is waited for */
	unsigned rest, misses; /* kicks that are not waited for; answers in a row that took too long */
};

struct lguest {
	struct vm *vm;
	enum lguest_dialect dialect;
	struct devices devices;
	struct load_result load;
	uint64_t ram;	     /* bytes of RAM that the guest is told of in the PAGE dialect */
	uint64_t window_end; /* PCI: BARs lie in [mem_bytes, window_end) */
	struct lguest_page page;

	pthread_mutex_t lock;
	pthread_t helper;
	sem_t confine;	  /* the helper thread may put its filter on */
	sem_t confined;	  /* it has */
	int filter_error; /* its errno, or 0 */

	struct lguest_wait wait[DEVICES_MAX]; /* by device */
	uint32_t *flag;			      /* the guest's irq_pending, once it is found (lguest_flag.c) */
	uint64_t flag_next;		      /* the exit at which it is sought */
	unsigned flag_pause;		      /* ms between two looks; the helper thread's */
};

/* The interrupt of device @v: 1 to 31, shared where there are more devices. */
unsigned lguest_line(const struct vpci *v);

/* ---- lguest_dev.c: requests to /dev/lguest (VFD_ENGINE) ---- */

/*
 * INITIALIZE with words that fit both dialects, then find out which it was from
 * what the device answers. 0; or -1 with *@why set to a sentence's end.
 */
int lguest_initialize(uintptr_t base, unsigned long pfn_limit, unsigned long entry, unsigned long device_limit,
		      enum lguest_dialect *d, const char **why);

/* Offsets of registers for GETREG and SETREG (struct user_regs_struct of i386). */
enum lguest_reg {
	LGUEST_EBX = 0,
	LGUEST_ECX = 4,
	LGUEST_EDX = 8,
	LGUEST_ESI = 12,
	LGUEST_EDI = 16,
	LGUEST_EBP = 20,
	LGUEST_EAX = 24,
	LGUEST_EIP = 48,
	LGUEST_CS = 52,
	LGUEST_ESP = 60,
};

/*
 * All return false if the guest is dead or the device refuses; the next read
 * says why. Registers and traps: by the main thread alone, while it is not in a read.
 */
bool lguest_irq(unsigned irq);
bool lguest_eventfd(unsigned long addr, int fd);
bool lguest_get(enum lguest_reg r, uint32_t *v);
bool lguest_set(enum lguest_reg r, uint32_t v);
bool lguest_trap(unsigned n);

/*
 * The last request: the host kernel forgets the guest and its clock, which else
 * may go on waking a vCPU thread that is already stopped at its end (Linux 4.2
 * complains in its log). A read that is under way ends first.
 */
void lguest_let_go(void);

/* What read() gave. */
enum lguest_event {
	LGUEST_EV_NOTIFY, /* PAGE: addr */
	LGUEST_EV_TRAP,	  /* PCI: trap, insn, addr */
	LGUEST_EV_DEAD,	  /* text */
	LGUEST_EV_REBOOT,
	LGUEST_EV_AGAIN,
	LGUEST_EV_ERROR, /* errno */
};
struct lguest_exit {
	uint8_t trap;
	uint8_t insn[7];
	uint32_t addr;
	char text[LOG_LINE_MAX];
};
/* Run the guest until something happens. */
enum lguest_event lguest_run(enum lguest_dialect d, struct lguest_exit *x);

/* ---- lguest_trap.c: PCI ---- */

/* Emulate, or give the guest its trap. False: the guest has ended, vm->end is set or the next read
 * says why. */
bool lguest_handle_trap(struct lguest *lg, const struct lguest_exit *x);

/* ---- lguest_legacy.c: PAGE ---- */

/* Descriptor page and rings above RAM, EVENTFD for the helpers' queues. 0 or -1 with vm->end set.
 */
int lguest_legacy_create(struct lguest *lg);
void lguest_legacy_notify(struct lguest *lg, uint32_t addr);

/* ---- lguest_wait.c ---- */

/* VFD_WAIT, under the start filter. 0 or -1 with vm->end set. */
int lguest_wait_prepare(struct vm *vm);
/* The driver of device @i, a helper's with one queue that runs, has notified. Without lg->lock. */
void lguest_kick(struct lguest *lg, unsigned i);

/* ---- lguest_flag.c ---- */

/*
 * Look for the guest's irq_pending, at the first exit and a few later ones until it is
 * there: by the vCPU thread, which is not in a read then. Sets lg->flag.
 */
void lguest_flag_find(struct lguest *lg);
/*
 * For a guest that has nothing to say to us: by the helper thread, whenever it has
 * woken up. Clears it; ms until the next look, fewer where it was set. The guest may run
 * meanwhile: an interrupt that waits just then is delivered at the guest's next exit,
 * which is not later than the next tick of the host's clock.
 */
int lguest_flag_look(struct lguest *lg);
/*
 * Clear it: before the guest is entered, or before an interrupt, which has the host
 * look anew. An interrupt that still waits sets it again.
 */
static inline void lguest_flag_clear(const struct lguest *lg)
{
	uint32_t *flag = __atomic_load_n(&lg->flag, __ATOMIC_RELAXED);

	if (flag)
		__atomic_store_n(flag, 0, __ATOMIC_RELAXED);
}

/* ---- lguest_helper.c ---- */

/* Watch the helpers' calls, then start the thread; it waits at its gates until the filters are on.
 */
int lguest_helper_create(struct lguest *lg);
void lguest_send_stats(struct lguest *lg);

#endif
