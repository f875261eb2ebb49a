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

/* user_read(address, code, stack): to ring 3, at code, with address in rdi. user_back: from there; the word is in rax. */
	.globl	user_read, user_back
user_read:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, kernel_rsp(%rip)
	push	$0x33
	push	%rdx
	push	$2
	push	$0x3b
	push	%rsi
	iretq
user_back:
	mov	kernel_rsp(%rip), %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.bss
	.balign	16
	.skip	32768
stack_top:
	.balign	8
kernel_rsp:
	.skip	8

/*
 * Where another processor begins after a SIPI: real mode. The guest copies this to 0x8000
 * (AP_START) and puts cr3, the stack and the function to call behind it.
 */
	.text
	.code16
	.globl	ap_begin, ap_end
	.set	AP_START, 0x8000
ap_begin:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	AP_START + ap_gdtr - ap_begin
	mov	$0x20, %eax		/* PAE */
	mov	%eax, %cr4
	mov	AP_START + ap_cr3 - ap_begin, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	/* EFER: long mode */
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	$0x80000001, %eax
	mov	%eax, %cr0
	ljmpl	$0x10, $AP_START + ap_long - ap_begin
	.code64
ap_long:
	mov	$0x18, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	AP_START + ap_stack - ap_begin, %rsp
	call	*AP_START + ap_call - ap_begin
1:	hlt
	jmp	1b
	.balign	8
ap_gdt:
	.quad	0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
ap_gdtr:
	.word	31
	.long	AP_START + ap_gdt - ap_begin
	.balign	8
	.globl	ap_cr3
ap_cr3:	.quad	0
ap_stack: .quad	0
ap_call: .quad	0
ap_end:
