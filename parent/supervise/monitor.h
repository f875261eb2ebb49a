/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands to QEMU's monitor (parent/supervise/qmp.h). */
#ifndef PARENT_SUPERVISE_MONITOR_H
#define PARENT_SUPERVISE_MONITOR_H

#include "parent/supervise/state.h"

/* Send @command (a line of QMP) to QEMU's monitor; never waits. Returns 0, or -1 with errno set. */
int sup_command(struct supervisor *s, const char *command);

#endif
