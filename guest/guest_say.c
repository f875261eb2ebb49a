/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log messages of the init program of `lguest-sep run`, on the guest's console. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/guest.h"

void say(const char *what, const char *which, int error)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "lguest-sep-guest: %s%s%s%s\n", what, which, error ? ": " : "",
			 error ? strerror(error) : "");

	/* If the console does not work, an error cannot be reported anywhere. */
	if (n > 0 && write(STDERR_FILENO, line, MIN((size_t)n, sizeof(line) - 1)) < 0)
		return;
}
