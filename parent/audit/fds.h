/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares a process's descriptors with the table in common/fdtab.h. */
#ifndef PARENT_AUDIT_FDS_H
#define PARENT_AUDIT_FDS_H

#include "parent/audit/audit.h"

/* Set fd[].wrong of each descriptor of @f that a process of kind @part of @g should not have. */
void audit_judge_fds(const struct audit_guest *g, enum part part, struct facts *f);

/* Name of the program that a process of kind @part of @g is promised to run. */
const char *audit_program(const struct audit_guest *g, enum part part);

/*
 * True if @p runs the program @want beside the supervisor's. Compares the files, not their names: before Linux 3.19 a
 * role's root directory shows its program under another name.
 */
bool audit_runs(const struct audit_guest *g, const struct audit_process *p, const char *want);
/*
 * True for a netd with pcap=, whose file may get as large as max= says, and for a blkd or fsd with the file of --save,
 * which gets as large as the guest's memory and disks.
 */
bool audit_has_output(const struct facts *f);
/* True for a vCPU process with the file of --save, which gets as large as the guest's memory. */
bool audit_has_save(const struct facts *f);
/* True for an fsd whose share the guest may write to, files of which may get as large as max= says. */
bool audit_is_writable_share(const struct audit_guest *g, const struct facts *f);
/* True for the vCPU process of the lguest engine, which needs a file size limit of more than 0 for its requests. */
bool audit_has_lguest(const struct facts *f);

/* True for the spawner of an fsd, whose limit of open files is that of fsd's table. */
bool audit_starts_fsd(const struct audit_guest *g, const struct audit_process *p);

/* True for passt and its spawner, which have the host's network. */
bool audit_has_network(const struct audit_guest *g, const struct audit_process *p);

#endif
