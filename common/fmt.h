/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Formatting without stdio, locale or allocation, for use behind a seccomp filter. */
#ifndef COMMON_FMT_H
#define COMMON_FMT_H

#include <stdarg.h>

#include "common/util.h"

/*
 * Format into @buf as snprintf(3), with %s %.*s %c %d %i %u %x %lx %ld %lu %lld %llu %llx
 * %zu %zd %p %%, zero padding and width; %m is the text of errno. Text that does not fit
 * is cut. Always ends @buf with a NUL, unless @size is 0. Returns the length written
 * without the NUL, at most @size - 1.
 */
size_t fmt_line(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t fmt_vline(char *buf, size_t size, const char *fmt, va_list ap);

/* Make @n bytes safe for a terminal: replace everything but visible ASCII and blanks by "?". */
void make_printable(char *s, size_t n);
/* The same for text that the user typed: bytes above ASCII (UTF-8) stay. */
void make_printable_utf8(char *s, size_t n);

#endif
