/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the double's guests have as a kernel: four bytes that the double looks for. Never executed. */
	.text
	.globl _start
_start:
	hlt
	nop
1:	jmp 1b
	.section .note.GNU-stack, "", @progbits
