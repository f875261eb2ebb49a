/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has a file open. Runs in the parent, on the way to an error message. */
#ifndef PARENT_FIND_HOLDER_H
#define PARENT_FIND_HOLDER_H

#include <sys/types.h>

/* "process 123 (name)" for another process that has (@dev, @ino) open, or "another program". */
void find_holder(dev_t dev, ino_t ino, char *text, size_t size);

#endif
