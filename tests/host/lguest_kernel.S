/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel of the test double's guests: four bytes that the double looks for, and space
 * for its struct lguest_data. Never executed. */
	.text
	.globl _start
_start:
	hlt
	nop
1:	jmp 1b
	.bss
	.skip 8192
	.section .note.GNU-stack, "", @progbits
