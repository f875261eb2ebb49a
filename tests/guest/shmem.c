/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --shmem: the device is there, its memory is the file of the host's, and no write to its registers moves it, or
 * anything over other memory. Runs in ring 0 of a guest.
 */
#include "tests/guest/guest.h"

#define IVSHMEM	  0x11101af4u
#define HOME	  0xe0000000u
#define EXIT_PORT 0xf4
#define FREE_FROM 0x1000000u /* Memory that only these tests use */

/* Find the device, and the size of its memory by the registers, as a driver does. */
static unsigned find(uint64_t *bytes)
{
	unsigned slot = pci_find(IVSHMEM);
	uint32_t lo, hi;

	if (!slot)
		fail("no device");
	if (pci_read(slot, 8) != 0x05000001 || pci_read(slot, 0x2c) != 0x11001af4)
		fail("class, revision or subsystem");
	if (pci_read(slot, 0x18) != (HOME | 0xc) || pci_read(slot, 0x1c))
		fail("the place of the memory");
	pci_write(slot, 0x18, ~0u);
	pci_write(slot, 0x1c, ~0u);
	lo = pci_read(slot, 0x18);
	hi = pci_read(slot, 0x1c);
	*bytes = ~((uint64_t)hi << 32 | (lo & ~15u)) + 1;
	pci_write(slot, 0x18, HOME);
	pci_write(slot, 0x1c, 0);
	return slot;
}

/* BAR2 names the memory's place, or, because the last address looks like that, has the pattern that shows the size. */
static bool settled(unsigned slot, uint64_t bytes)
{
	uint32_t lo = pci_read(slot, 0x18), hi = pci_read(slot, 0x1c);

	return (lo == (HOME | 0xc) || lo == ((~(uint32_t)(bytes - 1)) | 0xc)) && !hi;
}

/* A word at each of these places is what it was, and the memory is where it was. */
static void move_everywhere(unsigned slot, uint64_t bytes)
{
	static const uint32_t places[] = { 0,	       0x1000,	   FREE_FROM,  0xa0000,	   0xc0000000, 0xd0000000,
					   0xdffff000, 0xf0000000, 0xfec00000, 0xfee00000, 0xfffff000, 0x80000000 };
	volatile uint64_t *last = (volatile uint64_t *)(uintptr_t)(HOME + bytes - 8);
	uint32_t lapic = MMIO(uint32_t, LAPIC + 0x30);

	*last = 0x5a5a;
	MMIO(uint64_t, FREE_FROM) = 0x1234567890ull;
	for (unsigned high = 0; high < 3; high++)
		for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			pci_write(slot, 4, 0);
			pci_write(slot, 0x18, places[i]);
			pci_write(slot, 0x1c, high);
			pci_write(slot, 4, 2);
			if (!settled(slot, bytes))
				fail("the register takes another address");
			if (*last != 0x5a5a || MMIO(uint64_t, FREE_FROM) != 0x1234567890ull ||
			    MMIO(uint32_t, LAPIC + 0x30) != lapic)
				fail("the memory has moved");
		}
	/* A byte at a time, so that parts of an address come together. */
	for (unsigned reg = 0x18; reg < 0x20; reg++) {
		outl(0xcf8, 0x80000000u | slot << 11 | (reg & ~3u));
		outb((uint16_t)(0xcfc + (reg & 3)), 0x80);
	}
	if (!settled(slot, bytes))
		fail("the register takes a part of an address");
}

void test_shmem(void)
{
	uint64_t bytes, *page = (uint64_t *)(uintptr_t)HOME;
	unsigned slot = find(&bytes);
	uintptr_t regs = pci_read(slot, 0x10) & ~15u;

	say_num("bytes ", bytes);
	for (unsigned off = 0; off < 256; off += 4) {
		MMIO(uint32_t, regs + off) = ~0u;
		if (MMIO(uint32_t, regs + off))
			fail("a register of BAR0 is not 0");
	}
	say_num("host ", page[0]);
	page[1] = page[0] + 1;
	/* Nothing is behind the end, or before the beginning. */
	MMIO(uint64_t, HOME + bytes) = 1;
	if (~MMIO(uint64_t, HOME + bytes) || ~MMIO(uint64_t, HOME - 8))
		fail("there is something outside");
	move_everywhere(slot, bytes);
}

/* ro: what the guest writes has no effect. */
void test_shmem_ro(void)
{
	volatile uint64_t *page = (volatile uint64_t *)(uintptr_t)HOME;
	uint64_t bytes, host, last;

	find(&bytes);
	host = page[0];
	last = page[bytes / 8 - 1];
	say_num("host ", host);
	page[0] = host + 1;
	page[bytes / 8 - 1] = last + 1;
	if (page[0] != host || page[bytes / 8 - 1] != last)
		fail("it can be written");
}

/* Counts rounds in the file, which stay; registers and memory go back. */
void test_shmem_reset(void)
{
	volatile uint64_t *page = (volatile uint64_t *)(uintptr_t)HOME;
	uint64_t bytes;
	unsigned slot = find(&bytes);

	__asm__ volatile("cli");
	outb(EXIT_PORT, 'C');
	if (MMIO(uint64_t, FREE_FROM) || pci_read(slot, 0x0c) || pci_read(slot, 0x18) != (HOME | 0xc) ||
	    pci_read(slot, 0x3c) || (pci_read(slot, 4) & 7) != 2)
		fail("a nonce is left");
	page[0]++;
	page[bytes / 8 - 1] = page[0];
	MMIO(uint64_t, FREE_FROM) = 1;
	pci_write(slot, 0x0c, 0x5510);
	pci_write(slot, 0x3c, 0x77);
	pci_write(slot, 0x18, ~0u);
	pci_write(slot, 4, 5);
	outb(EXIT_PORT, 'R');
	fail("no reset");
}

/* The host shortens the file meanwhile. */
void test_shmem_cut(void)
{
	uint64_t bytes;

	find(&bytes);
	MMIO(uint64_t, HOME + bytes - 8) = 1;
	say("in use\n");
	for (;;) {
		volatile uint64_t *page = (volatile uint64_t *)(uintptr_t)(HOME + bytes - 8);

		(*page)++;
		__asm__ volatile("pause");
	}
}

/* The guest of the fuzzer in docs/cookbook.md: takes inputs from the page. */
void test_shmem_fuzz(void)
{
	struct page {
		volatile uint32_t asked, done;
		volatile int32_t result;
		volatile uint32_t len;
		volatile uint8_t input[64];
	} *p = (struct page *)(uintptr_t)HOME;
	uint64_t bytes;
	uint32_t len;

	find(&bytes);
	__asm__ volatile("cli");
	outb(EXIT_PORT, 'C');
	while (p->asked == p->done)
		__asm__ volatile("pause");
	len = p->len;
	if (MMIO(uint64_t, FREE_FROM))
		fail("memory has a nonce");
	if (!len)
		outb(EXIT_PORT, 0);
	MMIO(uint64_t, FREE_FROM) = 1;
	p->result = p->input[len - 1] & 1;
	p->done = p->asked;
	outb(EXIT_PORT, 'R');
	fail("no reset");
}
