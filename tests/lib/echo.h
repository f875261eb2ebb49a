/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small device on the back-end loop, in a child process. It answers each chain with
 * the bytes of that chain. For tests of the loop only.
 */
#ifndef TESTS_LIB_ECHO_H
#define TESTS_LIB_ECHO_H

#include "tests/lib/front.h"

#define ECHO_QUEUES  2
#define ECHO_FEATURE 5 /* the device's one feature bit */

struct echo_options {
	bool own_front; /* sealed when the first ring starts, under the strictest filter */
	bool allow_unsealed;
	bool log_pages;
	bool checkpoint; /* accept VHU_HOLD and VHU_GO */
	bool same_inode; /* memory must be the front's own memfd (made before the start) */
	unsigned poll_us;
	bool slow;	  /* dawdles between finding a ring empty and saying so */
	const char *path; /* listen here and serve one connection after the other */
};

/* The configuration space: counters of the back-end process, and one byte that can be written. */
struct echo_config {
	uint32_t open_fds, resets, starts, stops, mappings, held;
	uint8_t hold; /* take chains and keep them until it is 0 again */
	uint8_t pad[3];
	uint32_t kept, back; /* checkpoints, and returns to one */
};

/*
 * Start the device on a socket pair; sets f->sock and f->pid. @ctl: NULL, or gets the
 * supervisor's end of a control channel.
 */
bool echo_start(struct front *f, const struct echo_options *o, int *ctl);

#endif
