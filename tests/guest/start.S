/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry of the freestanding guest: long mode, paging as the loader left it,
 * rsi = boot_params. And the interrupt entries, which all end in trap().
 */
	.code64
	.globl	_start
_start:
	cli
	lea	stack_top(%rip), %rsp
	mov	%rsi, %rdi
	xor	%ebp, %ebp
	call	guest_main
1:	hlt
	jmp	1b

	.altmacro
	.macro	entry n
	.if	(\n == 8) || (\n >= 10 && \n <= 14) || (\n == 17) || (\n == 21)
	.else
	push	$0
	.endif
	push	$\n
	jmp	common
	.balign	16
	.endm

	.balign	16
	.globl	entries
entries:
	.set	i, 0
	.rept	96
	entry	%i
	.set	i, i + 1
	.endr

common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	mov	72(%rsp), %rdi		/* vector */
	lea	88(%rsp), %rsi		/* rip, cs, rflags, rsp, ss */
	cld
	call	trap
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

	.bss
	.balign	16
	.skip	32768
stack_top:
