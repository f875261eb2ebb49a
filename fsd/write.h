/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests of the guest that change content and attributes of the file @n (cfg.read_write). Each executes one judged
 * request, whose arguments have at least the length of their fixed part, and returns the length of the reply's data in
 * @r->reply, or a negative error number.
 */
#ifndef FSD_WRITE_H
#define FSD_WRITE_H

#include "fsd/fsd.h"

int fsd_do_setattr(struct fsd *d, struct fs_req *r, struct node *n);
int fsd_do_write(struct fsd *d, struct fs_req *r, struct node *n);
int fsd_do_fallocate(struct fsd *d, struct fs_req *r, struct node *n);
int fsd_do_fsync(struct fsd *d, struct fs_req *r, struct node *n);
/* Set the length of @n, open for writing at @fd. Returns 0 or a negative error number. */
int fsd_set_size(struct fsd *d, const struct node *n, int fd, uint64_t size);

/* True if @mode has a set-user-ID or set-group-ID bit, which no file of the share gets. */
static inline bool fsd_has_set_id(mode_t mode)
{
	return mode & (S_ISUID | S_ISGID);
}

#endif
