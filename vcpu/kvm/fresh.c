/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers that each reset starts again: see fresh.h. Runs in the vCPU process. */
#include "vcpu/devices/held.h"
#include "vcpu/kvm/fresh.h"
#include "vcpu/kvm/vm.h"

static pthread_cond_t gone = PTHREAD_COND_INITIALIZER;

bool kvm_fresh_keeps(const struct kvm *k)
{
	const struct vcpu_config *c = k->vm->c;
	bool any = false;

	for (unsigned i = 0; i < c->ndevices; i++)
		any |= c->dev[i].snapshot || c->dev[i].kind == DEV_FS;
	return c->fresh && any;
}

static bool ask(struct kvm *k, enum ctl_type what, bool keeps)
{
	const struct ctl_msg m = { .type = what, .value = keeps };

	if (ctl_send(VFD_CTL, &m) == 0)
		return true;
	kvm_end(k, GUEST_ENGINE_FAILED, "reset: cannot ask the supervisor for new helpers");
	return false;
}

bool kvm_fresh_end(struct kvm *k, bool keeps)
{
	struct devices *ds = &k->devices;

	for (unsigned i = 0; i < ds->n; i++)
		held_leave(&ds->dev[i]);
	if (!ask(k, CTL_END_HELPERS, keeps))
		return false;
	k->checkpoint.helpers_end = true;
	/* The supervisor limits the time. If the guest ends meanwhile, this thread waits until the process ends. */
	while (k->checkpoint.helpers_end)
		pthread_cond_wait(&gone, &k->lock);
	return true;
}

void kvm_fresh_gone(struct kvm *k)
{
	if (k->ended)
		return;
	k->checkpoint.helpers_end = false;
	pthread_cond_signal(&gone);
}

bool kvm_fresh_start(struct kvm *k)
{
	struct devices *ds = &k->devices;

	for (unsigned i = 0; i < ds->n; i++)
		held_renew(&ds->dev[i]);
	return ask(k, CTL_START_HELPERS, false);
}
