/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much the guest may add to a share that it may write to (max=). Counted are the lengths of files, with their
 * holes, and FSD_FILE_COST for each new file, so that the count does not depend on the file system. What the guest
 * removes counts back if it made the file and its kernel has known that file since; space of the host's own files
 * never does. So the share never becomes larger by more than max=.
 */
#ifndef FSD_QUOTA_H
#define FSD_QUOTA_H

#include "fsd/fsd.h"

/* Bytes that a new file, directory or symbolic link counts in addition to its content: inode and directory entry. */
#define FSD_FILE_COST NODE_COST
/* Bytes that a new name of a file counts. They never count back. */
#define FSD_LINK_COST 512

/* Map the count at HFD_ADDED, which a successor of this process continues. Returns 0, or -1 with errno set. */
int fsd_quota_map(struct fsd *d);
/* True if the guest may add @more bytes. If not, the first time writes a log message. */
bool fsd_quota_allows(struct fsd *d, uint64_t more);
/* Count @more bytes that were added. */
void fsd_quota_add(struct fsd *d, uint64_t more);
/* Count back @less bytes. */
void fsd_quota_release(struct fsd *d, uint64_t less);
/* Bytes that may still be added. */
uint64_t fsd_quota_left(const struct fsd *d);

#endif
