/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kvm engine: create the virtual machine, confine the process, run the guest. Runs in
 * the vCPU process. No guest code runs before the seccomp filter is installed. Data in
 * exits and rings is untrusted.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/policies.h"
#include "vcpu/kvm/acpi.h"
#include "vcpu/kvm/checkpoint.h"
#include "vcpu/kvm/cpu.h"
#include "vcpu/kvm/fresh.h"
#include "vcpu/kvm/from.h"
#include "vcpu/kvm/irq.h"
#include "vcpu/kvm/kvm.h"
#include "vcpu/kvm/reset_on.h"
#include "vcpu/kvm/round.h"
#include "vcpu/kvm/run.h"
#include "vcpu/kvm/saved_machine.h"
#include "vcpu/kvm/vm.h"
#include "vcpu/kvm/vmgenid.h"
#include "vcpu/vm.h"

/* Stack of a vCPU thread in bytes; it uses only a few KiB. */
#define STACK_SIZE (128 * 1024)
/*
 * The serial port delivers single bytes. They are collected until the end of the line, or
 * this many bytes, but no longer than this many milliseconds.
 */
#define FLUSH_MS    5
#define FLUSH_BYTES 512

static struct kvm kvm = { .lock = PTHREAD_MUTEX_INITIALIZER };

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

/* Take a byte of serial output. Flush at the end of a line; the main thread flushes the rest after FLUSH_MS. */
static void serial_out(void *owner, uint8_t c)
{
	struct kvm *k = owner;
	struct conio *io = &k->devices.conio;

	k->last_out = now_ms() | 1;
	if (!k->first_out)
		k->first_out = k->last_out;
	conio_put_serial(io, &c, 1);
	if (!io->blocked && (c == '\n' || conio_used(io) >= FLUSH_BYTES))
		conio_flush(io);
	if (!conio_used(io)) {
		k->out_since = 0;
	} else if (!k->out_since) {
		k->out_since = k->last_out;
		if (!k->out_timed)
			kvm_wake();
	}
	devices_watch_output(&k->devices);
}

static void serial_in_wanted(void *owner)
{
	struct kvm *k = owner;

	/* We are inside a register access of the guest: let the main thread deliver pending input. */
	if (k->devices.in_len)
		kvm_wake();
}

static void pc_end(void *owner, enum guest_end why, const char *text)
{
	struct kvm *k = owner;

	if (reset_on_end(k, why))
		return;
	if (!k->ended)
		k->vm->end_report = k->pc.reported;
	kvm_end(owner, why, "%s", text);
}

static void pc_checkpoint(void *owner, bool reset)
{
	kvm_checkpoint_ask(owner, reset, true);
}

static const struct pc_ops pc_ops = {
	.irq = pc_irq,
	.out_room = serial_room,
	.out = serial_out,
	.in_wanted = serial_in_wanted,
	.checkpoint = pc_checkpoint,
	.end = pc_end,
};

/*
 * Input may be available before the guest is ready to read it. With two consoles it is not
 * known which one the guest will read: an init may have the serial port open, and load the
 * driver of the virtio console a moment later. If that driver does not run, input goes to
 * the serial port after this many milliseconds without output, or a minute after the first
 * output. The time is shorter for a terminal, because a user types only at a prompt.
 */
#define TYPED_SILENCE_MS 2000
#define PIPED_SILENCE_MS 10000
#define SERIAL_LATEST_MS 60000

/* Milliseconds until input goes to the serial port; 0: now; -1: the guest has not written yet. */
static int serial_wait(const struct kvm *k)
{
	const struct vcpu_config *c = k->vm->c;
	unsigned silence = c->input_is_terminal ? TYPED_SILENCE_MS : PIPED_SILENCE_MS;
	uint64_t now, from;

	if (!k->console.both || k->serial_reads)
		return 0;
	if (!k->first_out)
		return -1;
	now = now_ms();
	from = MIN(k->last_out + silence, k->first_out + SERIAL_LATEST_MS);
	return now < from ? (int)(from - now) : 0;
}

/*
 * True if input goes to the virtio console. The last console= of the command line decides,
 * even if the driver does not run yet. Without console=, input goes to the virtio console
 * once its driver runs.
 */
static bool input_is_virtios(const struct kvm *k)
{
	return !k->console.is_serial && (k->console.is_virtio || console_running(&k->devices.console));
}

static size_t input_sink(void *owner, const uint8_t *buf, size_t len)
{
	struct kvm *k = owner;

	if (input_is_virtios(k))
		return console_input(&k->devices.console, buf, len);
	if (!k->console.is_serial && serial_wait(k) != 0)
		return 0;
	len = pc_serial_input(&k->pc, buf, len);
	/* Once the guest has read, deliver further input at once: its echo would restart the wait for silence. */
	k->serial_reads |= len > 0;
	return len;
}

/* Deliver input that need not wait any longer. Returns how long epoll may sleep, at most @timeout; -1: no limit. */
static int input_due(struct kvm *k, int timeout)
{
	int wait;

	if (!k->devices.in_len)
		return timeout;
	wait = input_is_virtios(k) ? console_input_wait(&k->devices.console) : serial_wait(k);
	if (wait <= 0) {
		devices_push_input(&k->devices);
		return timeout;
	}
	return timeout < 0 ? wait : MIN(timeout, wait);
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
		.vmgenid = vmgenid_on(k),
	};
	static uint8_t tables[ACPI_MAX];
	void *at = shm_ptr(&vm->mem, LOAD_ACPI, ACPI_MAX);

	if (vm->c->from)
		return kvm_from_load(k) < 0 ? -1 : kvm_checkpoint_begin(k);
	/* The tables first: Multiboot's information contains a copy of the RSDP. */
	if (!at || !acpi_build(tables, LOAD_ACPI, &acpi))
		return vm_fail(vm, GUEST_ENGINE_FAILED, "the ACPI tables do not fit into guest memory");
	memcpy(at, tables, sizeof(tables));
	if (vmgenid_first(k) < 0)
		return -1;
	if (load_guest(&vm->mem, &rq, &k->load) < 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", vm->c->kernel_name, k->load.error);
	log_line(LOG_DEBUG, "%s: entered at 0x%llx by %s", vm->c->kernel_name, (unsigned long long)k->load.entry,
		 load_protocol(&k->load));
	return kvm_enter(k);
}

static int create(struct vm *vm)
{
	struct kvm *k = &kvm;

	k->vm = vm;
	k->ncpus = vm->c->smp;
	signal(SIGPIPE, SIG_IGN); /* If the console's reader closes the pipe, write() must return EPIPE */
	if (!vm->mem.nregions)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "no guest memory");
	if (kvm_make(k) < 0 || kvm_checkpoint_make(k) < 0)
		return -1;
	saved_machine_make(k);
	close(VFD_ENGINE);
	pc_init(&k->pc, &pc_ops, k);
	k->pc.exit_port = vm->c->exit_port;
	k->pc.exit_base = vm->c->exit_base;
	k->pc.checkpoint = vm->c->checkpoint;
	k->devices.sink = input_sink;
	k->console.is_serial = vm->c->console_is_serial;
	k->console.is_virtio = vm->c->console_is_virtio;
	k->console.both = k->devices.conio.pair.on = vm->c->console_both;
	return devices_create(&k->devices, vm, &kvm_vpci_host, k);
}

/* ---- confine ---- */

static const struct policy *loop_filter(const struct kvm *k)
{
	if (k->vm->c->save)
		return &policy_vcpu_kvm_save;
	return k->vm->c->checkpoint ? &policy_vcpu_kvm_checkpoint : &policy_vcpu_kvm;
}

static const struct policy *load_filter(const struct kvm *k)
{
	if (k->vm->c->save)
		return &policy_vcpu_kvm_save_load;
	if (k->vm->c->checkpoint)
		return &policy_vcpu_kvm_checkpoint_load;
	return k->vm->c->from ? &policy_vcpu_kvm_from_load : &policy_vcpu_kvm_load;
}

static void confine_thread(struct kvm *k)
{
	if (sandbox_filter(loop_filter(k), NULL) < 0)
		__atomic_store_n(&k->confine_errno, errno, __ATOMIC_SEQ_CST);
	sem_post(&k->confined);
}

static void *vcpu_thread(void *arg)
{
	struct kvm_cpu *c = arg;
	struct kvm *k = c->kvm;

	c->tid = (pid_t)syscall(SYS_gettid);
	confine_thread(k);
	sem_wait(&k->start);
	kvm_loop(c);
	/* The filter forbids the system calls that end a thread: wait until the process ends. */
	for (;;)
		sem_wait(&k->never);
	return NULL;
}

/* Start the vCPU threads. Each installs its filter and then waits until the guest is loaded. */
static int start_threads(struct kvm *k)
{
	pthread_attr_t attr;
	int error = 0;

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
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "cannot create the vCPU threads: %m");
	for (unsigned i = 0; i < k->ncpus; i++)
		sem_wait(&k->confined);
	errno = k->confine_errno;
	return errno ? vm_fail(k->vm, GUEST_ENGINE_FAILED, "cannot install the seccomp filter: %m") : 0;
}

/*
 * Seccomp filters belong to a thread. First each vCPU thread installs its filter; then the
 * main thread installs the loader's filter, loads the guest, and adds the filter for running
 * it.
 */
static int confine(struct vm *vm)
{
	struct kvm *k = &kvm;
	const struct devices_place place = {
		.bar_base = KVM_PCI_BASE,
		.intx_base = KVM_GSI_INTX,
		.last = k->shmem.bytes ? &k->shmem.pci : NULL,
	};
	struct sandbox_options o = { 0 };

	vm->missing |= sandbox_enter(&o);
	/*
	 * RLIMIT_NPROC is not set to 0 here. Since Linux 6.13, KVM creates a kernel thread at the first
	 * KVM_RUN (arch/x86/kvm/mmu/mmu.c, kvm_mmu_post_init_vm()), which counts for this user; with a
	 * limit of 0 KVM_RUN would always fail. The filters forbid creating processes and threads.
	 */
	if (start_threads(k) < 0 || vm_load_phase(vm, load_filter(k), false) < 0 ||
	    devices_attach(&k->devices, &place) < 0 || load(k) < 0)
		return -1;
	close(VFD_KERNEL);
	if (vm->c->has_initrd)
		close(VFD_INITRD);
	sandbox_forget_code();
	if (sandbox_filter(loop_filter(k), &vm->missing) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "cannot install the seccomp filter: %m");
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
	kvm_checkpoint_count(k);
	m.stats = *s;
	ctl_send(VFD_CTL, &m);
}

/*
 * Send a key of Linux's sysrq to the console from which the guest reads: on the virtio console after the byte ^O, on
 * the serial port after a break.
 */
static void sysrq(struct kvm *k, uint8_t key)
{
	struct devices *ds = &k->devices;
	bool sent = false;

	if (!input_is_virtios(k)) {
		sent = !ds->in_len && pc_serial_sysrq(&k->pc, key);
	} else if (sizeof(ds->in) - ds->in_len >= 2) {
		ds->in[ds->in_len++] = SYSRQ_HVC;
		ds->in[ds->in_len++] = key;
		devices_push_input(ds);
		sent = true;
	}
	if (!sent)
		log_line(LOG_WARN, "sysrq: the guest does not read its console now; the key is dropped");
}

/* With --reset-on the guest's end is then what was asked for. */
static void press_power_button(struct kvm *k)
{
	k->checkpoint.stops = true;
	pc_power_button(&k->pc);
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
		press_power_button(k);
	else if (m.type == CTL_CHECKPOINT || m.type == CTL_RESET)
		kvm_checkpoint_ask(k, m.type == CTL_RESET, false);
	else if (m.type == CTL_NEXT_ROUND)
		kvm_round_next(k);
	else if (m.type == CTL_HELPERS_GONE)
		kvm_fresh_gone(k);
	else if (m.type == CTL_NMI)
		kvm_nmi();
	else if (m.type == CTL_SYSRQ)
		sysrq(k, (uint8_t)m.value);
	else if (m.type == CTL_WINDOW_SIZE)
		devices_resize(&k->devices, m.value);
	else if (m.type == CTL_STOP)
		kvm_end(k, GUEST_POWEROFF, "stopped by the supervisor");
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
 * Flush serial output that has waited for FLUSH_MS. Returns how long epoll may sleep; -1: no
 * limit. While there is output this thread wakes up every FLUSH_MS by itself, so that the
 * vCPU threads need not wake it for each line.
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
		timeout = reset_on_due(k, input_due(k, flush_due(k)));
		if (devices_work(&k->devices))
			timeout = 0;
		ended = k->ended;
		if (ended) {
			conio_flush(&k->devices.conio);
			kvm_checkpoint_report(k);
			reset_on_report(k);
			send_stats(k);
		}
		pthread_mutex_unlock(&k->lock);
		if (ended)
			return;
	}
}

const struct engine engine_kvm = {
	.create = create,
	.confine = confine,
	.run = run,
};
