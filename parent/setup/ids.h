/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which user and group each role runs as. */
#ifndef PARENT_SETUP_IDS_H
#define PARENT_SETUP_IDS_H

struct host;

/*
 * Set user and group of all roles. If root started us and the target user has enough subordinate IDs for all roles
 * (/etc/subuid, /etc/subgid), each role gets one of its own; a group that the user gave with --drop-to stays.
 */
void ids_assign(struct host *h);

#endif
