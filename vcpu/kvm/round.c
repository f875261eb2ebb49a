/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rounds of lguest-sep run: see round.h. Runs in the vCPU process. */
#include <unistd.h>

#include "vcpu/kvm/round.h"
#include "vcpu/kvm/vm.h"

static pthread_cond_t next = PTHREAD_COND_INITIALIZER;

static void kick_all(struct ports *p)
{
	for (unsigned i = 0; i < p->n; i++)
		ports_kick(p, PORTS_FIRST + 2 * i + 1);
}

/* The guest's output up to here belongs to this round. What a port does not take at once (PORT_TX_BUDGET) is lost. */
static void hold_ports(struct ports *p)
{
	kick_all(p);
	p->held = true;
	/* Wait for room no longer. */
	kick_all(p);
}

/* Drop what the supervisor has sent to the guest in this round. It sends nothing until the next one begins. */
static void release_ports(struct ports *p)
{
	uint8_t unwanted[256];

	for (unsigned i = 0; i < p->n; i++) {
		while (read(VFD_PORT0 + 2 * (int)i, unwanted, sizeof(unwanted)) > 0)
			;
		p->port[1 + i].in_len = 0;
	}
	p->held = false;
}

bool kvm_round_over(struct kvm *k)
{
	const struct ctl_msg m = { .type = CTL_ROUND, .value = k->checkpoint.why };

	hold_ports(&k->devices.ports);
	if (ctl_send(VFD_CTL, &m) < 0) {
		kvm_end(k, GUEST_ENGINE_FAILED, "run: cannot report the end of a round to the supervisor");
		return false;
	}
	k->checkpoint.round_over = true;
	/* If the guest ends meanwhile, this thread waits here until the process ends. */
	while (k->checkpoint.round_over)
		pthread_cond_wait(&next, &k->lock);
	release_ports(&k->devices.ports);
	return true;
}

void kvm_round_next(struct kvm *k)
{
	if (k->ended)
		return;
	k->checkpoint.round_over = false;
	pthread_cond_signal(&next);
}
