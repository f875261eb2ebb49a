/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Conversion of times to dates. libc's functions would read time-zone files. */
#ifndef COMMON_UTC_H
#define COMMON_UTC_H

#include "common/util.h"

/* Bytes of "2026-11-28T08:16:11.123Z" with its NUL. */
#define UTC_TEXT 25

/* The date that is @days days after 1970-01-01. @month and @day begin with 1. */
void utc_date(uint64_t days, unsigned *year, unsigned *month, unsigned *day);
/* Format the time @ms milliseconds after 1970-01-01 00:00 UTC. Years above 9999 become 9999. */
void utc_text(uint64_t ms, char text[UTC_TEXT]);

#endif
