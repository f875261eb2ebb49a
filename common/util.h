/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small things that every role uses: sizes, bounds, one-time reads of shared
 * memory, byte order. Nothing here allocates, does I/O or has state.
 */
#ifndef COMMON_UTIL_H
#define COMMON_UTIL_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN	       __attribute__((noreturn))
#define MUST_CHECK	       __attribute__((warn_unused_result))

/*
 * Memory that the guest shares is read and written through these alone: one
 * access of the object's own size, never repeated or merged by the compiler.
 */
#define READ_ONCE(x)	 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* virtio 1.2, 2.7.13: what the device must order against the driver's CPU. */
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* True if [off, off + len) lies inside [0, limit); written so that nothing can wrap. */
static inline bool range_ok(uint64_t off, uint64_t len, uint64_t limit)
{
	return off <= limit && len <= limit - off;
}

/* @align is a power of two. */
static inline bool is_aligned(uint64_t v, uint64_t align)
{
	return (v & (align - 1)) == 0;
}

static inline bool is_power_of_two(uint64_t v)
{
	return v && (v & (v - 1)) == 0;
}

#endif
