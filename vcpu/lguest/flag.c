/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Works around a bug of lguest hosts that slows down guests. Runs in the vCPU process.
 *
 * If an interrupt arrives while the guest has interrupts disabled, the host's kernel sets
 * the word irq_pending in guest memory (struct lguest_data, include/linux/lguest.h). The
 * guest then makes a hypercall, an exit, when it enables interrupts. By a bug, all versions
 * of the host never clear the word (drivers/lguest/interrupts_and_traps.c takes the result
 * of find_next_bit(), a number, for a bool). So after the first such interrupt, every time
 * the guest enables interrupts is an exit: several for each page that it writes to disk.
 *
 * This process clears the word just before the host enters the guest; the host sets it
 * again if an interrupt is pending. The word is found by searching guest memory. A guest
 * that fakes such a struct harms only itself.
 */
#include <stddef.h>
#include <string.h>

#include "common/log.h"
#include "vcpu/lguest/flag.h"
#include "vcpu/lguest/lguest.h"

/* Search at the exits 1, 16, 256 and 4096, in the first 32 MiB of the kernel. */
#define SEEK_AGAIN 16
#define SEEK_LAST  4096
#define SEEK_BYTES (32u << 20)
/* Milliseconds between two checks of the word: after it was set, and after many checks that found it clear. */
#define LOOK_MIN 4
#define LOOK_MAX 512

#define INTERRUPTS_ON 0x200u /* X86_EFLAGS_IF */
#define EFLAGS	      0x3fffffu
#define HCALLS	      64 /* LHCALL_RING_SIZE */
#define HCALL_DONE    0xffu
#define KERNEL_ALIGN  0x3fffffu	  /* CONFIG_PAGE_OFFSET is a multiple of 4 MiB */
#define KERNEL_MIN    0x40000000u /* The lowest CONFIG_PAGE_OFFSET of Linux */

/* The part of struct lguest_data that is the same in all versions (Linux 3.5 to 4.13). */
struct lguest_data {
	uint32_t irq_enabled, blocked, cr2, seconds, nanoseconds, irq_pending;
	uint8_t hcall_status[HCALLS];
	uint32_t hcalls[HCALLS][5];
	uint32_t reserve_mem, tsc_khz; /* Set by the host */
	uint32_t tail[4]; /* 3.x: noirq_start, noirq_end; 4.x: noirq_iret; then both: PAGE_OFFSET, vector */
};

/* True if @d looks like the struct of a guest that has initialised lguest, not like other kernel data. */
static bool is_lguest_data(const struct lguest_data *d)
{
	uint32_t offset, vector;
	unsigned at;

	/* Guests of 4.x store all of eflags in irq_enabled. */
	if ((d->irq_enabled & ~EFLAGS) || (d->irq_pending & ~INTERRUPTS_ON) || !d->reserve_mem)
		return false;
	for (unsigned i = 0; i < HCALLS; i++)
		if (d->hcall_status[i] != 0 && d->hcall_status[i] != HCALL_DONE)
			return false;
	for (at = 1; at <= 2; at++) {
		offset = d->tail[at];
		vector = d->tail[at + 1];
		if (!(offset & KERNEL_ALIGN) && offset >= KERNEL_MIN && d->tail[at - 1] > offset &&
		    d->tail[0] > offset && (vector == 0x80 || vector == 0x40))
			return true;
	}
	return false;
}

/* hcall_status has 64 bytes, all ones if no hypercall is queued: a search in steps of 32 bytes meets it twice. */
#define STEP 32u

/* Check a copy of the struct at @at. Checking one word before saves most of the copies. */
static bool is_at(const struct lguest_data *at)
{
	static struct lguest_data copy;

	if (READ_ONCE(at->irq_pending) & ~INTERRUPTS_ON)
		return false;
	memcpy(&copy, at, sizeof(copy));
	return is_lguest_data(&copy);
}

static struct lguest_data *find(uint8_t *ram, size_t len)
{
	const size_t status = offsetof(struct lguest_data, hcall_status);
	const uint32_t done = 0xffffffff;

	for (size_t i = 0; i + sizeof(done) <= len; i += STEP) {
		uint32_t word;

		memcpy(&word, ram + i, sizeof(word));
		if (word != done)
			continue;
		for (size_t back = status; back < status + HCALLS && back <= i; back += sizeof(word)) {
			struct lguest_data *d = (struct lguest_data *)(ram + i - back);

			if (i - back + sizeof(*d) <= len && is_at(d))
				return d;
		}
	}
	return NULL;
}

void lguest_flag_find(struct lguest *lg)
{
	/* The struct is aligned to 4 bytes; an ELF kernel may begin at any address. */
	uint64_t from = (lg->load.kernel_run + 3) & ~3ull, end = MIN(lg->load.kernel_end, lg->ram);
	uint64_t len = end > from ? MIN(end - from, SEEK_BYTES) : 0;
	struct lguest_data *d;
	uint8_t *ram;

	if (lg->flag || lg->vm->stats.exits < lg->flag_next || lg->flag_next > SEEK_LAST)
		return;
	/* A kernel may have exits while it unpacks itself, before the struct exists: search again later. */
	lg->flag_next = lg->flag_next ? lg->flag_next * SEEK_AGAIN : SEEK_AGAIN;
	ram = shm_ptr(&lg->vm->mem, from, len);
	d = ram ? find(ram, len) : NULL;
	if (!d)
		return;
	__atomic_store_n(&lg->flag, &d->irq_pending, __ATOMIC_RELEASE);
	log_line(LOG_DEBUG, "the guest's word irq_pending is at 0x%llx",
		 (unsigned long long)(from + (uint64_t)((uint8_t *)lg->flag - ram)));
}

int lguest_flag_look(struct lguest *lg)
{
	uint32_t *flag = __atomic_load_n(&lg->flag, __ATOMIC_ACQUIRE);

	if (!lg->flag_pause || (flag && __atomic_load_n(flag, __ATOMIC_RELAXED)))
		lg->flag_pause = LOOK_MIN;
	else
		lg->flag_pause = MIN(2 * lg->flag_pause, LOOK_MAX);
	lguest_flag_clear(lg);
	return (int)lg->flag_pause;
}
