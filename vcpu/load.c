/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading a guest: the kernel by its format, the initrd at the top of memory,
 * then what the kernel is told. Runs in the vCPU process, confined, before the
 * guest does; must never write outside the RAM that the request names.
 */
#include <errno.h>
#include <elf.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "vcpu/load_priv.h"

int load_fail(struct load_result *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_vline(out->error, sizeof(out->error), fmt, ap);
	va_end(ap);
	return -1;
}

void *load_ram(const struct load_state *st, uint64_t gpa, uint64_t len)
{
	if (gpa < LOAD_KERNEL_MIN || !range_ok(gpa, len, st->rq->ram_low))
		return NULL;
	return shm_ptr(st->mem, gpa, len);
}

static int read_initrd(struct load_state *st, uint8_t *to, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		ssize_t n = pread(st->rq->initrd, to + done, MIN(size - done, 1u << 30), (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return load_fail(st->out, "the initrd cannot be read: %m");
		if (n == 0)
			return load_fail(st->out, "the initrd became shorter while it was read");
		done += (uint64_t)n;
	}
	return 0;
}

/* Page-aligned, as high as the kernel allows and memory goes, above the kernel and what is reserved. */
static int load_initrd(struct load_state *st)
{
	struct load_result *out = st->out;
	uint64_t top = st->rq->ram_low, low, size;
	struct stat sb;

	low = (out->kernel_end + LOAD_PAGE - 1) & ~(uint64_t)(LOAD_PAGE - 1);
	if (st->rq->initrd < 0) {
		if (st->rq->top_reserve > top || top - st->rq->top_reserve < low)
			return load_fail(out, "the kernel leaves too little memory free");
		return 0;
	}
	if (fstat(st->rq->initrd, &sb) < 0)
		return load_fail(out, "the initrd cannot be read: %m");
	if (!S_ISREG(sb.st_mode) || sb.st_size <= 0)
		return load_fail(out, "the initrd is empty");
	size = (uint64_t)sb.st_size;
	top = MIN(top, st->initrd_max + 1) & ~(uint64_t)(LOAD_PAGE - 1);
	if (size > top || st->rq->top_reserve > top - size)
		return load_fail(out, "the initrd (%llu MiB) is larger than the guest's memory",
				 (unsigned long long)(size >> 20));
	out->initrd = (top - size) & ~(uint64_t)(LOAD_PAGE - 1);
	if (out->initrd < st->rq->top_reserve || out->initrd - st->rq->top_reserve < low)
		return load_fail(out, "kernel (up to %llu MiB) and initrd (%llu MiB) do not both fit into memory",
				 (unsigned long long)(low >> 20), (unsigned long long)(size >> 20));
	out->initrd_size = size;
	return read_initrd(st, load_ram(st, out->initrd, size), size);
}

int load_guest(const struct guest_mem *mem, const struct load_request *rq, struct load_result *out)
{
	static struct load_state st;
	char magic[SELFMAG];
	int rc;

	memset(out, 0, sizeof(*out));
	st = (struct load_state){ .mem = mem, .rq = rq, .out = out };
	if (rq->ram_low > LOAD_HIGH_RAM || rq->ram_low <= LOAD_KERNEL_MIN || !is_aligned(rq->ram_low, LOAD_PAGE) ||
	    !shm_ptr(mem, 0, rq->ram_low))
		return load_fail(out, "the guest has too little memory to load a kernel");
	if (src_open(&st.src, rq->kernel, rq->ram_low + rq->ram_high, out) < 0 ||
	    src_read(&st.src, 0, magic, sizeof(magic)) < 0)
		return -1;
	out->is_gzip = st.src.gzip;
	rc = memcmp(magic, ELFMAG, SELFMAG) ? load_bzimage(&st) : load_elf(&st);
	if (rc < 0 || src_finish(&st.src) < 0 || load_initrd(&st) < 0 || load_params(&st) < 0)
		return -1;
	return 0;
}
