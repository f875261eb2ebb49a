/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks kernel and initrd before QEMU gets them. Runs in the vCPU process under the loader's filter. */
#ifndef VCPU_QEMU_KERNEL_H
#define VCPU_QEMU_KERNEL_H

#include "vcpu/engine.h"

/*
 * Check the kernel (VFD_KERNEL) and replace its descriptor by a sealed copy, unpacked if it is a gzip file. *@end: highest
 * guest-physical address that it needs; 0: unknown. *@bare: a riscv kernel starts without firmware. Returns 0, or -1
 * with vm->end set.
 */
int qemu_load_kernel(struct vm *vm, uint64_t *end, bool *bare);

/* Replace the descriptor of the firmware's file (VFD_FIRMWARE), if there is one, by a sealed copy. Returns 0, or -1. */
int qemu_load_firmware(struct vm *vm);

/* The same as for the kernel for the initrd (VFD_INITRD), if there is one. @kernel_end: from qemu_load_kernel(). */
int qemu_load_initrd(struct vm *vm, uint64_t kernel_end);

#endif
