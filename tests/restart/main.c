/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restart blkd EXE KILLS IMAGE [direct|sync] | restart netd EXE KILLS: kills the helper
 * KILLS times under a load that checks all data, and restarts it each time as the
 * supervisor does. Prints one line; exit status 1 if something was lost, repeated, or
 * late. For tests only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/restart/restart.h"

int main(int argc, char **argv)
{
	uint64_t began = now_us(), n;
	unsigned kills = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	const char *how = argc > 5 ? argv[5] : "";

	if (kills && argc > 4 && !strcmp(argv[1], "blkd"))
		n = kill_blkd(argv[2], kills, argv[4], !strcmp(how, "direct"), !strcmp(how, "sync"));
	else if (kills && argc == 4 && !strcmp(argv[1], "netd"))
		n = kill_netd(argv[2], kills);
	else
		fail("restart blkd EXE KILLS IMAGE [direct|sync] | restart netd EXE KILLS");
	printf("%s %s: %u kills, %llu %s verified, nothing lost, %llu.%01llu s\n", argv[1], how, kills,
	       (unsigned long long)n, *argv[1] == 'b' ? "requests" : "frames",
	       (unsigned long long)(now_us() - began) / 1000000, (unsigned long long)(now_us() - began) / 100000 % 10);
	return 0;
}
