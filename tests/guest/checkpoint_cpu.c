/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of the processor that a guest can write to, for checkpoint.c: floating point and vectors, control and debug
 * registers, tables. Runs in ring 0 of a guest, with interrupts off.
 */
#include "tests/guest/guest.h"

#define EXIT_PORT  0xf4
#define CR0_MP	   0x2u
#define CR0_NE	   0x20u
#define CR4_TSD	   0x4u
#define CR4_DE	   0x8u
#define CR4_OSFXSR 0x200u
#define MXCSR_FZ   0x9f80u /* Flush to zero, no exceptions */

/* Offsets in the area of FXSAVE */
#define FX_CONTROL 0
#define FX_TAGS	   4
#define FX_MXCSR   24
#define FX_STACK   32  /* Eight registers of 10 bytes, 16 apart */
#define FX_VECTORS 160 /* Sixteen of 16 bytes */
#define FX_END	   416

/* A register of SGDT and SIDT: limit and base */
struct table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct cpu_places {
	uint8_t fpu[512] __attribute__((aligned(16)));
	uint64_t cr0, cr4, dr6;
	struct table gdt, idt;
};
static struct cpu_places before, now;

static void look(struct cpu_places *p)
{
	memset(p, 0, sizeof(*p));
	__asm__ volatile("fxsave %0" : "=m"(p->fpu));
	__asm__ volatile("mov %%cr0, %0; mov %%cr4, %1; mov %%dr6, %2" : "=r"(p->cr0), "=r"(p->cr4), "=r"(p->dr6));
	__asm__ volatile("sgdt %0; sidt %1" : "=m"(p->gdt), "=m"(p->idt));
}

void cpu_look_first(void)
{
	uint64_t cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | CR4_OSFXSR));
	look(&before);
}

void cpu_look_again(void)
{
	look(&now);
	expect_same("floating point", before.fpu, now.fpu, 1, FX_END);
	expect_same("CR0, CR4, DR6", &before.cr0, &now.cr0, 8, 3);
	expect_same("GDT and IDT", &before.gdt, &now.gdt, sizeof(now.gdt), 2);
}

void cpu_write(uint64_t nonce)
{
	struct table table = { (uint16_t)nonce, nonce >> 17 };
	struct cpu_places p;

	look(&p);
	p.fpu[FX_TAGS] = 0xff;
	MMIO(uint16_t, p.fpu + FX_CONTROL) = 0x27f;
	MMIO(uint32_t, p.fpu + FX_MXCSR) = MXCSR_FZ;
	for (unsigned i = 0; i < 8; i++)
		MMIO(uint64_t, p.fpu + FX_STACK + 16 * i) = nonce;
	for (unsigned at = FX_VECTORS; at < FX_END; at += 8)
		MMIO(uint64_t, p.fpu + at) = nonce + at;
	__asm__ volatile("fxrstor %0" ::"m"(p.fpu));
	__asm__ volatile("mov %0, %%cr0; mov %1, %%cr4; mov %2, %%dr6" ::"r"(p.cr0 ^ CR0_MP ^ CR0_NE),
			 "r"(p.cr4 ^ CR4_TSD ^ CR4_DE), "r"(p.dr6 ^ (nonce & 15)));
	/* Interrupts are off, and no segment is loaded before the reset. */
	__asm__ volatile("lgdt %0; lidt %0" ::"m"(table));
}

/* The timer of the local APIC runs at the checkpoint, and waits for a deadline at each reset. */
void test_checkpoint_timer(void)
{
	const uint32_t count = 2000000000;

	__asm__ volatile("cli");
	MMIO(uint32_t, LAPIC + 0xf0) = 0x1ff;
	MMIO(uint32_t, LAPIC + 0x3e0) = 0xb;
	MMIO(uint32_t, LAPIC + 0x320) = 0x30040;
	MMIO(uint32_t, LAPIC + 0x380) = count;
	outb(EXIT_PORT, 'C');
	if (MMIO(uint32_t, LAPIC + 0x380) != count || !MMIO(uint32_t, LAPIC + 0x390))
		fail("the timer does not run");
	say("the timer runs\n");
	MMIO(uint32_t, LAPIC + 0x320) = 0x50040;
	outb(EXIT_PORT, 'R');
	fail("no reset");
}
