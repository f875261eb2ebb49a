/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The descriptors of nodes. At most cfg.open of them are open at a time: those of nodes that were not used lately are
 * closed (such a node is *idle*) and opened again when they are needed, by the names of the node and of the
 * directories above it. Not closed are those of nodes that the guest has open, and those of files that have no name
 * any more or another one on the host, unless there are no others.
 */
#ifndef FSD_IDLE_H
#define FSD_IDLE_H

#include "fsd/fsd.h"

/*
 * The O_PATH descriptor of @n, which is no mount point. It stays open while those of up to three more nodes are asked
 * for. Returns it, or a negative error number: ESTALE if @n was idle and its name leads to another file, or to none.
 */
int fsd_fd(struct fsd *d, struct node *n);
/*
 * Before a descriptor is added to a node: make sure that there are fewer than cfg.open. Returns false if all are in
 * use.
 */
bool fsd_make_room(struct fsd *d);
/*
 * The name @name in the directory at @dir is about to be removed: if the file's node is idle, open its descriptor, so
 * that the guest can use the file as long as it knows it.
 */
void fsd_before_removal(struct fsd *d, int dir, const char *name);

#endif
