/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processor time and memory of the roles, as their spawners report them, and --cpu-timeout. */
#ifndef PARENT_SUPERVISE_USAGE_H
#define PARENT_SUPERVISE_USAGE_H

#include "parent/supervise/state.h"

/* The spawner of @r answered SPAWN_USAGE, or its process ended (SPAWN_ENDED). */
void sup_usage(struct supervisor *s, struct sup_role *r, const struct spawn_msg *m);
/* Processor time of @r in microseconds: of all processes that it has had in this run of lguest-sep. */
uint64_t sup_cpu_us(const struct sup_role *r);

/* With --cpu-timeout: ask the spawners again if that is due at @now. */
void sup_usage_due(struct supervisor *s, uint64_t now);
/* Returns when sup_usage_due() has to be called (ms; 0: never). */
uint64_t sup_usage_deadline(const struct supervisor *s);

#endif
