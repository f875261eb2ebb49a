/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handles ring faults of a guest. Runs in every process that reads rings. It never
 * ends a process and never touches guest memory.
 */
#include "common/fault.h"
#include "common/log.h"
#include "common/vring.h"

static const char *guest_fault_text(enum guest_fault f)
{
	static const char *const text[FAULT_COUNT] = { [FAULT_NONE] = "no fault",
#define X(sym, words, clause) [FAULT_##sym] = words,
						       GUEST_FAULTS(X)
#undef X
	};

	return (unsigned)f < FAULT_COUNT ? text[f] : "?";
}

const char *guest_fault_symbol(enum guest_fault f)
{
	static const char *const symbol[FAULT_COUNT] = { [FAULT_NONE] = "NONE",
#define X(sym, words, clause) [FAULT_##sym] = #sym,
							 GUEST_FAULTS(X)
#undef X
	};

	return (unsigned)f < FAULT_COUNT ? symbol[f] : "?";
}

/* One limit for all queues of the process, because a guest may cause faults on many. */
static struct log_limit lines = LOG_LIMIT_INIT(5, 2000);

void guest_fault(struct vq *vq, enum guest_fault f, uint64_t detail)
{
	if (vq->broken)
		return;
	vq->broken = true;
	vq->running = false;
	vq->n_faults++;
	if (log_allowed(&lines)) {
		log_line(LOG_WARN, "%s queue %u: %s (%s, %llu)%s", vq->name ? vq->name : "?", vq->index,
			 guest_fault_text(f), guest_fault_symbol(f), (unsigned long long)detail,
			 lines.suppressed ? "; more such lines were left out" : "");
		lines.suppressed = 0;
	}
	if (vq->on_fault)
		vq->on_fault(vq, f, detail);
}
