/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --from: see from.h; the file's layout is in save_format.h. Runs in the vCPU process, confined, before the guest runs.
 * The file is trusted no more than a kernel: everything is read once, into memory of this process or of the guest, and
 * judged there. Pages that the file does not have are not touched.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/fmt.h"
#include "vcpu/devices/helper_saved.h"
#include "vcpu/kvm/from.h"
#include "vcpu/kvm/save_format.h"
#include "vcpu/kvm/saved_machine.h"
#include "vcpu/kvm/state.h"
#include "vcpu/kvm/vm.h"
#include "vcpu/kvm/vmgenid.h"
#include "vcpu/vm.h"

#define PIECE (128u << 10) /* Bytes of memory at a time: they stay in the processor's cache until they are written */

static struct {
	struct save_header header;
	uint8_t state[SAVE_STATE_MAX];
	uint8_t bits[SAVE_PAGE], piece[PIECE];
	uint64_t pages; /* Read so far */
	uint32_t bits_crc;
	uint64_t pages_sum;
	uint64_t sum_us; /* Spent on the checksum of pages */
} in;

static int refuse(struct kvm *k, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int refuse(struct kvm *k, const char *fmt, ...)
{
	char why[sizeof(k->vm->end_text) - sizeof(k->vm->c->kernel_name) - 16];
	va_list ap;

	va_start(ap, fmt);
	fmt_vline(why, sizeof(why), fmt, ap);
	va_end(ap);
	return vm_fail(k->vm, GUEST_LOAD_FAILED, "%s: %s", k->vm->c->kernel_name, why);
}

static int get(struct kvm *k, uint64_t at, void *buf, uint64_t len)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(VFD_KERNEL, p, MIN(len, 1u << 30), (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return refuse(k, "cannot read it: %m");
		if (n == 0)
			return refuse(k, "it is truncated after %llu bytes; save the guest again",
				      (unsigned long long)at);
		p += n;
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int damaged(struct kvm *k, const char *part)
{
	return refuse(k, "%s do not fit their checksum: it is damaged; save the guest again", part);
}

/* ---- the header ---- */

static int judge_header(struct kvm *k)
{
	struct save_header *h = &in.header;
	uint32_t crc = h->header_crc;

	if (!h->version && !h->magic[0])
		return refuse(k, "it is not complete: the guest ended, or the disk was full, while it was written");
	if (memcmp(h->magic, SAVE_MAGIC, sizeof(h->magic)) != 0)
		return refuse(k, "it is not a file that --save has written");
	if (h->version != SAVE_VERSION)
		return refuse(k,
			      "its format has version %u, and this lguest-sep reads version %u; save the guest again",
			      h->version, SAVE_VERSION);
	h->header_crc = 0;
	if (save_sum(0, h, sizeof(*h)) != crc)
		return damaged(k, "its first bytes");
	if (h->mem_bytes != k->vm->c->mem_bytes)
		return refuse(k, "the guest has %llu MiB of memory, and MEM-MB says %llu; give %llu",
			      (unsigned long long)(h->mem_bytes >> 20), (unsigned long long)(k->vm->c->mem_bytes >> 20),
			      (unsigned long long)(h->mem_bytes >> 20));
	if (h->pages > h->mem_bytes / SAVE_PAGE || !h->state_len || h->state_len > SAVE_STATE_MAX)
		return refuse(k, "it claims to have %llu pages, and %u bytes of state", (unsigned long long)h->pages,
			      h->state_len);
	return 0;
}

/* ---- memory ---- */

/* Write @len bytes at @p to guest memory, as a file: whole pages need no page faults then, and no zeros before. */
static int put(struct kvm *k, uint64_t at, const uint8_t *p, uint64_t len)
{
	while (len) {
		ssize_t n = pwrite(VFD_MEM, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return refuse(k, "cannot write its memory: %m");
		p += n;
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static bool bit(uint64_t page)
{
	return (in.bits[page % SAVE_CHUNK_PAGES / 8] >> page % 8) & 1;
}

/* Read @n pages from @page on, which is one run of bits. */
static int get_run(struct kvm *k, uint64_t page, uint64_t n)
{
	const struct save_header *h = &in.header;
	uint64_t at = save_bits_at(h->state_len) + save_bits_bytes(h->mem_bytes), began;

	if (n > h->pages - in.pages)
		return refuse(k, "it has bits for more than %llu pages", (unsigned long long)h->pages);
	if (page + n > h->mem_bytes / SAVE_PAGE)
		return refuse(k, "it has bits for pages beyond the guest's memory");
	while (n) {
		uint64_t some = MIN(n, PIECE / SAVE_PAGE);

		if (get(k, at + in.pages * SAVE_PAGE, in.piece, some * SAVE_PAGE) < 0)
			return -1;
		began = now_us();
		in.pages_sum = save_pages_sum(in.pages_sum, in.piece, some);
		in.sum_us += now_us() - began;
		if (put(k, page * SAVE_PAGE, in.piece, some * SAVE_PAGE) < 0)
			return -1;
		in.pages += some;
		page += some;
		n -= some;
	}
	return 0;
}

/* Read the pages for which there are bits in page @chunk of them. */
static int get_chunk(struct kvm *k, uint64_t chunk)
{
	uint64_t page = chunk * SAVE_CHUNK_PAGES, end = page + SAVE_CHUNK_PAGES;

	if (get(k, save_bits_at(in.header.state_len) + chunk * SAVE_PAGE, in.bits, sizeof(in.bits)) < 0)
		return -1;
	in.bits_crc = save_sum(in.bits_crc, in.bits, sizeof(in.bits));
	while (page < end) {
		uint64_t n = 0;

		while (page + n < end && bit(page + n))
			n++;
		if (n && get_run(k, page, n) < 0)
			return -1;
		page += n ? n : 1;
	}
	return 0;
}

static int get_memory(struct kvm *k)
{
	const struct save_header *h = &in.header;
	uint64_t chunks = save_bits_bytes(h->mem_bytes) / SAVE_PAGE;

	for (uint64_t i = 0; i < chunks; i++)
		if (get_chunk(k, i) < 0)
			return -1;
	if (in.bits_crc != h->bits_crc)
		return damaged(k, "the bits of its pages");
	if (in.pages != h->pages)
		return refuse(k, "it has bits for %llu pages, not for %llu", (unsigned long long)in.pages,
			      (unsigned long long)h->pages);
	if (in.pages_sum != h->pages_sum)
		return damaged(k, "its pages");
	return 0;
}

/* The last part: what the guest had changed on its disks, and the files of its shares. */
static int get_disks(struct kvm *k)
{
	const struct save_header *h = &in.header;
	uint64_t at = save_bits_at(h->state_len) + save_bits_bytes(h->mem_bytes) + h->pages * SAVE_PAGE;
	const struct device *failed = saved_disks(&k->devices, true, &at);
	uint8_t more;
	ssize_t n;

	if (failed)
		return refuse(k, "%s", failed->front.error);
	n = pread(VFD_KERNEL, &more, 1, (off_t)at);
	if (n < 0)
		return refuse(k, "cannot read it: %m");
	if (n > 0)
		return refuse(k, "it is longer than it should be; save the guest again");
	return 0;
}

/* ---- all ---- */

static int wrong_state(struct kvm *k, const struct records *r)
{
	return refuse(k, "%s", r->error);
}

/* KVM has refused a state, and has said which in vm->end_text. */
static int kvm_refused(struct kvm *k)
{
	char why[sizeof(k->vm->end_text) / 2];

	fmt_line(why, sizeof(why), "%s", k->vm->end_text);
	return refuse(k, "this host's KVM refuses its state: %s", why);
}

/*
 * What the saved guest's driver had made available, and no thread had seen, is not signalled again: look at all rings.
 * The terminal is another one: report its size.
 */
static void look_around(struct kvm *k)
{
	struct devices *ds = &k->devices;
	uint32_t size = ds->window_size;

	ds->window_size = 0;
	devices_resize(ds, size);
	ds->console_again = ds->console.q[CONSOLE_TX].running;
	ds->rng_again = ds->rng.q.running;
	ports_restart(&ds->ports);
	for (unsigned i = 0; i < ds->n; i++)
		ds->dev[i].ctl_again = ds->dev[i].ctl.running;
	/* Input is for a guest that is up. */
	k->first_out = k->last_out = now_ms();
	kvm_wake();
}

int kvm_from_load(struct kvm *k)
{
	struct records r = { .buf = in.state, .reading = true };
	uint64_t began = now_us(), memory, read;

	in.pages = in.sum_us = in.pages_sum = in.bits_crc = 0;
	if (get(k, 0, &in.header, sizeof(in.header)) < 0 || judge_header(k) < 0 ||
	    get(k, SAVE_STATE_AT, in.state, in.header.state_len) < 0)
		return -1;
	if (save_sum(0, in.state, in.header.state_len) != in.header.state_crc)
		return damaged(k, "its records");
	r.size = in.header.state_len;
	if (!saved_machine(k, &r))
		return wrong_state(k, &r);
	/* KVM may write to guest memory when MSRs are set, and read it when all other state is. */
	if (kvm_state_first_msrs(k) < 0)
		return kvm_refused(k);
	memory = now_us();
	if (get_memory(k) < 0)
		return -1;
	read = now_us();
	/* The levels of interrupt lines before the controllers, as in a reset. */
	if (!saved_machine_devices(k, &r))
		return wrong_state(k, &r);
	if (get_disks(k) < 0)
		return -1;
	if (kvm_state_load(k) < 0)
		return kvm_refused(k);
	look_around(k);
	log_line(LOG_DEBUG,
		 "--from: %llu KiB of memory in %llu microseconds, %llu of them for checksums; all else in %llu",
		 (unsigned long long)(in.pages * SAVE_PAGE >> 10), (unsigned long long)(read - memory),
		 (unsigned long long)in.sum_us, (unsigned long long)(now_us() - began - (read - memory)));
	return vmgenid_renew(k);
}
