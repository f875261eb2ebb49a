/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resets in place of the guest's end: see reset_on.h. Runs in the vCPU process. */
#include "common/fmt.h"
#include "vcpu/kvm/checkpoint.h"
#include "vcpu/kvm/reset_on.h"
#include "vcpu/vm.h"

/* While a request waits for the vCPU threads, the main thread looks again after this many milliseconds. */
#define AGAIN_MS 20

static bool wanted(const struct kvm *k, enum reset_on what)
{
	return k->checkpoint.taken && !k->checkpoint.stops && !k->ended && (k->vm->c->reset_on & BIT64(what));
}

/* True if a reset was asked for, by this or by an earlier request. */
static bool ask(struct kvm *k, enum reset_on what)
{
	struct kvm_checkpoint *c = &k->checkpoint;

	/* What a checkpoint is asked for at the same moment must not go on after its end. */
	if (!wanted(k, what) || c->wanted == CHECKPOINT_TAKE)
		return false;
	if (c->wanted == CHECKPOINT_NONE) {
		kvm_checkpoint_ask(k, true, true);
		c->why = what;
	}
	return true;
}

bool reset_on_end(struct kvm *k, enum guest_end why)
{
	switch (why) {
	case GUEST_POWEROFF:
		return ask(k, RESET_ON_POWEROFF);
	case GUEST_REBOOT:
		return ask(k, RESET_ON_REBOOT);
	case GUEST_PANIC:
		return ask(k, RESET_ON_PANIC);
	case GUEST_CRASH:
		return ask(k, RESET_ON_CRASH);
	case GUEST_REPORTED:
		return ask(k, RESET_ON_EXIT_PORT);
	default:
		return false;
	}
}

int reset_on_due(struct kvm *k, int timeout)
{
	uint64_t now, end;
	int left = AGAIN_MS;

	if (!wanted(k, RESET_ON_TIMEOUT))
		return timeout;
	now = now_ms();
	end = k->checkpoint.run_began + k->vm->c->run_ms;
	if (now >= end)
		(void)ask(k, RESET_ON_TIMEOUT);
	else
		left = (int)MIN(end - now, (uint64_t)INT32_MAX);
	return timeout < 0 ? left : MIN(timeout, left);
}

void reset_on_report(const struct kvm *k)
{
	static const char *const names[RESET_ONS] = RESET_ON_NAMES;

	for (unsigned i = 0; i < RESET_ONS; i++)
		if (k->checkpoint.instead[i])
			log_line(LOG_INFO, "%llu of the resets: %s", (unsigned long long)k->checkpoint.instead[i],
				 names[i]);
}
