/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checkpoint and reset: see checkpoint.h. Runs in the vCPU process. */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vcpu/devices/held.h"
#include "vcpu/devices/written.h"
#include "vcpu/kvm/checkpoint.h"
#include "vcpu/kvm/copy.h"
#include "vcpu/kvm/fresh.h"
#include "vcpu/kvm/irq.h"
#include "vcpu/kvm/round.h"
#include "vcpu/kvm/save.h"
#include "vcpu/kvm/shadow.h"
#include "vcpu/kvm/state.h"
#include "vcpu/kvm/vm.h"
#include "vcpu/kvm/vmgenid.h"
#include "vcpu/vm.h"

/* The devices at the checkpoint. */
static struct {
	struct pc pc;
	uint32_t pci_address;
	struct pci_dev bridge;
	struct shmem_dev shmem; /* Its registers; the memory is not taken back */
	struct held_device dev[DEVICES_MAX];
	struct console console;
	struct ports ports; /* If there are any */
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
		return k->vm->c->from ? kvm_state_make(k) : 0;
	if (sigaction(SIGUSR2, &sa, NULL) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "--checkpoint: sigaction: %m");
	process = getpid();
	kvm_save_make(k);
	return kvm_state_make(k) < 0 ? -1 : kvm_copy_make(k);
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

/* After the last reset of --resets, ends the guest and returns true. */
static bool end_after_last(struct kvm *k)
{
	if (!k->vm->c->resets || k->vm->stats.resets != k->vm->c->resets)
		return false;
	kvm_end(k, GUEST_POWEROFF, "all %u resets are done", k->vm->c->resets);
	return true;
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
	/* The supervisor has judged no round that did not begin where the others do. */
	if (!reset && c->taken && k->vm->c->rounds)
		return;
	if (!reset && c->taken && kvm_fresh_keeps(k)) {
		log_line(LOG_WARN, "checkpoint: with --reset=fresh and a snapshot or share there is only one");
		return;
	}
	/* With rounds, the last one is judged first. */
	if (reset && !k->vm->c->rounds && end_after_last(k))
		return;
	c->why = RESET_ONS;
	__atomic_store_n(&c->wanted, reset ? CHECKPOINT_RESET : CHECKPOINT_TAKE, __ATOMIC_RELEASE);
	stop_cpus(k);
}

/* ---- helpers ---- */

/* Half of the guest must not go on without the other half. */
static void not_held(struct kvm *k, const struct device *d, const char *request)
{
	kvm_end(k, GUEST_ENGINE_FAILED, "%s: %s does not answer, or refuses", request, d->name);
}

/* Ask every helper to stand still. */
static void hold_early(struct kvm *k)
{
	struct devices *ds = &k->devices;

	for (unsigned i = 0; i < ds->n; i++)
		held_begin_early(&ds->dev[i]);
}

/* Wait until every helper stands still. False after ending the guest. */
static bool hold_all(struct kvm *k, const char *request)
{
	struct devices *ds = &k->devices;

	/* First, because it takes as long. What helpers signal from now on is left for held_signals(). */
	kvm_irq_unwire(k);
	for (unsigned i = 0; i < ds->n; i++)
		if (!held_begin(&ds->dev[i])) {
			not_held(k, &ds->dev[i], request);
			return false;
		}
	return true;
}

static bool drop_translations(struct kvm *k)
{
	int error = kvm_shadow_drop(k);

	if (error)
		kvm_end(k, GUEST_ENGINE_FAILED, "reset: KVM_SET_USER_MEMORY_REGION: error %d", error);
	return !error;
}

/* Before a reset: make every helper stand still, or with --reset=fresh have another process take its place. */
static bool quiet_all(struct kvm *k)
{
	if (!k->vm->c->fresh)
		return hold_all(k, "reset");
	if (!kvm_fresh_end(k, false))
		return false;
	kvm_irq_unwire(k);
	/* They start while memory is taken back, which they do not have yet. */
	return kvm_fresh_start(k);
}

/* Tell every helper to go on. */
static void release_early(struct kvm *k, enum vhu_go what)
{
	struct devices *ds = &k->devices;

	for (unsigned i = 0; i < ds->n; i++)
		held_end_early(&ds->dev[i], what);
}

/* Wait until every helper goes on. False after ending the guest. */
static bool all_released(struct kvm *k, enum vhu_go what, const char *request)
{
	struct devices *ds = &k->devices;

	for (unsigned i = 0; i < ds->n; i++)
		if (!held_end(&ds->dev[i], what)) {
			not_held(k, &ds->dev[i], request);
			return false;
		}
	return true;
}

static bool release_all(struct kvm *k, enum vhu_go what, const char *request)
{
	release_early(k, what);
	return all_released(k, what, request);
}

/* ---- devices ---- */

static void save_devices(struct kvm *k)
{
	const struct devices *ds = &k->devices;

	saved.pc = k->pc;
	saved.pci_address = ds->bus.address;
	saved.bridge = ds->bridge;
	saved.shmem = k->shmem;
	for (unsigned i = 0; i < ds->n; i++)
		held_save(&ds->dev[i], &saved.dev[i]);
	saved.console = ds->console;
	if (ds->ports.n)
		saved.ports = ds->ports;
	saved.rng = ds->rng;
	saved.window_size = ds->window_size;
}

/* After the logs were cleared: the devices may write to their used rings at any time. */
static void mark_rings(struct devices *ds)
{
	for (unsigned q = 0; q < CONSOLE_QUEUES; q++)
		written_mark_ring(&ds->console.q[q]);
	ports_mark_rings(&ds->ports);
	written_mark_ring(&ds->rng.q);
	for (unsigned i = 0; i < ds->n; i++)
		written_mark_ring(&ds->dev[i].ctl);
}

/*
 * KVM keeps the level of each interrupt line apart from the state of the controllers, so set the lines first, and the
 * controllers after it (kvm_state_load()).
 */
static bool load_devices(struct kvm *k)
{
	struct devices *ds = &k->devices;

	k->pc = saved.pc;
	ds->bus.address = saved.pci_address;
	ds->bridge = saved.bridge;
	k->shmem = saved.shmem;
	for (unsigned i = 0; i < ds->n; i++)
		if (!held_load(&ds->dev[i], &saved.dev[i])) {
			not_held(k, &ds->dev[i], "reset");
			return false;
		}
	ds->console = saved.console;
	ports_load(&ds->ports, &saved.ports);
	ds->rng = saved.rng;
	kvm_irq_line(PC_SERIAL_IRQ, k->pc.uart.level);
	kvm_irq_line(PC_SCI_IRQ, k->pc.pm.level);
	for (unsigned i = 0; i < ds->n; i++)
		kvm_vpci_host.intx(&ds->dev[i].v, ds->dev[i].v.intx_level);
	return true;
}

/*
 * Connect the interrupts of all devices: after the controllers were set, which would lose an interrupt that came
 * before. One that a helper has sent meanwhile is in its eventfd, from which KVM takes it now.
 */
static void wire_devices(struct kvm *k)
{
	struct devices *ds = &k->devices;

	for (unsigned i = 0; i < ds->n; i++)
		kvm_vpci_host.rewire(&ds->dev[i].v);
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
	ports_look(&ds->ports);
	if (!console_running(&ds->console) && !ds->rng.q.running && !ds->in_len && !devices_have_work(ds))
		return;
	ds->console_again = ds->console.q[CONSOLE_TX].running;
	ds->rng_again = ds->rng.q.running;
	kvm_wake();
}

/* ---- the work, in the last thread to arrive ---- */

/* With --reset=fresh and snapshots: processes that can only read what these have now take the place of all helpers. */
static bool keep_snapshots(struct kvm *k)
{
	struct devices *ds = &k->devices;

	if (!kvm_fresh_keeps(k))
		return true;
	/* All of the interrupts of those that end were delivered before. */
	kvm_irq_unwire(k);
	if (!kvm_fresh_end(k, true) || !kvm_fresh_start(k))
		return false;
	for (unsigned i = 0; i < ds->n; i++) {
		held_signals(&ds->dev[i], false);
		if (!held_load(&ds->dev[i], &saved.dev[i])) {
			not_held(k, &ds->dev[i], "checkpoint");
			return false;
		}
		kvm_vpci_host.rewire(&ds->dev[i].v);
	}
	return true;
}

static void checkpoint_taken(struct kvm *k)
{
	struct kvm_checkpoint *c = &k->checkpoint;

	c->taken = true;
	c->since = now_us();
	if (!c->first)
		c->first = c->since;
	c->run_began = now_ms();
	/* The main thread has slept without a limit until now. */
	if (k->vm->c->run_ms)
		kvm_wake();
}

static void take(struct kvm *k)
{
	struct devices *ds = &k->devices;
	uint64_t began = now_us();

	hold_early(k);
	if (!hold_all(k, "checkpoint"))
		return;
	for (unsigned i = 0; i < ds->n; i++) {
		held_signals(&ds->dev[i], true);
		kvm_vpci_host.rewire(&ds->dev[i].v);
	}
	if (kvm_state_save(k) < 0)
		return;
	save_devices(k);
	if (kvm_copy_take(k, !k->checkpoint.taken) < 0)
		return;
	mark_rings(ds);
	if (kvm_save_write(k) < 0 || !keep_snapshots(k))
		return;
	if (!release_all(k, VHU_GO_CHECKPOINT, "checkpoint"))
		return;
	checkpoint_taken(k);
	log_line(LOG_DEBUG, "checkpoint taken in %llu microseconds", (unsigned long long)(k->checkpoint.since - began));
}

int kvm_checkpoint_begin(struct kvm *k)
{
	if (!k->vm->c->checkpoint)
		return release_all(k, VHU_GO_ON, "--from") ? 0 : -1;
	save_devices(k);
	if (kvm_copy_take(k, true) < 0)
		return -1;
	mark_rings(&k->devices);
	checkpoint_taken(k);
	return release_all(k, VHU_GO_CHECKPOINT, "--from") ? 0 : -1;
}

/* True if the logs may not name every page that was written. Asked once for each restart or fault of a helper. */
static bool any_page(struct devices *ds)
{
	bool any = false;

	for (unsigned i = 0; i < ds->n; i++) {
		any |= ds->dev[i].front.any_page;
		ds->dev[i].front.any_page = false;
	}
	return any;
}

/*
 * Helpers go on while the state of the processors is set: they touch only memory, which is as it was, and what they ask
 * for waits until wire_devices().
 */
static void go_back(struct kvm *k)
{
	struct stats *s = &k->vm->stats;
	struct reset_stats *part = &k->vm->resets;
	uint64_t began, dropped, held, told, copying, copied, devices, cpus, loaded, released, renewed;

	if (k->vm->c->rounds && (!kvm_round_over(k) || end_after_last(k)))
		return;
	began = now_us();
	if (!k->vm->c->fresh)
		hold_early(k);
	/* While helpers come to rest, for which this thread would wait anyway. */
	if (!drop_translations(k))
		return;
	dropped = now_us();
	if (!quiet_all(k))
		return;
	held = now_us();
	for (unsigned i = 0; i < k->devices.n; i++)
		held_signals(&k->devices.dev[i], false);
	told = now_us();
	if (kvm_state_load_msrs(k) < 0)
		return;
	copying = now_us();
	if (kvm_copy_restore(k, any_page(&k->devices), &s->reset_pages) < 0)
		return;
	copied = now_us();
	if (!load_devices(k))
		return;
	release_early(k, VHU_GO_RESET);
	devices = now_us();
	if (kvm_state_load(k) < 0)
		return;
	cpus = now_us();
	wire_devices(k);
	mark_rings(&k->devices);
	look_at_rings(k);
	loaded = now_us();
	if (!all_released(k, VHU_GO_RESET, "reset"))
		return;
	released = now_us();
	if (vmgenid_renew(k) < 0)
		return;
	renewed = now_us();
	s->resets++;
	histogram_add(&k->checkpoint.times, renewed - began);
	k->checkpoint.instead[k->checkpoint.why]++;
	k->checkpoint.run_began = now_ms();
	s->reset_memory_us += copied - copying;
	s->reset_state_us += renewed - copied + copying - began;
	part->reset_helpers_us += released - loaded + held - dropped;
	part->reset_devices_us += told - held + devices - copied + loaded - cpus + renewed - released;
	part->reset_cpu_us += dropped - began + copying - told + cpus - devices;
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

void kvm_checkpoint_count(struct kvm *k)
{
	struct ctl_msg m = { .type = CTL_RESETS };

	if (!k->checkpoint.first)
		return;
	k->vm->resets.reset_span_us = now_us() - k->checkpoint.first;
	k->vm->resets.reset_median_us = histogram_percentile(&k->checkpoint.times, 50);
	k->vm->resets.reset_p99_us = histogram_percentile(&k->checkpoint.times, 99);
	m.resets = k->vm->resets;
	ctl_send(VFD_CTL, &m);
}

void kvm_checkpoint_report(struct kvm *k)
{
	uint64_t resets = k->vm->stats.resets, us = now_us() - k->checkpoint.since;

	kvm_save_report(k);
	if (!resets)
		return;
	log_line(LOG_INFO, "%llu resets, %llu a second", (unsigned long long)resets,
		 (unsigned long long)(resets * 1000000 / (us ? us : 1)));
	if (k->vm->c->ndevices)
		log_line(LOG_INFO, "%llu microseconds of the rest of resets: waiting for helpers",
			 (unsigned long long)k->vm->resets.reset_helpers_us);
}
