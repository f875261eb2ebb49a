/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines for people, without stdio, locale or allocation: usable in a confined role.
 *
 * Two verbs: die() is for the host's faults before the guest runs;
 * guest_fault() (common/fault.h) is for the guest's, and never ends a process.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdarg.h>

#include "util.h"

/* Longest line with its NUL; longer ones are cut. */
#define LOG_LINE_MAX 256

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/*
 * Where lines go. log_to_fd(): "NAME: text\n" to that descriptor with one
 * write() (stand-alone programs, the parent). log_to_ctl(): a CTL_LOG message
 * on that SOCK_SEQPACKET descriptor (a role under the supervisor). @name is
 * kept, not copied. Lines above @max are dropped.
 */
void log_to_fd(int fd, const char *name, enum log_level max);
void log_to_ctl(int fd, const char *name, enum log_level max);

/*
 * Puts something into those of the descriptors 0, 1 and 2 that are not open, so
 * that no file which is opened later gets one of these numbers, and with it the
 * lines that are written there. Reads find the end, writes fail. The first thing
 * in a program that a person starts. False if there is nothing to put there.
 */
bool log_fill_standard(void);

void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* One LOG_ERROR line, then exit status 1. Only before the guest runs. */
void die(const char *fmt, ...) PRINTF_LIKE(1, 2) NORETURN;

/*
 * A formatter that understands %s %.*s %c %d %i %u %x %lx %ld %lu %lld %llu
 * %llx %zu %zd %p %%, with 0-padding and width, and %m for errno's text from
 * strerrordesc_np(). Always ends @buf with a NUL; returns the length that was
 * written (without the NUL), at most @size - 1.
 */
size_t fmt_line(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t fmt_vline(char *buf, size_t size, const char *fmt, va_list ap);

/*
 * A token bucket for lines that a guest can cause: true if one may be said now.
 * Starts full at @burst; refilled by one every @every_ms. *@suppressed counts
 * what was swallowed since the last line that was let through (reset by the caller).
 */
struct log_limit {
	unsigned burst, every_ms;
	unsigned tokens, suppressed;
	uint64_t last_ms;
};
#define LOG_LIMIT_INIT(b, ms)                                 \
	{                                                     \
		.burst = (b), .every_ms = (ms), .tokens = (b) \
	}
bool log_allowed(struct log_limit *l);

/* CLOCK_MONOTONIC, through the vDSO: no system call. */
uint64_t now_ms(void);
uint64_t now_us(void);

#endif
