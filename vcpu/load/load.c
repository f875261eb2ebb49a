/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads a guest: the kernel according to its format, the initrd at the top of memory, then
 * boot_params. Runs in the vCPU process, confined, before the guest runs. It never writes
 * outside the RAM of the request.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "common/machine.h"
#include "vcpu/load/bzimage.h"
#include "vcpu/load/elf.h"
#include "vcpu/load/kernel_check.h"
#include "vcpu/load/kernel_machine.h"
#include "vcpu/load/load_private.h"
#include "vcpu/load/multiboot_load.h"
#include "vcpu/load/params.h"
#include "vcpu/load/src.h"

static int read_initrd(struct load_state *st, uint8_t *to, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		ssize_t n = pread(st->rq->initrd, to + done, MIN(size - done, 1u << 30), (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return load_fail(st->out, "cannot read the initrd: %m");
		if (n == 0)
			return load_fail(st->out, "the initrd became shorter while it was read");
		done += (uint64_t)n;
	}
	return 0;
}

int load_fit(struct load_result *out, uint64_t kernel_end, uint64_t initrd, uint64_t top)
{
	const uint64_t mib = 1 << 20;

	if (initrd > top)
		return load_fail(out, "the initrd (%llu MiB) is larger than the guest's memory; give it more (MEM-MB)",
				 (unsigned long long)(initrd / mib));
	if (kernel_end > top - initrd)
		return load_fail(
			out,
			"the kernel (up to %llu MiB) and the initrd (%llu MiB) do not both fit into the guest's memory; give it more (MEM-MB)",
			(unsigned long long)((kernel_end - 1) / mib + 1), (unsigned long long)(initrd / mib + 1));
	return 0;
}

/* Load the initrd above the kernel, at the highest page-aligned address that is allowed; for Multiboot the lowest. */
static int load_initrd(struct load_state *st)
{
	struct load_result *out = st->out;
	uint64_t top = st->rq->ram_low, low, size;
	struct stat sb;

	low = (out->kernel_end + LOAD_PAGE - 1) & ~(uint64_t)(LOAD_PAGE - 1);
	if (st->rq->initrd < 0) {
		if (top < low)
			return load_fail(out, "the kernel leaves too little memory free");
		return 0;
	}
	if (fd_stat(st->rq->initrd, &sb) < 0)
		return load_fail(out, "cannot read the initrd: %m");
	if (!S_ISREG(sb.st_mode) || sb.st_size <= 0)
		return load_fail(out, "the initrd is empty");
	size = (uint64_t)sb.st_size;
	top = MIN(top, st->initrd_max + 1) & ~(uint64_t)(LOAD_PAGE - 1);
	if (load_fit(out, low, (size + LOAD_PAGE - 1) & ~(uint64_t)(LOAD_PAGE - 1), top) < 0)
		return -1;
	out->initrd = (top - size) & ~(uint64_t)(LOAD_PAGE - 1);
	/* Multiboot kernels expect their modules right behind them, where GRUB and QEMU put them. */
	if (out->mode == LOAD_ENTRY_MULTIBOOT)
		out->initrd = low;
	out->initrd_size = size;
	return read_initrd(st, load_ram(st, out->initrd, size), size);
}

/* Name the machine of a kernel that is for another one. */
static int check_machine(struct load_state *st)
{
	static uint8_t head[KERNEL_MACHINE_BYTES];
	int64_t n = src_read_some(&st->src, 0, head, sizeof(head));
	struct kernel_machine k;

	if (n < 0)
		return -1;
	k = kernel_machine(head, (size_t)n);
	if (k.name && !kernel_runs_on(k.name, machine_get(MACHINE_X86_64)->name))
		return load_fail(st->out, "a kernel for %s; give --machine=%s, which the qemu engine emulates", k.name,
				 k.name);
	return 0;
}

/* Load the kernel according to its format. */
static int load_kernel(struct load_state *st, bool is_elf)
{
	if (multiboot_read(st) < 0)
		return -1;
	if (st->mb.version && st->rq->target == LOAD_FOR_LGUEST)
		return load_fail(st->out, "a Multiboot %u kernel, which the lguest engine does not start",
				 st->mb.version);
	if (is_elf && !st->mb.has_address)
		return load_elf(st);
	return st->mb.version ? load_multiboot_flat(st) : load_bzimage(st);
}

const char *load_protocol(const struct load_result *out)
{
	switch (out->mode) {
	case LOAD_ENTRY_64:
		return "Linux's 64-bit boot protocol";
	case LOAD_ENTRY_32:
		return "Linux's 32-bit boot protocol";
	case LOAD_ENTRY_PVH:
		return "PVH";
	default:
		return out->magic == MULTIBOOT1_MAGIC ? "Multiboot 1" : "Multiboot 2";
	}
}

int load_guest(const struct guest_mem *mem, const struct load_request *rq, struct load_result *out)
{
	static struct load_state st;
	char magic[SELFMAG];

	memset(out, 0, sizeof(*out));
	st = (struct load_state){ .mem = mem, .rq = rq, .out = out };
	if (rq->ram_low > LOAD_HIGH_RAM || rq->ram_low <= LOAD_KERNEL_MIN || !is_aligned(rq->ram_low, LOAD_PAGE) ||
	    !shm_ptr(mem, 0, rq->ram_low))
		return load_fail(out, "the guest has too little memory to load a kernel");
	if (src_open(&st.src, rq->kernel, rq->ram_low + rq->ram_high, out) < 0 ||
	    src_read(&st.src, 0, magic, sizeof(magic)) < 0)
		return -1;
	out->is_gzip = st.src.gzip;
	if (check_machine(&st) < 0)
		return -1;
	if (load_kernel(&st, memcmp(magic, ELFMAG, SELFMAG) == 0) < 0 || src_finish(&st.src) < 0 ||
	    load_initrd(&st) < 0 || load_params(&st) < 0)
		return -1;
	return 0;
}
