/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the process that has a file open, for an error message. */
#ifndef PARENT_FIND_HOLDER_H
#define PARENT_FIND_HOLDER_H

#include <stddef.h>

/*
 * Write "process 123 (name)" to @text (@size bytes) for another process that has the file of @fd open, or "another
 * program" if none is found.
 */
void find_holder(int fd, char *text, size_t size);

#endif
