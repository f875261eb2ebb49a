/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ring faults. A *fault* is a violation of a rule for virtio rings, by the guest or by a
 * compromised front-end; *judging* a ring's content means checking it against these
 * rules. Each kind of violation has one entry here, and guest_fault() handles all of
 * them in the same way: the queue stops until it is reset, the fault is counted and
 * logged (rate-limited), and the device asks the driver for a reset. Other queues and
 * devices continue.
 */
#ifndef COMMON_FAULT_H
#define COMMON_FAULT_H

#include "common/util.h"

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
	X(BAD_GSO, "inconsistent segmentation fields", "5.1.6.2")                         \
	X(USED_FULL, "more requests in flight than the queue holds", "2.7.8")             \
	X(LOG_RANGE, "page outside the log of written pages", "vhost-user, SET_LOG_BASE")

enum guest_fault {
	FAULT_NONE,
#define X(sym, text, clause) FAULT_##sym,
	GUEST_FAULTS(X)
#undef X
		FAULT_COUNT,
};

/* The symbol without its prefix, "HEAD_RANGE" for FAULT_HEAD_RANGE; "?" if there is none of that number. */
const char *guest_fault_symbol(enum guest_fault f);

struct vq;
/*
 * Stop @vq until it is set up again, log the fault, and call vq->on_fault, which
 * signals the error eventfd or sets DEVICE_NEEDS_RESET. Does nothing if @vq has stopped
 * after a fault already. @detail: the invalid index or value, for the log message.
 */
void guest_fault(struct vq *vq, enum guest_fault f, uint64_t detail);

#endif
