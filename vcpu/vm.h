/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers of all engines: recording why a guest ended, moving descriptors, entering the load phase. */
#ifndef VCPU_VM_H
#define VCPU_VM_H

#include "common/sandbox.h"
#include "vcpu/engine.h"

/* Set vm->end to @end and format vm->end_text. Always returns -1. */
int vm_fail(struct vm *vm, enum guest_end end, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * Move @fd to @number in the descriptor table. @fd is the result of a system call; if it is
 * -1, its errno is reported. Returns 0, or -1 with vm->end set.
 */
int vm_place(struct vm *vm, int fd, int number);

/*
 * Enter the load phase, in which the process parses untrusted data (replies of helpers, the kernel
 * file): install the filter @load, which forbids new processes and threads. @no_threads: also set
 * RLIMIT_NPROC to 0. Returns 0, or -1 with vm->end set.
 */
int vm_load_phase(struct vm *vm, const struct policy *load, bool no_threads);

#endif
