/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks Multiboot kernels before QEMU gets them. */
#ifndef VCPU_QEMU_MULTIBOOT_H
#define VCPU_QEMU_MULTIBOOT_H

#include "vcpu/vm.h"

/*
 * Check the kernel in the memfd VFD_KERNEL, which is not a bzImage and which begins with the
 * @len bytes at @head. Returns 1 if QEMU starts it as a Multiboot 1 kernel, with *@end set to
 * the end of the memory that it needs; 0 if it has no Multiboot header that QEMU uses; or -1
 * with vm->end set.
 */
int qemu_judge_multiboot(struct vm *vm, const uint8_t *head, size_t len, uint64_t *end);

#endif
