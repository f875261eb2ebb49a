/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The AppArmor profiles that the processes of a guest should have (contrib/apparmor/). A guest has them if AppArmor
 * attached the profile lguest-sep to its launcher. Runs in lguest-sep audit.
 */
#include <stdio.h>
#include <string.h>

#include "parent/audit/label.h"

#define SUPERVISOR "lguest-sep-supervisor"

/* The part whose profile @p should have: a spawner has that of its role. Without a role it is PART_SPAWNER. */
static enum part profile_part(const struct audit_guest *g, const struct audit_process *p)
{
	if (p->part == PART_SPAWNER)
		for (unsigned i = 0; i < g->n; i++)
			if (g->process[i].f.ppid == p->f.pid)
				return g->process[i].part;
	return p->part;
}

bool audit_label(const struct audit_guest *g, const struct audit_process *p, char *promised, size_t size)
{
	static const char *const name[] = {
		[PART_SUPERVISOR] = "supervisor",
		[PART_VCPU] = "vcpu",
		[PART_QEMU] = "qemu",
		[PART_NETD] = "netd",
		[PART_BLKD] = "blkd",
		[PART_PASST] = "passt",
		[PART_CONTROLD] = "controld",
		[PART_FSD] = "fsd",
		[PART_STRANGER] = NULL,
	};
	enum part part = profile_part(g, p);

	if (strncmp(g->process[0].f.label, SUPERVISOR " (", strlen(SUPERVISOR " (")) != 0 || !name[part])
		return false;
	snprintf(promised, size, "lguest-sep-%s (enforce)", name[part]);
	return true;
}
