/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helper macros and functions for every program: sizes, bounds checks, single reads of
 * shared memory, byte order. Nothing here allocates, does I/O or has state.
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

/* A 64-bit mask with bit @n set, as for virtio features. */
#define BIT64(n) (UINT64_C(1) << (n))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN	       __attribute__((noreturn))

/*
 * The only way to read and write memory shared with the guest: exactly one access of the
 * object's size, which the compiler neither repeats nor merges. Without it, the compiler
 * might read a value again after it was checked, when the guest has changed it.
 */
#define READ_ONCE(x)	 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* Memory barriers between device and driver (virtio 1.2, 2.7.13). */
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* True if [off, off + len) lies inside [0, limit). The sum is not computed, because it could wrap around. */
static inline bool range_ok(uint64_t off, uint64_t len, uint64_t limit)
{
	return off <= limit && len <= limit - off;
}

/* True if @v is a multiple of @align, a power of two. */
static inline bool is_aligned(uint64_t v, uint64_t align)
{
	return (v & (align - 1)) == 0;
}

static inline bool is_power_of_two(uint64_t v)
{
	return v && (v & (v - 1)) == 0;
}

#endif
