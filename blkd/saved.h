/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest has changed on a snapshot, in the files of --save and --from. Each disk has a part of the file: a list of
 * runs of clusters (struct saved_run), each followed by its data unless that is zeros, and a run of 0 bytes at the end. This
 * code works in blkd, confined, while all rings stand still. It does not trust the file: it checks everything before use.
 */
#ifndef BLKD_SAVED_H
#define BLKD_SAVED_H

#include "blkd/snapshot.h"
#include "common/vhost_user.h"

struct saved_run {
	uint64_t cluster; /* Number of the first cluster; in the run at the end, how many clusters came before */
	uint32_t bytes; /* At most SNAP_MAX_CLUSTER; whole clusters, except at the end of the disk; 0: the list ends */
	uint32_t zeros; /* 1: all bytes are zeros, and not in the file */
	uint32_t crc;	/* CRC-32 (zlib's) of the data, or of @cluster in the run at the end; it finds accidents */
	uint32_t zero;
};
_Static_assert(sizeof(struct saved_run) == 24, "no holes: the file has the same layout everywhere");

/*
 * Write the next clusters of @s to the file @fd at m->at, or read them from it, and set *@m for the reply. Does a limited
 * amount of work in each call. The first call of saved_read() makes the snapshot empty.
 */
void saved_write(struct snapshot *s, int fd, struct vhu_saved *m);
void saved_read(struct snapshot *s, int fd, struct vhu_saved *m);

#endif
