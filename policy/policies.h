/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filters that the build made from policy/NAME.policy (policy/compile.c).
 * A role links only the ones that it names. See policy/README.md for the format.
 */
#ifndef POLICY_POLICIES_H
#define POLICY_POLICIES_H

#include "common/sandbox.h"

extern const struct policy policy_start;	    /* spawners, and roles until their own is on */
extern const struct policy policy_start_qemu;	    /* the same for the spawner of the qemu engine */
extern const struct policy policy_start_fsd;	    /* the same for the spawner of fsd, and fsd */
extern const struct policy policy_start_fsd_rw;	    /* the same for an fsd whose share the guest may write to */
extern const struct policy policy_start_passt;	    /* the same for the spawner of passt, and passt */
extern const struct policy policy_start_checkpoint; /* the same for the spawner of the vCPU process with --checkpoint */
extern const struct policy policy_supervisor;
extern const struct policy policy_blkd;		/* tight: rings run, front-end is ours */
extern const struct policy policy_blkd_foreign; /* memory and eventfds may still come (QEMU) */
extern const struct policy policy_blkd_saved;	/* a snapshot with --save, --from or --reset=fresh */
extern const struct policy policy_blkd_saved_foreign;
extern const struct policy policy_blkd_nbd; /* QEMU shows the disk as IDE and speaks NBD */
extern const struct policy policy_fsd;
extern const struct policy policy_fsd_foreign;
extern const struct policy policy_fsd_saved; /* its part of the file of --save or --from */
extern const struct policy policy_fsd_saved_foreign;
extern const struct policy policy_fsd_rw; /* the guest may write to the share */
extern const struct policy policy_fsd_rw_foreign;
extern const struct policy policy_controld;
extern const struct policy policy_cleaner; /* the process that removes the cgroup of a guest with limits */
extern const struct policy policy_copier;  /* a process that reads or writes a file of a file server */
extern const struct policy policy_netd;
extern const struct policy policy_netd_foreign;
/* The vCPU process before it parses anything from the guest. The filter of the loop is added to each of these. */
extern const struct policy policy_vcpu_kvm_load;
extern const struct policy policy_vcpu_kvm_checkpoint_load;
extern const struct policy policy_vcpu_kvm_save_load;
extern const struct policy policy_vcpu_kvm_from_load;
extern const struct policy policy_vcpu_lguest_load;
extern const struct policy policy_vcpu_qemu_load;
extern const struct policy policy_vcpu_qemu;
extern const struct policy policy_vcpu_kvm;
extern const struct policy policy_vcpu_kvm_checkpoint; /* the guest can go back to a checkpoint */
extern const struct policy policy_vcpu_kvm_save;       /* and its checkpoint is written to a file */
extern const struct policy policy_vcpu_lguest;

/* The name of system call @number on the architecture of this build, or "?". */
const char *syscall_name(uint64_t number);

#endif
