/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the parts of this test, which kills helpers under a load that checks all data.
 * The program acts as supervisor and front-end for the real, confined executables.
 */
#ifndef TESTS_RESTART_H
#define TESTS_RESTART_H

#include "common/ctl.h"
#include "tests/lib/front.h"

#define MAX_FDS 16

/* A helper, and what its successors get. */
struct helper {
	const char *exe;
	pid_t pid;
	int ctl; /* the supervisor's end */
	int far; /* the connection: the helper's end of it */
	struct front *f;
	struct role_config rc;
	unsigned nfds; /* descriptors of its table, beyond control and connection */
	int fd[MAX_FDS], number[MAX_FDS];
	unsigned faults; /* that it reported */
};

/* All of these print one line and exit if the host or the helper fails. */
NORETURN void fail(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Make the connection and memory of h->f, and fill the common part of h->rc. */
void helper_prepare(struct helper *h, const char *exe, enum role role, const char *name, struct front *f,
		    uint64_t memory);
void helper_add_fd(struct helper *h, int fd, int number);
void helper_start(struct helper *h);
/* Kill the helper and wait until nothing of it is left. The next one has the next generation number. */
void helper_kill(struct helper *h);
/* Send the front-end's messages before the rings: resume (after a restart), features, memory. */
void helper_attach(struct helper *h, uint64_t features, uint64_t protocol);
/* Start the next one; sometimes kill it before the first message, or in the middle of the handshake. */
void helper_start_anew(struct helper *h);
/* Receive the helper's messages; prints its lines to standard error. */
void helper_listen(struct helper *h);

uint64_t rnd(uint64_t below);
void nap_us(uint64_t us);

/* Run one load with @kills kills. Returns the number of checked requests or frames. */
uint64_t kill_blkd(const char *exe, unsigned kills, const char *image, bool direct, bool sync_io);
uint64_t kill_netd(const char *exe, unsigned kills);

#endif
