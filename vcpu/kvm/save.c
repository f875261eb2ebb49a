/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --save: see save.h; the file's layout is in save_format.h. Runs in the vCPU process, confined. Pages go from guest
 * memory to the file without a copy. The header is written last, so that a file that is not whole is never taken for
 * one that is. No order on the disk is needed for that after a crash of the host: the checksums cover everything.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vcpu/devices/helper_saved.h"
#include "vcpu/kvm/copy.h"
#include "vcpu/kvm/save.h"
#include "vcpu/kvm/save_format.h"
#include "vcpu/kvm/saved_machine.h"
#include "vcpu/kvm/vm.h"

static struct {
	off_t before; /* Size of the file when this process began */
	bool written, told;
	struct save_header header;
	uint8_t state[SAVE_STATE_MAX];
	/* The page of bits in progress. */
	uint64_t chunk;
	bool any;
	uint8_t bits[SAVE_PAGE];
} out;

static bool has_checkpoint(void)
{
	return out.written || out.before > 0;
}

void kvm_save_make(struct kvm *k)
{
	if (!k->vm->c->save)
		return;
	/* With SIGXFSZ ignored, a write beyond RLIMIT_FSIZE is an error instead of a crash. */
	signal(SIGXFSZ, SIG_IGN);
	out.written = false;
	/* Compared later: QEMU 7.2's TCG gets "written = size > 0" wrong if the store is the first one to its page. */
	out.before = lseek(VFD_SAVE, 0, SEEK_END);
}

static int put(struct kvm *k, uint64_t at, const void *buf, uint64_t len)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = pwrite(VFD_SAVE, p, MIN(len, 1u << 30), (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			kvm_end(k, GUEST_HOST_FAILED, "--save: cannot write the file: %m; it is not complete");
			return -1;
		}
		p += n;
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Write the page of bits in progress. Pages of zeros stay holes of the file. */
static int put_bits(struct kvm *k)
{
	uint64_t at = save_bits_at(out.header.state_len) + out.chunk++ * SAVE_PAGE;

	out.header.bits_crc = save_sum(out.header.bits_crc, out.bits, sizeof(out.bits));
	if (out.any && put(k, at, out.bits, sizeof(out.bits)) < 0)
		return -1;
	out.any = false;
	memset(out.bits, 0, sizeof(out.bits));
	return 0;
}

static int mark(struct kvm *k, uint64_t page)
{
	while (page / SAVE_CHUNK_PAGES > out.chunk)
		if (put_bits(k) < 0)
			return -1;
	out.bits[page % SAVE_CHUNK_PAGES / 8] |= (uint8_t)(1u << page % 8);
	out.any = true;
	return 0;
}

static bool only_zeros(const uint8_t *page)
{
	static const uint8_t zeros[SAVE_PAGE];

	return !memcmp(page, zeros, sizeof(zeros));
}

/* Write the pages of @len bytes at @p that are not zeros; the first one is page @page of guest memory. */
static int put_pages(struct kvm *k, const uint8_t *p, uint64_t page, uint64_t len)
{
	struct save_header *h = &out.header;
	uint64_t pages_at = save_bits_at(h->state_len) + save_bits_bytes(h->mem_bytes), n = len / SAVE_PAGE;

	for (uint64_t i = 0, run; i < n; i += run) {
		for (run = 0; i + run < n && !only_zeros(p + (i + run) * SAVE_PAGE); run++)
			if (mark(k, page + i + run) < 0)
				return -1;
		h->pages_sum = save_pages_sum(h->pages_sum, p + i * SAVE_PAGE, run);
		if (put(k, pages_at + h->pages * SAVE_PAGE, p + i * SAVE_PAGE, run * SAVE_PAGE) < 0)
			return -1;
		h->pages += run;
		run += i + run < n; /* The page of zeros that ended the run */
	}
	return 0;
}

static int put_memory(struct kvm *k)
{
	const struct guest_mem *m = &k->vm->mem;
	uint64_t offset = 0, chunks = save_bits_bytes(out.header.mem_bytes) / SAVE_PAGE;

	for (unsigned i = 0; i < m->nregions; i++) {
		uint64_t at = offset, len = 0, end = offset + m->r[i].size;

		while (kvm_copy_next_data(at + len, end, &at, &len))
			if (put_pages(k, m->r[i].hva + (at - offset), at / SAVE_PAGE, len) < 0)
				return -1;
		offset = end;
	}
	while (out.chunk < chunks)
		if (put_bits(k) < 0)
			return -1;
	return 0;
}

static int put_state(struct kvm *k)
{
	struct records r = { .buf = out.state, .size = sizeof(out.state) };

	if (!saved_machine(k, &r) || !saved_machine_devices(k, &r)) {
		kvm_end(k, GUEST_ENGINE_FAILED, "--save: %s", r.error);
		return -1;
	}
	out.header.state_len = (uint32_t)r.at;
	out.header.state_crc = save_sum(0, out.state, r.at);
	return put(k, SAVE_STATE_AT, out.state, r.at);
}

/* What the guest has changed on its disks, and the files of its shares, each part at the next whole page. */
static int put_disks(struct kvm *k)
{
	struct save_header *h = &out.header;
	uint64_t at = save_bits_at(h->state_len) + save_bits_bytes(h->mem_bytes) + h->pages * SAVE_PAGE;
	const struct device *failed = saved_disks(&k->devices, false, &at);

	if (!failed)
		return 0;
	kvm_end(k, GUEST_HOST_FAILED, "--save: cannot write the file: %s; it is not complete", failed->front.error);
	return -1;
}

static int put_header(struct kvm *k)
{
	out.header.header_crc = save_sum(0, &out.header, sizeof(out.header));
	return put(k, 0, &out.header, sizeof(out.header));
}

int kvm_save_write(struct kvm *k)
{
	uint64_t began = now_us();

	if (!k->vm->c->save)
		return 0;
	if (has_checkpoint()) {
		if (!out.told)
			log_line(LOG_INFO,
				 "--save: the file has the first checkpoint of this run; later ones are not written");
		out.told = true;
		return 0;
	}
	out.chunk = 0;
	out.header =
		(struct save_header){ .magic = SAVE_MAGIC, .version = SAVE_VERSION, .mem_bytes = k->vm->c->mem_bytes };
	if (put_state(k) < 0 || put_memory(k) < 0 || put_disks(k) < 0 || put_header(k) < 0)
		return -1;
	out.written = true;
	/* Writing may have taken long: as after a pause, the guest's watchdog is told. */
	for (unsigned i = 0; i < k->ncpus; i++)
		(void)ioctl(VFD_VCPU0 + (int)i, KVM_KVMCLOCK_CTRL, 0);
	log_line(LOG_INFO, "--save: wrote %llu KiB of the guest's memory in %llu microseconds",
		 (unsigned long long)(out.header.pages * SAVE_PAGE >> 10), (unsigned long long)(now_us() - began));
	return 0;
}

void kvm_save_report(const struct kvm *k)
{
	if (k->vm->c->save && !has_checkpoint() && k->vm->end != GUEST_HOST_FAILED)
		log_line(LOG_WARN, "--save: no checkpoint was taken, so no guest can start from the file");
}
