/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A saved machine: see saved_machine.h. Runs in the vCPU process. */
#include <sys/ioctl.h>

#include "vcpu/devices/saved.h"
#include "vcpu/devices/vpci_saved.h"
#include "vcpu/kvm/cpu.h"
#include "vcpu/kvm/pc_saved.h"
#include "vcpu/kvm/saved_machine.h"
#include "vcpu/kvm/state.h"

struct saved_options {
	uint32_t ncpus, nhelpers;
	uint16_t exit_base;
	uint8_t exit_port, rng;
	uint8_t console_is_serial, console_is_virtio, console_both, serial_reads;
	uint32_t pci_address, nports;
	uint32_t shmem; /* Size of the memory of --shmem, which is not in the file; 0: none */
};
_Static_assert(sizeof(struct saved_options) == 28, "no holes: the file has the same layout everywhere");

void saved_machine_make(struct kvm *k)
{
	int khz;

	if (!k->vm->c->save && !k->vm->c->from)
		return;
	khz = ioctl(VFD_VCPU0, KVM_GET_TSC_KHZ, 0);
	k->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
}

static const char *port_name(uint8_t kind)
{
	static const char *const names[] = {
		[EXIT_PORT_NONE] = "none",
		[EXIT_PORT_BYTE] = "byte",
		[EXIT_PORT_ISA_DEBUG_EXIT] = "isa-debug-exit",
	};

	return kind < ARRAY_SIZE(names) ? names[kind] : "unknown";
}

/* @bytes: of the saved guest's --shmem, and @own of this one's; 0: none. */
static bool same_shmem(struct records *r, uint32_t bytes, uint32_t own)
{
	if (bytes == own)
		return true;
	if (!bytes)
		return record_fail(r, "the guest has no --shmem; leave it out");
	if (!own)
		return record_fail(r, "the guest has a --shmem of %u bytes; give --shmem=FILE,size=%u", bytes, bytes);
	return record_fail(r, "the guest has a --shmem of %u bytes, and here it is %u bytes; give a file of that size",
			   bytes, own);
}

static bool same_options(struct records *r, const struct saved_options *s, const struct saved_options *own)
{
	if (s->ncpus != own->ncpus)
		return record_fail(r, "the guest has %u processors, and --smp says %u; give --smp=%u", s->ncpus,
				   own->ncpus, s->ncpus);
	if (s->nhelpers != own->nhelpers)
		return record_fail(r, "the guest has %u disks, NICs and shares, and this one %u; give the same ones",
				   s->nhelpers, own->nhelpers);
	if (s->nports != own->nports)
		return record_fail(
			r, "the guest has %u ports, and this one %u; give the --port options of the saved guest",
			s->nports, own->nports);
	if (s->rng != own->rng)
		return record_fail(r, "the guest has %s; %s --rng", s->rng ? "an rng device" : "no rng device",
				   s->rng ? "give" : "leave out");
	if (!same_shmem(r, s->shmem, own->shmem))
		return false;
	if (s->exit_port != own->exit_port || s->exit_base != own->exit_base)
		return record_fail(r,
				   "the guest's exit port is %s at 0x%x, and here it is %s at 0x%x; change --exit-port",
				   port_name(s->exit_port), s->exit_base, port_name(own->exit_port), own->exit_base);
	return record_bool(r, s->console_is_serial, "a choice of consoles") &&
	       record_bool(r, s->console_is_virtio, "a choice of consoles") &&
	       record_bool(r, s->console_both, "a choice of consoles") &&
	       record_bool(r, s->serial_reads, "a serial port in use");
}

static bool options(struct kvm *k, struct records *r)
{
	const struct vcpu_config *c = k->vm->c;
	const struct saved_options own = {
		.ncpus = k->ncpus,
		.nhelpers = c->ndevices,
		.exit_base = c->exit_base,
		.exit_port = c->exit_port,
		.rng = c->rng,
		.console_is_serial = k->console.is_serial,
		.console_is_virtio = k->console.is_virtio,
		.console_both = k->console.both,
		.serial_reads = k->serial_reads,
		.pci_address = k->devices.bus.address,
		.nports = c->nports,
		.shmem = k->shmem.bytes,
	};
	struct saved_options s = own;

	if (!record(r, RECORD_MACHINE, 0, &s, sizeof(s)))
		return false;
	if (!r->reading)
		return true;
	if (!same_options(r, &s, &own))
		return false;
	k->console.is_serial = s.console_is_serial;
	k->console.is_virtio = s.console_is_virtio;
	k->console.both = k->devices.conio.pair.on = s.console_both;
	k->serial_reads = s.serial_reads;
	k->devices.bus.address = s.pci_address & ~3u;
	return true;
}

bool saved_machine(struct kvm *k, struct records *r)
{
	return options(k, r) && kvm_cpuid_records(k, r) && kvm_state_records(k, r);
}

static bool saved_shmem(struct kvm *k, struct records *r)
{
	if (!k->shmem.bytes)
		return true;
	if (!saved_pci(r, DEVICES_MAX + 1, &k->shmem.pci))
		return false;
	shmem_settle(&k->shmem);
	return true;
}

bool saved_machine_devices(struct kvm *k, struct records *r)
{
	return saved_pc(r, &k->pc) && saved_devices(r, &k->devices) && saved_shmem(k, r) &&
	       (!r->reading || records_end(r));
}
