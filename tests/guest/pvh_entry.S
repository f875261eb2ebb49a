/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PVH entry (Xen's docs/misc/pvh.pandoc) for the freestanding guest, for a QEMU that lguest-sep has not started:
 * 32-bit protected mode without paging, ebx = start_info. It makes what start.S expects: long mode, the first 4 GiB
 * mapped one to one, rsi = boot_params.
 */
	.code32
	.globl	pvh_entry
pvh_entry:
	cli
	cld
	movl	24(%ebx), %eax		/* start_info: cmdline_paddr */
	movl	%eax, params + 0x228	/* boot_params: cmd_line_ptr */
	movl	$pd + 7, %eax
	movl	$pdpt, %edi
	movl	$4, %ecx
1:	movl	%eax, (%edi)
	addl	$4096, %eax
	addl	$8, %edi
	loop	1b
	movl	$0x87, %eax		/* Present, writable, 2 MiB */
	movl	$pd, %edi
	movl	$2048, %ecx
2:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	2b
	movl	$pdpt + 7, pml4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx	/* EFER: long mode */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	lgdt	gdtr
	movl	%cr0, %eax
	orl	$0x80000001, %eax
	movl	%eax, %cr0
	ljmp	$0x10, $3f
	.code64
3:	mov	$0x18, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$params, %esi
	jmp	_start

	.data
	.balign	8
gdt:	.quad	0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:	.word	gdtr - gdt - 1
	.long	gdt

	.bss
	.balign	4096
pml4:	.skip	4096
pdpt:	.skip	4096
pd:	.skip	4 * 4096
params:	.skip	4096

	.section .note.Xen, "a", @note
	.align	4
	.long	4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	pvh_entry
