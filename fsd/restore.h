/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes over the files that the guest knew when the process before this one was killed. */
#ifndef FSD_RESTORE_H
#define FSD_RESTORE_H

#include "fsd/fsd.h"

/*
 * Find each file of the predecessor's tables by its name, and open again what the guest had open. The numbers of files
 * that have another name now, or none, are not valid any more. Called once, confined, before the first request.
 */
void fsd_restore(struct fsd *d);

#endif
