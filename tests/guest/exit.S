/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel without user space that reports a number through I/O port 0xf4 (PVH entry). It
 * prints a line to the serial port; then "exit=WXX" on its command line writes the
 * hexadecimal number XX with width W (b, w or l). A letter after the number chooses what
 * follows: none: it halts; "f": it writes the following numbers without end; "r": it resets;
 * "p": it panics (pvpanic); "q": it panics before it writes the number; "t": a triple fault
 * before; "o": it prints without end and never writes the number; "m": it writes to each page from 4
 * to 16 MiB, without end, and never writes the number; "h": it writes to port 0x501 instead.
 *
 * Without such a command line the text at "preset" counts; it can be changed in the file.
 */
	.code32
	.globl	_start
_start:
	cld
	cli
	movl	$0x80000, %esp
	cmpl	$0x336ec578, (%ebx)	/* start_info: magic */
	jne	halt
	movl	24(%ebx), %esi		/* cmdline_paddr */
find:	cmpb	$0, (%esi)
	je	none
	cmpl	$0x74697865, (%esi)	/* "exit" */
	je	found
	incl	%esi
	jmp	find
none:	movl	$preset, %esi
	cmpl	$0x74697865, (%esi)
	jne	halt
found:	movb	5(%esi), %cl		/* width */
	movzbl	6(%esi), %eax
	call	digit
	movl	%eax, %ebx
	shll	$4, %ebx
	movzbl	7(%esi), %eax
	call	digit
	orl	%eax, %ebx
	movb	8(%esi), %ch		/* what follows */
	movl	$text, %esi
	call	say
	cmpb	$'o', %ch
	je	forever
	cmpb	$'m', %ch
	je	touch
	cmpb	$'t', %ch
	je	triple
	cmpb	$'q', %ch
	jne	1f
	call	panic
1:	call	report
	cmpb	$'f', %ch
	jne	2f
	incl	%ebx
	jmp	1b
2:	cmpb	$'r', %ch
	jne	3f
	movb	$0xfe, %al
	outb	%al, $0x64
	movb	$6, %al			/* QEMU's machine has this one */
	movw	$0xcf9, %dx
	outb	%al, %dx
3:	cmpb	$'p', %ch
	jne	halt
	call	panic
halt:	hlt
	jmp	halt

forever:
	movl	$text, %esi
	call	say
	jmp	forever

touch:	movl	$0x400000, %edi
9:	incl	(%edi)
	addl	$0x1000, %edi
	cmpl	$0x1000000, %edi
	jb	9b
	jmp	touch

triple:	lidt	empty			/* no handler at all */
	int3

report:	movw	$0xf4, %dx
	cmpb	$'h', %ch
	jne	6f
	movw	$0x501, %dx
6:
	movl	%ebx, %eax
	cmpb	$'b', %cl
	je	4f
	cmpb	$'w', %cl
	je	5f
	outl	%eax, %dx
	ret
4:	outb	%al, %dx
	ret
5:	outw	%ax, %dx
	ret

panic:	movw	$0x505, %dx
	movb	$1, %al
	outb	%al, %dx
	ret

digit:	subb	$'0', %al
	cmpb	$10, %al
	jb	6f
	subb	$('a' - '0' - 10), %al
6:	ret

say:	movw	$0x3f8, %dx
7:	lodsb
	testb	%al, %al
	jz	8f
	outb	%al, %dx
	jmp	7b
8:	ret

text:	.asciz	"this kernel reports\n"
preset:	.asciz	"preset=b00 "		/* "exit=b00 " in its place sets a command line */
empty:	.word	0
	.long	0

	.section .note.Xen, "a", @note
	.align	4
	.long	4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	_start
