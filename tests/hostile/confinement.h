/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the cases of compromised roles share (confinement.c, confinement_fsd.c). */
#pragma once

#include "parent/room/spawn.h"
#include "tests/host/hostile_role.h"

#define ROLE_ID 54321

/* One role and its spawner. */
struct taken {
	struct spawner s;
	int ctl;
	pid_t pid;
};
/* A system call that a role tries, and what it would reach. */
struct reach {
	const char *name;
	struct attempt a;
};

/* Open a program of this build. */
int open_program(const char *folder, const char *name);
/* The next message of a spawner. Returns false if there is none for PATIENCE ms. */
bool hear(struct spawner *s, struct spawn_msg *m);
/* Make a role try one call. Returns true with its result in *@got, or false if the role ended, with how in *@end. */
bool attempt_by(struct taken *t, const struct attempt *a, long *got, struct spawn_msg *end);
/* Play the cases of a compromised fsd. */
void confinement_fsd(void);
