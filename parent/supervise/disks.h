/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of a disk or share for its helper. With --reset=fresh a snapshot has two levels: up to the checkpoint blkd
 * writes to a file that its successors can only read; and each successor begins with nothing in the other one. The
 * tables of a share are as they were at the checkpoint. Runs in the supervisor.
 */
#ifndef PARENT_SUPERVISE_DISKS_H
#define PARENT_SUPERVISE_DISKS_H

#include "parent/supervise/state.h"

/* Add the files of the disk @d, for the next process of @r, to @f and to @rc->blk. */
void sup_disk_files(const struct supervisor *s, const struct sup_role *r, const struct disk_host *d, struct role_fds *f,
		    struct role_config *rc);
/* The same of the share @h, and @rc->fs. */
void sup_share_files(const struct supervisor *s, const struct sup_role *r, const struct share_host *h,
		     struct role_fds *f, struct role_config *rc);
/*
 * For --reset=fresh, when all helpers have ended. With @keeps, what each snapshot has now is its lower level, and what
 * each share has in its tables is kept; otherwise what was written since is dropped. Returns 0, or -1 after logging the
 * reason.
 */
int sup_disks_renew(struct supervisor *s, bool keeps);

#endif
