/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep doctor: what this host offers to the one who asks, and what to do
 * about the rest. Runs as a program of its own. What has to be tried out is
 * tried in a child, and leaves nothing behind.
 */
#ifndef PARENT_DOCTOR_H
#define PARENT_DOCTOR_H

#include <stdbool.h>

enum finding_state { FOUND, MISSING, LIMITED };

struct finding {
	const char *group; /* "engine", "memory", "layer", "network", "caller" */
	const char *what;
	enum finding_state state;
	char is[256];
	char advice[256]; /* empty: nothing to be done */
};

/* Adds one finding; NULL @advice: none. More than there is room for are not kept. */
void found(const char *group, const char *what, enum finding_state state, const char *advice, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * Calls @fn in a child of its own: its return value (0 to 250), or -1 if it did
 * not end by itself. What @fn does to itself is gone with it.
 */
int in_child(int (*fn)(void));

/* parent/doctor_layers.c, parent/doctor_net.c */
void doctor_layers(void);
void doctor_network(void);

#endif
