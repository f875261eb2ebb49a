/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lguest engine: find out the dialect of /dev/lguest, load, confine, run.
 * Runs in the vCPU process; its main thread is the guest's processor. It must
 * never map anything but guest memory into [base, base + pfn_limit), and never
 * end before its descriptor's last holder.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "policy/policies.h"
#include "vcpu/lguest.h"

/* boot_params.e820_table[0].size (Documentation/arch/x86/zero-page.rst) */
#define E820_FIRST_SIZE 0x2d8u

/* What the host kernel puts before a guest's own words, and those of an orderly power-off. */
#define CRASH_PREFIX "CRASH: "
#define POWER_DOWN   "Power down"

static struct lguest lguest = { .lock = PTHREAD_MUTEX_INITIALIZER };

unsigned lguest_line(const struct vpci *v)
{
	return 1 + v->index % (LGUEST_IRQS - 1);
}

/* Interrupts are edges: there is nothing to do when a line goes down. A dead guest refuses them. */
static void intx(struct vpci *v, bool level)
{
	if (!level)
		return;
	lguest_flag_clear(v->host_owner);
	lguest_irq(lguest_line(v));
}

/* The last page of guest memory belongs to no RAM: on 4.x its bytes are ISRs. */
#define ISR_BYTES 16u

static uint8_t *isr_byte(struct vpci *v, uint32_t *gpa)
{
	const struct lguest *lg = v->host_owner;

	*gpa = (uint32_t)lg->vm->c->mem_bytes - LGUEST_PAGE_SIZE + v->index * ISR_BYTES;
	return shm_ptr(&lg->vm->mem, *gpa, ISR_BYTES);
}

static const struct vpci_host host = { .compact = true, .intx = intx, .isr_byte = isr_byte };

/* Behind the last BAR, in whole pages. */
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

	if (devices_create(&lg->devices, vm, &host, lg, &place) < 0)
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
 * One INITIALIZE for both dialects: guest memory ends at pfn_limit, and its last
 * pages are kept from the guest's memory map until it is known whether they
 * hold the device page.
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
		return vm_fail(
			vm, GUEST_ENGINE_FAILED,
			"/dev/lguest speaks neither the dialect of Linux 3.5 to 3.19 nor that of 4.0 to 4.13: %s", why);
	log_line(LOG_DEBUG, "/dev/lguest: the dialect of Linux %s",
		 lg->dialect == LGUEST_PAGE ? "3.5 to 3.19" : "4.0 to 4.13");
	if (lg->dialect == LGUEST_PAGE)
		return lguest_legacy_create(lg);
	e820 = shm_ptr(&vm->mem, E820_FIRST_SIZE, sizeof(ram));
	if (!e820)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "no memory map");
	memcpy(e820, &ram, sizeof(ram));
	return 0;
}

static int create(struct vm *vm)
{
	struct lguest *lg = &lguest;
	struct sandbox_options o = { 0 };

	lg->vm = vm;
	signal(SIGPIPE, SIG_IGN); /* a console that nobody reads any more */
	if (vm->mem.nregions != 1)
		return vm_fail(vm, GUEST_LOAD_FAILED, "an lguest guest has less than 4 GiB of memory");
	if (make_devices(lg) < 0 || load(lg) < 0)
		return -1;
	/* what threads inherit is put on before there is a second one */
	vm->missing |= sandbox_enter(&o);
	if (initialize(lg) < 0)
		return -1;
	return lguest_helper_create(lg);
}

/* Filters are per thread: the helper thread's first, so that nothing is left without when this one
 * is on. */
static int confine(struct vm *vm)
{
	struct lguest *lg = &lguest;

	sem_post(&lg->confine);
	sem_wait(&lg->confined);
	errno = lg->filter_error;
	if (errno || sandbox_filter(&policy_vcpu_lguest, &vm->missing) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "filter: %m");
	return 0;
}

/* The host kernel reports every end that is not a reboot as a crash; the guest's words tell them
 * apart. */
static void dead(struct vm *vm, const char *text)
{
	bool own_words = !strncmp(text, CRASH_PREFIX, strlen(CRASH_PREFIX));

	if (own_words)
		text += strlen(CRASH_PREFIX);
	if (own_words && !strcmp(text, POWER_DOWN))
		vm_fail(vm, GUEST_POWEROFF, "%s", text);
	else
		vm_fail(vm, own_words ? GUEST_PANIC : GUEST_CRASH, "%s", text);
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
			/* if it fails, the next read says why */
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
	/* stays locked: the other thread does nothing more until the process ends */
}

/* The process ends next, and its descriptors and mappings with it. */
static void destroy(struct vm *vm)
{
	(void)vm;
}

const struct engine engine_lguest = {
	.name = "lguest",
	.kind = ENGINE_LGUEST,
	.create = create,
	.confine = confine,
	.run = run,
	.destroy = destroy,
};
