/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of the share on the host. */
#ifndef FSD_FILES_H
#define FSD_FILES_H

#include "fsd/fsd.h"

/*
 * Find the file @name in the directory @dir, take a reference to its node and fill in @e. Returns 0 or a negative
 * error number.
 */
int fsd_lookup(struct fsd *d, struct node *dir, const char *name, struct fuse_entry_out *e);
/* Drop the reference that fsd_lookup() has taken, for an entry that does not reach the guest. */
void fsd_unlookup(struct fsd *d, uint64_t nodeid);
/*
 * Open the file @name in @dir with O_PATH, if it is the file of @n. Returns a descriptor or a negative error number:
 * ESTALE if it is another file.
 */
int fsd_find(struct fsd *d, struct node *dir, const char *name, const struct node *n);
/* True if @n, which is no directory, still has the name under which it was found last. */
bool fsd_has_name(struct fsd *d, const struct node *n);
/*
 * Open @n, a regular file with @flags (O_RDONLY, O_WRONLY or O_RDWR) or a directory for reading. Returns a descriptor or a
 * negative error number.
 */
int fsd_open(struct fsd *d, struct node *n, int flags);
/*
 * Make the regular file @name in the directory @dir, where there must be no such name, and open it with @flags. @mode: its
 * permissions, all of which it gets. Returns a descriptor or a negative error number.
 */
int fsd_make_file(struct fsd *d, struct node *dir, const char *name, mode_t mode, int flags);
/* The file that is now @name in @dir was moved there: its node is found there from now on. */
void fsd_moved(struct fsd *d, struct node *dir, const char *name);
/* Fill in the attributes of @n. Returns 0 or a negative error number. */
int fsd_attributes(struct fsd *d, struct node *n, struct fuse_attr *a);

#endif
