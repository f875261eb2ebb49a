/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filters that the build made from policy/NAME.policy (policy/compile.c).
 * A role links only the ones that it names. See policy/README.md for the format.
 */
#ifndef POLICY_POLICIES_H
#define POLICY_POLICIES_H

#include "common/sandbox.h"

extern const struct policy policy_start;      /* spawners, and roles until their own is on */
extern const struct policy policy_start_qemu; /* the same for the spawner of the qemu engine */
extern const struct policy policy_supervisor;
extern const struct policy policy_blkd;		/* tight: rings run, front-end is ours */
extern const struct policy policy_blkd_foreign; /* memory and eventfds may still come (QEMU) */
extern const struct policy policy_netd;
extern const struct policy policy_netd_foreign;
extern const struct policy policy_vcpu_qemu;
extern const struct policy policy_vcpu_kvm;
extern const struct policy policy_vcpu_lguest;

/* The name of system call @number on the architecture of this build, or "?". */
const char *syscall_name(uint64_t number);

#endif
