/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clears large static objects of which a guest mostly uses a small part. */
#ifndef COMMON_CLEAR_H
#define COMMON_CLEAR_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/util.h"

/*
 * Set the @size bytes of @object to zero. Unlike memset(3), does not touch pages that lie in @object completely, so that
 * those that were never used take neither memory nor time. @object is in private memory that the kernel fills with
 * zeros: static without an initialiser, on the stack or allocated.
 */
static inline void clear_object(void *object, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), head = -(uintptr_t)object % page, whole;
	uint8_t *p = object;

	head = MIN(head, size);
	whole = (size - head) / page * page;
	/* Fails for locked memory (mlockall(2)). */
	if (whole && madvise(p + head, whole, MADV_DONTNEED) < 0)
		memset(p + head, 0, whole);
	memset(p, 0, head);
	memset(p + head + whole, 0, size - head - whole);
}

#endif
