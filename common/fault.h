/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's faults. Every way in which a guest (or a front-end that it has
 * taken) breaks a rule of a ring has one reason here, and goes through the one
 * function guest_fault(): the queue stops until reset, the fault is counted and
 * said once (rate-limited), the device asks for a reset, everything else goes on.
 */
#ifndef COMMON_FAULT_H
#define COMMON_FAULT_H

#include "util.h"

/* X(symbol, text, clause of virtio 1.2 or class of bug) */
#define GUEST_FAULTS(X)                                                                   \
	X(AVAIL_IDX, "available index ran ahead of the queue", "2.7.13.3, CVE-2016-5403") \
	X(HEAD_RANGE, "head outside the descriptor table", "2.7.5")                       \
	X(NEXT_RANGE, "next outside the descriptor table", "2.7.5")                       \
	X(CHAIN_LONG, "chain longer than the queue, or a loop", "2.7.5.1, CVE-2019-9547") \
	X(ZERO_LEN, "descriptor of length zero", "CVE-2016-6490, CVE-2023-5158")          \
	X(TOTAL_LEN, "chain of more than 4 GiB", "2.7.5.1")                               \
	X(ADDR_RANGE, "buffer outside guest memory", "CVE-2016-7422, CVE-2018-1059")      \
	X(WRITE_ORDER, "readable descriptor after a writable one", "2.7.4.2")             \
	X(IOV_FULL, "buffer in too many pieces", "2.7.5")                                 \
	X(INDIRECT_OFF, "indirect descriptor without the feature", "2.7.5.3.1")           \
	X(INDIRECT_NESTED, "indirect descriptor inside an indirect table", "2.7.5.3.1")   \
	X(INDIRECT_NEXT, "indirect descriptor with NEXT", "2.7.5.3.1")                    \
	X(INDIRECT_LEN, "indirect table of a bad length", "2.7.5.3.1")                    \
	X(INDIRECT_ADDR, "indirect table outside guest memory", "2.7.5.3")                \
	X(NO_WRITABLE, "no room for the device's answer", "5.2.6.1, 5.1.6.3")             \
	X(SHORT_HEADER, "request header too short", "5.2.6.1, 5.1.6.2")                   \
	X(BAD_LAYOUT, "descriptors of the wrong direction or size", "5.2.6.1")            \
	X(BAD_FRAME, "frame too short or too long", "5.1.6.2")                            \
	X(BAD_GSO, "segmentation fields that lie", "5.1.6.2")                             \
	X(USED_FULL, "more requests in flight than the queue holds", "2.7.8")

enum guest_fault {
	FAULT_NONE,
#define X(sym, text, clause) FAULT_##sym,
	GUEST_FAULTS(X)
#undef X
		FAULT_COUNT,
};

const char *guest_fault_symbol(enum guest_fault f); /* "HEAD_RANGE" */

struct vq;
/*
 * @vq stops until it is set up again; vq->on_fault (the transport: error
 * eventfd, DEVICE_NEEDS_RESET) is called once. A second fault of a queue that
 * has already stopped is not counted. @detail is the index or value at fault.
 */
void guest_fault(struct vq *vq, enum guest_fault f, uint64_t detail);

#endif
