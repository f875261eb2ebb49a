/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --checkpoint: a guest that writes a nonce to every place that it can write to, asks for a
 * reset, and looks for it afterwards. Other tests dirty memory for time measurements, or attack.
 * Nothing survives a reset, so the guest does not count; the option --resets ends it. Runs in
 * ring 0 of a guest.
 */
#include "tests/guest/guest.h"

#define EXIT_PORT  0xf4
#define FREE_FROM  0x1000000u /* Memory that only these tests use */
#define FREE_BYTES 0x2000000u
#define CONSOLE	   0x10431af4u
#define RNG	   0x10441af4u

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* Ask with @request, with @value in the registers that calls preserve. Returns their sum afterwards, or all ones. */
static uint64_t ask(uint8_t request, uint64_t value)
{
	uint64_t b = value, r12 = value, r13 = value, r14 = value, r15 = value;

	__asm__ volatile("mov %0, %%r8; mov %0, %%r9; mov %0, %%r10\n"
			 "mov %1, %%r12; mov %2, %%r13; mov %3, %%r14; mov %4, %%r15\n"
			 "outb %b5, %w6\n"
			 "mov %%r12, %1; mov %%r13, %2; mov %%r14, %3; mov %%r15, %4\n"
			 : "+b"(b), "+m"(r12), "+m"(r13), "+m"(r14), "+m"(r15)
			 : "a"(request), "d"((uint16_t)EXIT_PORT)
			 : "r8", "r9", "r10", "r12", "r13", "r14", "r15", "memory");
	return b == r12 && r12 == r13 && r13 == r14 && r14 == r15 ? b : ~0ull;
}

/* ---- the places ---- */

/* Model-specific registers, and the value that is written: none for 0. */
static const struct {
	uint32_t first, last;
	uint64_t nonce; /* Added to the round's nonce where every value is allowed */
} msr_ranges[] = {
	{ 0x174, 0x176, 0x1000 },
	{ 0xc0000081, 0xc0000084, 0x2000 },
	{ 0xc0000100, 0xc0000102, 0x3000 },
	{ 0x277, 0x277, 0 },
	{ 0x200, 0x20f, 0x10000 },
	{ 0x250, 0x250, 0 },
	{ 0x258, 0x259, 0 },
	{ 0x268, 0x26f, 0 },
	{ 0x2ff, 0x2ff, 0 },
	{ 0x400, 0x47f, 0 },
	{ 0x3b, 0x3b, 0x40 },
	{ 0x1d9, 0x1d9, 0 },
	{ 0x48, 0x48, 0 },
	{ 0xc0010015, 0xc0010015, 0 },
	{ 0xc0000103, 0xc0000103, 0x50 },
	{ 0x280, 0x29f, 0 },
	/* KVM's clock, which KVM then writes to the test's memory */
	{ 0x4b564d01, 0x4b564d01, FREE_FROM + 1 },
};
#define MSRS 512

#define LAPIC_REGS 64
#define PLACES	   256

struct places {
	uint64_t msr[MSRS];
	uint32_t lapic[LAPIC_REGS], ioapic[64], other[PLACES];
	uint64_t cr2, cr3, cr8, dr[4], dr7;
};
static struct places before, now;
static struct vdev con;
static uint64_t memory_nonce;

static void look_msrs(uint64_t *to)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(msr_ranges) / sizeof(msr_ranges[0]); i++)
		for (uint32_t m = msr_ranges[i].first; m <= msr_ranges[i].last; m++)
			if (!rdmsr(m, &to[n++]))
				to[n - 1] = 0;
}

static void write_msrs(uint64_t nonce)
{
	for (unsigned i = 0; i < sizeof(msr_ranges) / sizeof(msr_ranges[0]); i++)
		for (uint32_t m = msr_ranges[i].first; m <= msr_ranges[i].last; m++) {
			(void)wrmsr(m, ~0ull);
			(void)wrmsr(m, 0x0606060606060606ull);
			(void)wrmsr(m, 0x806);
			if (msr_ranges[i].nonce)
				(void)wrmsr(m, msr_ranges[i].nonce + (nonce & 0xffff0));
		}
}

static void look_lapic(uint32_t *to)
{
	for (unsigned i = 0; i < LAPIC_REGS; i++)
		to[i] = i * 16 == 0x390 ? 0 : MMIO(uint32_t, LAPIC + i * 16);
}

static void write_lapic(uint64_t nonce)
{
	static const uint16_t regs[] = {
		0x80, 0xd0, 0xe0, 0x280, 0x310, 0x320, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0
	};

	for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
		MMIO(uint32_t, LAPIC + regs[i]) = (uint32_t)nonce & 0xfefff8ff;
	MMIO(uint32_t, LAPIC + 0xf0) = 0x1fe;
	/* An interrupt to this processor, which is pending because interrupts are off. */
	MMIO(uint32_t, LAPIC + 0x310) = 0;
	MMIO(uint32_t, LAPIC + 0x300) = 0x4005e;
}

static void look_ioapic(uint32_t *to)
{
	for (unsigned i = 0; i < 64; i++) {
		MMIO(uint32_t, 0xfec00000) = i;
		to[i] = MMIO(uint32_t, 0xfec00010);
	}
}

static void write_ioapic(uint64_t nonce)
{
	for (unsigned i = 0; i < 64; i++) {
		MMIO(uint32_t, 0xfec00000) = i;
		MMIO(uint32_t, 0xfec00010) = (uint32_t)nonce | 0x10000;
	}
}

/* Ports, the timer and PCI. What reading changes is put back. */
static void look_other(uint32_t *to)
{
	static const uint16_t ports[] = { 0x21,	 0xa1,	0x4d0, 0x4d1, 0x3f9, 0x3fb, 0x3fc, 0x3fd,
					  0x3ff, 0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x71 };
	unsigned n = 0;
	uint8_t lcr;

	to[n++] = inl(0xcf8);
	to[n++] = inb(0x61) & 3;
	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		to[n++] = inb(ports[i]);
	lcr = inb(0x3fb);
	outb(0x3fb, lcr | 0x80);
	to[n++] = inb(0x3f8);
	to[n++] = inb(0x3f9);
	outb(0x3fb, lcr);
	for (unsigned c = 0; c < 3; c++) {
		outb(0x43, (uint8_t)(0xe0 | 2u << c));
		to[n++] = inb((uint16_t)(0x40 + c)) & 0x3f;
	}
	for (unsigned slot = 0; slot < 3; slot++)
		for (unsigned reg = 0; reg < 64; reg += 4)
			to[n++] = pci_read(slot, reg);
	if (!con.common)
		return;
	/* Not the generation, which is a byte at 0x15. */
	for (unsigned off = 0; off < 0x38; off += 4)
		to[n++] = off == 0x14 ? MMIO(uint8_t, con.common + off) : MMIO(uint32_t, con.common + off);
	for (unsigned i = 0; i < 12; i++)
		to[n++] = MMIO(uint32_t, con.msix + i * 4);
}

static void write_other(uint64_t nonce)
{
	uint8_t b = (uint8_t)nonce;

	if (con.common) {
		for (unsigned i = 0; i < 12; i++)
			MMIO(uint32_t, con.msix + i * 4) = (uint32_t)nonce;
		MMIO(uint32_t, con.common) = (uint32_t)nonce;
		MMIO(uint32_t, con.common + 8) = 1;
		MMIO(uint16_t, con.common + 0x16) = 1;
		MMIO(uint32_t, con.common + 0x20) = (uint32_t)nonce & ~15u;
	}
	for (unsigned slot = 0; slot < 3; slot++)
		for (unsigned reg = 0; reg < 64; reg += 4)
			pci_write(slot, reg, (uint32_t)nonce & ~2u);
	outl(0xcf8, 0x80000000u | ((uint32_t)nonce & 0xfffffc));
	for (unsigned c = 0; c < 3; c++) {
		outb(0x43, (uint8_t)(c << 6 | 0x30 | (nonce % 5) << 1));
		outb((uint16_t)(0x40 + c), b | 1);
		outb((uint16_t)(0x40 + c), b);
	}
	outb(0x61, 3);
	outb(0x21, b);
	outb(0xa1, b);
	outb(0x4d0, b & 0xf8);
	outb(0x4d1, b & 0xde);
	outw(0x602, 0xffff);
	outb(0x70, 0x0d);
	outb(0x3fb, 0x83);
	outb(0x3f8, b);
	outb(0x3f9, b);
	outb(0x3fb, 0x1b);
	outb(0x3fc, 0x10); /* Loopback: the next byte is input. */
	outb(0x3f8, b);
	outb(0x3f9, 0x0f);
	outb(0x3ff, b);
}

static void look(struct places *p)
{
	memset(p, 0, sizeof(*p));
	look_msrs(p->msr);
	look_lapic(p->lapic);
	look_ioapic(p->ioapic);
	look_other(p->other);
	__asm__ volatile("mov %%cr2, %0; mov %%cr3, %1; mov %%cr8, %2" : "=r"(p->cr2), "=r"(p->cr3), "=r"(p->cr8));
	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
			 : "=r"(p->dr[0]), "=r"(p->dr[1]), "=r"(p->dr[2]), "=r"(p->dr[3]));
	__asm__ volatile("mov %%dr7, %0" : "=r"(p->dr7));
}

static void write_places(uint64_t nonce)
{
	write_msrs(nonce);
	write_lapic(nonce);
	write_ioapic(nonce);
	write_other(nonce);
	__asm__ volatile("mov %0, %%cr2; mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3" ::"r"(nonce));
	__asm__ volatile("mov %0, %%cr8" ::"r"(nonce & 15));
}

void expect_same(const char *what, const void *a, const void *b, unsigned size, unsigned n)
{
	const uint8_t *x = a, *y = b;

	for (unsigned i = 0; i < size * n; i++)
		if (x[i] != y[i]) {
			outb(0x3fb, 3); /* The serial port as say() needs it */
			outb(0x3fc, 0);
			say(what);
			say_num(" ", i / size);
			say_num("is ", y[i]);
			say_num("not ", x[i]);
			fail("a nonce is left");
		}
}

static void compare_places(void)
{
	expect_same("MSR", before.msr, now.msr, 8, MSRS);
	expect_same("local APIC", before.lapic, now.lapic, 4, LAPIC_REGS);
	expect_same("I/O APIC", before.ioapic, now.ioapic, 4, 64);
	expect_same("port", before.other, now.other, 4, PLACES);
	expect_same("register", &before.cr2, &now.cr2, 8, sizeof(before) / 8 - offsetof(struct places, cr2) / 8);
}

/* True if the test's memory has only zeros. One instruction, because ring 0 may be interpreted. */
static bool all_zero(void)
{
	uint64_t at = FREE_FROM, n = FREE_BYTES / 8;
	bool zero;

	__asm__ volatile("cld; repe scasq; sete %2" : "+D"(at), "+c"(n), "=q"(zero) : "a"(0ull) : "memory", "cc");
	return zero;
}

/* @look_at: also compare 32 MiB of memory each time, which takes long. */
void test_checkpoint(bool look_at)
{
	uint64_t nonce, tsc;

	__asm__ volatile("cli");
	if (vdev_find(&con, CONSOLE) && !vdev_begin(&con, 0))
		fail("console");
	outb(0x70, 0x0b); /* Not the time */
	look(&before);
	look(&before); /* What looking itself changes is as it will be. */
	cpu_look_first();
	if (ask('C', 0) != 0)
		fail("a register has a nonce");
	tsc = rdtsc();
	if (tsc > 1ull << 60)
		fail("the time stamp counter has a nonce");
	look(&now);
	compare_places();
	cpu_look_again();
	if (memory_nonce || MMIO(uint64_t, FREE_FROM) || (look_at && !all_zero()))
		fail("memory has a nonce");
	say("round\n");
	nonce = tsc * 0x9e3779b97f4a7c15ull | 1;
	memory_nonce = nonce;
	for (unsigned i = 0; i < 50; i++)
		MMIO(uint64_t, FREE_FROM + ((nonce >> (i % 40)) % (FREE_BYTES >> 12) << 12)) = nonce;
	MMIO(uint64_t, FREE_FROM) = nonce;
	write_places(nonce);
	(void)wrmsr(0x10, 1ull << 61);
	cpu_write(nonce);
	ask('R', nonce);
	fail("no reset");
}

/* A reset with @pages dirty pages. */
void test_dirty(unsigned pages)
{
	__asm__ volatile("cli");
	ask('C', 0);
	if (MMIO(uint64_t, FREE_FROM))
		fail("memory has a nonce");
	for (unsigned i = 0; i < pages; i++)
		MMIO(uint64_t, FREE_FROM + (i << 12)) = 1;
	ask('R', 1);
	fail("no reset");
}

/* ---- two processors ---- */

extern const uint8_t ap_begin[], ap_end[], ap_cr3[];
#define AP_START 0x8000u

/* A short time, another one each time. */
static void spend(uint64_t tsc)
{
	for (uint64_t n = tsc >> 8 & 255; n; n--)
		__asm__ volatile("pause");
}

#define MSR_SYSENTER 0x175

/* On the second processor: resets at the same time as the first one, or a little before or after it. */
static void second(void)
{
	for (unsigned i = 0;; i++) {
		MMIO(uint64_t, FREE_FROM + (1 + i % 100) * 4096) = 1;
		spend(rdtsc());
		outb(EXIT_PORT, 'R');
	}
}

static void start_second(void)
{
	uint64_t *data = (uint64_t *)(uintptr_t)(AP_START + (ap_cr3 - ap_begin));

	memcpy((void *)(uintptr_t)AP_START, ap_begin, (size_t)(ap_end - ap_begin));
	__asm__ volatile("mov %%cr3, %0" : "=r"(data[0]));
	data[1] = FREE_FROM - 64;
	data[2] = (uintptr_t)second;
	MMIO(uint32_t, LAPIC + 0x310) = 1u << 24;
	MMIO(uint32_t, LAPIC + 0x300) = 0x4500;
	MMIO(uint32_t, LAPIC + 0x310) = 1u << 24;
	MMIO(uint32_t, LAPIC + 0x300) = 0x4600 | AP_START >> 12;
}

/* Both processors ask for resets. At the checkpoint the second one still waits to be started, and a register is set. */
void test_reset_two(void)
{
	uint64_t value = 0;

	__asm__ volatile("cli");
	(void)wrmsr(MSR_SYSENTER, 0x1000);
	ask('C', 0);
	if (!rdmsr(MSR_SYSENTER, &value) || value != 0x1000)
		fail("a register was not taken back");
	(void)wrmsr(MSR_SYSENTER, 0x2000);
	for (unsigned i = 0; i < 101; i++)
		if (MMIO(uint64_t, FREE_FROM + i * 4096))
			fail("memory has a nonce");
	if (MMIO(uint64_t, AP_START))
		fail("the second processor was not taken back");
	start_second();
	MMIO(uint64_t, FREE_FROM) = 1;
	while (!MMIO(uint64_t, FREE_FROM + 4096))
		__asm__ volatile("pause");
	for (;;) {
		spend(rdtsc());
		ask('R', 1);
	}
}

/*
 * The rings of the console and the rng, which the vCPU process itself writes: what it wrote after the checkpoint is gone
 * after a reset, and the rings still work.
 */
static void use_ring(struct vqueue *ring, uint8_t *to, uint32_t bytes)
{
	uint32_t len;

	ring->desc[0] = (struct desc){ (uintptr_t)to, bytes, 2, 0 };
	vq_offer(ring, 0);
	vq_kick(ring);
	if (!vq_wait(ring, &len) || !len)
		fail("the ring does not work");
}

void test_checkpoint_rings(void)
{
	static struct vqueue ring, out;
	static uint8_t page[4096] __attribute__((aligned(4096)));
	static struct vdev rng;
	static const char line[] = "through the ring\n";
	uint16_t used, said;
	uint32_t len;

	if (!vdev_find(&con, CONSOLE) || !vdev_begin(&con, 0) || !vdev_find(&rng, RNG) || !vdev_begin(&rng, 0))
		fail("devices");
	vdev_queue(&con, &out, 1, 0);
	vdev_ready(&con);
	vdev_queue(&rng, &ring, 0, 0);
	vdev_ready(&rng);
	use_ring(&ring, page, 16);
	memset(page, 0, sizeof(page));
	used = ring.used.idx;
	said = out.used.idx;
	ask('C', 0);
	if (ring.used.idx != used || out.used.idx != said)
		fail("a used ring was not taken back");
	for (unsigned i = 0; i < sizeof(page); i++)
		if (page[i])
			fail("a buffer was not taken back");
	use_ring(&ring, page + 2048, 32);
	out.desc[0] = (struct desc){ (uintptr_t)line, sizeof(line) - 1, 0, 0 };
	vq_offer(&out, 0);
	vq_kick(&out);
	if (!vq_wait(&out, &len))
		fail("the console's ring does not work");
	ask('R', 1);
	fail("no reset");
}

/* The generation ID, and its interrupt, which waits because interrupts are off. */
void test_checkpoint_id(void)
{
	__asm__ volatile("cli");
	MMIO(uint32_t, LAPIC + 0xf0) = 0x1ff;
	MMIO(uint32_t, 0xfec00000) = 0x10 + 2 * 5;
	MMIO(uint32_t, 0xfec00010) = 0x65;
	ask('C', 0);
	say_num("id ", MMIO(uint64_t, 0xe2000) ^ MMIO(uint64_t, 0xe2008));
	outb(0x20, 0x0a);
	if (inb(0x20) & 0x20)
		fail("the old controller has the interrupt, too");
	say_num("interrupt ", MMIO(uint32_t, LAPIC + 0x200 + 0x65 / 32 * 16) >> 0x65 % 32 & 1);
	ask('R', 1);
	fail("no reset");
}

/* A reset without a checkpoint. */
void test_reset_first(void)
{
	ask('R', 1);
	fail("no end");
}

/* A checkpoint with 32 MiB of data in memory. */
void test_checkpoint_full(void)
{
	for (uint32_t at = 0; at < FREE_BYTES; at += 4096)
		MMIO(uint64_t, FREE_FROM + at) = at + 1;
	ask('C', 0);
	for (uint32_t at = 0; at < FREE_BYTES; at += 4096)
		if (MMIO(uint64_t, FREE_FROM + at) != at + 1)
			fail("a page has other data");
	say("all there\n");
	power_off();
}

/* Reboots after a checkpoint. */
void test_checkpoint_reboot(void)
{
	say("before\n");
	ask('C', 0);
	say("after\n");
	outb(0x64, 0xfe);
	for (;;)
		__asm__ volatile("hlt");
}

/* Waits for the host: lguest-sep checkpoint and reset. Interrupts are on, and the timer runs. */
void test_checkpoint_host(void)
{
	static volatile uint64_t counter;

	MMIO(uint32_t, LAPIC + 0x3e0) = 0xb;
	MMIO(uint32_t, LAPIC + 0x320) = 0x20040;
	MMIO(uint32_t, LAPIC + 0x380) = 10000000;
	for (;;) {
		say_num("tick ", counter++);
		__asm__ volatile("hlt");
	}
}
