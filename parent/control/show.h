/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lguest-sep ps, status and stats print: text, JSON, and the Prometheus text exposition format. */
#ifndef PARENT_CONTROL_SHOW_H
#define PARENT_CONTROL_SHOW_H

#include "parent/control/guest.h"
#include "parent/control/procs.h"

/* A guest that has answered. */
struct shown_guest {
	const struct guest *guest;
	struct guest_state state; /* As the supervisor reports it. */
	bool have_use;		  /* @use could be read. */
	struct proc_use use;
};

/* One role that has answered. */
struct shown_role {
	struct role_stats stats; /* Counters, as the role itself reports them. */
	struct reset_stats resets;
	bool have_use; /* @use could be read. */
	struct proc_use use;
};

/* What the guest has. */
struct shown_parts {
	bool known; /* The list was received as a whole. */
	unsigned n; /* Entries of @part; 0 if not @known. */
	struct guest_part part[MAX_PARTS];
};

void show_ps(const struct shown_guest *g, unsigned n, bool json);
void show_status(const struct shown_guest *g, const struct shown_parts *p, bool json);

enum stats_format { STATS_TEXT, STATS_JSON, STATS_PROMETHEUS };
void show_stats(const struct shown_guest *g, const struct shown_parts *p, const struct shown_role *r, unsigned n,
		enum stats_format format);

#endif
