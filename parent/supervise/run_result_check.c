/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks the form of a guest's report of how its command ended. Runs in the supervisor; pure functions. */
#include <string.h>

#include "common/fmt.h"
#include "parent/supervise/run_result.h"

#define MAX_SIGNAL 64

bool run_result_ok(struct run_result *r)
{
	if (r->magic != RUN_MAGIC || !memchr(r->text, '\0', sizeof(r->text)))
		return false;
	make_printable(r->text, strlen(r->text));
	switch (r->end) {
	case RUN_EXITED:
		return r->value <= 255;
	case RUN_SIGNALED:
		return r->value >= 1 && r->value <= MAX_SIGNAL;
	case RUN_NOT_STARTED:
		return true;
	default:
		return false;
	}
}

int run_result_status(const struct run_result *r, bool raw)
{
	int status;

	if (r->end == RUN_NOT_STARTED)
		return -1;
	status = (int)(r->end == RUN_SIGNALED ? 128 + r->value : r->value);
	return raw || status < EXIT_RUN_CUT ? status : EXIT_RUN_CUT;
}
