/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds and mounts the root disk of --root=DISK. */
#ifndef GUEST_GUEST_DISK_H
#define GUEST_GUEST_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "guest/guest.h"

/* Bytes from the start of a disk that disk_contents() needs. */
#define DISK_HEAD (68u << 10)

/*
 * What the @len bytes at the start of a disk are: the kernel's name of a file system, "partitions" for
 * a partition table, or NULL if they are nothing that is known. Public for tests.
 */
const char *disk_contents(const uint8_t *head, size_t len);

/*
 * Find the root disk of @in by its serial, load the modules for its file system, and mount that at the existing
 * directory @to. Returns 0, or -1 with the reason in @r.
 */
int mount_disk(const struct instructions *in, const char *to, struct run_result *r);

#endif
