/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scripts of the test double for hosts with Linux 4.0 to 4.13: trapped instructions, PCI bus, virtio 1.0. */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "tests/host/lguest_double.h"

#define CODE	 0x00123450u
#define MAX_PCI	 16
#define RING_MEM 0x300000u /* 16 KiB for each ring */

struct pci {
	struct guest *g;
	unsigned slot, type, irq;
	uint32_t bar, common, notify, isr, device, device_len, window;
	struct ring ring[DEVICE_RINGS];
};
static struct pci devs[MAX_PCI];
static unsigned ndevs;

/* Run one instruction. Returns true if the launcher emulated it, false if it passed the trap to the guest. */
static bool step(struct guest *g, unsigned n, const void *insn, unsigned len, uint32_t addr)
{
	unsigned before = g->injected;

	g->regs[EIP] = CODE;
	trap(g, n, insn, len, addr);
	if (g->injected != before) {
		CHECK(g->regs[EIP] == CODE, "a trap given back leaves eip alone");
		CHECK(g->last_trap == n, "trap %u given back as %u", n, g->last_trap);
		return false;
	}
	CHECK(g->regs[EIP] == CODE + len, "eip moves by %u", g->regs[EIP] - CODE);
	return true;
}

static void out(struct guest *g, uint16_t port, unsigned width, uint32_t v)
{
	static const uint8_t b1[] = { 0xee }, b2[] = { 0x66, 0xef }, b4[] = { 0xef };

	g->regs[EDX] = 0xabcd0000 | port;
	g->regs[EAX] = v;
	CHECK(step(g, 13, width == 1 ? b1 : width == 2 ? b2 : b4, width == 2 ? 2 : 1, 0), "out %x", port);
}

static uint32_t in(struct guest *g, uint16_t port, unsigned width)
{
	static const uint8_t b1[] = { 0xec }, b2[] = { 0x66, 0xed }, b4[] = { 0xed };
	uint32_t mask = width == 4 ? 0xffffffff : (1u << (8 * width)) - 1;

	g->regs[EDX] = port;
	g->regs[EAX] = 0x5a5a5a5a;
	CHECK(step(g, 13, width == 1 ? b1 : width == 2 ? b2 : b4, width == 2 ? 2 : 1, 0), "in %x", port);
	CHECK((g->regs[EAX] & ~mask) == (0x5a5a5a5a & ~mask), "in %x leaves the rest of eax alone", port);
	return g->regs[EAX] & mask;
}

/* Use the forms that compilers make of a store in turn; each must have the same effect. */
static void mmio_write(struct guest *g, uint32_t addr, unsigned width, uint32_t v)
{
	static const uint8_t forms[3][3][7] = {
		{ { 0x88, 0x02 }, { 0x88, 0x05, 1, 2, 3, 4 }, { 0x88, 0x44, 0x88, 8 } },
		{ { 0x66, 0x89, 0x02 }, { 0x66, 0x89, 0x05, 1, 2, 3, 4 }, { 0x66, 0x89, 0x04, 0x88 } },
		{ { 0x89, 0x02 }, { 0x89, 0x04, 0x8d, 1, 2, 3, 4 }, { 0x89, 0x80, 1, 2, 3, 4 } },
	};
	static const uint8_t lens[3][3] = { { 2, 6, 4 }, { 3, 7, 4 }, { 2, 7, 6 } };
	static unsigned turn;
	unsigned w = width >> 1, f = turn++ % 3;

	g->regs[EAX] = v;
	CHECK(step(g, 14, forms[w][f], lens[w][f], addr), "store at %x", addr);
}

static uint32_t mmio_read(struct guest *g, uint32_t addr, unsigned width)
{
	static const uint8_t b1[] = { 0x8a, 0x18 }, b2[] = { 0x66, 0x8b, 0x18 }, b4[] = { 0x8b, 0x18 };
	uint32_t mask = width == 4 ? 0xffffffff : (1u << (8 * width)) - 1;

	g->regs[EBX] = 0x5a5a5a5a;
	CHECK(step(g, 14, width == 1 ? b1 : width == 2 ? b2 : b4, width == 2 ? 3 : 2, addr), "load at %x", addr);
	CHECK((g->regs[EBX] & ~mask) == (0x5a5a5a5a & ~mask), "a load leaves the rest of ebx alone");
	return g->regs[EBX] & mask;
}

static void select_reg(struct guest *g, unsigned slot, unsigned reg)
{
	out(g, 0xcf8, 4, 0x80000000 | slot << 11 | (reg & ~3u));
}
static uint32_t cfg_read(struct guest *g, unsigned slot, unsigned reg, unsigned width)
{
	select_reg(g, slot, reg);
	return in(g, (uint16_t)(0xcfc + (reg & 3)), width);
}
static void cfg_write(struct guest *g, unsigned slot, unsigned reg, unsigned width, uint32_t v)
{
	select_reg(g, slot, reg);
	out(g, (uint16_t)(0xcfc + (reg & 3)), width, v);
}

static void kick(struct ring *r)
{
	struct pci *d = r->owner;

	mmio_write(r->g, d->bar + d->notify, 2, r->index);
}

static void ack(struct ring *r)
{
	struct pci *d = r->owner;

	CHECK(peekn(r->g, d->isr, 1) == 1, "the ISR says that there was an interrupt");
}

static void read_caps(struct pci *d)
{
	unsigned at = cfg_read(d->g, d->slot, PCI_CAPABILITY_LIST, 1);

	for (unsigned n = 0; at && n < 16; n++) {
		uint32_t off = cfg_read(d->g, d->slot, at + 8, 4), bar;

		CHECK(cfg_read(d->g, d->slot, at, 1) == PCI_CAP_ID_VNDR, "capability at %x", at);
		bar = cfg_read(d->g, d->slot, at + 4, 1);
		switch (cfg_read(d->g, d->slot, at + 3, 1)) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			d->common = off;
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			d->notify = off;
			CHECK(cfg_read(d->g, d->slot, at + 16, 4) == 0, "notify multiplier");
			break;
		case VIRTIO_PCI_CAP_ISR_CFG:
			/* a byte of memory that is no RAM */
			d->isr = cfg_read(d->g, d->slot, PCI_BASE_ADDRESS_0 + 4 * bar, 4) + off;
			CHECK(bar == 2 && d->isr >= peekn(d->g, 0x2d8, 8) && d->isr < d->g->pfn_limit * PAGE,
			      "ISR at %x", d->isr);
			break;
		case VIRTIO_PCI_CAP_DEVICE_CFG:
			d->device = off;
			d->device_len = cfg_read(d->g, d->slot, at + 12, 4);
			break;
		case VIRTIO_PCI_CAP_PCI_CFG:
			d->window = at;
			break;
		default:
			CHECK(false, "an unknown capability at %x", at);
		}
		at = cfg_read(d->g, d->slot, at + 1, 1);
	}
	CHECK(cfg_read(d->g, d->slot, d->window + 4, 1) == 0 && d->notify && d->isr && d->window,
	      "the capabilities that lguest guests need");
}

static void scan(struct guest *g)
{
	/* arch/x86/pci/direct.c: type 1 is there if this sticks, and a bridge is on the bus */
	out(g, 0xcfb, 1, 1);
	out(g, 0xcf8, 4, 0x80000000);
	CHECK(in(g, 0xcf8, 4) == 0x80000000, "configuration mechanism 1");
	CHECK(cfg_read(g, 0, PCI_CLASS_DEVICE, 2) == 0x0600, "a bridge in slot 0");
	ndevs = 0;
	for (unsigned slot = 1; slot < 32 && ndevs < MAX_PCI; slot++) {
		uint32_t id = cfg_read(g, slot, 0, 4);
		struct pci *d = &devs[ndevs];

		if (id == 0xffffffff)
			continue;
		CHECK((id & 0xffff) == 0x1af4 && id >> 16 > 0x1040, "id %x in slot %u", id, slot);
		memset(d, 0, sizeof(*d));
		d->g = g;
		d->slot = slot;
		d->type = (id >> 16) - 0x1040;
		d->irq = cfg_read(g, slot, PCI_INTERRUPT_LINE, 1);
		d->bar = cfg_read(g, slot, PCI_BASE_ADDRESS_0, 4);
		CHECK(cfg_read(g, slot, PCI_INTERRUPT_PIN, 1) == 0, "no pin");
		CHECK(d->irq > 0 && d->irq < IRQS, "irq %u", d->irq);
		CHECK(d->bar >= g->pfn_limit * PAGE && d->bar + 64 <= g->device_limit * PAGE, "BAR at %x", d->bar);
		read_caps(d);
		ndevs++;
	}
	CHECK(ndevs && devs[0].slot == 1 && devs[0].type == 3, "the console in slot 1");
}

static void set_status(struct pci *d, unsigned s)
{
	mmio_write(d->g, d->bar + d->common + VIRTIO_PCI_COMMON_STATUS, 1, s);
}

static void set_addr(struct pci *d, unsigned reg, uint64_t gpa)
{
	mmio_write(d->g, d->bar + d->common + reg, 4, (uint32_t)gpa);
	mmio_write(d->g, d->bar + d->common + reg + 4, 4, 0);
}

static void start(struct pci *d)
{
	uint32_t c = d->bar + d->common, low, high;
	unsigned queues;

	set_status(d, 0);
	CHECK(mmio_read(d->g, c + VIRTIO_PCI_COMMON_STATUS, 1) == 0, "reset");
	set_status(d, 1);
	set_status(d, 3);
	mmio_write(d->g, c + VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	low = mmio_read(d->g, c + VIRTIO_PCI_COMMON_DF, 4);
	mmio_write(d->g, c + VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	high = mmio_read(d->g, c + VIRTIO_PCI_COMMON_DF, 4);
	CHECK(high & 1, "VERSION_1 is offered");
	mmio_write(d->g, c + VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	mmio_write(d->g, c + VIRTIO_PCI_COMMON_GF, 4,
		   low & (d->type == 1	 ? 1u << 5
			  : d->type == 2 ? 1u << 9
			  : d->type == 3 ? 1u << 1
					 : 0));
	mmio_write(d->g, c + VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	mmio_write(d->g, c + VIRTIO_PCI_COMMON_GF, 4, 1);
	set_status(d, 11);
	CHECK(mmio_read(d->g, c + VIRTIO_PCI_COMMON_STATUS, 1) == 11, "FEATURES_OK");
	queues = mmio_read(d->g, c + VIRTIO_PCI_COMMON_NUMQ, 2);
	for (unsigned q = 0; q < queues && q < DEVICE_RINGS; q++) {
		struct ring *r = &d->ring[q];
		static const uint8_t empty[4 * PAGE];
		uint64_t at = RING_MEM + (d->slot * 2 + q) * 4 * PAGE;

		*r = (struct ring){ .g = d->g,
				    .desc = at,
				    .avail = at + PAGE,
				    .used = at + 2 * PAGE,
				    .irq = d->irq,
				    .kick = kick,
				    .ack = ack,
				    .owner = d,
				    .index = q };
		poke(d->g, at, empty, sizeof(empty));
		mmio_write(d->g, c + VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
		CHECK(mmio_read(d->g, c + VIRTIO_PCI_COMMON_Q_SIZE, 2) == RING, "queue size");
		set_addr(d, VIRTIO_PCI_COMMON_Q_DESCLO, r->desc);
		set_addr(d, VIRTIO_PCI_COMMON_Q_AVAILLO, r->avail);
		set_addr(d, VIRTIO_PCI_COMMON_Q_USEDLO, r->used);
		mmio_write(d->g, c + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	}
	set_status(d, 15);
	CHECK(mmio_read(d->g, c + VIRTIO_PCI_COMMON_STATUS, 1) == 15, "DRIVER_OK");
}

static void drive(struct pci *d, uint64_t at)
{
	uint8_t mac[6];
	uint64_t capacity;

	start(d);
	if (d->type == 2) {
		capacity = mmio_read(d->g, d->bar + d->device, 4);
		CHECK(mmio_read(d->g, d->bar + d->device + 12, 4) == RING - 2, "seg_max: all but header and status");
		drive_disk(&d->ring[0], at, capacity);
	} else if (d->type == 1) {
		for (unsigned i = 0; i < 6; i++)
			mac[i] = (uint8_t)mmio_read(d->g, d->bar + d->device + i, 1);
		CHECK(mac[0] == 2 && mac[5] == 0x42, "the NIC's MAC");
		drive_nic(&d->ring[0], &d->ring[1], at, mac, 12);
	} else if (d->type == 4) {
		drive_rng(&d->ring[0], at);
	}
}

/* arch/x86/lguest/boot.c: early_put_chars() */
static void early(struct pci *d, const char *s)
{
	CHECK(d->device_len >= 12, "emerg_wr is there");
	for (; *s; s++) {
		cfg_write(d->g, 1, d->window + 4, 1, 0);
		cfg_write(d->g, 1, d->window + 12, 4, 4);
		cfg_write(d->g, 1, d->window + 8, 4, d->device + 8);
		cfg_write(d->g, 1, d->window + 16, 4, (uint8_t)*s);
	}
}

void pci_boot(struct guest *g);
void pci_boot(struct guest *g)
{
	static const uint8_t types[] = { 3, 1, 4, 2, 2 };

	CHECK(boot_checks(g) == (g->pfn_limit - 1) * PAGE, "all memory but a page is RAM");
	scan(g);
	CHECK(ndevs == sizeof(types), "%u devices", ndevs);
	for (unsigned i = 0; i < ndevs && i < sizeof(types); i++)
		CHECK(devs[i].type == types[i], "device %u has type %u", i, devs[i].type);
	early(&devs[0], "early words\n");
	start(&devs[0]);
	drive_console(&devs[0].ring[0], &devs[0].ring[1], 0x400000);
	for (unsigned again = 0; again < 2; again++)
		for (unsigned i = 1; i < ndevs; i++)
			drive(&devs[i], 0x400000 + 0x10000 * i);
	power_off(g);
}

/* One CPU has no use for more queues. */
void pci_queues(struct guest *g);
void pci_queues(struct guest *g)
{
	scan(g);
	for (unsigned i = 1; i < ndevs; i++) {
		uint32_t n = mmio_read(g, devs[i].bar + devs[i].common + VIRTIO_PCI_COMMON_NUMQ, 2);

		CHECK(n == (devs[i].type == 1 ? 2 : 1), "%u queues", n);
		drive(&devs[i], 0x400000 + 0x10000 * i);
	}
	power_off(g);
}

void pci_lone(struct guest *g);
void pci_lone(struct guest *g)
{
	unsigned i = 1;

	scan(g);
	while (i + 1 < ndevs && devs[i].type != 2)
		i++;
	CHECK(devs[i].type == 2, "there is a disk");
	start(&devs[i]);
	drive_lone(&devs[i].ring[0], 0x400000);
	power_off(g);
}

static void skip_cli(struct guest *g)
{
	static const uint8_t cli[] = { 0xfa };

	(void)step(g, 13, cli, 1, 0);
}

void pci_flag(struct guest *g);
void pci_flag(struct guest *g)
{
	drive_flag(g, skip_cli);
	power_off(g);
}

/* Which instructions are emulated, and which traps are passed to the guest. */
void pci_traps(struct guest *g);
void pci_traps(struct guest *g)
{
	static const uint8_t bad_ports[][7] = { { 0x0f, 0x01, 0xd8 },
						{ 0xf4 },
						{ 0x6c },
						{ 0xf3, 0x6c },
						{ 0x0f, 0x30 },
						{ 0xcd, 0x80 },
						{ 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66 } };
	static const uint8_t bad_moves[][7] = { { 0x01, 0x02 }, { 0xf0, 0x89, 0x02 },	       { 0x88, 0xc2 },
						{ 0xf3, 0xa4 }, { 0xc7, 0x80, 1, 2, 3, 4, 5 }, { 0xee },
						{ 0 } };
	static const uint8_t outb[] = { 0xee }, inb80[] = { 0xe4, 0x80 }, cli[] = { 0xfa }, in64[] = { 0xe4, 0x64 };
	static const uint8_t bh[] = { 0x8a, 0x38 }, movzx[] = { 0x0f, 0xb6, 0x08 }, imm[] = { 0xc6, 0x00, 0x03 };
	uint32_t c;

	scan(g);
	c = devs[0].bar + devs[0].common;
	for (unsigned i = 0; i < sizeof(bad_ports) / 7; i++)
		CHECK(!step(g, 13, bad_ports[i], 7, 0), "bad port instruction %u", i);
	for (unsigned i = 0; i < sizeof(bad_moves) / 7; i++)
		CHECK(!step(g, 14, bad_moves[i], 7, c), "bad move %u", i);
	CHECK(step(g, 13, cli, 1, 0), "cli is skipped");
	g->regs[EAX] = 0;
	CHECK(step(g, 13, inb80, 2, 0) && (g->regs[EAX] & 0xff) == 0xff, "an unknown port reads ones");
	CHECK(step(g, 13, in64, 2, 0) && (g->regs[EAX] & 0xff) == 1, "port 0x64");
	/* a program of the guest's, not its kernel */
	g->regs[CS] = 0x73;
	g->regs[EDX] = 0xcf8;
	g->regs[EAX] = 0x80000900;
	CHECK(!step(g, 13, outb, 1, 0), "ports are the kernel's");
	g->regs[CS] = 0x61;
	set_status(&devs[0], 0);
	g->regs[EAX] = c + VIRTIO_PCI_COMMON_STATUS;
	CHECK(step(g, 14, imm, 3, c + VIRTIO_PCI_COMMON_STATUS), "an immediate");
	g->regs[EBX] = 0x11223344;
	CHECK(step(g, 14, bh, 2, c + VIRTIO_PCI_COMMON_STATUS) && g->regs[EBX] == 0x11220344, "bh is %x", g->regs[EBX]);
	g->regs[ECX] = 0xffffffff;
	CHECK(step(g, 14, movzx, 3, c + VIRTIO_PCI_COMMON_STATUS) && g->regs[ECX] == 3, "movzx");
	/* Without a gate for it, the launcher ends the guest, as the host would. */
	g->gates = 0;
	g->ended = true;
	(void)step(g, 13, bad_ports[0], 7, 0);
	CHECK(false, "the guest goes on after an unhandled trap");
}

/* The launcher ends the guest at the first byte that it writes to the exit port. */
void pci_report(struct guest *g);
void pci_report(struct guest *g)
{
	static const uint8_t outb_dx_al[7] = { 0xee };

	out(g, 0xf5, 1, 9);
	out(g, 0xf4, 4, 8);
	g->regs[EDX] = 0xf4;
	g->regs[EAX] = 0x107;
	g->ended = true;
	(void)step(g, 13, outb_dx_al, 1, 0);
	CHECK(false, "the guest goes on after its report");
}

/* The console alone: its rings lie where those of other devices would. */
void pci_run(struct guest *g);
void pci_run(struct guest *g)
{
	scan(g);
	CHECK(ndevs == 1 && mmio_read(g, devs[0].bar + devs[0].device + 4, 4) == 5, "five ports");
	start(&devs[0]);
	drive_run(devs[0].ring, 0x400000);
	power_off(g);
}

/* Access every register at every width and edge, write BARs and capabilities in any order; then
 * everything works again. */
void pci_hostile(struct guest *g);
void pci_hostile(struct guest *g)
{
	static const uint32_t values[] = { 0, 1, 0x7f, 0x80, 0xffff, 0x8000, 0xffffffff };
	uint32_t end;

	scan(g);
	end = (uint32_t)(g->device_limit * PAGE);
	for (unsigned v = 0; v < 7; v++)
		for (uint32_t a = devs[0].bar; a < devs[ndevs - 1].bar + 0x80; a += 1 + a % 3)
			for (unsigned w = 1; w <= 4; w *= 2)
				mmio_write(g, a, w, values[v]);
	for (uint32_t a = devs[0].bar; a < devs[ndevs - 1].bar + 0x80; a++)
		(void)mmio_read(g, a, 1u << a % 3);
	(void)mmio_read(g, end - 4, 4);
	mmio_write(g, end - 1, 4, 0xffffffff);
	for (unsigned slot = 0; slot <= ndevs + 1; slot++)
		for (unsigned reg = 0; reg < 256; reg += 1 + reg % 2) {
			cfg_write(g, slot, reg, 4 >> reg % 3, values[reg % 7]);
			(void)cfg_read(g, slot, reg, 1u << reg % 3);
		}
	for (unsigned i = 0; i < ndevs; i++) {
		cfg_write(g, devs[i].slot, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
		cfg_write(g, devs[i].slot, PCI_BASE_ADDRESS_0, 4, 0x1000);
		for (unsigned s = 0; s < 256; s++)
			set_status(&devs[i], s * 37 % 256);
		set_status(&devs[i], 0);
	}
	/* A ring outside memory, an invalid ring, and then a correct device. */
	for (unsigned i = 1; i < ndevs; i++) {
		start(&devs[i]);
		poken(g, devs[i].ring[0].avail + 2, 2, 0x7777);
		kick(&devs[i].ring[0]);
		mmio_write(g, devs[i].bar + devs[i].notify, 2, 0xffff);
		set_status(&devs[i], 0);
		drive(&devs[i], 0x400000 + 0x10000 * i);
	}
	power_off(g);
}
