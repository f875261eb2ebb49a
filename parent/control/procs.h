/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processor time and memory of a guest's processes, from the kernel (/proc), never from the roles themselves. */
#ifndef PARENT_CONTROL_PROCS_H
#define PARENT_CONTROL_PROCS_H

#include <stdint.h>
#include <sys/types.h>

#include "common/util.h"

struct proc_use {
	pid_t pid;	    /* The role's process; 0: none runs, or it cannot be seen. */
	unsigned processes; /* Number of processes. */
	uint64_t cpu_us;    /* Processor time, with that of predecessors that have ended. */
	uint64_t rss_bytes; /* Resident memory; guest memory that several processes map counts for each. */
};

/* Fills @u for the role of the process @spawner, if that is a child of @supervisor. Returns false if it is not. */
bool procs_role(pid_t supervisor, pid_t spawner, struct proc_use *u);
/* Fills @u with the sum of all processes of the guest. Returns false if @supervisor cannot be seen. */
bool procs_guest(pid_t supervisor, struct proc_use *u);

#endif
