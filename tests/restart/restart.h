/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Killing helpers under a load that verifies: what the parts of this test share.
 * The program plays supervisor and front-end for the real, confined executables.
 */
#ifndef TESTS_RESTART_H
#define TESTS_RESTART_H

#include "common/ctl.h"
#include "tests/lib/front.h"

#define MAX_FDS 16

/* One helper and what its successors get. */
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

/* All of these end the program with one line when the host or the helper fails. */
NORETURN void fail(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Connection and memory for @h->f; h->rc's common part. */
void helper_prepare(struct helper *h, const char *exe, enum role role, const char *name, struct front *f,
		    uint64_t memory);
void helper_add_fd(struct helper *h, int fd, int number);
void helper_start(struct helper *h);
/* Kill it and wait until nothing of it is left; the next one is of the next generation. */
void helper_kill(struct helper *h);
/* The front-end's words up to the rings: resume (after a restart), features, memory. */
void helper_attach(struct helper *h, uint64_t features, uint64_t protocol);
/* The next one; now and then it does not live to see the first message, or half of the handshake. */
void helper_start_anew(struct helper *h);
/* What it has said so far: its lines go to standard error. */
void helper_listen(struct helper *h);

uint64_t rnd(uint64_t below);
void nap_us(uint64_t us);

/* One load each: @kills kills; returns requests or frames that were verified. */
uint64_t kill_blkd(const char *exe, unsigned kills, const char *image, bool direct, bool sync_io);
uint64_t kill_netd(const char *exe, unsigned kills);

#endif
