/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of the guest that change names in the directory @n (cfg.read_write); what they return is as in write.h. */
#ifndef FSD_NAMES_H
#define FSD_NAMES_H

#include "fsd/fsd.h"

int fsd_do_create(struct fsd *d, struct fs_req *r, struct node *n);
int fsd_do_mknod(struct fsd *d, struct fs_req *r, struct node *n);
int fsd_do_mkdir(struct fsd *d, struct fs_req *r, struct node *n);
int fsd_do_symlink(struct fsd *d, struct fs_req *r, struct node *n);
int fsd_do_link(struct fsd *d, struct fs_req *r, struct node *n);
int fsd_do_unlink(struct fsd *d, struct fs_req *r, struct node *n);
int fsd_do_rmdir(struct fsd *d, struct fs_req *r, struct node *n);
int fsd_do_rename(struct fsd *d, struct fs_req *r, struct node *n);
int fsd_do_rename2(struct fsd *d, struct fs_req *r, struct node *n);

#endif
