/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs the real lguest-sep with a compromised role (launch.c). */
#ifndef TESTS_HOSTILE_LAUNCH_H
#define TESTS_HOSTILE_LAUNCH_H

#include "tests/hostile/hostile.h"

struct launch {
	const char *option[9]; /* more options; NULL ends them */
	const char *serial; /* of the disk: what a taken blkd reads there (tests/host/hostile_role.c); NULL: nothing */
	const char *word;   /* behind the kernel's name: what a taken vCPU process reads there; or NULL */
};

/* Prepare executables with the test role in place of @role (NULL: of none). Skips the case if it cannot run. */
void launch_prepare(const char *role);
/* Start lguest-sep with a disk and a NIC. Returns its process ID. */
pid_t launch(const struct launch *l);
/* Wait for its end. Returns the wait status; a need() fails after @ms. */
int launch_end(pid_t pid, unsigned ms);
/* Wait until supervisor @pid is confined and a process of @role (blkd, netd, vcpu) runs. Returns false after PATIENCE. */
bool launch_runs(pid_t pid, const char *role);
/* Returns the number of processes whose program is in that directory. */
unsigned launch_left(void);
/* Wait until there is none, and no tap. Returns false if something is left after PATIENCE. */
bool launch_gone(void);
/* Returns how many lines of its output contain @what; copies the last of them to @line (or NULL). */
unsigned launch_said(const char *what, char *line, size_t size);

#endif
