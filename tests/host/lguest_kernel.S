/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the double's guests have as a kernel: four bytes that the double looks for, and
 * room for its struct lguest_data. Never executed. */
	.text
	.globl _start
_start:
	hlt
	nop
1:	jmp 1b
	.bss
	.skip 8192
	.section .note.GNU-stack, "", @progbits
