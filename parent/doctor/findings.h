/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of doctor's findings, and how to try a feature in a child process. */
#ifndef PARENT_DOCTOR_FINDINGS_H
#define PARENT_DOCTOR_FINDINGS_H

#include <stdbool.h>

enum finding_state { FOUND, MISSING, LIMITED };

struct finding {
	const char *group; /* "engine", "machine", "firmware", "memory", "layer", "network", "caller" */
	const char *what;
	enum finding_state state;
	char text[256];	  /* What was found. */
	char advice[256]; /* How to get it; empty: no advice. */
};

#define MAX_FINDINGS 64
extern struct finding finding[MAX_FINDINGS];
extern unsigned nfindings;

/*
 * Add a finding. @group and @what are kept, not copied; @advice (NULL: none) and the formatted text are copied. Does
 * nothing once MAX_FINDINGS are there.
 */
void add_finding(const char *group, const char *what, enum finding_state state, const char *advice, const char *fmt,
		 ...) __attribute__((format(printf, 5, 6)));

/*
 * Call @fn in a child process, so that its effects (namespaces, filters) end with it.
 * Returns the return value of @fn (0 to 250), or -1 if the child was killed or could
 * not be started.
 */
int in_child(int (*fn)(void));

#endif
