/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory files that a start of the guest needs. */
#ifndef PARENT_SUPERVISE_MEMORY_H
#define PARENT_SUPERVISE_MEMORY_H

#include <sys/stat.h>

#include "parent/supervise/state.h"

/*
 * Creates the inflight area of the disk @r, where blkd records the requests that it has begun, so that a successor can
 * finish them. Returns 0, or -1 after logging the reason.
 */
int sup_fresh_notes(struct supervisor *s, struct sup_role *r, unsigned queues);
/* RLIMIT_AS of a role; blkd: for a disk of @disk bytes. 0: no limit. */
uint64_t sup_space_limit(const struct supervisor *s, uint64_t disk);
/*
 * RLIMIT_FSIZE of the vCPU process, in bytes. With --from it writes guest memory as a file. In tests a file stands in
 * for /dev/lguest, and each request to it is a write of a few bytes.
 */
uint64_t sup_vcpu_file_size(const struct supervisor *s);
/* Most bytes of the file of --save. */
uint64_t sup_save_file_size(const struct supervisor *s);
/*
 * Returns RLIMIT_FSIZE of the blkd of @d, in bytes: enough for its image or temporary file, and for the file of --save.
 */
uint64_t sup_disk_file_size(const struct supervisor *s, const struct disk_host *d);
/*
 * Creates the log in which the helper of device @d records pages of guest memory that it writes, with --checkpoint.
 * Returns its descriptor, which the caller closes, or -1 after logging the reason.
 */
int sup_fresh_log(struct supervisor *s, unsigned d);
/*
 * Sets s->mem to guest memory for this start, with *@st. The first start uses what the privileged window created; each
 * later one creates its own. Returns 0, or -1 after logging the reason.
 */
int sup_fresh_memory(struct supervisor *s, struct stat *st);

#endif
