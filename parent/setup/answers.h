/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks that the file systems of the files to open respond. */
#ifndef PARENT_SETUP_ANSWERS_H
#define PARENT_SETUP_ANSWERS_H

#include "parent/options/config.h"

/*
 * Stat the kernel, the initrd, each disk and each file for output in a child, because open(2) on a file system whose
 * server is dead (FUSE, NFS) blocks where no signal ends it. Returns 0, or -1 after logging the first file for which no
 * answer came within @wait_ms (ms); the child then stays behind. For --shmem it also asks for the kind of the file
 * system, so that file_has_server() need not wait for it. Does not report other errors: opening the file will. Makes no
 * child if all files are known to be local (local.h).
 */
int files_answer(const struct config *c, unsigned wait_ms);

#endif
