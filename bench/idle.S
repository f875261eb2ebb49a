/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that does nothing: entered by Xen's PVH note in protected mode, it
 * halts with interrupts off. For bench/run, which counts what a guest costs
 * beside its own work. Runs in a guest of the kvm engine.
 */
	.code32
	.globl	_start
_start:
	cli
1:	hlt
	jmp	1b
	.section .note.Xen, "a", @note
	.align	4
	.long	4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	_start
