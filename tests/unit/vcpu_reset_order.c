/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: a reset works while the helpers do their part of it, and not after them; nevertheless no interrupt of the time
 * before the reset reaches the guest, none of the time after it is lost, and KVM takes what is pending only when nothing
 * more can come. Uses a test double of KVM's calls.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "tests/unit/vcpu_front_rig.h"
#include "vcpu/devices/pci.h"
#include "vcpu/devices/vpci_private.h"
#include "vcpu/kvm/checkpoint.h"
#include "vcpu/kvm/irq.h"
#include "vcpu/kvm/shadow.h"
#include "vcpu/vm.h"

#define PAGE	   4096u
#define LOG_BYTES  PAGE
#define QUEUES	   2
#define PATIENT_MS 5000

static struct kvm k;
static struct vm vm;
static struct kvm_run run;
static struct vcpu_config config;
static struct kvm_pit_state2 pit;

static bool wired[QUEUES], slot_moved, processors_set, controllers_set, resetting;
static unsigned delivered;   /* Interrupts that KVM took from eventfds */
static unsigned holds, goes; /* Of the helper, before this reset */
static bool signals_early;   /* The helper interrupts as soon as it goes on */

static bool signalled(unsigned q)
{
	struct pollfd p = { .fd = VFD_QCALL0 + (int)q, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void signal_queue(unsigned q)
{
	const uint64_t one = 1;

	assert_int_equal(write(VFD_QCALL0 + (int)q, &one, sizeof(one)), sizeof(one));
}

/* Fails if the helper does not come to it, because it is told only when this call has returned. */
static void wait_for_helper(const unsigned *count, unsigned before)
{
	for (unsigned i = 0; i < PATIENT_MS && __atomic_load_n(count, __ATOMIC_SEQ_CST) == before; i++)
		usleep(1000);
	assert_int_equal(__atomic_load_n(count, __ATOMIC_SEQ_CST), before + 1);
}

static void irqfd(const struct kvm_irqfd *i)
{
	unsigned q = i->gsi - KVM_GSI_MSI;

	assert_true(q < QUEUES && i->fd == (unsigned)VFD_QCALL0 + q);
	wired[q] = !(i->flags & KVM_IRQFD_FLAG_DEASSIGN);
	if (!resetting)
		return;
	if (!wired[q]) {
		wait_for_helper(&h.holds, holds);
		return;
	}
	/* Before, the controllers would forget the interrupt. */
	assert_true(controllers_set);
	if (signalled(q)) {
		uint64_t n;

		assert_int_equal(read((int)i->fd, &n, sizeof(n)), sizeof(n));
		delivered++;
	}
}

static void move_slot(void)
{
	slot_moved = true;
	if (resetting)
		wait_for_helper(&h.holds, holds);
}

/* KVM takes what is pending: nothing may come later. */
static void take_pending(void)
{
	assert_false(resetting && (wired[0] || wired[1]));
	assert_true(!resetting || h.held);
}

static void set_processors(void)
{
	assert_true(slot_moved && !wired[0] && !wired[1]);
	wait_for_helper(&h.goes, goes);
	if (signals_early)
		signal_queue(1);
	processors_set = true;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	(void)fd;
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return 1;
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return (int)((struct kvm_msrs *)arg)->nmsrs;
	case KVM_GET_PIT2:
		*(struct kvm_pit_state2 *)arg = pit;
		return 0;
	case KVM_SET_PIT2:
		pit = *(struct kvm_pit_state2 *)arg;
		return 0;
	case KVM_SET_USER_MEMORY_REGION:
		move_slot();
		return 0;
	case KVM_GET_MP_STATE:
		take_pending();
		return 0;
	case KVM_SET_SREGS2:
		set_processors();
		return 0;
	case KVM_SET_LAPIC:
		controllers_set = true;
		return 0;
	case KVM_IRQFD:
		irqfd(arg);
		return 0;
	default:
		return 0;
	}
}

/* An eventfd that does not block at descriptor @at, which is the helper's @fd as well. */
static void place(int fd, int at)
{
	assert_true(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && dup2(fd, at) == at);
}

/* A disk with two queues, whose driver has set up MSI-X. */
static void make_disk(void)
{
	const struct front_ring ring = { 128, 0x1000, 0x2000, 0x3000 };
	struct device *d = &k.devices.dev[0];

	k.devices.n = 1;
	k.devices.vm = &vm;
	k.devices.host = &kvm_vpci_host;
	d->all = &k.devices;
	d->type = DEVICE_BACKED;
	d->desc.nqueues = QUEUES;
	d->v.dev = &d->desc;
	d->v.host = &kvm_vpci_host;
	d->v.host_owner = &k;
	d->v.nvectors = QUEUES;
	d->v.running = true;
	d->v.pci.cfg[MSIX_CTRL + 1] = PCI_MSIX_FLAGS_ENABLE >> 8;
	assert_int_equal(attach(), 0);
	d->front = f;
	for (unsigned q = 0; q < QUEUES; q++) {
		d->v.queue[q].enabled = true;
		d->v.queue[q].vector = (uint16_t)q;
		d->v.msix[q].addr_lo = 0xfee00000;
		d->v.msix[q].data = 0x40 + q;
		assert_true(front_start(&d->front, q, &ring) && front_enable(&d->front, q, true));
		place(call[q], VFD_QCALL0 + (int)q);
	}
	place(err, err);
}

static int start(void **state)
{
	bool sealed;
	int fd = shm_create(LOG_BYTES, &sealed);

	fresh(state);
	k = (struct kvm){ .vm = &vm, .ncpus = 1 };
	vm = (struct vm){ .c = &config, .mem = mem };
	config = (struct vcpu_config){ .checkpoint = true, .shadow_paging = true, .vmgenid_same = true, .ndevices = 1 };
	k.cpu[0].kvm = &k;
	k.cpu[0].run = &run;
	k.cpu[0].thread = pthread_self();
	pthread_mutex_init(&k.lock, NULL);
	resetting = signals_early = false;
	memset(wired, 0, sizeof(wired));
	assert_true(fd >= 0 && dup2(fd, VFD_LOG0) == VFD_LOG0);
	close(fd);
	make_disk();
	assert_int_equal(kvm_shadow_make(&k), 0);
	assert_int_equal(kvm_checkpoint_make(&k), 0);
	assert_int_equal(kvm_irq_init(&k), 0);
	kvm_checkpoint_ask(&k, false, true);
	kvm_checkpoint_meet(&k);
	assert_true(k.checkpoint.taken && wired[0] && wired[1]);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	f.sock = k.devices.dev[0].front.sock;
	detach();
	return 0;
}

static void reset(void)
{
	holds = h.holds;
	goes = h.goes;
	delivered = 0;
	slot_moved = processors_set = controllers_set = false;
	resetting = true;
	kvm_checkpoint_ask(&k, true, true);
	kvm_checkpoint_meet(&k);
	resetting = false;
	assert_int_equal(vm.end, 0);
	assert_true(processors_set && wired[0] && wired[1]);
	assert_int_equal(h.go.what, VHU_GO_RESET);
}

static void helpers_work_at_the_same_time(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 5; i++) {
		reset();
		assert_int_equal(vm.stats.resets, i);
		assert_int_equal(delivered, 0);
	}
}

static void an_interrupt_from_before_is_dropped(void **state)
{
	(void)state;
	signal_queue(0);
	signal_queue(1);
	reset();
	assert_int_equal(delivered, 0);
	assert_false(signalled(0) || signalled(1));
}

static void an_interrupt_from_after_is_not_lost(void **state)
{
	(void)state;
	signal_queue(0);
	signals_early = true;
	reset();
	assert_int_equal(delivered, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(helpers_work_at_the_same_time, start, stop),
		cmocka_unit_test_setup_teardown(an_interrupt_from_before_is_dropped, start, stop),
		cmocka_unit_test_setup_teardown(an_interrupt_from_after_is_not_lost, start, stop),
	};

	return cmocka_run_group_tests(tests, once, NULL);
}
