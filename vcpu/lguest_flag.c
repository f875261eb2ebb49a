/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The word by which an lguest host asks its guest to call when it enables
 * interrupts (irq_pending of struct lguest_data, include/linux/lguest.h). Runs
 * in the vCPU process; guest memory is the guest's, and a word that it dresses
 * up as this one is its own loss.
 *
 * Hosts of all ages set the word and, by an error, never take it back:
 * drivers/lguest/interrupts_and_traps.c keeps what find_next_bit() gives, a
 * number, as "there are more" (a bool). From the first interrupt that came while
 * they were disabled, each time that the guest enables them is an exit: several
 * for each page that it writes. Cleared just before the host enters the guest it
 * is right again: on the way in, the host sets it if something waits.
 */
#include <stddef.h>
#include <string.h>

#include "common/log.h"
#include "vcpu/lguest.h"

/* It is sought at the exits 1, 16, 256 and 4096, in so many bytes from the kernel's first one. */
#define SEEK_AGAIN 16
#define SEEK_LAST  4096
#define SEEK_BYTES (32u << 20)
/* Between two looks at it, in ms: after one that found it set, and after many that did not. */
#define LOOK_MIN 4
#define LOOK_MAX 512

#define INTERRUPTS_ON 0x200u /* X86_EFLAGS_IF */
#define EFLAGS	      0x3fffffu
#define HCALLS	      64 /* LHCALL_RING_SIZE */
#define HCALL_DONE    0xffu
#define KERNEL_ALIGN  0x3fffffu	  /* CONFIG_PAGE_OFFSET is a multiple of 4 MiB */
#define KERNEL_MIN    0x40000000u /* the lowest one that Linux has */

/* struct lguest_data as far as all generations have it in common (3.5 to 4.13 are alike). */
struct lguest_data {
	uint32_t irq_enabled, blocked, cr2, seconds, nanoseconds, irq_pending;
	uint8_t hcall_status[HCALLS];
	uint32_t hcalls[HCALLS][5];
	uint32_t reserve_mem, tsc_khz; /* the host's */
	uint32_t tail[4]; /* 3.x: where not to interrupt from and to; 4.x: where; both: PAGE_OFFSET, vector */
};

/* The guest has INITed: what is compiled into the kernel besides is not it. */
static bool is_lguest_data(const struct lguest_data *d)
{
	uint32_t offset, vector;
	unsigned at;

	/* 4.x puts the whole of eflags into irq_enabled */
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

/* Calls that are done are marked by 64 bytes of ones: two of the words looked at lie among them. */
#define STEP 32u

/* Judged on a copy. The one word that is looked at before spares most of the copying. */
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
	/* as the struct is; an ELF kernel may say any address */
	uint64_t from = (lg->load.kernel_run + 3) & ~3ull, end = MIN(lg->load.kernel_end, lg->ram);
	uint64_t len = end > from ? MIN(end - from, SEEK_BYTES) : 0;
	struct lguest_data *d;
	uint8_t *ram;

	if (lg->flag || lg->vm->stats.exits < lg->flag_next || lg->flag_next > SEEK_LAST)
		return;
	/* a kernel that unpacks itself may have had exits before it has anything */
	lg->flag_next = lg->flag_next ? lg->flag_next * SEEK_AGAIN : SEEK_AGAIN;
	ram = shm_ptr(&lg->vm->mem, from, len);
	d = ram ? find(ram, len) : NULL;
	if (!d)
		return;
	__atomic_store_n(&lg->flag, &d->irq_pending, __ATOMIC_RELEASE);
	log_line(LOG_DEBUG, "the guest's word for pending interrupts is at 0x%llx",
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
