/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of --save and --from: a guest with console, rng and NIC on a double of KVM's calls, whose state is saved to a
 * memory file and loaded again. Include it once in a program.
 */
#ifndef TESTS_LIB_SAVED_GUEST_H
#define TESTS_LIB_SAVED_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "vcpu/devices/devices.h"
#include "vcpu/devices/own.h"
#include "vcpu/kvm/checkpoint.h"
#include "vcpu/kvm/cpu.h"
#include "vcpu/kvm/from.h"
#include "vcpu/kvm/irq.h"
#include "vcpu/kvm/save_format.h"
#include "vcpu/kvm/saved_machine.h"

#define PAGE	 4096u
#define LOW	 (1u << 20)
#define HIGH	 (500u << 10) /* Its last bits are not a whole byte. */
#define PAGES	 ((LOW + HIGH) / PAGE)
#define MSR_ONE	 0x174u
#define RINGS	 0x40000u /* Guest memory with the rings: console's two, and the rng's */
#define RING(q)	 (RINGS + (q)*0x4000u)
#define BUFFER	 0x60000u
#define RING_LEN 16u

static struct kvm k;
static struct vm vm;
static struct kvm_run run;
static struct vcpu_config config;
static uint8_t *memory[2];

/* ---- the double ---- */

static struct {
	struct kvm_regs regs;
	struct kvm_sregs2 sregs;
	uint32_t xsave[sizeof(struct kvm_xsave) / sizeof(uint32_t)]; /* Without its end of variable size */
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debug;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;
	struct kvm_irqchip chip[3];
	uint64_t msr_one, tsc;
} held;

static const struct {
	unsigned long get, set;
	void *at;
	size_t size;
} held_calls[] = {
	{ KVM_GET_REGS, KVM_SET_REGS, &held.regs, sizeof(held.regs) },
	{ KVM_GET_SREGS2, KVM_SET_SREGS2, &held.sregs, sizeof(held.sregs) },
	{ KVM_GET_XSAVE, KVM_SET_XSAVE, held.xsave, sizeof(held.xsave) },
	{ KVM_GET_XCRS, KVM_SET_XCRS, &held.xcrs, sizeof(held.xcrs) },
	{ KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, &held.debug, sizeof(held.debug) },
	{ KVM_GET_LAPIC, KVM_SET_LAPIC, &held.lapic, sizeof(held.lapic) },
	{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, &held.events, sizeof(held.events) },
	{ KVM_GET_MP_STATE, KVM_SET_MP_STATE, &held.mp, sizeof(held.mp) },
	{ KVM_GET_PIT2, KVM_SET_PIT2, &held.pit, sizeof(held.pit) },
	{ KVM_GET_CLOCK, KVM_SET_CLOCK, &held.clock, sizeof(held.clock) },
};
static unsigned long refused_call; /* KVM refuses this one. */
static uint32_t extra_msr;	   /* This KVM has one more MSR. */
static bool no_xsave;		   /* The host's processor has no XSAVE, and KVM refuses the calls for XCRs. */
static int tsc_khz;
static uint32_t cpu_feature; /* A register of CPUID leaf 7 */
static bool line_level[64];
static unsigned line_edges[64]; /* From low to high */

static int msr_call(unsigned long request, struct kvm_msrs *m)
{
	for (unsigned i = 0; i < m->nmsrs; i++) {
		uint32_t index = m->entries[i].index;
		uint64_t *at = index == MSR_ONE ? &held.msr_one : index == 0x10 ? &held.tsc : NULL;

		if (!at && index != 0x6e0 && (!extra_msr || index != extra_msr))
			return (int)i;
		if (request == KVM_GET_MSRS)
			m->entries[i].data = at ? *at : 0;
		else if (at)
			*at = m->entries[i].data;
	}
	return (int)m->nmsrs;
}

static int other_call(unsigned long request, void *arg)
{
	struct kvm_irqchip *chip = arg;
	struct kvm_msr_list *l = arg;
	struct kvm_irq_level *level = arg;

	switch (request) {
	case KVM_CHECK_EXTENSION:
		return !no_xsave || (uintptr_t)arg != KVM_CAP_XCRS;
	case KVM_GET_TSC_KHZ:
		return tsc_khz;
	case KVM_GET_MSR_INDEX_LIST:
		l->nmsrs = 2 + (extra_msr != 0);
		l->indices[0] = MSR_ONE;
		l->indices[1] = 0x10;
		l->indices[2] = extra_msr;
		return 0;
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return msr_call(request, arg);
	case KVM_GET_IRQCHIP:
		*chip = held.chip[chip->chip_id % 3];
		return 0;
	case KVM_SET_IRQCHIP:
		if (chip->chip_id >= 3)
			abort();
		held.chip[chip->chip_id] = *chip;
		return 0;
	case KVM_IRQ_LINE:
		line_level[level->irq % 64] = level->level;
		line_edges[level->irq % 64] += level->level;
		return 0;
	case KVM_GET_DEVICE_ATTR: /* A host that cannot set the offset of the counter */
		errno = ENXIO;
		return -1;
	default:
		return 0;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	(void)fd;
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if ((refused_call && request == refused_call) ||
	    (no_xsave && (request == KVM_GET_XCRS || request == KVM_SET_XCRS))) {
		errno = EINVAL;
		return -1;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(held_calls); i++) {
		if (request == held_calls[i].get)
			memcpy(arg, held_calls[i].at, held_calls[i].size);
		else if (request == held_calls[i].set)
			memcpy(held_calls[i].at, arg, held_calls[i].size);
		else
			continue;
		return 0;
	}
	return other_call(request, arg);
}

/* ---- the machine ---- */

/* A new memory file, whose number is in no table of a role. Returns -1 if there is none. */
static int memory_file(void)
{
	int low = memfd_create("file", 0), fd = fcntl(low, F_DUPFD, 700);

	close(low);
	return fd;
}

/* Place a new memory file at @number. */
static bool place_file(int number)
{
	int fd = memory_file();
	bool placed = dup2(fd, number) == number;

	close(fd);
	return placed;
}

static void no_irq(void *owner, unsigned gsi, bool level)
{
	(void)owner;
	line_level[gsi % 64] = level;
}

static bool room_always(void *owner)
{
	(void)owner;
	return true;
}

static void no_byte(void *owner, uint8_t c)
{
	(void)owner;
	(void)c;
}

static void no_input(void *owner)
{
	(void)owner;
}

static const struct pc_ops pc_double = {
	.irq = no_irq, .out_room = room_always, .out = no_byte, .in_wanted = no_input
};

static int map_memory(void)
{
	if (!place_file(VFD_MEM) || ftruncate(VFD_MEM, LOW + HIGH) < 0)
		return -1;
	memory[0] = mmap(NULL, LOW, PROT_READ | PROT_WRITE, MAP_SHARED, VFD_MEM, 0);
	memory[1] = mmap(NULL, HIGH, PROT_READ | PROT_WRITE, MAP_SHARED, VFD_MEM, LOW);
	return memory[0] == MAP_FAILED || memory[1] == MAP_FAILED ? -1 : 0;
}

/* ---- a NIC, with config.ndevices = 1 ---- */

#define NIC_QUEUES 4
static int nic_peer = -1; /* The helper's end of the connection */

static bool nic_reply(uint32_t request, uint32_t size, const void *payload)
{
	struct vhu_msg m = { .request = request, .flags = VHU_VERSION | VHU_REPLY, .size = size };

	memcpy(m.bytes, payload, size);
	return vhu_send(nic_peer, &m) == VHU_OK;
}

/* The descriptors of its queues, and of the loop. */
static bool nic_events(void)
{
	static bool made;
	bool ok = true;

	if (made)
		return true;
	made = true;
	for (int i = -2; i < 2 * NIC_QUEUES; i++) {
		int fd = i == -2 ? epoll_create1(0) : eventfd(0, EFD_NONBLOCK);
		int to = i == -2	  ? VFD_EPOLL
			 : i == -1	  ? VFD_QERR0
			 : i < NIC_QUEUES ? VFD_QKICK0 + i
					  : VFD_QCALL0 + i - NIC_QUEUES;

		ok = ok && dup2(fd, to) == to;
		if (fd != to)
			close(fd);
	}
	return ok;
}

/* Attach a NIC without a helper: all replies are in the socket already. Without VHU_PF_REPLY_ACK there are no others. */
static bool add_nic(struct devices *ds)
{
	const uint64_t features = BIT64(VIRTIO_F_VERSION_1) | BIT64(VHU_F_PROTOCOL_FEATURES);
	const uint64_t protocol = BIT64(VHU_PF_MQ), queues = NIC_QUEUES;
	const struct vhu_rings rings = { .nqueues = NIC_QUEUES, .base = { 1, 2, 3, 4 } };
	struct device *d = &ds->dev[ds->n++];
	int sv[2];

	if (nic_peer >= 0)
		close(nic_peer);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) < 0 || dup2(sv[0], VFD_FRONT0) < 0)
		return false;
	nic_peer = fcntl(sv[1], F_DUPFD, 1600);
	close(sv[0]);
	close(sv[1]);
	if (!nic_events())
		return false;
	d->all = ds;
	d->type = DEVICE_BACKED;
	memcpy(d->name, "net0", 5);
	d->front = (struct front){ .name = d->name,
				   .sock = VFD_FRONT0,
				   .kind = DEV_NET,
				   .nqueues = NIC_QUEUES,
				   .err = VFD_QERR0,
				   .timeout_ms = 1 };
	for (unsigned q = 0; q < NIC_QUEUES; q++) {
		d->front.kick[q] = device_kick_fd(d, q);
		d->front.call[q] = device_call_fd(d, q);
	}
	return nic_reply(VHU_GET_FEATURES, sizeof(features), &features) &&
	       nic_reply(VHU_GET_PROTOCOL_FEATURES, sizeof(protocol), &protocol) &&
	       nic_reply(VHU_GET_QUEUE_NUM, sizeof(queues), &queues) && nic_reply(VHU_HOLD, sizeof(rings), &rings);
}

/* Returns 0, or -1. */
static int new_machine(void)
{
	static const struct devices_place place = { .bar_base = KVM_PCI_BASE, .intx_base = KVM_GSI_INTX };
	static union {
		struct kvm_cpuid2 c;
		char room[sizeof(struct kvm_cpuid2) + 2 * sizeof(struct kvm_cpuid_entry2)];
	} cpuid;
	struct devices *ds = &k.devices;
	unsigned ndevices = config.ndevices;

	if (!memory[0] && map_memory() < 0)
		return -1;
	if (fallocate(VFD_MEM, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LOW + HIGH) < 0)
		return -1;
	memset(&k, 0, sizeof(k));
	memset(&vm, 0, sizeof(vm));
	memset(&run, 0, sizeof(run));
	memset(&held, 0, sizeof(held));
	memset(line_level, 0, sizeof(line_level));
	pthread_mutex_init(&k.lock, NULL);
	vm.c = &config;
	vm.mem.nregions = 2;
	vm.mem.r[0] = (struct shm_region){ .gpa = 0, .size = LOW, .hva = memory[0] };
	vm.mem.r[1] = (struct shm_region){ .gpa = GUEST_RAM_HIGH, .size = HIGH, .hva = memory[1] };
	k.vm = &vm;
	k.ncpus = config.smp;
	for (unsigned i = 0; i < k.ncpus; i++)
		k.cpu[i] = (struct kvm_cpu){ .kvm = &k, .id = i, .run = &run, .thread = pthread_self() };
	cpuid.c.nent = 1;
	cpuid.c.entries[0] = (struct kvm_cpuid_entry2){ .function = 7, .ebx = cpu_feature };
	/* The helper of the double writes no memory, so it has no log. */
	config.ndevices = 0;
	if (kvm_cpus_init(&k, &cpuid.c) < 0 || kvm_checkpoint_make(&k) < 0)
		return -1;
	config.ndevices = ndevices;
	saved_machine_make(&k);
	pc_init(&k.pc, &pc_double, &k);
	ds->vm = &vm;
	ds->host = &kvm_vpci_host;
	ds->host_owner = &k;
	ds->conio.gone = true;
	ds->n = config.rng ? 2 : 1;
	for (unsigned i = 0; i < ds->n; i++) {
		ds->dev[i].all = ds;
		ds->dev[i].type = i ? DEVICE_RNG : DEVICE_CONSOLE;
	}
	own_console_init(&ds->dev[0]);
	if (config.rng)
		own_rng_init(&ds->dev[1]);
	if (config.ndevices && !add_nic(ds))
		return -1;
	return devices_attach(ds, &place);
}

/* ---- its driver ---- */

static void reg(unsigned device, unsigned off, unsigned len, uint64_t v)
{
	uint32_t bar = pci_bar_address(&k.devices.dev[device].v.pci, 0);

	pci_mem_write(&k.devices.bus, bar + off, len, v);
}

static void set_up(unsigned device, unsigned q, unsigned ring)
{
	reg(device, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
	reg(device, VIRTIO_PCI_COMMON_Q_SIZE, 2, RING_LEN);
	reg(device, VIRTIO_PCI_COMMON_Q_MSIX, 2, q);
	reg(device, VIRTIO_PCI_COMMON_Q_DESCLO, 4, RING(ring));
	reg(device, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, RING(ring) + 0x1000);
	reg(device, VIRTIO_PCI_COMMON_Q_USEDLO, 4, RING(ring) + 0x2000);
	reg(device, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static void begin(unsigned device)
{
	reg(device, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	reg(device, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	reg(device, VIRTIO_PCI_COMMON_GF, 4, 1u << (VIRTIO_F_VERSION_1 - 32));
	reg(device, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_FEATURES_OK);
}

/* Offer @len bytes at BUFFER to the queue of @ring, without a notification. */
static inline void offer_quietly(unsigned ring, uint32_t len, bool write)
{
	struct vring_desc *d = (void *)(memory[0] + RING(ring));
	struct vring_avail *a = (void *)(memory[0] + RING(ring) + 0x1000);

	d[a->idx % RING_LEN] =
		(struct vring_desc){ .addr = BUFFER, .len = len, .flags = write ? VRING_DESC_F_WRITE : 0 };
	a->ring[a->idx % RING_LEN] = a->idx % RING_LEN;
	a->idx++;
}

/* The same, and notify it. */
static inline void offer(unsigned device, unsigned q, unsigned ring, uint32_t len, bool write)
{
	offer_quietly(ring, len, write);
	reg(device, 0x3000 + 4 * q, 2, q);
}

static inline uint16_t used(unsigned ring)
{
	return ((struct vring_used *)(void *)(memory[0] + RING(ring) + 0x2000))->idx;
}

static void use_nic(void)
{
	unsigned n = k.devices.n - 1;

	reg(n, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	reg(n, VIRTIO_PCI_COMMON_GF, 4, 1u << VIRTIO_NET_F_CTRL_VQ | 1u << VIRTIO_NET_F_MQ);
	begin(n);
	set_up(n, 0, 3);
	set_up(n, 1, 4);
	set_up(n, NIC_QUEUES, 5);
	reg(n, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_DRIVER_OK);
}

/* A guest in the middle of its work: no place has its first value. */
static void use_machine(void)
{
	for (unsigned i = 0; i < 5; i++)
		memset(memory[0] + (1 + 7 * i) * PAGE, (int)(i + 1), 100);
	memory[1][HIGH - 1] = 9;
	begin(0);
	set_up(0, 0, 0);
	set_up(0, 1, 1);
	reg(0, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_DRIVER_OK);
	offer(0, 1, 1, 100, false);
	offer(0, 0, 0, 100, true);
	if (config.rng) {
		begin(1);
		set_up(1, 0, 2);
		reg(1, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_DRIVER_OK);
		offer(1, 0, 2, 16, true);
		offer(1, 0, 2, 16, true);
	}
	if (config.ndevices)
		use_nic();
	pc_out(&k.pc, PC_SERIAL_PORT + 7, 1, 0x5a);
	pc_out(&k.pc, PC_SERIAL_PORT + 4, 1, 0x1a); /* Loopback: what is written is input. */
	pc_out(&k.pc, PC_SERIAL_PORT + 1, 1, 1);
	pc_out(&k.pc, PC_SERIAL_PORT, 1, 'x');
	pc_out(&k.pc, PC_PM_PORT + 3, 1, 1);
	pci_port_out(&k.devices.bus, PCI_PORT_ADDRESS, 4, 0x8000083c);
	held.regs.rip = 0x1234;
	held.msr_one = 5;
	held.lapic.regs[5] = 6;
	held.pit.flags = 1;
	held.chip[1].chip_id = 1;
	held.chip[1].chip.pic.imr = 7;
	held.chip[2].chip_id = 2;
}

/* Save the machine to a new memory file, as its first checkpoint. Returns its descriptor, or -1. */
static int save_machine(void)
{
	int fd = memory_file();

	if (fd < 0 || dup2(fd, VFD_SAVE) < 0)
		return -1;
	kvm_checkpoint_ask(&k, false, true);
	kvm_checkpoint_meet(&k);
	return fd;
}

/* Load the file @fd. Returns what kvm_from_load() returns. */
static int load_machine(int fd)
{
	return dup2(fd, VFD_KERNEL) < 0 ? -1 : kvm_from_load(&k);
}

/* Make the checksums of the file of @len bytes at @f right, as far as it has what they are of. */
static __attribute__((noinline, unused)) void fit_checksums(uint8_t *f, size_t len)
{
	struct save_header h;
	uint64_t bits_at, bits, pages_at;

	if (len < sizeof(h))
		return;
	memcpy(&h, f, sizeof(h));
	bits_at = save_bits_at(h.state_len);
	bits = save_bits_bytes(LOW + HIGH);
	pages_at = bits_at + bits;
	if (range_ok(SAVE_STATE_AT, h.state_len, len))
		h.state_crc = (uint32_t)crc32(0, f + SAVE_STATE_AT, h.state_len);
	if (range_ok(bits_at, bits, len))
		h.bits_crc = (uint32_t)crc32(0, f + bits_at, (uInt)bits);
	if (h.pages <= PAGES && range_ok(pages_at, h.pages * PAGE, len))
		h.pages_sum = save_pages_sum(0, f + pages_at, h.pages);
	h.header_crc = 0;
	h.header_crc = (uint32_t)crc32(0, (const uint8_t *)&h, sizeof(h));
	memcpy(f, &h, sizeof(h));
}

#endif
