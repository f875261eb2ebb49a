/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 32-bit entry points: prints to the serial port which one was used and the command
 * line, then powers off through the ACPI register. Built with PVH as an ELF64 file with
 * Xen's entry note, otherwise as an ELF32 file.
 */
	.code32
	.globl	_start
_start:
	cld
	movl	$0x80000, %esp
#ifdef PVH
	movl	$pvh_text, %esi
	call	say
	cmpl	$0x336ec578, (%ebx)	/* start_info: magic */
	jne	bad
	movl	24(%ebx), %esi		/* cmdline_paddr */
#else
	movl	0x228(%esi), %edi	/* boot_params: cmd_line_ptr */
	movl	$text32, %esi
	call	say
	movl	%edi, %esi
#endif
	call	say
	movb	$'\n', %al
	outb	%al, %dx
bad:	movw	$0x604, %dx
	movw	$0x3400, %ax
	outw	%ax, %dx
1:	hlt
	jmp	1b
say:	movw	$0x3f8, %dx
2:	lodsb
	testb	%al, %al
	jz	3f
	outb	%al, %dx
	jmp	2b
3:	ret
pvh_text:
	.asciz	"pvh entry "
text32:
	.asciz	"32-bit entry "
#ifdef PVH
	.section .note.Xen, "a", @note
	.align	4
	.long	4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	_start
#endif
