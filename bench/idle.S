/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that does nothing: it is entered in protected mode through Xen's PVH note and
 * halts with interrupts off. bench/run uses it to measure what a guest costs without its
 * own work. Runs in a guest of the kvm engine.
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
