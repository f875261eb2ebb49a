/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers in network byte order, and the Internet checksum, for the packets that netd reads and writes itself. */
#ifndef NETD_WIRE_H
#define NETD_WIRE_H

#include <stddef.h>
#include <stdint.h>

static inline unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* Add the 16-bit words of @p, of which the last may be half, to @sum. @len: in bytes, less than 64 KiB. */
static inline uint32_t add_words(uint32_t sum, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		sum += get16(p);
	return len ? sum + ((uint32_t)p[0] << 8) : sum;
}

/* The Internet checksum (RFC 1071) of a sum of words. */
static inline unsigned fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

#endif
