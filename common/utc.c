/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Conversion of times to dates: see utc.h. Used in confined processes; no system call. */
#include "common/fmt.h"
#include "common/utc.h"

void utc_date(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	static const uint8_t len[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned y = 1970, m = 0;

	for (;; y++) {
		unsigned n = (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)) ? 366 : 365;

		if (days < n)
			break;
		days -= n;
	}
	for (;; m++) {
		bool leap = m == 1 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
		unsigned n = len[m] + leap;

		if (days < n)
			break;
		days -= n;
	}
	*year = y;
	*month = m + 1;
	*day = (unsigned)days + 1;
}

/* The last day of the year 9999. */
#define LAST_DAY 2932896

void utc_text(uint64_t ms, char text[UTC_TEXT])
{
	uint64_t s = ms / 1000, days = MIN(s / 86400, LAST_DAY);
	unsigned year, month, day;

	utc_date(days, &year, &month, &day);
	fmt_line(text, UTC_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day, (unsigned)(s / 3600 % 24),
		 (unsigned)(s / 60 % 60), (unsigned)(s % 60), (unsigned)(ms % 1000));
}
