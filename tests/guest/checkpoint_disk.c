/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --checkpoint with a disk: a guest that writes a nonce to the disk, its rings and its registers,
 * asks for a reset while requests are in flight, and looks for the nonce afterwards. Nothing
 * survives a reset, so the guest does not count; the option --resets ends it. Runs in ring 0 of
 * a guest.
 */
#include "tests/guest/guest.h"

#define BLK	   0x10421af4u
#define EXIT_PORT  0xf4
#define VECTOR	   0x51u
#define NEXT	   1
#define WRITE	   2
#define BUFFERS	   0x1100000u /* Memory that only these tests use, behind that of checkpoint_net.c */
#define BUFFER	   0x10000u
#define BUFFERS_NR 5
#define SECTOR	   512u

/* Sectors that the guest writes before the checkpoint; after it only; and of the size of a cluster. */
#define OLD   8
#define NEW   67
#define WHOLE 128
#define KNOWN 0x4b4e4f574e211234ull

static struct vdev disk;
static struct vqueue ring, other;
static struct {
	uint32_t type, reserved;
	uint64_t sector;
} header[BUFFERS_NR] __attribute__((aligned(16)));
static volatile uint8_t status[BUFFERS_NR];
static bool read_only, killed;

struct registers {
	uint32_t common[14], msix[12], pci[64];
	uint16_t avail, used;
	uint8_t wce;
};
static struct registers before, now;

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static uintptr_t buffer(unsigned i)
{
	return BUFFERS + i * BUFFER;
}

/* Offer request @i: type 0 reads, 1 writes @bytes at @sector, 4 flushes. */
static void offer(struct vqueue *q, unsigned i, uint32_t type, uint64_t sector, uint32_t bytes)
{
	uint16_t d = (uint16_t)(3 * i);

	header[i].type = type;
	header[i].sector = sector;
	status[i] = 0xff;
	q->desc[d] = (struct desc){ (uintptr_t)&header[i], 16, NEXT, (uint16_t)(d + (bytes ? 1 : 2)) };
	q->desc[d + 1] = (struct desc){ buffer(i), bytes, (uint16_t)(NEXT | (type ? 0 : WRITE)), (uint16_t)(d + 2) };
	q->desc[d + 2] = (struct desc){ (uintptr_t)&status[i], 1, WRITE, 0 };
	vq_offer(q, d);
}

static void one(struct vqueue *q, uint32_t type, uint64_t sector, uint32_t bytes)
{
	uint32_t len;

	offer(q, 0, type, sector, bytes);
	vq_kick(q);
	if (!vq_wait(q, &len) || status[0])
		fail("the disk does not work");
}

static void put(struct vqueue *q, uint64_t sector, uint32_t bytes, uint64_t nonce)
{
	for (uint32_t at = 0; at < bytes; at += SECTOR)
		MMIO(uint64_t, buffer(0) + at) = nonce + at;
	one(q, 1, sector, bytes);
}

static void expect(uint64_t sector, uint32_t bytes, uint64_t nonce)
{
	one(&ring, 0, sector, bytes);
	for (uint32_t at = 0; at < bytes; at += SECTOR)
		if (MMIO(uint64_t, buffer(0) + at) != (nonce ? nonce + at : 0)) {
			say_num("sector ", sector + at / SECTOR);
			fail("a nonce is left on the disk");
		}
}

static void setup(struct vqueue *q, unsigned vector)
{
	if (!vdev_begin(&disk, 1ull << 11 | 1ull << 29 | 1ull << 9))
		fail("features");
	vdev_queue(&disk, q, 0, vector);
	vdev_ready(&disk);
}

static void look(struct registers *r)
{
	memset(r, 0, sizeof(*r));
	/* Not the generation, which is a byte at 0x15. */
	for (unsigned i = 0; i < 14; i++)
		r->common[i] = i == 5 ? MMIO(uint8_t, disk.common + 0x14) : MMIO(uint32_t, disk.common + i * 4);
	for (unsigned i = 0; i < 12; i++)
		r->msix[i] = MMIO(uint32_t, disk.msix + i * 4);
	for (unsigned i = 0; i < 64; i++)
		r->pci[i] = pci_read(disk.slot, i * 4);
	r->avail = ring.avail.idx;
	r->used = MMIO(uint16_t, &ring.used.idx);
	r->wce = MMIO(uint8_t, disk.config + 32);
}

static bool all_zero(void)
{
	uint64_t at = BUFFERS, n = BUFFERS_NR * BUFFER / 8;
	bool zero;

	__asm__ volatile("cld; repe scasq; sete %2" : "+D"(at), "+c"(n), "=q"(zero) : "a"(0ull) : "memory", "cc");
	return zero;
}

static bool pending(void)
{
	return MMIO(uint32_t, LAPIC + 0x200 + VECTOR / 32 * 0x10) & 1u << VECTOR % 32;
}

/* Take the interrupts of all that has finished. */
static void take_interrupts(void)
{
	uint32_t seen;

	do {
		seen = irqs[VECTOR];
		__asm__ volatile("sti; nop; nop; cli" ::: "memory");
	} while (irqs[VECTOR] != seen || pending());
}

/* The state is that of the checkpoint, and the disk works. */
static void check(void)
{
	uint32_t len;

	/* A process that starts again interrupts: the one before may have died when it was about to. */
	if (!killed && pending())
		fail("an interrupt is left");
	look(&now);
	expect_same("byte", &before, &now, 1, sizeof(now));
	if (!all_zero())
		fail("the disk has written to memory");
	offer(&ring, 0, 0, OLD, 0x1000);
	vq_kick(&ring);
	__asm__ volatile("sti");
	if (!wait_irq(VECTOR, irqs[VECTOR] + 1) && !irqs[VECTOR])
		fail("no interrupt");
	__asm__ volatile("cli");
	if (!vq_wait(&ring, &len) || status[0])
		fail("the disk does not work");
	expect(OLD, 0x1000, read_only ? 0 : KNOWN);
	expect(NEW, 0x2000, 0);
	expect(WHOLE, 0x2000, 0);
}

/* Change what the driver can change, otherwise each time. */
static struct vqueue *change(uint64_t nonce)
{
	struct vqueue *q = &ring;

	switch (nonce >> 3 & 3) {
	case 0:
		break;
	case 1:
		setup(&other, 0);
		q = &other;
		break;
	case 2:
		MMIO(uint32_t, disk.msix + 16 + 8) = VECTOR + 1;
		MMIO(uint32_t, disk.msix + 16 + 12) = 1;
		MMIO(uint8_t, disk.config + 32) ^= 1;
		break;
	default:
		setup(&other, VECTOR + 2);
		vdev_reset(&disk);
		q = NULL;
		break;
	}
	MMIO(uint32_t, disk.common) = (uint32_t)nonce;
	pci_write(disk.slot, 0x3c, (uint32_t)nonce);
	return q;
}

/* With @ro the disk is read-only. With @restarts its process is killed meanwhile. */
void test_checkpoint_disk(bool ro, bool restarts)
{
	struct vqueue *q;
	uint64_t nonce;

	read_only = ro;
	killed = restarts;
	__asm__ volatile("cli");
	if (!vdev_find(&disk, BLK))
		fail("no disk");
	setup(&ring, VECTOR);
	if (!ro)
		put(&ring, OLD, 0x1000, KNOWN);
	memset((void *)(uintptr_t)BUFFERS, 0, BUFFERS_NR * BUFFER);
	take_interrupts();
	look(&before);
	look(&before);
	outb(EXIT_PORT, 'C');
	check();
	nonce = rdtsc() * 0x9e3779b97f4a7c15ull | 1;
	if (!ro) {
		put(&ring, OLD + 1, SECTOR, nonce);
		put(&ring, NEW, 0x2000, nonce);
		put(&ring, WHOLE, 0x2000, nonce);
		expect(OLD + 1, SECTOR, nonce);
		expect(NEW, 0x2000, nonce);
		expect(WHOLE, 0x2000, nonce);
	}
	q = change(nonce);
	for (unsigned i = 0; q && i < BUFFERS_NR; i++)
		offer(q, i, ro ? 0 : i & 1, i & 1 ? WHOLE : OLD, BUFFER);
	if (q)
		vq_kick(q);
	if (nonce & 1ull << 40)
		__asm__ volatile("pause");
	outb(EXIT_PORT, 'R');
	fail("no reset");
}

/* Resets with the disk in use, with @net a NIC, and @pages dirty pages, for measurements. */
void test_dirty_disk(unsigned pages, bool net)
{
	__asm__ volatile("cli");
	if (!vdev_find(&disk, BLK))
		fail("no disk");
	setup(&ring, VECTOR);
	if (net)
		net_begin();
	outb(EXIT_PORT, 'C');
	for (unsigned i = 0; i < pages; i++)
		MMIO(uint64_t, BUFFERS + (i << 12)) = 1;
	one(&ring, 0, OLD, 0x1000);
	if (net)
		net_use();
	outb(EXIT_PORT, 'R');
	fail("no reset");
}

/* ---- for a live migration ---- */

#define BLOCKS	      61u /* A prime number, so that the blocks of a round differ */
#define SCRATCH	      0x2000000u
#define SCRATCH_PAGES 1024u

/* What each sector of block @i has: which block it is, and the round that wrote it. */
static uint64_t sector_word(unsigned i, uint32_t round)
{
	return round ? (uint64_t)i << 32 | round : 0;
}

/* The first three requests write. Only the device writes to the buffers of the others. */
static void offer_round(uint64_t seed, uint32_t round, uint32_t *version)
{
	for (unsigned i = 0; i < BUFFERS_NR; i++) {
		unsigned block = (unsigned)((seed + 7ull * i) % BLOCKS);
		bool write = i < 3;

		if (write)
			version[block] = round;
		for (uint32_t at = 0; write && at < BUFFER; at += SECTOR)
			MMIO(uint64_t, buffer(i) + at) = sector_word(block, round);
		offer(&ring, i, write, block * (BUFFER / SECTOR), BUFFER);
	}
	vq_kick(&ring);
}

static void expect_round(uint64_t seed, const uint32_t *version)
{
	uint32_t len;

	for (unsigned i = 0; i < BUFFERS_NR; i++)
		for (unsigned tries = 0; !vq_wait(&ring, &len); tries++)
			if (tries == 100)
				fail("the disk does not answer");
	for (unsigned i = 0; i < BUFFERS_NR; i++) {
		unsigned block = (unsigned)((seed + 7ull * i) % BLOCKS);

		if (status[i])
			fail("the disk has an error");
		for (uint32_t at = 0; at < BUFFER; at += SECTOR)
			if (MMIO(uint64_t, buffer(i) + at) != sector_word(block, version[block]))
				fail("a block has other data");
	}
}

/*
 * Reads and writes a disk of zeros with several requests in flight, sends and receives, and writes memory, until its
 * machine ends. A word of each page of memory says in which round it was written last.
 */
void test_migrate(void)
{
	static uint32_t version[BLOCKS], written[SCRATCH_PAGES];
	uint64_t seed = 1;

	__asm__ volatile("cli");
	if (!vdev_find(&disk, BLK))
		fail("no disk");
	setup(&ring, VECTOR);
	net_begin();
	for (uint32_t round = 1;; round++) {
		uint32_t page;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		page = (uint32_t)(seed >> 40) % SCRATCH_PAGES;
		offer_round(seed >> 7, round, version);
		if (MMIO(uint32_t, SCRATCH + page * 4096) != written[page])
			fail("a page has other data");
		written[page] = round;
		MMIO(uint32_t, SCRATCH + page * 4096) = round;
		net_use();
		expect_round(seed >> 7, version);
		if (round % 16 == 0)
			say_num("round ", round);
	}
}
