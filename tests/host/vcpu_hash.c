/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vCPU process, which also hashes all of guest memory: at the checkpoint, and after each reset, at the last moment
 * before the helpers and the processors go on (linked with --wrap, for tests/long/checkpoint-lab). It reports pages that
 * differ, and after the last reset (--resets) that none did.
 */
#include <stdlib.h>
#include <unistd.h>

#include "vcpu/devices/held.h"
#include "vcpu/kvm/copy.h"
#include "vcpu/kvm/kvm.h"
#include "vcpu/vm.h"

#define PAGE  4096u
#define PAGES 131072u /* Of 512 MiB */

void __wrap_held_end_early(struct device *d, enum vhu_go what);
void __real_held_end_early(struct device *d, enum vhu_go what);
int __wrap_kvm_copy_make(struct kvm *k);
int __real_kvm_copy_make(struct kvm *k);

static struct kvm *kvm;
static uint64_t kept[PAGES], resets, differing;

/* 0 for a page of zeros. Each step is a bijection of @h and of the word, so no change of one word is lost. */
static uint64_t hash(const void *page)
{
	const uint64_t *w = page;
	uint64_t h = 0;

	for (unsigned i = 0; i < PAGE / 8; i++)
		h = (h ^ w[i]) * 0x9e3779b97f4a7c15u;
	return h;
}

static void page(bool keep, unsigned n, const void *p)
{
	uint64_t h = p ? hash(p) : 0;

	if (n >= PAGES)
		abort();
	if (keep)
		kept[n] = h;
	else if (kept[n] != h && ++differing <= 20)
		log_line(LOG_WARN, "memory: page 0x%x differs after reset %llu", n, (unsigned long long)resets + 1);
}

/* Holes of the file stay holes, as kvm_copy_take() has to find them: a read would fill them. */
static void all_pages(bool keep)
{
	const struct guest_mem *m = &kvm->vm->mem;
	uint64_t offset = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < m->nregions; offset += m->r[i].size, i++)
		for (uint64_t at = 0, data = 0, hole = 0; at < m->r[i].size; at += PAGE, n++) {
			if (offset + at >= hole) {
				off_t d = lseek(VFD_MEM, (off_t)(offset + at), SEEK_DATA);

				data = d < 0 ? UINT64_MAX : (uint64_t)d;
				hole = d < 0 ? UINT64_MAX : (uint64_t)lseek(VFD_MEM, d, SEEK_HOLE);
			}
			page(keep, n, offset + at < data ? NULL : m->r[i].hva + at);
		}
}

static uint64_t sum(void)
{
	uint64_t h = 0;

	for (unsigned n = 0; n < PAGES; n++)
		h = (h ^ kept[n]) * 0x9e3779b97f4a7c15u;
	return h;
}

int __wrap_kvm_copy_make(struct kvm *k)
{
	kvm = k;
	return __real_kvm_copy_make(k);
}

static void compare(bool keep)
{
	all_pages(keep);
	if (keep)
		log_line(LOG_INFO, "memory: hash 0x%llx", (unsigned long long)sum());
	else if (++resets == kvm->vm->c->resets && !differing)
		log_line(LOG_INFO, "memory: the same hash after each of %llu resets", (unsigned long long)resets);
}

/* Called for every device before the first of them goes on. */
void __wrap_held_end_early(struct device *d, enum vhu_go what)
{
	if (d == &kvm->devices.dev[0] && (what == VHU_GO_CHECKPOINT || what == VHU_GO_RESET))
		compare(what == VHU_GO_CHECKPOINT);
	__real_held_end_early(d, what);
}
