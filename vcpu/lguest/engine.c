/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lguest engine: finds out the dialect of /dev/lguest, confines the process, loads and
 * runs the guest. Runs in the vCPU process; its main thread is the guest's processor. Only
 * guest memory may be mapped at [base, base + pfn_limit), because the host's kernel gives
 * these addresses to the guest.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "policy/policies.h"
#include "vcpu/lguest/dev.h"
#include "vcpu/lguest/events.h"
#include "vcpu/lguest/flag.h"
#include "vcpu/lguest/legacy.h"
#include "vcpu/lguest/lguest.h"
#include "vcpu/lguest/trap.h"
#include "vcpu/vm.h"

/* boot_params.e820_table[0].size (Documentation/arch/x86/zero-page.rst) */
#define E820_FIRST_SIZE 0x2d8u

/* The host's kernel puts this prefix before a text that comes from the guest; the text of a power-off. */
#define CRASH_PREFIX "CRASH: "
#define POWER_DOWN   "Power down"
/* Texts of the host's kernel: it is out of memory; the guest used an address without a page. */
#define NO_PAGE	    "failed to get page "
#define BAD_ADDRESS "Bad address 0x"

/* Start of the kernel's part of an i386 guest's address space (CONFIG_PAGE_OFFSET of nearly every kernel). */
#define KERNEL_HALF 0xc0000000ul

static struct lguest lguest = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Send an interrupt. Interrupts are edge-triggered, so nothing happens when @level becomes false. */
static void intx(struct vpci *v, bool level)
{
	if (!level)
		return;
	lguest_flag_clear(v->host_owner);
	lguest_irq(lguest_line(v));
}

/* The last page of guest memory is not RAM for the guest: on Linux 4.x it holds an ISR byte for each device. */
#define ISR_BYTES 16u

static uint8_t *isr_byte(struct vpci *v, uint32_t *gpa)
{
	const struct lguest *lg = v->host_owner;

	*gpa = (uint32_t)lg->vm->c->mem_bytes - LGUEST_PAGE_SIZE + v->index * ISR_BYTES;
	return shm_ptr(&lg->vm->mem, *gpa, ISR_BYTES);
}

static const struct vpci_host host = { .compact = true, .intx = intx, .isr_byte = isr_byte };

/* The address after the last BAR, in whole pages. */
static uint64_t window_end(const struct lguest *lg)
{
	uint64_t end = lg->vm->c->mem_bytes;

	for (unsigned i = 0; i < lg->devices.n; i++) {
		const struct pci_dev *d = &lg->devices.dev[i].v.pci;

		end = MAX(end, pci_bar_address(d, 0) + (uint64_t)d->bar_size[0]);
	}
	return (end + LGUEST_PAGE_SIZE - 1) & ~(uint64_t)(LGUEST_PAGE_SIZE - 1);
}

static int make_devices(struct lguest *lg)
{
	struct vm *vm = lg->vm;
	const struct devices_place place = { .bar_base = (uint32_t)vm->c->mem_bytes, .first_irq = 1 };
	unsigned queues = 0;
	uint64_t need;

	if (devices_attach(&lg->devices, &place) < 0)
		return -1;
	for (unsigned i = 0; i < lg->devices.n; i++) {
		struct device *d = &lg->devices.dev[i];

		d->v.pci.cfg[PCI_INTERRUPT_LINE] = (uint8_t)lguest_line(&d->v);
		queues += d->desc.nqueues;
	}
	lg->window_end = window_end(lg);
	need = ((uint64_t)lguest_page_need(queues) + 1) * LGUEST_PAGE_SIZE;
	if (need >= vm->c->mem_bytes)
		return vm_fail(vm, GUEST_LOAD_FAILED, "too little memory for so many devices");
	lg->ram = vm->c->mem_bytes - need;
	return 0;
}

static int load(struct lguest *lg)
{
	struct vm *vm = lg->vm;
	const struct load_request rq = {
		.target = LOAD_FOR_LGUEST,
		.kernel = VFD_KERNEL,
		.initrd = vm->c->has_initrd ? VFD_INITRD : -1,
		.ram_low = lg->ram,
		.cmdline = vm->c->cmdline,
	};

	if (load_guest(&vm->mem, &rq, &lg->load) < 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", vm->c->kernel_name, lg->load.error);
	if (lg->load.mode != LOAD_ENTRY_32)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: not a 32-bit kernel", vm->c->kernel_name);
	close(VFD_KERNEL);
	if (vm->c->has_initrd)
		close(VFD_INITRD);
	return 0;
}

/*
 * Send INITIALIZE. The same request serves both dialects: guest memory ends at pfn_limit, and
 * its last pages are not in the guest's memory map, because in the PAGE dialect they hold
 * the device page and rings. In the PCI dialect the memory map is extended afterwards.
 */
static int initialize(struct lguest *lg)
{
	struct vm *vm = lg->vm;
	const char *why;
	uint64_t all = vm->c->mem_bytes, ram = all - LGUEST_PAGE_SIZE;
	void *e820;

	if (lguest_initialize((uintptr_t)vm->mem.r[0].hva, (unsigned long)(all / LGUEST_PAGE_SIZE),
			      (unsigned long)lg->load.entry, (unsigned long)(lg->window_end / LGUEST_PAGE_SIZE),
			      &lg->dialect, &why) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED,
			       "/dev/lguest has neither the interface of Linux 3.5 to 3.19 nor that of 4.0 to 4.13: %s",
			       why);
	log_line(LOG_DEBUG, "/dev/lguest has the interface of Linux %s",
		 lg->dialect == LGUEST_PAGE ? "3.5 to 3.19" : "4.0 to 4.13");
	if (lg->dialect == LGUEST_PAGE && vm->c->exit_port)
		return vm_fail(
			vm, GUEST_ENGINE_FAILED,
			"--exit-port: this host's lguest (Linux 3.5 to 3.19) keeps the guest's port accesses to itself; use a host of Linux 4.0 or later, or another engine");
	if (lg->dialect == LGUEST_PAGE)
		return lguest_legacy_create(lg);
	e820 = shm_ptr(&vm->mem, E820_FIRST_SIZE, sizeof(ram));
	if (!e820)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "the guest's memory map is outside its memory");
	memcpy(e820, &ram, sizeof(ram));
	return 0;
}

static int create(struct vm *vm)
{
	struct lguest *lg = &lguest;

	lg->vm = vm;
	signal(SIGPIPE, SIG_IGN); /* If the console's reader closes the pipe, write() must return EPIPE */
	if (vm->mem.nregions != 1)
		return vm_fail(vm, GUEST_LOAD_FAILED, "an lguest guest has less than 4 GiB of memory");
	return devices_create(&lg->devices, vm, &host, lg);
}

/*
 * Seccomp filters belong to a thread. First the second thread installs its filter; it then waits until
 * the guest is loaded. This thread installs the loader's filter, loads the guest, and adds the filter
 * for running it.
 */
static int confine(struct vm *vm)
{
	struct sandbox_options o = { 0 };
	struct lguest *lg = &lguest;

	/* New threads inherit these layers, so set them before the second thread is created. */
	vm->missing |= sandbox_enter(&o);
	if (lguest_events_create(lg) < 0)
		return -1;
	sem_wait(&lg->confined);
	errno = lg->filter_error;
	if (errno)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "filter: %m");
	if (vm_load_phase(vm, &policy_vcpu_lguest_load, true) < 0)
		return -1;
	if (make_devices(lg) < 0 || load(lg) < 0 || initialize(lg) < 0 || lguest_events_watch(lg) < 0)
		return -1;
	sandbox_forget_code();
	if (sandbox_filter(&policy_vcpu_lguest, &vm->missing) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "filter: %m");
	sem_post(&lg->start);
	return 0;
}

/*
 * True if @address (hexadecimal digits) is just below the kernel's part of the address
 * space. Before a guest's kernel has told the host where its stack is, the host assumes the
 * start of that part. An exception then writes below it, to an address without a page, which
 * hides the message of an early panic.
 */
static bool has_no_stack(const char *address)
{
	unsigned long v = strtoul(address, NULL, 16);

	return v < KERNEL_HALF && v >= KERNEL_HALF - LGUEST_PAGE_SIZE;
}

/*
 * The guest has ended, with the @text of the host's kernel. That reports every end except a
 * reboot as a crash, and puts "CRASH: " before a text from the guest, so that a guest cannot
 * fake a text of the host.
 */
static void dead(struct vm *vm, const char *text)
{
	bool own_words = !strncmp(text, CRASH_PREFIX, strlen(CRASH_PREFIX));

	if (own_words)
		text += strlen(CRASH_PREFIX);
	if (own_words && !strcmp(text, POWER_DOWN))
		vm_fail(vm, GUEST_POWEROFF, "%s", text);
	else if (own_words)
		vm_fail(vm, GUEST_PANIC, "the guest reported: %s", text);
	else if (!strncmp(text, NO_PAGE, strlen(NO_PAGE)))
		vm_fail(vm, GUEST_HOST_FAILED,
			"the host is out of memory for the guest (%s); free memory on the host, or give the guest less (MEM-MB)",
			text);
	else if (!strncmp(text, BAD_ADDRESS, strlen(BAD_ADDRESS)) && has_no_stack(text + strlen(BAD_ADDRESS)))
		vm_fail(vm, GUEST_CRASH,
			"an early panic or exception, before the guest's kernel had a stack (the host reported: %s); does the guest have enough memory (MEM-MB), and does its kernel fit the host's version?",
			text);
	else
		vm_fail(vm, GUEST_CRASH, "%s", text);
}

static void run(struct vm *vm)
{
	static struct lguest_exit x;
	struct lguest *lg = &lguest;

	ctl_send_text(VFD_CTL, CTL_RUNNING, 0, "");
	while (!vm->end) {
		lguest_flag_clear(lg);
		switch (lguest_run(lg->dialect, &x)) {
		case LGUEST_EV_NOTIFY:
			vm->stats.exits++;
			lguest_flag_find(lg);
			lguest_legacy_notify(lg, x.addr);
			break;
		case LGUEST_EV_TRAP:
			vm->stats.exits++;
			lguest_flag_find(lg);
			/* If this fails, the next lguest_run() returns the reason. */
			lguest_handle_trap(lg, &x);
			break;
		case LGUEST_EV_DEAD:
			dead(vm, x.text);
			break;
		case LGUEST_EV_REBOOT:
			vm_fail(vm, GUEST_REBOOT, "reboot");
			break;
		case LGUEST_EV_AGAIN:
			break;
		case LGUEST_EV_ERROR:
			vm_fail(vm, GUEST_ENGINE_FAILED, "/dev/lguest: %m");
			break;
		}
	}
	pthread_mutex_lock(&lg->lock);
	lguest_let_go();
	conio_flush(&lg->devices.conio);
	lguest_send_stats(lg);
	/* Keep the lock, so that the second thread does nothing until the process ends. */
}

const struct engine engine_lguest = {
	.create = create,
	.confine = confine,
	.run = run,
};
