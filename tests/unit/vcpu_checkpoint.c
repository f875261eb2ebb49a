/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: after a reset all of guest memory is as it was at the checkpoint, whoever wrote to it; every state that KVM
 * holds is set again, in an order in which nothing undoes anything; and requests at odd times do no harm. Uses a test
 * double of KVM's calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "vcpu/devices/written.h"
#include "vcpu/kvm/checkpoint.h"
#include "vcpu/kvm/vm.h"

#define LOW	(1u << 20)
#define HIGH	(500u << 10) /* Its last word in a log has bits for no page. */
#define CANARY	(3 * PAGE)   /* Behind each region */
#define PAGE	4096u
#define MSR_ONE 0x174u

static struct kvm k;
static struct vm vm;
static struct kvm_run run;
static struct vcpu_config config;
static uint8_t *memory[2], *at_checkpoint[2];
static uint64_t dirty[2][LOW / PAGE / 64];
/* As a helper sees its log. */
#define LOG_BYTES ((GUEST_RAM_HIGH + HIGH) / PAGE / 8 / PAGE * PAGE + PAGE)
static uint8_t *helpers_log;

/* The double: state as KVM holds it, and what was set in which order. */
static struct kvm_pit_state2 pit;
static struct kvm_regs regs;
static uint64_t msr_one;
static unsigned long sets[64], nsets;
static bool no_speaker, log_fails;
static unsigned long refuse; /* This call fails. */

static bool memory_is_back(void)
{
	return !memcmp(memory[0], at_checkpoint[0], LOW) && !memcmp(memory[1], at_checkpoint[1], HIGH);
}

static int msrs(unsigned long request, struct kvm_msrs *m)
{
	if (request == KVM_SET_MSRS)
		sets[nsets++ % 64] = request;
	for (unsigned i = 0; i < m->nmsrs; i++) {
		bool one = m->entries[i].index == MSR_ONE;

		/* This KVM has some registers only. */
		if (!one && m->entries[i].index != 0x10 && m->entries[i].index != 0x6e0)
			return (int)i;
		if (request == KVM_GET_MSRS)
			m->entries[i].data = one ? msr_one : 0;
		else if (one)
			msr_one = m->entries[i].data;
	}
	return (int)m->nmsrs;
}

static int dirty_log(const struct kvm_dirty_log *log)
{
	if (log_fails) {
		errno = EIO;
		return -1;
	}
	memcpy(log->dirty_bitmap, dirty[log->slot], sizeof(dirty[0]) / (log->slot ? 2 : 1));
	memset(dirty[log->slot], 0, sizeof(dirty[0]));
	return 0;
}

static void msr_list(struct kvm_msr_list *l)
{
	l->nmsrs = 3;
	l->indices[0] = MSR_ONE;
	l->indices[1] = 0x175;
	l->indices[2] = 0x10;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	(void)fd;
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == refuse) {
		errno = EIO;
		return -1;
	}
	switch (request) {
	case KVM_CHECK_EXTENSION: /* A processor without XSAVE has no XCRs. */
		return arg != (void *)KVM_CAP_XCRS || refuse != KVM_GET_XCRS;
	case KVM_GET_MSR_INDEX_LIST:
		msr_list(arg);
		return 0;
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return msrs(request, arg);
	case KVM_GET_DIRTY_LOG:
		return dirty_log(arg);
	case KVM_GET_PIT2:
		*(struct kvm_pit_state2 *)arg = pit;
		return 0;
	case KVM_SET_PIT2:
		sets[nsets++ % 64] = request;
		pit = *(struct kvm_pit_state2 *)arg;
		pit.flags &= no_speaker ? ~(unsigned)KVM_PIT_FLAGS_SPEAKER_DATA_ON : ~0u;
		return 0;
	case KVM_GET_REGS:
		*(struct kvm_regs *)arg = regs;
		return 0;
	case KVM_SET_REGS:
		sets[nsets++ % 64] = request;
		regs = *(struct kvm_regs *)arg;
		return 0;
	case KVM_SET_SREGS2: /* KVM reads the guest's memory here. */
		assert_true(memory_is_back());
		sets[nsets++ % 64] = request;
		return 0;
	case KVM_GET_DEVICE_ATTR: /* A host that cannot set the offset of the counter */
		errno = ENXIO;
		return -1;
	default:
		/* This one has the wrong direction in <linux/kvm.h>. */
		if ((_IOC_DIR(request) & _IOC_WRITE) || request == KVM_SET_IRQCHIP)
			sets[nsets++ % 64] = request;
		return 0;
	}
}

/* ---- the guest ---- */

static void write_page(unsigned r, unsigned page, bool by_us)
{
	uint8_t *p = memory[r] + page * PAGE + (unsigned)rand() % (PAGE - 8);

	memset(p, rand() | 1, 8);
	if (by_us)
		written_mark(p, 8);
	else
		dirty[r][page / 64] |= BIT64(page % 64);
}

static int start(void **state)
{
	(void)state;
	k = (struct kvm){ .vm = &vm, .ncpus = 1 };
	vm = (struct vm){ .c = &config };
	run = (struct kvm_run){ 0 };
	config = (struct vcpu_config){ .checkpoint = true, .vmgenid_same = true };
	memset(dirty, 0, sizeof(dirty));
	pthread_mutex_init(&k.lock, NULL);
	vm.mem.nregions = 2;
	for (unsigned i = 0; i < 2; i++) {
		uint64_t size = i ? HIGH : LOW;

		free(memory[i]);
		free(at_checkpoint[i]);
		memory[i] = aligned_alloc(PAGE, size + CANARY);
		at_checkpoint[i] = malloc(size);
		assert_true(memory[i] && at_checkpoint[i]);
		for (uint64_t j = 0; j < size; j += 4)
			*(uint32_t *)(memory[i] + j) = (uint32_t)rand();
		memset(memory[i] + size, 0x5a, CANARY);
		vm.mem.r[i] = (struct shm_region){ .gpa = i ? GUEST_RAM_HIGH : 0, .size = size, .hva = memory[i] };
	}
	k.cpu[0].kvm = &k;
	k.cpu[0].run = &run;
	k.cpu[0].thread = pthread_self();
	no_speaker = log_fails = false;
	refuse = 0;
	return 0;
}

/* The guest asks, and its vCPU thread comes to the meeting. */
static void ask(bool reset)
{
	kvm_checkpoint_ask(&k, reset, true);
	assert_int_equal(run.immediate_exit, kvm_checkpoint_wanted(&k));
	if (!reset)
		for (unsigned i = 0; i < 2; i++)
			memcpy(at_checkpoint[i], memory[i], i ? HIGH : LOW);
	nsets = 0;
	if (kvm_checkpoint_wanted(&k))
		kvm_checkpoint_meet(&k);
	assert_int_equal(run.immediate_exit, 0);
}

static void memory_is_the_same_after_each_of_1000_resets(void **state)
{
	(void)state;
	assert_int_equal(kvm_checkpoint_make(&k), 0);
	for (unsigned i = 0; i < 20; i++)
		write_page(0, (unsigned)rand() % (LOW / PAGE), i & 1);
	ask(false);
	for (unsigned n = 0; n < 1000; n++) {
		unsigned pages = (unsigned)rand() % 60;

		for (unsigned i = 0; i < pages; i++)
			write_page(i & 1, (unsigned)rand() % ((i & 1 ? HIGH : LOW) / PAGE), rand() & 1);
		ask(true);
		assert_true(memory_is_back());
	}
	assert_int_equal(vm.stats.resets, 1000);
	/* The supervisor gets the percentiles of all of them. */
	assert_int_equal(k.checkpoint.times.total, 1000);
	kvm_checkpoint_count(&k);
	assert_true(vm.resets.reset_median_us > 0 && vm.resets.reset_median_us <= vm.resets.reset_p99_us);
	assert_int_equal(vm.end, 0);
}

static void a_later_checkpoint_replaces_the_first(void **state)
{
	(void)state;
	assert_int_equal(kvm_checkpoint_make(&k), 0);
	ask(false);
	write_page(0, 7, false);
	write_page(1, 9, true);
	ask(true);
	assert_true(memory_is_back());
	write_page(0, 8, false);
	write_page(1, 10, true);
	ask(false);
	write_page(0, 8, true);
	write_page(1, 11, false);
	ask(true);
	assert_true(memory_is_back());
}

/* ---- helpers ---- */

/* The supervisor has created the log of device 0. */
static void with_helper(void)
{
	bool sealed;
	int fd = shm_create(LOG_BYTES, &sealed);

	assert_true(fd >= 0 && sealed && dup2(fd, VFD_LOG0) == VFD_LOG0);
	close(fd);
	helpers_log = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, VFD_LOG0, 0);
	assert_true(helpers_log != MAP_FAILED);
	config.ndevices = 1;
	/* One that answers is in vcpu_front_held.c. */
	k.devices.n = 1;
	k.devices.dev[0].v.host_owner = &k;
	assert_int_equal(kvm_checkpoint_make(&k), 0);
	assert_int_equal(k.devices.log_bytes, LOG_BYTES);
	ask(false);
}

static void without_helper(void)
{
	munmap(helpers_log, LOG_BYTES);
}

static void helper_writes(unsigned r, unsigned page)
{
	uint64_t n = page + (r ? GUEST_RAM_HIGH / PAGE : 0);

	memory[r][page * PAGE + 5] ^= 1;
	helpers_log[n / 8] |= (uint8_t)(1u << n % 8);
}

static void what_a_helper_logs_is_taken_back(void **state)
{
	(void)state;
	with_helper();
	/* The used ring of a NIC's control queue, to which this process may write at any time, is in no log. */
	k.devices.dev[0].ctl = (struct vq){ .running = true, .size = 8, .used = (void *)(memory[0] + 7 * PAGE) };
	ask(false);
	for (unsigned n = 0; n < 200; n++) {
		memory[0][7 * PAGE + 2] ^= 1;
		for (unsigned i = 0; i < n % 40; i++)
			helper_writes(i & 1, (unsigned)rand() % ((i & 1 ? HIGH : LOW) / PAGE));
		helper_writes(1, HIGH / PAGE - 1);
		ask(true);
		assert_true(memory_is_back());
	}
	/* A later checkpoint has what it wrote. */
	helper_writes(0, 3);
	ask(false);
	helper_writes(0, 3);
	ask(true);
	assert_true(memory_is_back());
	without_helper();
}

/* Bits for pages that are none lead nowhere, and the log is empty after a reset. */
static void a_helper_may_lie_about_its_log(void **state)
{
	(void)state;
	with_helper();
	for (unsigned n = 0; n < 3; n++) {
		memset(helpers_log, 0xff, LOG_BYTES);
		vm.stats.reset_pages = 0;
		ask(true);
		assert_true(memory_is_back());
		assert_int_equal(vm.stats.reset_pages, (LOW + HIGH) / PAGE);
		for (unsigned r = 0; r < 2; r++)
			for (unsigned i = 0; i < CANARY; i++)
				assert_int_equal(memory[r][(r ? HIGH : LOW) + i], 0x5a);
	}
	without_helper();
}

/* It was restarted, or a ring had a fault: pages may have changed that no log names. */
static void all_of_memory_is_taken_back_after_a_restart(void **state)
{
	(void)state;
	with_helper();
	memory[0][12345] ^= 1;
	k.devices.dev[0].front.any_page = true;
	ask(true);
	assert_true(memory_is_back());
	/* Once is enough. */
	assert_false(k.devices.dev[0].front.any_page);
	vm.stats.reset_pages = 0;
	ask(true);
	assert_int_equal(vm.stats.reset_pages, 0);
	without_helper();
}

static void a_log_that_could_be_truncated_is_refused(void **state)
{
	int fd = memfd_create("log", MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, LOG_BYTES - PAGE), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	assert_int_equal(dup2(fd, VFD_LOG0), VFD_LOG0);
	close(fd);
	config.ndevices = 1;
	assert_int_equal(kvm_checkpoint_make(&k), -1);
	fd = memfd_create("log", 0);
	assert_int_equal(ftruncate(fd, LOG_BYTES), 0);
	assert_int_equal(dup2(fd, VFD_LOG0), VFD_LOG0);
	close(fd);
	assert_int_equal(kvm_checkpoint_make(&k), -1);
}

/* The place of @request among the calls that set something; nsets if it is not there. */
static unsigned place_of(unsigned long request)
{
	unsigned i = 0;

	while (i < nsets && sets[i] != request)
		i++;
	return i;
}

static void all_state_is_set_in_order(void **state)
{
	static const unsigned long all[] = { KVM_SET_SREGS2,	  KVM_SET_REGS,	   KVM_SET_XSAVE,    KVM_SET_XCRS,
					     KVM_SET_DEBUGREGS,	  KVM_SET_LAPIC,   KVM_SET_MP_STATE, KVM_SET_CLOCK,
					     KVM_SET_VCPU_EVENTS, KVM_SET_IRQCHIP, KVM_SET_PIT2,     KVM_IRQ_LINE };

	(void)state;
	regs.rip = 1;
	msr_one = 5;
	k.pc.uart.scr = 3;
	k.devices.bus.address = 4;
	assert_int_equal(kvm_checkpoint_make(&k), 0);
	ask(false);
	write_page(0, 3, false);
	regs.rip = 2;
	msr_one = 6;
	k.pc.uart.scr = 9;
	k.devices.bus.address = 8;
	ask(true);
	assert_int_equal(regs.rip, 1);
	assert_int_equal(msr_one, 5);
	assert_int_equal(k.pc.uart.scr, 3);
	assert_int_equal(k.devices.bus.address, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		assert_true(place_of(all[i]) < nsets);
	assert_true(place_of(KVM_SET_MSRS) < place_of(KVM_SET_SREGS2));
	assert_true(place_of(KVM_IRQ_LINE) < place_of(KVM_SET_IRQCHIP));
	assert_true(place_of(KVM_SET_PIT2) < place_of(KVM_SET_IRQCHIP));
	assert_true(place_of(KVM_SET_IRQCHIP) < place_of(KVM_SET_LAPIC));
	assert_true(place_of(KVM_SET_SREGS2) < place_of(KVM_SET_LAPIC));
	assert_true(place_of(KVM_SET_REGS) < place_of(KVM_SET_VCPU_EVENTS));
}

static void a_reset_needs_a_checkpoint(void **state)
{
	(void)state;
	assert_int_equal(kvm_checkpoint_make(&k), 0);
	kvm_checkpoint_ask(&k, true, false); /* lguest-sep reset: only a message */
	assert_false(k.ended);
	kvm_checkpoint_ask(&k, true, true);
	assert_true(k.ended);
	assert_int_equal(vm.end, GUEST_CRASH);
}

static void the_guest_ends_after_the_last_reset(void **state)
{
	(void)state;
	config.resets = 2;
	assert_int_equal(kvm_checkpoint_make(&k), 0);
	ask(false);
	ask(true);
	ask(true);
	assert_false(k.ended);
	kvm_checkpoint_ask(&k, true, true);
	assert_true(k.ended);
	assert_int_equal(vm.end, GUEST_POWEROFF);
	assert_int_equal(vm.stats.resets, 2);
}

static void of_two_requests_the_first_counts(void **state)
{
	(void)state;
	assert_int_equal(kvm_checkpoint_make(&k), 0);
	ask(false);
	write_page(0, 1, false);
	kvm_checkpoint_ask(&k, true, true);
	kvm_checkpoint_ask(&k, false, true);
	kvm_checkpoint_meet(&k);
	assert_true(memory_is_back());
	assert_int_equal(vm.stats.resets, 1);
	assert_false(kvm_checkpoint_wanted(&k));
}

/* A guest that is half taken back must not run. */
static void the_guest_ends_if_a_call_fails(void **state)
{
	static const unsigned long calls[] = { KVM_SET_SREGS2,	 KVM_SET_REGS,	   KVM_SET_XSAVE, KVM_SET_XCRS,
					       KVM_SET_LAPIC,	 KVM_SET_PIT2,	   KVM_SET_CLOCK, KVM_SET_VCPU_EVENTS,
					       KVM_SET_IRQCHIP,	 KVM_SET_MSRS,	   KVM_GET_MSRS,  KVM_SET_DEBUGREGS,
					       KVM_SET_MP_STATE, KVM_GET_DIRTY_LOG };

	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		start(state);
		msr_one = 1;
		assert_int_equal(kvm_checkpoint_make(&k), 0);
		ask(false);
		msr_one = 2;
		refuse = calls[i];
		ask(true);
		assert_true(k.ended);
		assert_int_equal(vm.end, GUEST_ENGINE_FAILED);
		assert_int_equal(vm.stats.resets, 0);
	}
}

static void hosts_that_cannot_save_all_are_refused(void **state)
{
	no_speaker = true;
	assert_int_equal(kvm_checkpoint_make(&k), -1);
	assert_non_null(strstr(vm.end_text, "Linux 5.19"));
	start(state);
	refuse = KVM_CHECK_EXTENSION;
	assert_int_equal(kvm_checkpoint_make(&k), -1);
	start(state);
	config.ndevices = 1;
	assert_int_equal(kvm_checkpoint_make(&k), -1);
	start(state);
	refuse = KVM_GET_XCRS;
	assert_int_equal(kvm_checkpoint_make(&k), 0);
	ask(false);
	assert_false(k.ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(memory_is_the_same_after_each_of_1000_resets, start),
		cmocka_unit_test_setup(a_later_checkpoint_replaces_the_first, start),
		cmocka_unit_test_setup(what_a_helper_logs_is_taken_back, start),
		cmocka_unit_test_setup(a_helper_may_lie_about_its_log, start),
		cmocka_unit_test_setup(all_of_memory_is_taken_back_after_a_restart, start),
		cmocka_unit_test_setup(a_log_that_could_be_truncated_is_refused, start),
		cmocka_unit_test_setup(all_state_is_set_in_order, start),
		cmocka_unit_test_setup(a_reset_needs_a_checkpoint, start),
		cmocka_unit_test_setup(the_guest_ends_after_the_last_reset, start),
		cmocka_unit_test_setup(of_two_requests_the_first_counts, start),
		cmocka_unit_test_setup(the_guest_ends_if_a_call_fails, start),
		cmocka_unit_test_setup(hosts_that_cannot_save_all_are_refused, start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
