/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checkpoint and reset: see checkpoint.h. Runs in the vCPU process. */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vcpu/devices/written.h"
#include "vcpu/kvm/checkpoint.h"
#include "vcpu/kvm/copy.h"
#include "vcpu/kvm/irq.h"
#include "vcpu/kvm/state.h"
#include "vcpu/kvm/vm.h"
#include "vcpu/vm.h"

/* Devices that this process serves: the console and the rng. */
#define OWN_DEVICES 2

/* The devices at the checkpoint. */
static struct {
	struct pc pc;
	uint32_t pci_address;
	struct pci_dev bridge;
	struct vpci dev[OWN_DEVICES];
	struct console console;
	struct rng rng;
	uint32_t window_size;
} saved;

static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
static pid_t process;

static void ignore(int signal)
{
	(void)signal;
}

int kvm_checkpoint_make(struct kvm *k)
{
	/* Without SA_RESTART: the signal's only purpose is that KVM_RUN returns. */
	const struct sigaction sa = { .sa_handler = ignore };

	if (!k->vm->c->checkpoint)
		return 0;
	if (k->vm->c->ndevices || k->vm->c->nports)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "--checkpoint: not with devices of other processes");
	if (sigaction(SIGUSR2, &sa, NULL) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "--checkpoint: sigaction: %m");
	process = getpid();
	return kvm_state_make(k) < 0 ? -1 : kvm_copy_make(k->vm);
}

/*
 * Make every vCPU thread leave KVM_RUN, or not enter it: one that is about to enter finds immediate_exit set, one
 * inside gets the signal. immediate_exit also makes KVM finish the instruction that caused the last exit.
 */
static void stop_cpus(struct kvm *k)
{
	for (unsigned i = 0; i < k->ncpus; i++) {
		WRITE_ONCE(k->cpu[i].run->immediate_exit, 1);
		if (!pthread_equal(k->cpu[i].thread, pthread_self()))
			(void)syscall(SYS_tgkill, process, k->cpu[i].tid, SIGUSR2);
	}
}

void kvm_checkpoint_ask(struct kvm *k, bool reset, bool guest)
{
	struct kvm_checkpoint *c = &k->checkpoint;

	if (c->wanted != CHECKPOINT_NONE || k->ended)
		return;
	if (reset && !c->taken) {
		if (guest)
			kvm_end(k, GUEST_CRASH, "it asked for a reset before a checkpoint was taken");
		else
			log_line(LOG_WARN, "reset: no checkpoint was taken yet");
		return;
	}
	if (reset && k->vm->c->resets && k->vm->stats.resets == k->vm->c->resets) {
		kvm_end(k, GUEST_POWEROFF, "all %u resets are done", k->vm->c->resets);
		return;
	}
	__atomic_store_n(&c->wanted, reset ? CHECKPOINT_RESET : CHECKPOINT_TAKE, __ATOMIC_RELEASE);
	stop_cpus(k);
}

/* ---- devices ---- */

static void save_devices(struct kvm *k)
{
	const struct devices *ds = &k->devices;

	saved.pc = k->pc;
	saved.pci_address = ds->bus.address;
	saved.bridge = ds->bridge;
	for (unsigned i = 0; i < ds->n && i < OWN_DEVICES; i++)
		saved.dev[i] = ds->dev[i].v;
	saved.console = ds->console;
	saved.rng = ds->rng;
	saved.window_size = ds->window_size;
}

/* After the logs were cleared: the devices may write to their used rings at any time. */
static void mark_rings(struct devices *ds)
{
	for (unsigned q = 0; q < CONSOLE_QUEUES; q++)
		written_mark_ring(&ds->console.q[q]);
	written_mark_ring(&ds->rng.q);
}

/*
 * KVM keeps the level of each interrupt line apart from the state of the controllers, so set the lines first, and the
 * controllers after it (kvm_state_load()).
 */
static void load_devices(struct kvm *k)
{
	struct devices *ds = &k->devices;

	k->pc = saved.pc;
	ds->bus.address = saved.pci_address;
	ds->bridge = saved.bridge;
	for (unsigned i = 0; i < ds->n && i < OWN_DEVICES; i++)
		ds->dev[i].v = saved.dev[i];
	ds->console = saved.console;
	ds->rng = saved.rng;
	kvm_irq_line(PC_SERIAL_IRQ, k->pc.uart.level);
	kvm_irq_line(PC_SCI_IRQ, k->pc.pm.level);
	for (unsigned i = 0; i < ds->n && i < OWN_DEVICES; i++) {
		kvm_vpci_host.intx(&ds->dev[i].v, ds->dev[i].v.intx_level);
		kvm_vpci_host.rewire(&ds->dev[i].v);
	}
}

/* A kick or input that came after the checkpoint may have been for a ring as it is again now: look at all. */
static void look_at_rings(struct kvm *k)
{
	struct devices *ds = &k->devices;
	uint32_t size = ds->window_size;

	if (size != saved.window_size) {
		ds->window_size = saved.window_size;
		devices_resize(ds, size);
	}
	if (!console_running(&ds->console) && !ds->rng.q.running && !ds->in_len)
		return;
	ds->console_again = ds->console.q[CONSOLE_TX].running;
	ds->rng_again = ds->rng.q.running;
	kvm_wake();
}

/* ---- the work, in the last thread to arrive ---- */

static void take(struct kvm *k)
{
	uint64_t began = now_us();

	if (kvm_state_save(k) < 0)
		return;
	save_devices(k);
	if (kvm_copy_take(k, !k->checkpoint.taken) < 0)
		return;
	mark_rings(&k->devices);
	k->checkpoint.taken = true;
	k->checkpoint.since = now_us();
	log_line(LOG_DEBUG, "checkpoint taken in %llu microseconds", (unsigned long long)(k->checkpoint.since - began));
}

static void go_back(struct kvm *k)
{
	struct stats *s = &k->vm->stats;
	uint64_t began = now_us(), copying, copied;

	if (kvm_state_load_msrs(k) < 0)
		return;
	copying = now_us();
	if (kvm_copy_restore(k, &s->reset_pages) < 0)
		return;
	copied = now_us();
	load_devices(k);
	if (kvm_state_load(k) < 0)
		return;
	mark_rings(&k->devices);
	look_at_rings(k);
	s->resets++;
	s->reset_memory_us += copied - copying;
	s->reset_state_us += now_us() - copied + copying - began;
}

bool kvm_checkpoint_meet(struct kvm *k)
{
	struct kvm_checkpoint *c = &k->checkpoint;
	bool ended;

	pthread_mutex_lock(&k->lock);
	if (c->wanted != CHECKPOINT_NONE && !k->ended) {
		unsigned turn = c->turn;

		if (++c->arrived == k->ncpus) {
			if (c->wanted == CHECKPOINT_TAKE)
				take(k);
			else
				go_back(k);
			for (unsigned i = 0; i < k->ncpus; i++)
				WRITE_ONCE(k->cpu[i].run->immediate_exit, 0);
			c->arrived = 0;
			c->turn++;
			__atomic_store_n(&c->wanted, CHECKPOINT_NONE, __ATOMIC_RELEASE);
			pthread_cond_broadcast(&done);
		} else {
			/* If the guest ends meanwhile, this thread waits here until the process ends. */
			while (c->turn == turn)
				pthread_cond_wait(&done, &k->lock);
		}
	}
	ended = k->ended;
	pthread_mutex_unlock(&k->lock);
	return ended;
}

void kvm_checkpoint_report(struct kvm *k)
{
	uint64_t resets = k->vm->stats.resets, us = now_us() - k->checkpoint.since;

	if (resets)
		log_line(LOG_INFO, "%llu resets, %llu a second", (unsigned long long)resets,
			 (unsigned long long)(resets * 1000000 / (us ? us : 1)));
}
