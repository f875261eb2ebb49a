/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kvm engine: make the machine, confine, run. Runs in the vCPU process. It
 * must never run guest code before its filter is on, and never trust what an
 * exit or a ring says.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "policy/policies.h"
#include "vcpu/acpi.h"
#include "vcpu/kvm.h"

/* A vCPU thread's stack: the deepest path is a few KiB. */
#define STACK_SIZE (128 * 1024)
/* Serial output may wait this long for more of its line. */
#define FLUSH_MS    5
#define FLUSH_BYTES 512

static struct kvm kvm = { .lock = PTHREAD_MUTEX_INITIALIZER };

void kvm_wake(void)
{
	const uint64_t one = 1;

	(void)!write(VFD_WAKE, &one, sizeof(one));
}

void kvm_end(struct kvm *k, enum guest_end why, const char *fmt, ...)
{
	va_list ap;

	if (k->ended)
		return;
	k->ended = true;
	k->vm->end = why;
	va_start(ap, fmt);
	fmt_vline(k->vm->end_text, sizeof(k->vm->end_text), fmt, ap);
	va_end(ap);
	kvm_wake();
}

/* ---- the PC's ports ---- */

static void pc_irq(void *owner, unsigned gsi, bool level)
{
	(void)owner;
	kvm_irq_line(gsi, level);
}

static bool serial_room(void *owner)
{
	struct kvm *k = owner;

	return conio_room(&k->devices.conio) > 0;
}

/* A line goes out at its end, or when it is long; the main thread sees to the rest. */
static void serial_out(void *owner, uint8_t c)
{
	struct kvm *k = owner;
	struct conio *io = &k->devices.conio;

	conio_put(io, &c, 1);
	if (!io->blocked && (c == '\n' || conio_used(io) >= FLUSH_BYTES))
		conio_flush(io);
	if (!conio_used(io)) {
		k->out_since = 0;
	} else if (!k->out_since) {
		k->out_since = now_ms() | 1;
		if (!k->out_timed)
			kvm_wake();
	}
	devices_watch_output(&k->devices);
}

static void serial_in_wanted(void *owner)
{
	struct kvm *k = owner;

	/* not from within a register access: the main thread pushes what waits */
	if (k->devices.in_len)
		kvm_wake();
}

static void pc_end(void *owner, enum guest_end why, const char *text)
{
	kvm_end(owner, why, "%s", text);
}

static const struct pc_ops pc_ops = {
	.irq = pc_irq,
	.out_room = serial_room,
	.out = serial_out,
	.in_wanted = serial_in_wanted,
	.end = pc_end,
};

/*
 * Input goes to the console that the command line names last, and waits for that
 * one's driver; if it names none, to the virtio console once its driver runs.
 */
static size_t input_sink(void *owner, const uint8_t *buf, size_t len)
{
	struct kvm *k = owner;

	if (!k->vm->c->console_is_serial && (k->vm->c->console_is_virtio || console_running(&k->devices.console)))
		return console_input(&k->devices.console, buf, len);
	return pc_serial_input(&k->pc, buf, len);
}

/* ---- create ---- */

static int load(struct kvm *k)
{
	struct vm *vm = k->vm;
	struct load_request rq = {
		.target = LOAD_FOR_KVM,
		.kernel = VFD_KERNEL,
		.initrd = vm->c->has_initrd ? VFD_INITRD : -1,
		.ram_low = vm->mem.r[0].size,
		.ram_high = vm->mem.nregions > 1 ? vm->mem.r[1].size : 0,
		.acpi_rsdp = LOAD_ACPI,
		.cmdline = vm->c->cmdline,
	};
	const struct acpi_config acpi = {
		.cpus = k->ncpus,
		.pci_base = KVM_PCI_BASE,
		.pci_end = KVM_PCI_END,
		.lapic = KVM_LAPIC,
		.ioapic = KVM_IOAPIC,
		.first_intx = KVM_GSI_INTX,
	};
	static uint8_t tables[ACPI_MAX];
	void *at = shm_ptr(&vm->mem, LOAD_ACPI, ACPI_MAX);

	if (load_guest(&vm->mem, &rq, &k->load) < 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", vm->c->kernel_name, k->load.error);
	if (!at || !acpi_build(tables, LOAD_ACPI, &acpi))
		return vm_fail(vm, GUEST_ENGINE_FAILED, "no room for the ACPI tables");
	memcpy(at, tables, sizeof(tables));
	return kvm_enter(k);
}

static int create(struct vm *vm)
{
	const struct devices_place place = { .bar_base = KVM_PCI_BASE, .intx_base = KVM_GSI_INTX };
	struct kvm *k = &kvm;

	k->vm = vm;
	k->ncpus = vm->c->smp;
	signal(SIGPIPE, SIG_IGN); /* a console that nobody reads any more */
	if (!vm->mem.nregions)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "no guest memory");
	if (kvm_make(k) < 0 || load(k) < 0)
		return -1;
	close(VFD_KERNEL);
	if (vm->c->has_initrd)
		close(VFD_INITRD);
	pc_init(&k->pc, &pc_ops, k);
	k->devices.sink = input_sink;
	return devices_create(&k->devices, vm, &kvm_vpci_host, k, &place);
}

/* ---- confine ---- */

static void *vcpu_thread(void *arg)
{
	struct kvm_cpu *c = arg;
	struct kvm *k = c->kvm;

	if (sandbox_filter(&policy_vcpu_kvm, NULL) < 0)
		__atomic_store_n(&k->confine_errno, errno, __ATOMIC_SEQ_CST);
	sem_post(&k->confined);
	sem_wait(&k->start);
	kvm_loop(c);
	/* Ending a thread takes calls that the filter lacks: it waits for the process to end. */
	for (;;)
		sem_wait(&k->never);
	return NULL;
}

/* Filters are per thread: each vCPU's puts its own on, the main thread's comes last. */
static int confine(struct vm *vm)
{
	struct sandbox_options o = { 0 };
	struct kvm *k = &kvm;
	pthread_attr_t attr;
	int error = 0;

	vm->missing |= sandbox_enter(&o);
	sem_init(&k->confined, 0, 0);
	sem_init(&k->start, 0, 0);
	sem_init(&k->never, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (unsigned i = 0; i < k->ncpus && !error; i++)
		error = pthread_create(&k->cpu[i].thread, &attr, vcpu_thread, &k->cpu[i]);
	pthread_attr_destroy(&attr);
	errno = error;
	if (error)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "vCPU threads: %m");
	for (unsigned i = 0; i < k->ncpus; i++)
		sem_wait(&k->confined);
	errno = k->confine_errno;
	sandbox_forget_code();
	if (errno || sandbox_filter(&policy_vcpu_kvm, &vm->missing) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "filter: %m");
	return 0;
}

/* ---- run: the main thread ---- */

static void send_stats(struct kvm *k)
{
	struct ctl_msg m = { .type = CTL_STATS };
	struct stats *s = &k->vm->stats;

	s->exits = s->exits_io = s->exits_mmio = s->exits_hlt = s->exits_other = 0;
	for (unsigned i = 0; i < k->ncpus; i++) {
		s->exits += k->cpu[i].exits;
		s->exits_io += k->cpu[i].exits_io;
		s->exits_mmio += k->cpu[i].exits_mmio;
		s->exits_hlt += k->cpu[i].exits_hlt;
		s->exits_other += k->cpu[i].exits_other;
	}
	m.stats = *s;
	ctl_send(VFD_CTL, &m);
}

static void supervisor_says(struct kvm *k)
{
	struct ctl_msg m;
	int got = ctl_recv(VFD_CTL, &m);

	if (got < 0) {
		kvm_end(k, GUEST_ENGINE_FAILED, "the supervisor is gone");
		return;
	}
	if (got == 0)
		return;
	if (m.type == CTL_GET_STATS)
		send_stats(k);
	else if (m.type == CTL_POWER_BUTTON)
		pc_power_button(&k->pc);
	else if (m.type == CTL_STOP)
		kvm_end(k, GUEST_POWEROFF, "ended by the supervisor");
}

static void handle_event(struct kvm *k, int fd, uint32_t events)
{
	uint64_t n;

	if (fd == VFD_WAKE) {
		(void)!read(VFD_WAKE, &n, sizeof(n));
		devices_push_input(&k->devices);
	} else if (fd == VFD_CTL) {
		supervisor_says(k);
	} else if (devices_event(&k->devices, fd, events) && fd == VFD_CON_OUT) {
		pc_serial_drained(&k->pc);
	}
}

/*
 * Output that has waited long enough goes out; returns how long epoll may sleep.
 * While there is output the clock ticks, so that no line has to wake this thread.
 */
static int flush_due(struct kvm *k)
{
	k->out_timed = k->out_since != 0;
	if (!k->out_timed)
		return -1;
	if (now_ms() - k->out_since >= FLUSH_MS) {
		conio_flush(&k->devices.conio);
		devices_watch_output(&k->devices);
		k->out_since = 0;
	}
	return FLUSH_MS;
}

static void run(struct vm *vm)
{
	struct kvm *k = &kvm;
	struct epoll_event ev[16];
	int timeout = -1;

	ctl_send_text(VFD_CTL, CTL_RUNNING, 0, "");
	for (unsigned i = 0; i < k->ncpus; i++)
		sem_post(&k->start);
	for (;;) {
		int n = epoll_pwait(VFD_EPOLL, ev, ARRAY_SIZE(ev), timeout, NULL);
		bool ended;

		pthread_mutex_lock(&k->lock);
		vm->stats.wakeups++;
		for (int i = 0; i < n; i++)
			handle_event(k, ev[i].data.fd, ev[i].events);
		timeout = flush_due(k);
		if (devices_work(&k->devices))
			timeout = 0;
		ended = k->ended;
		if (ended) {
			conio_flush(&k->devices.conio);
			send_stats(k);
		}
		pthread_mutex_unlock(&k->lock);
		if (ended)
			return;
	}
}

/* The process ends next, and its descriptors and mappings with it: the filter has no call for more. */
static void destroy(struct vm *vm)
{
	(void)vm;
}

const struct engine engine_kvm = {
	.name = "kvm",
	.kind = ENGINE_KVM,
	.create = create,
	.confine = confine,
	.run = run,
	.destroy = destroy,
};
