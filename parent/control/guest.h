/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running guests as a client of their control sockets sees them: find, connect, ask. */
#ifndef PARENT_CONTROL_GUEST_H
#define PARENT_CONTROL_GUEST_H

#include <sys/types.h>

#include "common/control_name.h"
#include "common/ctl.h"

struct guest {
	uid_t uid; /* Who started it. */
	char name[GUEST_NAME_MAX + 1];
	int fd;	   /* Connection; -1: none. */
	pid_t pid; /* Its supervisor, from the kernel; 0: not known (another PID namespace). */
	int pidfd; /* The same process; -1: not known. */
};

/* Most guests that one command handles. */
#define MAX_GUESTS 4096

/*
 * Fill @list, of MAX_GUESTS entries, with the guests that listen in this network namespace: all of them for root and if
 * @of_all, otherwise the caller's own. Returns their number, or -1 after printing the reason.
 */
int guest_list(struct guest *list, bool of_all);
/* Find the guest that the user calls @which (NAME or UID/NAME). Returns 0, or -1 after printing the reason. */
int guest_find(struct guest *g, const char *which);
/*
 * Connect to @g and check who listens. Returns 0, or -1 with errno set: EPERM if the listener is neither root nor the
 * guest's user. guest_close() ends the connection.
 */
int guest_connect(struct guest *g);
void guest_close(struct guest *g);
/* Send a command. Returns 0, or -1 with errno set. */
int guest_ask(struct guest *g, enum control_command command, uint64_t detail);
/*
 * Wait for a message, at most @ms (-1: without limit). Returns 1; 0 if none came in time; -1 if the connection
 * has ended.
 */
int guest_recv(struct guest *g, struct ctl_msg *m, int ms);
/*
 * Wait at most @ms until the supervisor's process has ended, which releases the guest's name, disks and taps. Returns
 * false if it has not ended by then.
 */
bool guest_wait_gone(const struct guest *g, int ms);

/* Names are labels in Prometheus' format. */
void guest_clean_name(char *name);

#endif
