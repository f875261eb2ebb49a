/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compares the log of written pages of a back-end with what happened to guest memory: the memory is remembered, the
 * back-end works, and each page that has changed must have its bit. For tests of back-ends; asserts nothing.
 */
#ifndef TESTS_LIB_ORACLE_H
#define TESTS_LIB_ORACLE_H

#include "tests/lib/front.h"

#define ORACLE_ALL_LOGGED UINT64_MAX

struct oracle {
	struct front *f;
	uint8_t *bits;
	uint64_t bytes; /* As many as guest memory needs, and no more */
	uint8_t *before;
};

/* Send SET_LOG_BASE with bytes [offset, offset + bytes) of @fd. Returns true if the back-end replies. */
bool oracle_set_base(struct front *f, int fd, uint64_t bytes, uint64_t offset);
/* Send a log, and ask for VHOST_F_LOG_ALL in addition to the features that were negotiated. */
bool oracle_begin(struct oracle *o, struct front *f);
void oracle_end(struct oracle *o);
/* Switch the log of the used ring on or off, whether or not the queue runs. Returns false if that is refused. */
bool oracle_ring(struct front_queue *q, bool on);
/*
 * Lay out queue @q, which has stopped, with 1024 entries from index 600 on: its index, the used elements and the event
 * index then lie in three different pages.
 */
struct front_queue *oracle_queue(struct front *f, unsigned q, uint64_t gpa);
/* Start it with its used ring logged. Chains that were offered before are not taken earlier. */
bool oracle_start(struct front_queue *q);
/* Remember guest memory as it is, and clear the log. */
void oracle_remember(struct oracle *o);
/*
 * The back-end does not work any more. Returns the address of a page that has changed without its bit, or
 * ORACLE_ALL_LOGGED. The descriptors and available rings, which only the driver writes, do not count.
 */
uint64_t oracle_missed(const struct oracle *o);
/* The number of bits that are set. */
unsigned oracle_bits(const struct oracle *o);

#endif
