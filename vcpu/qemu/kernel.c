/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks kernel and initrd before QEMU gets them, and copies them and the firmware to sealed memfds: see kernel.h. A
 * truncated kernel, one for another machine or one that does not fit would end without any
 * message, because QEMU or the guest gives none.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/machine.h"
#include "vcpu/load/kernel_check.h"
#include "vcpu/load/kernel_machine.h"
#include "vcpu/load/load_private.h"
#include "vcpu/load/multiboot.h"
#include "vcpu/load/src.h"
#include "vcpu/qemu/kernel.h"
#include "vcpu/qemu/multiboot.h"
#include "vcpu/vm.h"

/* Most bytes of one sendfile() call; the kernel's limit is a little less than 2 GiB. */
#define COPY_STEP (1u << 30)

/* Seal the memfd @mem, and replace the descriptor @fd by it. Returns 0, or -1 with errno set. */
static int seal_as(int mem, int fd)
{
	int r = fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);

	if (r == 0 && dup3(mem, fd, 0) < 0)
		r = -1;
	close(mem);
	return r;
}

/* Replace the descriptor @fd by a sealed memfd with its first @size bytes. Returns 0, or -1 with errno set. */
static int copy_sealed(int fd, const char *name, uint64_t size)
{
	off_t off = 0;
	int mem = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	while (mem >= 0 && (uint64_t)off < size) {
		ssize_t n = sendfile(mem, fd, &off, MIN(size - (uint64_t)off, COPY_STEP));

		if (n == 0)
			errno = ENODATA; /* The file has become shorter */
		if (n <= 0) {
			close(mem);
			return -1;
		}
	}
	return mem < 0 ? -1 : seal_as(mem, fd);
}

/* The same for a gzip file, which is unpacked. Returns 0, or -1 with out->error set. */
static int unpack_sealed(struct load_src *src, int fd, const char *name, struct load_result *out)
{
	static uint8_t buf[65536];
	uint64_t off = 0;
	int64_t n;
	int mem = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (mem < 0)
		return load_fail(out, "memory for the unpacked kernel: %m");
	while ((n = src_read_some(src, off, buf, sizeof(buf))) > 0) {
		if (write(mem, buf, (size_t)n) != n) {
			load_fail(out, "memory for the unpacked kernel: %m");
			break;
		}
		off += (uint64_t)n;
	}
	if (n != 0 || src_finish(src) < 0) {
		close(mem);
		return -1;
	}
	return seal_as(mem, fd) < 0 ? load_fail(out, "memory for the unpacked kernel: %m") : 0;
}

/* Check that @fd is a regular file no larger than guest memory. Returns its size, or -1 with vm->end set. */
static int64_t usable_size(struct vm *vm, int fd, const char *what)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %m", what);
	if (!S_ISREG(st.st_mode))
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is not a regular file", what);
	if ((uint64_t)st.st_size > vm->c->mem_bytes)
		return vm_fail(vm, GUEST_LOAD_FAILED,
			       "%s has %lld bytes, more than the guest's memory; give it more (MEM-MB)", what,
			       (long long)st.st_size);
	return st.st_size;
}

/*
 * QEMU's q35 machine: from QEMU_SPLIT_FROM bytes of memory on, only QEMU_SPLIT_LOW bytes are
 * below 4 GiB. It puts ACPI tables into the last QEMU_ACPI_BYTES below 4 GiB.
 */
#define QEMU_SPLIT_FROM 0xb0000000ull
#define QEMU_SPLIT_LOW	0x80000000ull
#define QEMU_ACPI_BYTES 0x28000u

/* Highest address for the end of the initrd and of the kernel. */
static uint64_t low_end(const struct vm *vm)
{
	uint64_t low = vm->c->mem_bytes;

	if (low >= QEMU_SPLIT_FROM)
		low = QEMU_SPLIT_LOW;
	return low > QEMU_ACPI_BYTES ? low - QEMU_ACPI_BYTES : 0;
}

/*
 * Check a bzImage before QEMU gets it: a truncated or too large kernel would reboot without
 * any message. *@end: end of the memory that it needs; 0: unknown.
 */
static int judge_bzimage(struct vm *vm, const uint8_t *head, size_t len, uint64_t *end)
{
	struct kernel_needs needs = kernel_needs(head, len);
	const char *name = vm->c->kernel_name;
	struct stat st;

	if (fstat(VFD_KERNEL, &st) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "%s: %m", name);
	if ((uint64_t)st.st_size < needs.file)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is a truncated kernel (%llu of %llu bytes); copy it again",
			       name, (unsigned long long)st.st_size, (unsigned long long)needs.file);
	if (vm->c->mem_bytes < needs.memory)
		return vm_fail(
			vm, GUEST_LOAD_FAILED,
			"%s needs at least %llu MiB of memory, but the guest has %llu MiB; give it more (MEM-MB)", name,
			(unsigned long long)((needs.memory - 1) >> 20) + 1,
			(unsigned long long)(vm->c->mem_bytes >> 20));
	*end = needs.memory;
	return 0;
}

/* Check an ELF kernel. *@end: end of the memory that its segments need. */
static int judge_elf(struct vm *vm, uint64_t *end)
{
	struct kernel_elf elf = kernel_elf(VFD_KERNEL);
	const char *name = vm->c->kernel_name;
	if (!elf.pvh)
		return vm_fail(
			vm, GUEST_LOAD_FAILED,
			"%s is an ELF kernel without a PVH entry, which the qemu engine does not start; use its bzImage, or build it with CONFIG_PVH=y",
			name);
	*end = elf.memory;
	return 0;
}

/* Where the virt machines put the initrd: half of RAM, at most this, after the start of RAM or the kernel. */
#define VIRT_INITRD_AT (UINT64_C(128) << 20)
/* The device tree takes at most 1 MiB and is aligned to 2 MiB at the most. */
#define VIRT_DTB_ROOM (UINT64_C(2) << 20)
/* OpenSBI's place at the start of RAM, and the kernel's after it (hw/riscv/boot.c of QEMU). */
#define RISCV_KERNEL_OFF 0x200000u

/* Decide if a riscv kernel starts without firmware. @elf: NULL if it is an Image. */
static int judge_firmware(struct vm *vm, const struct kernel_elf *elf, bool *bare)
{
	const struct machine *m = machine_get(vm->c->machine);
	const char *name = vm->c->kernel_name;
	bool at_start = elf && elf->low == m->ram_base;

	*bare = vm->c->firmware != FIRMWARE_FILE &&
		(vm->c->firmware == FIRMWARE_NONE || !m->firmware || (vm->c->firmware == FIRMWARE_AUTO && at_start));
	if (*bare && !at_start)
		return vm_fail(
			vm, GUEST_LOAD_FAILED,
			"%s: without firmware, %s starts at 0x%llx: link the kernel to that address, as an ELF file%s",
			name, m->name, (unsigned long long)m->ram_base,
			m->firmware ? ", or leave --firmware=none out" : "");
	if (!*bare && at_start)
		return vm_fail(
			vm, GUEST_LOAD_FAILED,
			"%s is linked to 0x%llx, where the firmware is; give --firmware=none, or link it to 0x%llx",
			name, (unsigned long long)m->ram_base, (unsigned long long)m->ram_base + RISCV_KERNEL_OFF);
	return 0;
}

/* Check an ELF kernel of a virt machine. */
static int judge_virt_elf(struct vm *vm, uint64_t *end, bool *bare)
{
	const struct machine *m = machine_get(vm->c->machine);
	struct kernel_elf elf = kernel_elf(VFD_KERNEL);
	uint64_t ram_end = m->ram_base + vm->c->mem_bytes;
	const char *name = vm->c->kernel_name;

	if (!elf.memory)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is an ELF file without a segment to load", name);
	if (elf.low < m->ram_base || elf.memory > ram_end)
		return vm_fail(
			vm, GUEST_LOAD_FAILED,
			"%s is linked to 0x%llx to 0x%llx, but RAM is from 0x%llx to 0x%llx; link it to addresses of RAM%s",
			name, (unsigned long long)elf.low, (unsigned long long)elf.memory,
			(unsigned long long)m->ram_base, (unsigned long long)ram_end,
			elf.low < m->ram_base ? "" : ", or give it more (MEM-MB)");
	*end = elf.memory;
	return m->family == FAMILY_RISCV ? judge_firmware(vm, &elf, bare) : 0;
}

/* Check a kernel of a virt machine. @k: what its header describes. */
static int judge_virt(struct vm *vm, const struct kernel_machine *k, uint64_t *end, bool *bare)
{
	const struct machine *m = machine_get(vm->c->machine);
	const char *name = vm->c->kernel_name;
	struct stat st;

	if (k->format == FORMAT_ELF)
		return judge_virt_elf(vm, end, bare);
	if (fstat(VFD_KERNEL, &st) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "%s: %m", name);
	if ((uint64_t)st.st_size < k->file)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is a truncated kernel (%llu of %llu bytes); copy it again",
			       name, (unsigned long long)st.st_size, (unsigned long long)k->file);
	if (vm->c->mem_bytes < k->memory)
		return vm_fail(
			vm, GUEST_LOAD_FAILED,
			"%s needs at least %llu MiB of memory, but the guest has %llu MiB; give it more (MEM-MB)", name,
			(unsigned long long)((k->memory - 1) >> 20) + 1, (unsigned long long)(vm->c->mem_bytes >> 20));
	*end = m->ram_base + (k->memory ? k->memory : (uint64_t)st.st_size);
	return m->family == FAMILY_RISCV ? judge_firmware(vm, NULL, bare) : 0;
}

/* Check that an ELF kernel is whole: QEMU's own message would not say so. */
static int judge_length(struct vm *vm)
{
	struct kernel_elf elf = kernel_elf(VFD_KERNEL);
	const char *name = vm->c->kernel_name;
	struct stat st;

	if (fstat(VFD_KERNEL, &st) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "%s: %m", name);
	if ((uint64_t)st.st_size < elf.file)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is a truncated kernel (%llu of %llu bytes); copy it again",
			       name, (unsigned long long)st.st_size, (unsigned long long)elf.file);
	return 0;
}

/* Check an EFI program, such as a unified kernel image. The firmware gets it from QEMU and starts it. */
static int judge_efi(struct vm *vm, const char *for_machine)
{
	const struct machine *m = machine_get(vm->c->machine);
	const char *name = vm->c->kernel_name;

	if (strcmp(for_machine, m->name) != 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is an EFI program for %s; give --machine=%s", name,
			       for_machine, for_machine);
	if (vm->c->firmware != FIRMWARE_OVMF && vm->c->firmware != FIRMWARE_FILE)
		return vm_fail(vm, GUEST_LOAD_FAILED,
			       "%s is an EFI program, which only UEFI starts; give --firmware=ovmf", name);
	if (m->family == FAMILY_X86 && vm->c->has_initrd)
		return vm_fail(vm, GUEST_LOAD_FAILED,
			       "%s is an EFI program, to which QEMU gives no initrd; leave --initrd out", name);
	return 0;
}

/* Check by the kernel's first bytes that it can run on this machine. */
static int judge_kind(struct vm *vm, struct load_src *src, const uint8_t *head, size_t len,
		      const struct kernel_machine *k)
{
	const struct machine *m = machine_get(vm->c->machine);
	const char *what, *name = vm->c->kernel_name;
	enum kernel_kind kind = kernel_kind(head, MIN(len, KERNEL_CHECK_BYTES), &what);
	struct multiboot mb;

	if (k->format == FORMAT_EFI)
		return judge_efi(vm, k->name);
	if (k->name && !kernel_runs_on(k->name, m->name))
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is a kernel for %s; give --machine=%s", name, k->name,
			       k->name);
	if (m->family != FAMILY_X86 && k->name)
		return 0;
	if (m->family != FAMILY_X86 && multiboot_find(head, len, &mb))
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is a Multiboot %u kernel, for x86; give --machine=%s", name,
			       mb.version, machine_get(MACHINE_X86_64)->name);
	if (kind != KERNEL_BZIMAGE && kind != KERNEL_ELF && !multiboot_find(head, len, &mb))
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is not a kernel: it is %s%s", name, what,
			       src->gzip ? " in a gzip file" : "");
	return 0;
}

/* Check a kernel of an x86 machine. @k: what its header describes. */
static int judge_x86(struct vm *vm, const struct kernel_machine *k, const uint8_t *head, size_t len, uint64_t *end)
{
	int multiboot;

	if (k->format == FORMAT_EFI)
		return 0;
	if (k->format == FORMAT_BZIMAGE)
		return judge_bzimage(vm, head, len, end);
	multiboot = qemu_judge_multiboot(vm, head, len, end);
	if (multiboot < 0 || (multiboot == 0 && judge_elf(vm, end) < 0))
		return -1;
	log_line(LOG_DEBUG, "%s: QEMU starts it %s", vm->c->kernel_name,
		 multiboot ? "as a Multiboot 1 kernel" : "by its PVH entry");
	return 0;
}

int qemu_load_kernel(struct vm *vm, uint64_t *end, bool *bare)
{
	static uint8_t head[MULTIBOOT2_SEARCH];
	static struct load_result out;
	struct load_src src;
	struct kernel_machine k;
	const char *name = vm->c->kernel_name;
	int64_t size = usable_size(vm, VFD_KERNEL, name), n;

	*bare = false;
	if (size < 0)
		return -1;
	if (src_open(&src, VFD_KERNEL, vm->c->mem_bytes, &out) < 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", name, out.error);
	n = src_read_some(&src, 0, head, sizeof(head));
	if (n < 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", name, out.error);
	k = kernel_machine(head, (size_t)n);
	if (judge_kind(vm, &src, head, (size_t)n, &k) < 0)
		return -1;
	if (src.gzip) {
		if (unpack_sealed(&src, VFD_KERNEL, "kernel", &out) < 0)
			return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", name, out.error);
	} else if (copy_sealed(VFD_KERNEL, "kernel", (uint64_t)size) < 0) {
		return vm_fail(vm, GUEST_ENGINE_FAILED, "cannot copy %s to memory: %m", name);
	}
	if (k.format == FORMAT_ELF && judge_length(vm) < 0)
		return -1;
	if (machine_get(vm->c->machine)->family != FAMILY_X86)
		return judge_virt(vm, &k, end, bare);
	return judge_x86(vm, &k, head, (size_t)n, end);
}

/* Check that the initrd fits where a virt machine puts it, with the device tree behind it. */
static int virt_initrd_fits(struct vm *vm, uint64_t kernel_end, uint64_t size)
{
	const struct machine *m = machine_get(vm->c->machine);
	uint64_t mem = vm->c->mem_bytes - MIN(vm->c->mem_bytes, VIRT_DTB_ROOM),
		 at = MIN(vm->c->mem_bytes / 2, VIRT_INITRD_AT);

	if (m->family == FAMILY_RISCV)
		at += RISCV_KERNEL_OFF;
	at = MAX(at, kernel_end - m->ram_base);
	if (at <= mem && size <= mem - at)
		return 0;
	return vm_fail(
		vm, GUEST_LOAD_FAILED,
		"the initrd has %llu bytes, but %llu are left for it above the kernel; give the guest more memory (MEM-MB)",
		(unsigned long long)size, (unsigned long long)(at <= mem ? mem - at : 0));
}

int qemu_load_initrd(struct vm *vm, uint64_t kernel_end)
{
	static struct load_result out;
	int64_t size;

	if (!vm->c->has_initrd)
		return 0;
	size = usable_size(vm, VFD_INITRD, "the initrd");
	if (size < 0)
		return -1;
	if (size == 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "the initrd is an empty file");
	if (machine_get(vm->c->machine)->family != FAMILY_X86) {
		if (virt_initrd_fits(vm, kernel_end, (uint64_t)size) < 0)
			return -1;
	} else if (load_fit(&out, kernel_end, (uint64_t)size, low_end(vm)) < 0) {
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", vm->c->kernel_name, out.error);
	}
	if (copy_sealed(VFD_INITRD, "initrd", (uint64_t)size) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "cannot copy the initrd to memory: %m");
	return 0;
}

int qemu_load_firmware(struct vm *vm)
{
	struct stat st;

	if (vm->c->firmware < FIRMWARE_OVMF)
		return 0;
	/* The parent has checked this, but the file may have changed since. */
	if (fstat(VFD_FIRMWARE, &st) < 0 || (uint64_t)st.st_size > FIRMWARE_MAX)
		return vm_fail(vm, GUEST_LOAD_FAILED, "the firmware's file has changed");
	if (copy_sealed(VFD_FIRMWARE, "firmware", (uint64_t)st.st_size) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "cannot copy the firmware to memory: %m");
	return 0;
}
