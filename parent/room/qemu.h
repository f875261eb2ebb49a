/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's files in its root directory. */
#ifndef PARENT_ROOM_QEMU_H
#define PARENT_ROOM_QEMU_H

#include "parent/room/room.h"

/* Bind-mount the files of QEMU for the machine @m below the working directory. Returns 0, or -1 with errno set. */
int room_qemu_files(const struct machine *m);

/*
 * The same for passt: its libraries, and an /etc/resolv.conf with the text @resolv; its program is executed by its
 * descriptor. Returns 0, or -1 with errno set.
 */
int room_passt_files(const char *resolv);

/*
 * Make the root and all files of @m's QEMU (NULL: passt) read-only, on hosts without mount_setattr(2) (before Linux 5.12). Call it after
 * the new root was entered. Returns 0, or -1 with errno set.
 */
int room_qemu_seal(const struct machine *m);

#endif
