/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last output of the guest's console, in fixed memory. A position is the number
 * of bytes that the guest had printed before it. No system call is made here.
 */
#ifndef CONTROLD_SCROLL_H
#define CONTROLD_SCROLL_H

#include "common/util.h"

/* Bytes that are kept. A power of two. */
#define SCROLL_SIZE 65536

struct scroll {
	uint64_t end; /* Bytes printed so far. */
	uint8_t data[SCROLL_SIZE];
};

/* Returns the position of the oldest byte that is kept. */
uint64_t scroll_first(const struct scroll *s);
/* Add @n bytes, at most SCROLL_SIZE, and forget the oldest ones. */
void scroll_put(struct scroll *s, const uint8_t *data, size_t n);
/*
 * Copy at most @most bytes from position *@at to @to and advance *@at. If the bytes at *@at are
 * no longer kept, start with the oldest one. Returns the number of bytes copied; 0 at the end.
 */
size_t scroll_get(const struct scroll *s, uint64_t *at, void *to, size_t most);

#endif
