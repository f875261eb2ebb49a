/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --checkpoint and address translation: a guest that changes its page tables after the checkpoint, uses the new
 * translations, asks for a reset, and reads through the old ones without a flush. The processor, or KVM's shadow page
 * tables, must not remember what was taken back. Reads in ring 3, because software KVM interprets ring 0 and walks
 * the page tables for it each time. Nothing survives a reset, so the guest does not count; the option --resets ends it.
 * Runs in ring 0 and ring 3 of a guest.
 */
#include "tests/guest/guest.h"

#define EXIT_PORT 0xf4
#define TABLES	  0x1000000u /* Memory that only these tests use */
#define PAGE	  4096u
#define LARGE	  0x200000u
#define OLD	  0x1200000u	  /* What the addresses lead to at the checkpoint */
#define NEW	  0x1600000u	  /* And afterwards */
#define BASE	  0x8000000000ull /* Second entry of the PML4 */
#define UNDEFINED 6		  /* The exception by which ring 3 returns */

#define PRESENT	 0x67ull /* Present, writable, for ring 3, accessed, dirty */
#define IS_LARGE 0x80ull
#define GLOBAL	 0x100ull
#define CR4_PGE	 0x80ull

/* The tables, in this order from TABLES on. */
enum { PDPT, PD, PT, PT_OLD, PT_NEW, CODE, STACK };

/* An address for each kind of entry that changes. */
enum { SMALL, SMALL_GLOBAL, BIG, BIG_GLOBAL, TABLE, KINDS };
static const uint64_t address[KINDS] = {
	BASE + 0x2000, BASE + 0x3000, BASE + LARGE, BASE + 2ull * LARGE, BASE + 3ull * LARGE,
};
static const char *const name[KINDS] = {
	"a page", "a global page", "a large page", "a large global page", "a page table",
};

struct descriptor_table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static uint32_t tss[26] __attribute__((aligned(128)));
static uint8_t tss_stack[4096] __attribute__((aligned(16)));
static uint64_t gdt[8];

/* start.S: read a word at @at in ring 3, with code at @code; the entry of the exception that ends that */
uint64_t user_read(uint64_t at, uint64_t code, uint64_t stack);
extern const uint8_t user_back[];

static uint64_t *table(unsigned n)
{
	return (uint64_t *)(uintptr_t)(TABLES + n * PAGE);
}

/* Segments of ring 3, its code, and the way back. */
static void make_ring_3(void)
{
	static const uint8_t code[] = { 0x48, 0x8b, 0x07, 0x0f, 0x0b }; /* mov (%rdi), %rax; ud2 */
	struct descriptor_table d;
	uint64_t top = (uintptr_t)tss_stack + sizeof(tss_stack), at = (uintptr_t)tss, entry = (uintptr_t)user_back;
	uint64_t *gate;

	memcpy(&tss[1], &top, sizeof(top));
	gdt[2] = 0x00af9b000000ffffull;
	gdt[3] = 0x00cf93000000ffffull;
	gdt[4] = (sizeof(tss) - 1) | (at & 0xffffff) << 16 | 0x89ull << 40 | (at >> 24 & 0xff) << 56;
	gdt[6] = 0x00cff3000000ffffull;
	gdt[7] = 0x00affb000000ffffull;
	d = (struct descriptor_table){ sizeof(gdt) - 1, (uintptr_t)gdt };
	__asm__ volatile("lgdt %0; ltr %w1" ::"m"(d), "r"(0x20));
	__asm__ volatile("sidt %0" : "=m"(d));
	gate = (uint64_t *)(uintptr_t)(d.base + UNDEFINED * 16);
	gate[0] = (entry & 0xffff) | 0x10ull << 16 | 0x8eull << 40 | (entry >> 16 & 0xffff) << 48;
	gate[1] = entry >> 32;
	memcpy(table(CODE), code, sizeof(code));
}

/* Let all addresses lead to memory from @to on. */
static void map(uint64_t to)
{
	uint64_t *pd = table(PD), *pt = table(PT);

	pt[2] = to | PRESENT;
	pt[3] = to | PRESENT | GLOBAL;
	pd[1] = to | PRESENT | IS_LARGE;
	pd[2] = to | PRESENT | IS_LARGE | GLOBAL;
	pd[3] = (uintptr_t)table(to == OLD ? PT_OLD : PT_NEW) | PRESENT;
}

/* Forget all translations: global ones, and others with their tables. */
static void flush(void)
{
	uint64_t cr4, cr3;

	__asm__ volatile("mov %%cr4, %0; mov %%cr3, %1" : "=r"(cr4), "=r"(cr3));
	__asm__ volatile("mov %0, %%cr4; mov %1, %%cr4; mov %2, %%cr3" ::"r"(cr4 & ~CR4_PGE), "r"(cr4 | CR4_PGE),
			 "r"(cr3)
			 : "memory");
}

static void expect(uint64_t to, const char *why)
{
	for (unsigned i = 0; i < KINDS; i++)
		if (user_read(address[i], BASE, BASE + 2 * PAGE) != to) {
			say(name[i]);
			say("\n");
			fail(why);
		}
}

void test_checkpoint_paging(void)
{
	uint64_t *pml4;

	__asm__ volatile("cli; mov %%cr3, %0" : "=r"(pml4));
	memset(table(0), 0, 7 * PAGE);
	make_ring_3();
	pml4[1] = (uintptr_t)table(PDPT) | PRESENT;
	table(PDPT)[0] = (uintptr_t)table(PD) | PRESENT;
	table(PD)[0] = (uintptr_t)table(PT) | PRESENT;
	table(PT)[0] = (uintptr_t)table(CODE) | PRESENT;
	table(PT)[1] = (uintptr_t)table(STACK) | PRESENT;
	table(PT_OLD)[0] = OLD | PRESENT;
	table(PT_NEW)[0] = NEW | PRESENT;
	MMIO(uint64_t, OLD) = OLD;
	MMIO(uint64_t, NEW) = NEW;
	map(OLD);
	flush();
	expect(OLD, "translations do not work");
	outb(EXIT_PORT, 'C');
	expect(OLD, "a translation is left");
	say("round\n");
	map(NEW);
	flush();
	expect(NEW, "new translations do not work");
	outb(EXIT_PORT, 'R');
	fail("no reset");
}
