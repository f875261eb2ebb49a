/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tests: a correct driver, a hostile one, and one that accesses everything. Each ends
 * with "passed" (machine.c) or fail(). Runs in ring 0 of a guest.
 */
#include "tests/guest/guest.h"

#define BLK	 0x10421af4u
#define CONSOLE	 0x10431af4u
#define RNG	 0x10441af4u
#define NET	 0x10411af4u
#define VECTOR	 0x41u
#define NEXT	 1
#define WRITE	 2
#define INDIRECT 4

static struct vdev blk;
static struct vqueue q;
static struct {
	uint32_t type, reserved;
	uint64_t sector;
} header __attribute__((aligned(16)));
static volatile uint8_t status;
static uint8_t data[4096] __attribute__((aligned(4096)));

/* The interrupt line of slot n is pin 16 + n % 8 of the I/O APIC. */
static void open_block(bool line)
{
	if (!blk.slot && !vdev_find(&blk, BLK))
		fail("no disk");
	if (line)
		ioapic_route(16 + blk.slot % 8, VECTOR, true);
	if (!vdev_begin(&blk, 1ull << 28))
		fail("features");
	vdev_queue(&blk, &q, 0, line ? 0 : VECTOR);
	vdev_ready(&blk);
	if (vdev_status(&blk) != 15)
		fail("DRIVER_OK");
}

static void chain(uint32_t type, uint64_t sector)
{
	header.type = type;
	header.sector = sector;
	status = 0xff;
	q.desc[0] = (struct desc){ (uintptr_t)&header, 16, NEXT, 1 };
	q.desc[1] = (struct desc){ (uintptr_t)data, sizeof(data), (uint16_t)(NEXT | (type ? 0 : WRITE)), 2 };
	q.desc[2] = (struct desc){ (uintptr_t)&status, 1, WRITE, 0 };
}

static bool request(uint32_t type, uint64_t sector, bool line)
{
	uint32_t before = irqs[VECTOR], len;

	chain(type, sector);
	vq_offer(&q, 0);
	vq_kick(&q);
	if (!wait_irq(VECTOR, before + 1))
		return false;
	/* reading the ISR lowers the line, before interrupts come again and again */
	if (line)
		(void)MMIO(uint8_t, blk.isr);
	return vq_wait(&q, &len) && status == 0;
}

static void write_and_verify(bool line, unsigned salt)
{
	for (unsigned i = 0; i < 50; i++) {
		memset(data, (int)(i + salt), sizeof(data));
		if (!request(1, i * 8, line))
			fail("write");
	}
	for (unsigned i = 0; i < 50; i++) {
		memset(data, 0, sizeof(data));
		if (!request(0, i * 8, line))
			fail("read");
		for (unsigned j = 0; j < sizeof(data); j += 512)
			if (data[j] != i + salt)
				fail("data");
	}
}

void test_block(bool line)
{
	open_block(line);
	write_and_verify(line, 1);
	say_num("interrupts ", irqs[VECTOR]);
}

/* A long load, during which the test kills blkd. */
void test_load(void)
{
	open_block(false);
	for (unsigned round = 0; round < 12; round++) {
		write_and_verify(false, round);
		say_num("round ", round);
	}
	if (vdev_status(&blk) != 15)
		fail("the device asked for a reset");
}

/* Counts its starts on the disk; resets the machine until the third. */
void test_again(void)
{
	open_block(false);
	if (!request(0, 0, false))
		fail("read");
	if (data[0] > 2)
		data[0] = 0;
	say_num("start ", data[0]);
	data[0]++;
	if (!request(1, 0, false) || !request(4, 0, false))
		fail("write");
	if (data[0] < 3)
		outb(0x64, 0xfe);
}

/* Break one rule of clause 2.7: the device asks for a reset, and works after it. */
static void bad_ring(unsigned which)
{
	chain(1, 0);
	switch (which) {
	case 0: /* head outside the table */
		vq_offer(&q, QSIZE);
		break;
	case 1: /* available index too far ahead */
		q.avail.idx = (uint16_t)(q.avail.idx + QSIZE);
		vq_offer(&q, 0);
		break;
	case 2: /* loop */
		q.desc[1].flags = NEXT;
		q.desc[1].next = 0;
		vq_offer(&q, 0);
		break;
	case 3: /* next outside the table */
		q.desc[0].next = 0xffff;
		vq_offer(&q, 0);
		break;
	case 4: /* buffer in the hole */
		q.desc[1].addr = 0xd0000000;
		vq_offer(&q, 0);
		break;
	case 5: /* wraps */
		q.desc[1].addr = UINT64_MAX - 10;
		vq_offer(&q, 0);
		break;
	case 6: /* readable behind writable */
		q.desc[0].flags = NEXT | WRITE;
		vq_offer(&q, 0);
		break;
	case 7: /* indirect table of a bad length */
		q.desc[0] = (struct desc){ (uintptr_t)data, 17, INDIRECT, 0 };
		vq_offer(&q, 0);
		break;
	case 8: /* nowhere to put the status */
		q.desc[1].flags = 0;
		vq_offer(&q, 0);
		break;
	default: /* header too short */
		q.desc[0].len = 15;
		vq_offer(&q, 0);
		break;
	}
	vq_kick(&q);
}

void test_rings(void)
{
	for (unsigned which = 0; which < 10; which++) {
		unsigned n = 0;

		open_block(false);
		if (!request(0, 0, false))
			fail("not good before");
		bad_ring(which);
		while (!(vdev_status(&blk) & 0x40) && MMIO(uint16_t, &q.used.idx) == q.seen && ++n < 200000)
			;
		say_num(vdev_status(&blk) & 0x40 ? "asks for a reset: " : "goes on: ", which);
		open_block(false);
		if (!request(0, 0, false))
			fail("not good afterwards");
	}
}

static const uint64_t edges[] = { 0,	  1,	  2,	      0x7f,	  0x80,	      0xff,	 0x7fff,
				  0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX };
#define NEDGES (sizeof(edges) / sizeof(edges[0]))

static void touch(uintptr_t at)
{
	for (unsigned i = 0; i < NEDGES; i++) {
		MMIO(uint8_t, at) = (uint8_t)edges[i];
		(void)MMIO(uint8_t, at);
		MMIO(uint16_t, at) = (uint16_t)edges[i];
		(void)MMIO(uint16_t, at);
		MMIO(uint32_t, at) = (uint32_t)edges[i];
		(void)MMIO(uint32_t, at);
		MMIO(uint64_t, at) = edges[i];
		(void)MMIO(uint64_t, at);
	}
}

/* Access every register of a running device at every width. */
static void sweep(struct vdev *d)
{
	uintptr_t bar = d->common;

	for (unsigned off = 0; off < 0x48; off++)
		touch(bar + off);
	for (unsigned off = 0x1000; off < 0x1004; off++)
		touch(bar + off);
	for (unsigned off = 0x2000; off < 0x2048; off++)
		touch(bar + off);
	for (unsigned off = 0x3000; off < 0x3010; off++)
		touch(bar + off);
	touch(bar + 0x3ffc);
	for (unsigned off = 0; off < 0x60; off++)
		touch(d->msix + off);
	touch(d->msix + 0x800);
	for (unsigned reg = 0; reg < 256; reg += 4) {
		if (reg >= 0x10 && reg < 0x28)
			continue; /* test_bars() */
		for (unsigned i = 0; i < NEDGES; i++)
			pci_write(d->slot, reg, (uint32_t)edges[i]);
	}
}

/* Do that with the console, the NIC with its control queue, and all others; the disk last, which must work then. */
void test_sweep(void)
{
	static const uint32_t ids[] = { CONSOLE, RNG, NET };
	static struct vdev d;
	unsigned swept = 1;

	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		if (!vdev_find(&d, ids[i]))
			continue;
		if (!vdev_begin(&d, ids[i] == NET ? 1u << 17 | 1u << 22 : 0))
			fail("features");
		for (unsigned n = 0; n < (ids[i] == RNG ? 1 : ids[i] == NET ? 5 : 2); n++)
			vdev_queue(&d, &q, n, VECTOR);
		vdev_ready(&d);
		if (vdev_status(&d) != 15)
			fail("DRIVER_OK");
		sweep(&d);
		pci_write(d.slot, 4, 6);
		vdev_reset(&d);
		swept++;
	}
	say("\n"); /* what the console was told may not have been a line */
	say_num("devices: ", swept);
	open_block(false);
	sweep(&blk);
	blk.slot = 0;
	open_block(false);
	if (!request(0, 0, false))
		fail("not good afterwards");
}

/* Move BARs over RAM, over each other, over the interrupt controllers, and away while the device runs. */
void test_bars(void)
{
	static const uint32_t places[] = { 0,	       0x100000,   0x200000,   0xd0000000, 0xd0004000,
					   0xd0008000, 0xfec00000, 0xfee00000, 0xffffc000, 0x80000000 };
	uint32_t home, other;

	open_block(false);
	home = pci_read(blk.slot, 0x10);
	other = pci_read(blk.slot, 0x14);
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		pci_write(blk.slot, 0x10, places[i]);
		pci_write(blk.slot, 0x14, places[i]);
		vq_kick(&q);
		pci_write(blk.slot, 4, 0);
		pci_write(blk.slot, 4, 6);
	}
	/* At another address the device works as well: doorbell and interrupt messages have moved along. */
	pci_write(blk.slot, 0x10, 0xe0000000);
	pci_write(blk.slot, 0x14, 0xe0010000);
	blk.slot = 0;
	open_block(false);
	if (blk.common != 0xe0000000 || !request(0, 0, false))
		fail("moved");
	pci_write(blk.slot, 0x10, home);
	pci_write(blk.slot, 0x14, other);
	blk.slot = 0;
	open_block(false);
	if (!request(0, 0, false))
		fail("moved back");
}

void test_console(void)
{
	static struct vdev con;
	static const char text[] = "said through the ring\n";
	uint32_t len;

	if (!vdev_find(&con, CONSOLE) || !vdev_begin(&con, 0))
		fail("no console");
	vdev_queue(&con, &q, 1, VECTOR);
	vdev_ready(&con);
	q.desc[0] = (struct desc){ (uintptr_t)text, sizeof(text) - 1, 0, 0 };
	vq_offer(&q, 0);
	vq_kick(&q);
	if (!vq_wait(&q, &len) || !wait_irq(VECTOR, 1))
		fail("no answer");
	/* the emergency write works in any state */
	vdev_reset(&con);
	for (const char *c = "emergency\n"; *c; c++)
		MMIO(uint32_t, con.config + 8) = (uint8_t)*c;
}

/* Print the console's size at the start and after each change. */
void test_size(void)
{
	static struct vdev con;
	uint32_t cols, rows, before, n = 0;

	if (!vdev_find(&con, CONSOLE) || !vdev_begin(&con, 1))
		fail("the console has no size");
	vdev_ready(&con);
	before = MMIO(uint16_t, con.config);
	do {
		uint8_t generation = MMIO(uint8_t, con.common + 0x15);

		cols = MMIO(uint16_t, con.config);
		rows = MMIO(uint16_t, con.config + 2);
		if (generation != MMIO(uint8_t, con.common + 0x15) || (n && cols == before))
			continue;
		say_num("columns: ", cols);
		say_num("rows: ", rows);
		n++;
	} while (n < 2);
}

/* Print half a MiB as fast as possible. */
void test_flood(void)
{
	for (unsigned i = 0; i < 8192; i++)
		say("flood flood flood flood flood flood flood flood flood flood...\n");
}

/* Read and write every port except those that end the guest. */
void test_ports(void)
{
	for (uint32_t p = 0; p < 0x10000; p++) {
		if ((p >= 0x3f8 && p < 0x400) || (p >= 0x600 && p < 0x606) || p == 0x505 || p == 0x64 ||
		    (p >= 0x61 && p < 0x64))
			continue;
		(void)inb((uint16_t)p);
		if (p % 16 == 0) {
			(void)inw((uint16_t)p);
			(void)inl((uint16_t)p);
			outb((uint16_t)p, 0xff);
		}
	}
	for (unsigned r = 0; r < 8; r++)
		(void)inb((uint16_t)(0x3f8 + r));
	outb(0x3fb, 3);
	outb(0x3fc, 0);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

void test_msrs(void)
{
	static const uint32_t bases[] = { 0,	      0x1a0,	  0x200,      0x400,	  0x800,     0xc00,
					  0x4b564d00, 0x40000000, 0xc0000080, 0xc0010000, 0xc0011020 };
	uint64_t v;
	unsigned there = 0;

	for (unsigned i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
		for (uint32_t m = bases[i]; m < bases[i] + 64; m++)
			there += rdmsr(m, &v);
	say_num("readable MSRs ", there);
}

/* Memory above 4 GiB: one GiB mapped for it, a pattern in its first and last page. */
void test_high(void)
{
	static uint64_t pd[512] __attribute__((aligned(4096)));
	uint64_t *pdpt = (uint64_t *)(uintptr_t)0xa000;
	volatile uint64_t *p = (volatile uint64_t *)0x100000000ull;

	for (uint64_t i = 0; i < 512; i++)
		pd[i] = (0x100000000ull + (i << 21)) | 0x83;
	pdpt[4] = (uintptr_t)pd | 3;
	barrier();
	for (unsigned i = 0; i < 512; i++)
		p[i] = i * 0x0101010101010101ull;
	for (unsigned i = 0; i < 512; i++)
		if (p[i] != i * 0x0101010101010101ull)
			fail("memory above 4 GiB");
}

/* Ring the doorbell only through configuration accesses (virtio 1.2, 4.1.4.9). */
void test_window(void)
{
	uint32_t len, bar;
	unsigned at;

	open_block(false);
	bar = pci_read(blk.slot, 0x10) & ~15u;
	for (at = pci_read(blk.slot, 0x34) & 0xfc; at; at = (pci_read(blk.slot, at) >> 8) & 0xfc)
		if ((pci_read(blk.slot, at) & 0xff) == 9 && pci_read(blk.slot, at) >> 24 == 5)
			break;
	if (!at)
		fail("no window");
	pci_write(blk.slot, at + 4, 0);
	pci_write(blk.slot, at + 8, (uint32_t)blk.notify - bar);
	pci_write(blk.slot, at + 12, 2);
	chain(1, 0);
	vq_offer(&q, 0);
	pci_write(blk.slot, at + 16, 0);
	if (!vq_wait(&q, &len) || status)
		fail("no answer");
}

void test_rng(void)
{
	static struct vdev rng;
	uint32_t len, any = 0;

	if (!vdev_find(&rng, RNG) || !vdev_begin(&rng, 0))
		fail("no rng");
	vdev_queue(&rng, &q, 0, VECTOR);
	vdev_ready(&rng);
	memset(data, 0, sizeof(data));
	q.desc[0] = (struct desc){ (uintptr_t)data, 64, WRITE, 0 };
	vq_offer(&q, 0);
	vq_kick(&q);
	if (!vq_wait(&q, &len) || len != 64)
		fail("no answer");
	for (unsigned i = 0; i < 64; i++)
		any |= data[i];
	if (!any)
		fail("not random");
}

/* Waits on the serial port's interrupt until a q is typed. */
void test_typed(void)
{
	uint8_t c = 0;

	ioapic_route(4, VECTOR, false);
	outb(0x3fc, 0x0b); /* OUT2: a PC's serial port has no interrupt line without it */
	outb(0x3f9, 1);
	say("type\n");
	while (c != 'q') {
		__asm__ volatile("cli");
		if (inb(0x3fd) & 1)
			c = inb(0x3f8);
		else
			__asm__ volatile("sti; hlt");
		__asm__ volatile("sti");
	}
	outb(0x3f9, 0);
}
