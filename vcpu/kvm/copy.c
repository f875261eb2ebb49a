/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The copy of guest memory: see copy.h. Runs in the vCPU process. Two logs name the pages that
 * differ from the copy: KVM's has the writes of the guest and of KVM itself, written.h those of
 * the devices that this process serves. No other process writes, because the guest has no
 * devices that helpers serve.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "vcpu/devices/written.h"
#include "vcpu/kvm/copy.h"
#include "vcpu/kvm/vm.h"
#include "vcpu/vm.h"

#define PAGE 4096u

static struct {
	uint8_t *copy;	   /* Pages that were never written read as zeros */
	uint64_t *dirty;   /* KVM's log, one bit for each page */
	uint64_t *written; /* Our own */
	size_t words;	   /* Of each log */
} region[SHM_MAX_REGIONS];

static uint64_t *logs[SHM_MAX_REGIONS];

/* Private to this process. Takes memory only where it is written to. */
static void *reserve(uint64_t bytes)
{
	void *p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, (size_t)bytes, MADV_DONTDUMP);
	sandbox_mseal(p, (size_t)bytes);
	return p;
}

int kvm_copy_make(struct vm *vm)
{
	for (unsigned i = 0; i < vm->mem.nregions; i++) {
		uint64_t size = vm->mem.r[i].size;

		region[i].words = (size_t)((size / PAGE + 63) / 64);
		region[i].copy = reserve(size);
		region[i].dirty = reserve(region[i].words * sizeof(uint64_t));
		region[i].written = reserve(region[i].words * sizeof(uint64_t));
		if (!region[i].copy || !region[i].dirty || !region[i].written)
			return vm_fail(vm, GUEST_ENGINE_FAILED,
				       "--checkpoint: no memory for the copy of the guest's memory: %m");
		logs[i] = region[i].written;
	}
	written_start(&vm->mem, logs);
	return 0;
}

/* Read KVM's log of region @i, which clears it. */
static int read_log(struct kvm *k, unsigned i)
{
	struct kvm_dirty_log log = { .slot = i, .dirty_bitmap = region[i].dirty };

	if (ioctl(VFD_VM, KVM_GET_DIRTY_LOG, &log) == 0)
		return 0;
	kvm_end(k, GUEST_ENGINE_FAILED, "checkpoint: KVM_GET_DIRTY_LOG: error %d", errno);
	return -1;
}

/* Copy the whole region but holes of the file, which read as zeros and shall not take memory. */
static void copy_all(const struct shm_region *r, uint64_t offset, uint8_t *to)
{
	uint64_t at = 0;

	while (at < r->size) {
		off_t data = lseek(VFD_MEM, (off_t)(offset + at), SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return; /* No data up to the end of the file */
		if (data < 0)
			data = (off_t)(offset + at);
		hole = lseek(VFD_MEM, data, SEEK_HOLE);
		if (hole <= data)
			hole = (off_t)(offset + r->size);
		at = MIN((uint64_t)data - offset, r->size);
		memcpy(to + at, r->hva + at, (size_t)(MIN((uint64_t)hole - offset, r->size) - at));
		at = (uint64_t)hole - offset;
	}
}

/* Copy the pages of region @i that either log names from @from to @to, and clear both logs. Returns their number. */
static uint64_t copy_dirty(unsigned i, const uint8_t *from, uint8_t *to)
{
	uint64_t n = 0;

	for (size_t w = 0; w < region[i].words; w++) {
		uint64_t bits = region[i].dirty[w] | region[i].written[w];

		if (!bits)
			continue;
		region[i].written[w] = 0;
		for (; bits; bits &= bits - 1, n++) {
			size_t off = (w * 64 + (size_t)__builtin_ctzll(bits)) * PAGE;

			memcpy(to + off, from + off, PAGE);
		}
	}
	return n;
}

int kvm_copy_take(struct kvm *k, bool all)
{
	const struct guest_mem *m = &k->vm->mem;
	uint64_t offset = 0;

	for (unsigned i = 0; i < m->nregions; i++) {
		if (read_log(k, i) < 0)
			return -1;
		if (all) {
			copy_all(&m->r[i], offset, region[i].copy);
			memset(region[i].written, 0, region[i].words * sizeof(uint64_t));
		} else {
			copy_dirty(i, m->r[i].hva, region[i].copy);
		}
		offset += m->r[i].size;
	}
	return 0;
}

int kvm_copy_restore(struct kvm *k, uint64_t *pages)
{
	const struct guest_mem *m = &k->vm->mem;

	for (unsigned i = 0; i < m->nregions; i++) {
		if (read_log(k, i) < 0)
			return -1;
		*pages += copy_dirty(i, region[i].copy, m->r[i].hva);
	}
	return 0;
}
