/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Header and entry of the Multiboot test kernels. VERSION is 1 or 2. With FLAT, the header of
 * version 1 has addresses, and the kernel is a plain binary.
 */
	.section .multiboot, "a"
	.balign	8
header:
#if VERSION == 1
#ifdef FLAT
#define FLAGS 0x10003
#else
#define FLAGS 3			/* Modules at page boundaries, memory information */
#endif
	.long	0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
#ifdef FLAT
	.long	header, load_start, load_end, bss_end, _start
#endif
#else
	.long	0xe85250d6, 0, header_end - header
	.long	-(0xe85250d6 + (header_end - header))
	.balign	8
	.short	1, 0			/* Information that it requires */
	.long	28
	.long	1, 3, 4, 6, 9
	.balign	8
	.short	5, 1			/* A framebuffer, optional */
	.long	20
	.long	640, 480, 32
	.balign	8
	.short	0, 0
	.long	8
header_end:
#endif

	.text
	.code32
	.globl	_start
_start:
	movl	$stack_top, %esp
	pushfl
	popl	%ecx			/* The flags at the entry */
	cld
	movl	%cr0, %edx
	pushl	%edx
	pushl	%ecx
	pushl	%ebx
	pushl	%eax
	call	kernel_main
1:	hlt
	jmp	1b

	.bss
	.balign	16
	.skip	8192
stack_top:
