/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log messages, without stdio, locale or allocation, for use behind a seccomp filter.
 *
 * Use die() for errors of the host before the guest runs. Use guest_fault()
 * (common/fault.h) for errors of the guest; it never ends a process.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/bucket.h"
#include "common/fmt.h"
#include "common/util.h"

/* Longest message with its NUL, in bytes; longer ones are cut. */
#define LOG_LINE_MAX 256

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/*
 * Set where messages go. log_to_fd(): one write() of "NAME: text\n" to @fd (stand-alone
 * programs, the parent). log_to_ctl(): a CTL_LOG packet on the SOCK_SEQPACKET socket @fd
 * (roles). The pointer @name is kept. Messages less important than @max are dropped.
 */
void log_to_fd(int fd, const char *name, enum log_level max);
void log_to_ctl(int fd, const char *name, enum log_level max);

/*
 * Open /dev/null, read-only, at those of the descriptors 0, 1 and 2 that are closed.
 * Otherwise a file opened later could get number 2, and error messages would be written
 * into it. Call this first in every program that a user starts. False if /dev/null
 * cannot be opened.
 */
bool log_fill_standard(void);
/*
 * Make standard error non-blocking if it is a pipe or a terminal, by a description of our own: the inherited
 * one belongs to the user's other programs too. A line that it does not take is then lost.
 */
void log_unblock(void);

/* Log one message, formatted as fmt_line() does. Keeps errno. */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Log one message at LOG_ERROR and exit with status 1. Only before the guest runs. */
void die(const char *fmt, ...) PRINTF_LIKE(1, 2) NORETURN;

/*
 * Rate limit for messages that a guest can cause: at most @burst_ at once, then one every
 * @every_ms milliseconds. @suppressed counts the messages dropped since the last one
 * logged; the caller resets it.
 */
struct log_limit {
	struct bucket bucket; /* Its time is in milliseconds. */
	unsigned suppressed;
};
#define LOG_LIMIT_INIT(burst_, every_ms)                                                              \
	{                                                                                             \
		.bucket = {.rate = BUCKET_UNITS / (every_ms), .tokens = (burst_), .burst = (burst_) } \
	}
/* True if a message may be logged now; otherwise counts it in l->suppressed. */
bool log_allowed(struct log_limit *l);

/* CLOCK_MONOTONIC in milliseconds or microseconds, without a system call (through the vDSO). */
uint64_t now_ms(void);
uint64_t now_us(void);

#endif
