/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real lguest-sep with a taken role in it (launch.c). */
#ifndef TESTS_HOSTILE_LAUNCH_H
#define TESTS_HOSTILE_LAUNCH_H

#include "hostile.h"

struct launch {
	const char *option[9]; /* more options; NULL ends them */
	const char *serial; /* of the disk: what a taken blkd reads there (tests/host/hostile_role.c); NULL: nothing */
	const char *word;   /* behind the kernel's name: what a taken vCPU process reads there; or NULL */
};

/* Executables with the test role in the place of @role (NULL: of none). Skips the case where it cannot run. */
void launch_prepare(const char *role);
/* Starts it with a disk and a NIC; its pid. */
pid_t launch(const struct launch *l);
/* Its wait status; a need() that fails after @ms. */
int launch_end(pid_t pid, unsigned ms);
/* Processes of that folder; false: there are some after PATIENCE. */
unsigned launch_left(void);
bool launch_gone(void);
/* Lines of what it said that have @what in them; the last of them into @line (or NULL). */
unsigned launch_said(const char *what, char *line, size_t size);

#endif
