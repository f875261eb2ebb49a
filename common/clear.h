/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clears large static objects of which a guest mostly uses a small part. */
#ifndef COMMON_CLEAR_H
#define COMMON_CLEAR_H

#include <string.h>

#include "common/util.h"

/*
 * Set the @size bytes of @object to zero. Unlike memset(3) it writes only where they are not zero already, so that
 * pages of static objects that were never used take no memory. @object has to be initialised.
 */
static inline void clear_object(void *object, size_t size)
{
	static const uint8_t zeros[256];
	uint8_t *p = object;

	for (size_t at = 0; at < size; at += sizeof(zeros)) {
		size_t n = MIN(sizeof(zeros), size - at);

		if (memcmp(p + at, zeros, n) != 0)
			memset(p + at, 0, n);
	}
}

#endif
