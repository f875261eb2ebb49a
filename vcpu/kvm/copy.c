/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The copy of guest memory: see copy.h. Runs in the vCPU process. Logs name the pages that
 * differ from the copy: KVM's has the writes of the guest and of KVM itself, written.h those of
 * the devices that this process serves, and one log for each helper the writes of that helper. A helper can write to
 * its log at any time, and may be compromised: its bits only select pages of guest memory, which may be copied in vain.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/dirty.h"
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
	uint64_t last;	   /* Bits of the last word that stand for a page */
	size_t first;	   /* Word of the helpers' logs that the region begins with */
} region[SHM_MAX_REGIONS];

static uint64_t *logs[SHM_MAX_REGIONS];
static uint64_t *helper_log[MAX_DEVICES]; /* One bit for each page from guest-physical address 0 on */
static unsigned nhelpers;

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

/* Map the logs of the helpers, which the supervisor has created, and seal the mappings. Returns 0 or -1. */
static int map_helper_logs(struct kvm *k)
{
	const struct guest_mem *m = &k->vm->mem;
	struct dirty_log log;
	enum shm_error e;
	uint64_t end = 0;

	for (unsigned i = 0; i < m->nregions; i++)
		end = MAX(end, m->r[i].gpa + m->r[i].size);
	end = (end / PAGE / 8 + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	for (nhelpers = 0; nhelpers < k->vm->c->ndevices; nhelpers++) {
		log = (struct dirty_log){ 0 };
		/* Unless its size is sealed, the helper could make our next access end in SIGBUS. */
		e = dirty_map(&log, false, VFD_LOG0 + (int)nhelpers, 0, end);
		if (e != SHM_OK)
			return vm_fail(k->vm, GUEST_ENGINE_FAILED, "--checkpoint: the log of a device's pages: %s",
				       shm_strerror(e));
		sandbox_mseal(log.map, log.map_len);
		helper_log[nhelpers] = (uint64_t *)(void *)log.bits;
	}
	k->devices.log_bytes = nhelpers ? end : 0;
	return 0;
}

int kvm_copy_make(struct kvm *k)
{
	struct vm *vm = k->vm;

	for (unsigned i = 0; i < vm->mem.nregions; i++) {
		uint64_t size = vm->mem.r[i].size, first = vm->mem.r[i].gpa / PAGE;

		if (first % 64)
			return vm_fail(vm, GUEST_ENGINE_FAILED, "--checkpoint: guest memory begins at an odd address");
		region[i].first = (size_t)(first / 64);
		region[i].words = (size_t)((size / PAGE + 63) / 64);
		region[i].last = size / PAGE % 64 ? BIT64(size / PAGE % 64) - 1 : UINT64_MAX;
		region[i].copy = reserve(size);
		region[i].dirty = reserve(region[i].words * sizeof(uint64_t));
		region[i].written = reserve(region[i].words * sizeof(uint64_t));
		if (!region[i].copy || !region[i].dirty || !region[i].written)
			return vm_fail(vm, GUEST_ENGINE_FAILED,
				       "--checkpoint: no memory for the copy of the guest's memory: %m");
		logs[i] = region[i].written;
	}
	written_start(&vm->mem, logs);
	return map_helper_logs(k);
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

/* Take the bits of word @w of region @i from all logs, and clear them. */
static uint64_t take_bits(unsigned i, size_t w)
{
	uint64_t bits = region[i].dirty[w] | region[i].written[w];

	region[i].written[w] = 0;
	for (unsigned h = 0; h < nhelpers; h++) {
		uint64_t *log = &helper_log[h][region[i].first + w];

		if (__atomic_load_n(log, __ATOMIC_RELAXED))
			bits |= __atomic_exchange_n(log, 0, __ATOMIC_ACQUIRE);
	}
	return w + 1 == region[i].words ? bits & region[i].last : bits;
}

bool kvm_copy_next_data(uint64_t from, uint64_t end, uint64_t *at, uint64_t *len)
{
	off_t data, hole;

	if (from >= end)
		return false;
	data = lseek(VFD_MEM, (off_t)from, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		return false; /* No data up to the end of the file */
	if (data < 0)
		data = (off_t)from;
	if ((uint64_t)data >= end)
		return false;
	hole = lseek(VFD_MEM, data, SEEK_HOLE);
	*at = (uint64_t)data;
	*len = (hole <= data ? end : MIN((uint64_t)hole, end)) - *at;
	return true;
}

/*
 * Copy the whole region @r, whose memory is at @offset of the file, but holes of the file: these read as zeros and
 * shall not take memory. No process makes a hole later. @back: from the copy to memory. Returns the number of pages.
 */
static uint64_t copy_all(const struct shm_region *r, uint64_t offset, uint8_t *copy, bool back)
{
	uint64_t at = offset, n = 0, len = 0;

	while (kvm_copy_next_data(at + len, offset + r->size, &at, &len)) {
		uint8_t *memory = r->hva + (at - offset), *kept = copy + (at - offset);

		if (back)
			memcpy(memory, kept, (size_t)len);
		else
			memcpy(kept, memory, (size_t)len);
		n += len / PAGE;
	}
	return n;
}

/* Copy the pages of region @i that any log names from @from to @to, and clear the logs. Returns their number. */
static uint64_t copy_dirty(unsigned i, const uint8_t *from, uint8_t *to)
{
	uint64_t n = 0;

	for (size_t w = 0; w < region[i].words; w++) {
		for (uint64_t bits = take_bits(i, w); bits; bits &= bits - 1, n++) {
			size_t off = (w * 64 + (size_t)__builtin_ctzll(bits)) * PAGE;

			memcpy(to + off, from + off, PAGE);
		}
	}
	return n;
}

/* Clear the logs of region @i. */
static void forget_bits(unsigned i)
{
	for (size_t w = 0; w < region[i].words; w++)
		(void)take_bits(i, w);
}

int kvm_copy_take(struct kvm *k, bool all)
{
	const struct guest_mem *m = &k->vm->mem;
	uint64_t offset = 0;

	for (unsigned i = 0; i < m->nregions; i++) {
		if (read_log(k, i) < 0)
			return -1;
		if (all) {
			forget_bits(i);
			copy_all(&m->r[i], offset, region[i].copy, false);
		} else {
			copy_dirty(i, m->r[i].hva, region[i].copy);
		}
		offset += m->r[i].size;
	}
	return 0;
}

int kvm_copy_restore(struct kvm *k, bool all, uint64_t *pages)
{
	const struct guest_mem *m = &k->vm->mem;
	uint64_t offset = 0;

	for (unsigned i = 0; i < m->nregions; i++) {
		if (read_log(k, i) < 0)
			return -1;
		if (all)
			forget_bits(i);
		*pages += all ? copy_all(&m->r[i], offset, region[i].copy, true)
			      : copy_dirty(i, region[i].copy, m->r[i].hva);
		offset += m->r[i].size;
	}
	return 0;
}
