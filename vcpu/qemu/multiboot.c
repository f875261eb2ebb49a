/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks Multiboot kernels before QEMU gets them: see multiboot.h. QEMU loads version 1 by
 * itself (hw/i386/multiboot.c); if it refuses a kernel, its message names none of our options.
 */
#include <elf.h>
#include <string.h>
#include <sys/stat.h>

#include "vcpu/load/kernel_check.h"
#include "vcpu/load/multiboot.h"
#include "vcpu/load/src.h"
#include "vcpu/qemu/multiboot.h"

/* QEMU finds a header that begins before this byte of the file. */
#define QEMU_SEARCH (MULTIBOOT1_SEARCH - 48)

/* The memory of a kernel whose header has addresses. */
static int judge_flat(struct vm *vm, const struct multiboot *m, uint64_t *end)
{
	static struct load_result out;
	const char *name = vm->c->kernel_name;
	struct multiboot_flat f;
	struct stat st;
	uint64_t size;

	if (multiboot_flat(m, &f, &out) < 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", name, out.error);
	if (fstat(VFD_KERNEL, &st) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "%s: %m", name);
	size = f.size ? f.size : (uint64_t)st.st_size - MIN(f.off, (uint64_t)st.st_size);
	if (!size || !range_ok(f.off, size, (uint64_t)st.st_size))
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is a truncated kernel; copy it again", name);
	if (f.memsz && f.memsz < size)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is larger than its memory (bss_end_addr of its header)",
			       name);
	*end = f.addr + MAX(f.memsz, size);
	if (m->entry < f.addr || m->entry >= *end)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: the Multiboot kernel's entry 0x%x is outside it", name,
			       m->entry);
	return 1;
}

int qemu_judge_multiboot(struct vm *vm, const uint8_t *head, size_t len, uint64_t *end)
{
	static struct load_result out;
	const char *name = vm->c->kernel_name;
	bool elf = len > EI_CLASS && memcmp(head, ELFMAG, SELFMAG) == 0;
	struct kernel_elf k = { 0 };
	struct multiboot m;
	int r = 1;

	if (!multiboot_find(head, len, &m))
		return 0;
	if (elf)
		k = kernel_elf(VFD_KERNEL);
	if (m.version == 2 || m.at >= QEMU_SEARCH) {
		if (k.pvh)
			return 0;
		if (m.version == 2)
			return vm_fail(
				vm, GUEST_LOAD_FAILED,
				"%s is a Multiboot 2 kernel, which the qemu engine does not start; use --engine=kvm, or give it a Multiboot 1 header as well",
				name);
		return vm_fail(
			vm, GUEST_LOAD_FAILED,
			"%s has its Multiboot header at byte %u, but QEMU looks in the first %u bytes only; move it, or use --engine=kvm",
			name, m.at, QEMU_SEARCH);
	}
	if (multiboot_parse(head, len, &m, &out) < 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", name, out.error);
	if (m.has_address)
		r = judge_flat(vm, &m, end);
	else if (!elf)
		return vm_fail(vm, GUEST_LOAD_FAILED,
			       "%s: the Multiboot 1 kernel is no ELF file, and its header has no addresses", name);
	else if (head[EI_CLASS] != ELFCLASS32)
		return vm_fail(
			vm, GUEST_LOAD_FAILED,
			"%s is a Multiboot 1 kernel in a 64-bit ELF file, and QEMU starts 32-bit ones only; convert it (objcopy -O elf32-i386), or use --engine=kvm",
			name);
	else
		*end = k.memory;
	if (r > 0 && *end > vm->c->mem_bytes)
		return vm_fail(vm, GUEST_LOAD_FAILED,
			       "%s needs memory up to %llu MiB, but the guest has %llu MiB; give it more (MEM-MB)",
			       name, (unsigned long long)((*end - 1) >> 20) + 1,
			       (unsigned long long)(vm->c->mem_bytes >> 20));
	return r;
}
