/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one way that a guest's fault takes. Runs in every process that walks
 * rings; never ends a process, never touches guest memory.
 */
#include "fault.h"

#include "log.h"
#include "vring.h"

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

void guest_fault(struct vq *vq, enum guest_fault f, uint64_t detail)
{
	static struct log_limit limit = LOG_LIMIT_INIT(5, 2000);

	if (vq->broken)
		return;
	vq->broken = true;
	vq->running = false;
	vq->n_faults++;
	if (log_allowed(&limit)) {
		log_line(LOG_WARN, "%s queue %u: %s (%s, %llu)%s", vq->name ? vq->name : "?", vq->index,
			 guest_fault_text(f), guest_fault_symbol(f), (unsigned long long)detail,
			 limit.suppressed ? "; more such lines were left out" : "");
		limit.suppressed = 0;
	}
	if (vq->on_fault)
		vq->on_fault(vq, f, detail);
}
