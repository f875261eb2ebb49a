/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel without user space for the machines aarch64, arm, riscv64 and riscv32. It prints a
 * line to the serial port and obeys the letter after "do=" on its command line:
 *   o  power off                   r  reset
 *   h  hang                        l  print without end
 *   d  look for a disk on the first virtio-mmio bus, then power off
 *   e  print one byte of input, then power off
 *   f  (riscv) write the failure code, two hexadecimal digits after the f, to the test device
 * The command line is in the device tree: that of a bare ELF kernel is at the start of RAM on
 * an arm machine, and where register a1 points to on a riscv machine.
 */
#include <stdint.h>

#define MMIO32(a) (*(volatile uint32_t *)(uintptr_t)(a))
#define MMIO8(a)  (*(volatile uint8_t *)(uintptr_t)(a))

#define TREE_MAX 0x100000 /* Most bytes of the device tree to search */

#ifdef __riscv
#define UART	  0x10000000u
#define TEST	  0x100000u
#define MMIO_DISK 0x10001000u
/* Every CPU of a machine without firmware begins here; only the first one goes on. */
#ifdef BARE
#define PARK "	bnez a0, 1f\n"
#else
#define PARK ""
#endif
__asm__(".section .text.start,\"ax\"\n"
	".globl _start\n"
	"_start:\n" PARK "	la sp, stack_top\n"
	"	mv a0, a1\n"
	"	call run\n"
	"1:	wfi\n"
	"	j 1b\n"
	".text\n");

static void put(char c)
{
	while (!(MMIO8(UART + 5) & 0x20))
		;
	MMIO8(UART) = (uint8_t)c;
}

static char get(void)
{
	while (!(MMIO8(UART + 5) & 1))
		;
	return (char)MMIO8(UART);
}

static void power_off(void)
{
	MMIO32(TEST) = 0x5555;
}

static void reset(void)
{
	MMIO32(TEST) = 0x7777;
}

static void fail(unsigned code)
{
	MMIO32(TEST) = 0x3333 | code << 16;
}
#else
#define UART	  0x09000000u
#define MMIO_DISK 0x0a000000u
#ifdef __aarch64__
__asm__(".section .text.start,\"ax\"\n"
	".globl _start\n"
	"_start:	ldr x1, =stack_top\n"
	"	mov sp, x1\n"
	"	ldr x0, =0x40000000\n"
	"	bl run\n"
	"1:	wfi\n"
	"	b 1b\n"
	".text\n");
#define CALL "mov x0, %0\nhvc #0"
#else
__asm__(".section .text.start,\"ax\"\n"
	".arm\n"
	".globl _start\n"
	"_start:	ldr sp, =stack_top\n"
	"	ldr r0, =0x40000000\n"
	"	bl run\n"
	"1:	wfi\n"
	"	b 1b\n"
	".text\n");
#define CALL ".arch_extension virt\nmov r0, %0\nhvc #0"
#endif

static void put(char c)
{
	while (MMIO32(UART + 0x18) & 0x20)
		;
	MMIO32(UART) = (uint8_t)c;
}

static char get(void)
{
	while (MMIO32(UART + 0x18) & 0x10)
		;
	return (char)MMIO32(UART);
}

/* Power State Coordination Interface, SYSTEM_OFF and SYSTEM_RESET */
static void psci(unsigned long call)
{
#ifdef __aarch64__
	__asm__ volatile(CALL ::"r"(call) : "x0", "x1", "x2", "x3", "memory");
#else
	__asm__ volatile(CALL ::"r"(call) : "r0", "r1", "r2", "r3", "memory");
#endif
}

static void power_off(void)
{
	psci(0x84000008);
}

static void reset(void)
{
	psci(0x84000009);
}

static void fail(unsigned code)
{
	(void)code;
}
#endif

static void say(const char *s)
{
	while (*s)
		put(*s++);
}

static unsigned digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* Returns what follows "do=" in the device tree at @tree, or "". */
static const char *task(const char *tree)
{
	for (const char *p = tree; p < tree + TREE_MAX; p++)
		if (p[0] == 'd' && p[1] == 'o' && p[2] == '=')
			return p + 3;
	return "";
}

/* Virtio 1.2, 4.2.2: magic value, version and device ID */
static void look_for_disk(void)
{
	if (MMIO32(MMIO_DISK) == 0x74726976 && MMIO32(MMIO_DISK + 4) == 2 && MMIO32(MMIO_DISK + 8) == 2)
		say("a disk is on the first bus\n");
	else
		say("no disk\n");
}

void run(const char *tree);
void run(const char *tree)
{
	const char *what = task(tree);

	say("this kernel runs\n");
	if (*what == 'd')
		look_for_disk();
	if (*what == 'e') {
		char c = get();

		say("read ");
		put(c);
		put('\n');
	}
	if (*what == 'r')
		reset();
	if (*what == 'f')
		fail(digit(what[1]) << 4 | digit(what[2]));
	while (*what == 'l')
		say("again\n");
	if (*what != 'h')
		power_off();
}
