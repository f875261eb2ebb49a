/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens the file of --shmem= in the privileged window. */
#ifndef PARENT_SETUP_SHMEM_H
#define PARENT_SETUP_SHMEM_H

#include "parent/setup/setup.h"

/*
 * Open the file of --shmem=, if there is one, and set h->shmem and h->shmem_bytes. With size=, create the file or give
 * an empty one that size; no other file changes. Returns 0, or -1 after logging the reason.
 */
int shmem_open(struct host *h);

#endif
