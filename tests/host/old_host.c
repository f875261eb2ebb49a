/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * old-host 2009|today COMMAND...: runs COMMAND as on Linux 2.6.30, or as on a kernel of today that was built without
 * CONFIG_SECCOMP_FILTER. For tests.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/host/old_host.h"

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (old_host(!strcmp(argv[1], "2009")) < 0) {
		perror("old-host");
		return 126;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
