/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of a vCPU thread: run the guest until an exit, emulate the access, repeat. Runs
 * in the vCPU process, confined. Data of an exit comes from the guest; its lengths are
 * checked before use.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "vcpu/kvm/checkpoint.h"
#include "vcpu/kvm/kvm.h"
#include "vcpu/kvm/reset_on.h"
#include "vcpu/kvm/run.h"
#include "vcpu/kvm/vm.h"

static uint32_t get_le(const uint8_t *p, unsigned len)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < len; i++)
		v |= (uint32_t)p[i] << (8 * i);
	return v;
}

static void put_le(uint8_t *p, unsigned len, uint64_t v)
{
	for (unsigned i = 0; i < len; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static bool is_pci(uint16_t port)
{
	return port >= PCI_PORT_ADDRESS && port < PCI_PORT_DATA + 4;
}

static void port_in(struct kvm *k, uint16_t port, unsigned len, uint8_t *data)
{
	uint32_t v = UINT32_MAX;

	if (is_pci(port))
		v = pci_port_in(&k->devices.bus, port, len);
	else
		pc_in(&k->pc, port, len, &v);
	put_le(data, len, v);
}

static void port_out(struct kvm *k, uint16_t port, unsigned len, const uint8_t *data)
{
	uint32_t v = get_le(data, len);

	if (is_pci(port))
		pci_port_out(&k->devices.bus, port, len, v);
	else
		pc_out(&k->pc, port, len, v);
}

/* Emulate a port access. A string instruction is one exit with a count. */
static void handle_io(struct kvm_cpu *c)
{
	struct kvm_run *r = c->run;
	uint8_t *data = (uint8_t *)r + r->io.data_offset;
	unsigned len = r->io.size;

	c->exits_io++;
	if (len != 1 && len != 2 && len != 4)
		return;
	for (uint32_t i = 0; i < r->io.count && !c->kvm->ended && !kvm_checkpoint_wanted(c->kvm); i++, data += len) {
		if (r->io.direction == KVM_EXIT_IO_IN)
			port_in(c->kvm, r->io.port, len, data);
		else
			port_out(c->kvm, r->io.port, len, data);
	}
}

/* End the guest because the part of the file of --shmem that it used is gone. */
static void shmem_lost(struct kvm *k)
{
	kvm_end(k, GUEST_HOST_FAILED,
		"--shmem: the guest used a part of the file that is gone; was it shortened, or is its file system full?");
}

static void handle_mmio(struct kvm_cpu *c)
{
	struct kvm_run *r = c->run;
	unsigned len = r->mmio.len;
	uint64_t v = 0;

	c->exits_mmio++;
	if (len > sizeof(r->mmio.data))
		return;
	/* KVM accesses this memory itself, unless the file has shrunk or, with ro, the guest writes. */
	if (shmem_has(&c->kvm->shmem, r->mmio.phys_addr)) {
		if (!r->mmio.is_write || !c->kvm->vm->c->shmem_ro)
			shmem_lost(c->kvm);
		return;
	}
	if (!r->mmio.is_write) {
		pci_mem_read(&c->kvm->devices.bus, r->mmio.phys_addr, len, &v);
		put_le(r->mmio.data, len, v);
		return;
	}
	for (unsigned i = 0; i < len; i++)
		v |= (uint64_t)r->mmio.data[i] << (8 * i);
	pci_mem_write(&c->kvm->devices.bus, r->mmio.phys_addr, len, v);
}

/* KVM cannot run the guest any further. */
static void crashed(struct kvm_cpu *c)
{
	const struct kvm_run *r = c->run;

	if (reset_on_end(c->kvm, GUEST_CRASH))
		return;
	if (r->exit_reason == KVM_EXIT_SHUTDOWN)
		kvm_end(c->kvm, GUEST_CRASH, "triple fault on CPU %u", c->id);
	else if (r->exit_reason == KVM_EXIT_FAIL_ENTRY)
		kvm_end(c->kvm, GUEST_CRASH, "CPU %u cannot be entered: reason 0x%llx", c->id,
			(unsigned long long)r->fail_entry.hardware_entry_failure_reason);
	else if (r->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		kvm_end(c->kvm, GUEST_CRASH, "KVM gave up on CPU %u: internal error %u", c->id, r->internal.suberror);
	else
		kvm_end(c->kvm, GUEST_CRASH, "the guest crashed (system event %u)", r->system_event.type);
}

static void system_event(struct kvm_cpu *c)
{
	switch (c->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		if (!reset_on_end(c->kvm, GUEST_POWEROFF))
			kvm_end(c->kvm, GUEST_POWEROFF, "power off");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		if (!reset_on_end(c->kvm, GUEST_REBOOT))
			kvm_end(c->kvm, GUEST_REBOOT, "reboot");
		break;
	default:
		crashed(c);
		break;
	}
}

static void handle(struct kvm_cpu *c)
{
	struct kvm_run *r = c->run;

	c->exits++;
	switch (r->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(c);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(c);
		break;
	case KVM_EXIT_HLT: /* Rare: with the in-kernel local APIC, KVM handles HLT itself */
		c->exits_hlt++;
		break;
	case KVM_EXIT_SHUTDOWN:
	case KVM_EXIT_FAIL_ENTRY:
	case KVM_EXIT_INTERNAL_ERROR:
		crashed(c);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		system_event(c);
		break;
	default:
		c->exits_other++;
		break;
	}
}

/*
 * KVM_RUN returns EAGAIN when a processor that waits to be started may go on. Where the host cannot
 * make a thread that KVM needs (Linux 6.13, a limit on processes) it returns nothing else, on CPU 0 as
 * well. Only CPU 0 is judged: another one that was not started yet gives EAGAINs without end if the
 * guest sends it an NMI, and that is not the host's fault.
 */
#define EAGAIN_MAX 100000

void kvm_loop(struct kvm_cpu *c)
{
	struct kvm *k = c->kvm;
	int fd = VFD_VCPU0 + (int)c->id;
	unsigned again = 0; /* EAGAINs since the last exit */
	bool ended = false;

	while (!ended) {
		int rc = ioctl(fd, KVM_RUN, 0), error = errno;

		if (rc < 0 && error == EINTR && kvm_checkpoint_wanted(k)) {
			ended = kvm_checkpoint_meet(k);
			continue;
		}
		/*
		 * Nothing but a stop signal interrupts this thread, for instance lguest-sep pause. A guest with a
		 * kvmclock is told, so that its watchdog does not take the pause for a processor that hangs; without
		 * one, and on hosts that lack this request, it fails, and nothing is lost.
		 */
		if (rc < 0 && error == EINTR)
			(void)ioctl(fd, KVM_KVMCLOCK_CTRL, 0);
		if (rc < 0 && (error == EINTR || (error == EAGAIN && (c->id || ++again < EAGAIN_MAX))))
			continue;
		pthread_mutex_lock(&k->lock);
		if (rc < 0 && error == EAGAIN)
			kvm_end(k, GUEST_HOST_FAILED,
				"the host does not run CPU %u (KVM_RUN: EAGAIN): is there a limit on processes (ulimit -u, pids.max)?",
				c->id);
		else if (rc < 0 && error == EFAULT && k->shmem.bytes)
			shmem_lost(k);
		else if (rc < 0)
			kvm_end(k, GUEST_ENGINE_FAILED, "KVM_RUN on CPU %u: error %d", c->id, error);
		else if (!k->ended)
			handle(c);
		again = 0;
		if (devices_have_work(&k->devices))
			kvm_wake();
		ended = k->ended;
		pthread_mutex_unlock(&k->lock);
	}
}
