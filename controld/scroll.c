/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scroll-back buffer: see scroll.h. Runs in controld; the bytes are the guest's and are only copied. */
#include <string.h>

#include "controld/scroll.h"

_Static_assert((SCROLL_SIZE & (SCROLL_SIZE - 1)) == 0, "positions are masked");

uint64_t scroll_first(const struct scroll *s)
{
	return s->end > SCROLL_SIZE ? s->end - SCROLL_SIZE : 0;
}

void scroll_put(struct scroll *s, const uint8_t *data, size_t n)
{
	size_t at = (size_t)(s->end & (SCROLL_SIZE - 1)), first;

	n = MIN(n, SCROLL_SIZE);
	first = MIN(n, SCROLL_SIZE - at);
	memcpy(s->data + at, data, first);
	memcpy(s->data, data + first, n - first);
	s->end += n;
}

size_t scroll_get(const struct scroll *s, uint64_t *at, void *to, size_t most)
{
	size_t from, first, n;

	*at = MIN(MAX(*at, scroll_first(s)), s->end);
	n = (size_t)MIN(s->end - *at, most);
	from = (size_t)(*at & (SCROLL_SIZE - 1));
	first = MIN(n, SCROLL_SIZE - from);
	memcpy(to, s->data + from, first);
	memcpy((uint8_t *)to + first, s->data, n - first);
	*at += n;
	return n;
}
