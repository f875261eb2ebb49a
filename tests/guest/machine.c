/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Serial output, interrupts, MSRs, and the choice of the test. Runs in ring 0 of a guest. */
#include "tests/guest/guest.h"

struct gate {
	uint16_t lo, sel, flags, mid;
	uint32_t hi, zero;
} __attribute__((packed));

extern const uint8_t entries[];
volatile uint32_t irqs[96];
static struct gate idt[96];
static volatile uintptr_t fixup;
static volatile bool faulted;

void say(const char *s)
{
	for (; *s; s++)
		outb(0x3f8, (uint8_t)*s);
}

void say_num(const char *s, uint64_t v)
{
	char buf[24];
	unsigned i = sizeof(buf);

	buf[--i] = '\0';
	buf[--i] = '\n';
	do
		buf[--i] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	say(s);
	say(buf + i);
}

void power_off(void)
{
	outw(0x604, 5 << 10 | 1 << 13);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void fail(const char *why)
{
	say("FAILED: ");
	say(why);
	say("\n");
	power_off();
}

void trap(uint64_t vector, uint64_t *frame);
void trap(uint64_t vector, uint64_t *frame)
{
	if (vector >= 32) {
		irqs[vector]++;
		MMIO(uint32_t, LAPIC + 0xb0) = 0;
		return;
	}
	if (vector == 2) { /* NMI */
		irqs[vector]++;
		return;
	}
	if (fixup) {
		frame[0] = fixup;
		fixup = 0;
		faulted = true;
		return;
	}
	say_num("exception ", vector);
	say_num("at ", frame[0]);
	fail("exception");
}

void interrupts_init(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uintptr_t)idt };

	for (unsigned i = 0; i < 96; i++) {
		uintptr_t at = (uintptr_t)entries + 16 * i;

		idt[i] = (struct gate){ (uint16_t)at, 0x10, 0x8e00, (uint16_t)(at >> 16), (uint32_t)(at >> 32), 0 };
	}
	__asm__ volatile("lidt %0" ::"m"(idtr));
	outb(0x21, 0xff); /* the old controllers are silent */
	outb(0xa1, 0xff);
	MMIO(uint32_t, LAPIC + 0xf0) = 0x1ff;
	MMIO(uint32_t, LAPIC + 0x80) = 0;
	__asm__ volatile("sti");
}

bool wait_irq(unsigned vector, uint32_t n)
{
	for (unsigned i = 0; i < 20000000; i++) {
		if (irqs[vector] >= n)
			return true;
		__asm__ volatile("pause" ::: "memory");
	}
	return false;
}

bool rdmsr(uint32_t msr, uint64_t *v)
{
	uint32_t lo = 0, hi = 0;

	faulted = false;
	__asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %2; rdmsr; 1:"
			 : "=&a"(lo), "=&d"(hi), "=m"(fixup)
			 : "c"(msr)
			 : "memory");
	fixup = 0;
	*v = (uint64_t)hi << 32 | lo;
	return !faulted;
}

bool wrmsr(uint32_t msr, uint64_t v)
{
	faulted = false;
	__asm__ volatile("lea 1f(%%rip), %%rbx; mov %%rbx, %0; wrmsr; 1:"
			 : "=m"(fixup)
			 : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "rbx", "memory");
	fixup = 0;
	return !faulted;
}

void ioapic_route(unsigned pin, unsigned vector, bool level)
{
	MMIO(uint32_t, 0xfec00000) = 0x11 + 2 * pin;
	MMIO(uint32_t, 0xfec00010) = 0;
	MMIO(uint32_t, 0xfec00000) = 0x10 + 2 * pin;
	MMIO(uint32_t, 0xfec00010) = vector | (level ? 1u << 15 : 0);
}

/* Copies the word behind "t=" on the command line to @name. */
static void test_name(const uint8_t *params, char name[16])
{
	const char *c = (const char *)(uintptr_t) * (const uint32_t *)(params + 0x228);
	bool begins = true;
	unsigned n = 0;

	for (; *c && !(begins && c[0] == 't' && c[1] == '='); c++)
		begins = *c == ' ';
	if (*c)
		for (c += 2; *c && *c != ' ' && n < 15; c++)
			name[n++] = *c;
	name[n] = '\0';
}

static bool is(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static void triple_fault(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("lidt %0; ud2" ::"m"(none));
}

void guest_main(const uint8_t *params);
void guest_main(const uint8_t *params)
{
	char name_buf[16], *name = name_buf;

	interrupts_init();
	test_name(params, name);
	/* "cp-" and the name of an end: a checkpoint before it */
	if (is(name, "cp-off") || is(name, "cp-reset") || is(name, "cp-panic") || is(name, "cp-triple") ||
	    is(name, "cp-spin") || is(name, "cp-exit")) {
		outb(0xf4, 'C');
		say("round\n");
		name += 3;
	}
	if (is(name, "block"))
		test_block(false);
	else if (is(name, "line"))
		test_block(true);
	else if (is(name, "load"))
		test_load();
	else if (is(name, "again"))
		test_again();
	else if (is(name, "rings"))
		test_rings();
	else if (is(name, "sweep"))
		test_sweep();
	else if (is(name, "console"))
		test_console();
	else if (is(name, "prompt"))
		test_prompt();
	else if (is(name, "serial-in"))
		test_serial_in();
	else if (is(name, "ring-late"))
		test_ring_late();
	else if (is(name, "ring-in"))
		test_ring_in();
	else if (is(name, "flood"))
		test_flood();
	else if (is(name, "ports"))
		test_ports();
	else if (is(name, "msrs"))
		test_msrs();
	else if (is(name, "bars"))
		test_bars();
	else if (is(name, "high"))
		test_high();
	else if (is(name, "window"))
		test_window();
	else if (is(name, "size"))
		test_size();
	else if (is(name, "rng"))
		test_rng();
	else if (is(name, "typed"))
		test_typed();
	else if (is(name, "steer"))
		test_steer();
	else if (is(name, "run"))
		test_run();
	else if (is(name, "rounds"))
		test_rounds(ROUNDS_GOOD);
	else if (is(name, "rounds-7"))
		test_rounds(ROUNDS_SEVEN);
	else if (is(name, "rounds-half"))
		test_rounds(ROUNDS_HALF);
	else if (is(name, "rounds-earlier"))
		test_rounds(ROUNDS_EARLIER);
	else if (is(name, "rounds-deaf"))
		test_rounds(ROUNDS_DEAF);
	else if (is(name, "rounds-spin"))
		test_rounds(ROUNDS_SPIN);
	else if (is(name, "rounds-reset"))
		test_rounds(ROUNDS_RESET);
	else if (is(name, "share"))
		test_share(SHARE_READ);
	else if (is(name, "share-killed"))
		test_share(SHARE_KILLED);
	else if (is(name, "share-write"))
		test_share(SHARE_WRITE);
	else if (is(name, "checkpoint"))
		test_checkpoint(false);
	else if (is(name, "checkpoint-all"))
		test_checkpoint(true);
	else if (is(name, "cp-rings"))
		test_checkpoint_rings();
	else if (is(name, "cp-id"))
		test_checkpoint_id();
	else if (is(name, "cp-host"))
		test_checkpoint_host();
	else if (is(name, "cp-timer"))
		test_checkpoint_timer();
	else if (is(name, "cp-disk"))
		test_checkpoint_disk(false, false);
	else if (is(name, "cp-disk-killed"))
		test_checkpoint_disk(false, true);
	else if (is(name, "cp-disk-ro"))
		test_checkpoint_disk(true, false);
	else if (is(name, "migrate"))
		test_migrate();
	else if (is(name, "dirty-disk"))
		test_dirty_disk(50, false);
	else if (is(name, "dirty-both"))
		test_dirty_disk(50, true);
	else if (is(name, "cp-net"))
		test_checkpoint_net(false, false);
	else if (is(name, "cp-net-pairs"))
		test_checkpoint_net(true, false);
	else if (is(name, "cp-net-user"))
		test_checkpoint_net(false, true);
	else if (is(name, "cp-port"))
		test_checkpoint_port();
	else if (is(name, "cp-paging"))
		test_checkpoint_paging();
	else if (is(name, "shmem"))
		test_shmem();
	else if (is(name, "shmem-ro"))
		test_shmem_ro();
	else if (is(name, "shmem-reset"))
		test_shmem_reset();
	else if (is(name, "shmem-cut"))
		test_shmem_cut();
	else if (is(name, "shmem-fuzz"))
		test_shmem_fuzz();
	else if (is(name, "cp-share"))
		test_checkpoint_share();
	else if (is(name, "cp-share-reader"))
		test_checkpoint_reader();
	else if (is(name, "dirty-0"))
		test_dirty(0);
	else if (is(name, "dirty-50"))
		test_dirty(50);
	else if (is(name, "dirty-500"))
		test_dirty(500);
	else if (is(name, "dirty-5000"))
		test_dirty(5000);
	else if (is(name, "dirty-all"))
		test_dirty(8192);
	else if (is(name, "cp-full"))
		test_checkpoint_full();
	else if (is(name, "cp-reboot"))
		test_checkpoint_reboot();
	else if (is(name, "reset-two"))
		test_reset_two();
	else if (is(name, "reset-first"))
		test_reset_first();
	else if (is(name, "triple"))
		triple_fault();
	else if (is(name, "spin"))
		for (;;)
			__asm__ volatile("cli");
	else if (is(name, "panic"))
		outb(0x505, 1);
	else if (is(name, "exit"))
		outb(0xf4, 3);
	else if (is(name, "off"))
		power_off();
	else if (is(name, "reset"))
		outb(0x64, 0xfe);
	else
		fail("no such test");
	say("passed\n");
	power_off();
}

/* The compiler may generate calls of these. */
void *memset(void *p, int c, size_t n)
{
	void *to = p;

	/* one instruction, where ring 0 is interpreted */
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return p;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n)::"memory");
	return to;
}
