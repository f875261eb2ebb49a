/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A boot sector: a kernel of 512 bytes that a BIOS loads to 0x7c00 and enters in 16-bit mode
 * (BIOS Boot Specification, 6.5). It reads the next sector by interrupt 13h, prints the text in
 * it to the serial port, and does what the sector's first letter says:
 *   o: reports success to the exit port   f: reports 3      p: powers off    r: resets
 *   h: hangs    t: triple fault    l: prints for ever
 *   w: writes the sector back with the letter o, then resets
 *   i: prints the text by interrupt 10h too, then powers off
 *   v: reports success if the text buffer of a VGA card keeps what is written to it
 */
	.code16
	.globl	_start
_start:	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	sti
	movb	%dl, drive
	call	tick			# The firmware's serial console keeps its last character
	call	tick			# until a tick of the clock: let it finish its line
	movw	$name, %si
	call	print
	movb	$0x42, %ah		# Read sectors by their number
	call	disk
	jc	failed
	movw	$buffer + 1, %si
	call	print
	movb	buffer, %al
	cmpb	$'o', %al
	je	success
	cmpb	$'f', %al
	je	failed
	cmpb	$'p', %al
	je	off
	cmpb	$'r', %al
	je	reset
	cmpb	$'t', %al
	je	triple
	cmpb	$'l', %al
	je	forever
	cmpb	$'w', %al
	je	rewrite
	cmpb	$'i', %al
	je	bios
	cmpb	$'v', %al
	je	vga
	cli
hang:	hlt
	jmp	hang

success: movb	$0, %al
	jmp	report
failed:	movb	$3, %al
report:	outb	%al, $0xf4
	jmp	hang

off:	movw	$0x604, %dx
	movw	$0x2000, %ax
	outw	%ax, %dx
	jmp	hang

reset:	movb	$0xfe, %al
	outb	%al, $0x64
	jmp	hang

triple:	lidt	nothing
	int3

forever: movw	$buffer + 1, %si
	call	print
	jmp	forever

rewrite: movb	$'o', buffer
	movw	$0x4300, %ax		# Write without reading it again
	call	disk
	jc	failed
	jmp	reset

vga:	movw	$0xb800, %ax
	movw	%ax, %es
	movw	$0x0741, %es:0
	cmpw	$0x0741, %es:0
	jne	failed
	jmp	success

bios:	movw	$buffer + 1, %si
1:	lodsb
	testb	%al, %al
	jz	2f
	movb	$0x0e, %ah
	xorw	%bx, %bx
	int	$0x10
	jmp	1b
2:	movw	$100, %cx		# The firmware's console takes its time
3:	hlt
	loop	3b
	jmp	off

disk:	movb	drive, %dl
	movw	$packet, %si
	int	$0x13
	ret

tick:	movw	0x46c, %ax		# Waits for a tick of the BIOS's clock (18.2 Hz)
1:	hlt
	cmpw	%ax, 0x46c
	je	1b
	ret

print:	movw	$0x3f8, %dx
1:	lodsb
	testb	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:	ret

packet:	.byte	16, 0
	.word	1			# One sector
	.word	buffer, 0		# Offset and segment
	.quad	1			# The second sector of the disk
nothing: .word	0
	.long	0
drive:	.byte	0
name:	.asciz	"a boot sector\r\n"
	.org	510
	.word	0xaa55
buffer:					# 0x7e00
