/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few ports of a PC that Linux needs (kvm engine): serial port 0x3f8, clock, reset port,
 * ACPI power management, pvpanic. Runs in the vCPU process. Ports and values come from the
 * guest. Nothing here makes a system call except reading the clock; output and interrupts
 * go through struct pc_ops.
 */
#ifndef VCPU_PC_H
#define VCPU_PC_H

#include "common/ctl.h"
#include "vcpu/kvm/board.h"

struct pc_ops {
	void (*irq)(void *owner, unsigned gsi, bool level);
	/* True if there is room for one more byte of output. */
	bool (*out_room)(void *owner);
	void (*out)(void *owner, uint8_t c);
	/* The serial port has room for input again: call pc_serial_input(). */
	void (*in_wanted)(void *owner);
	/* The guest asks for a checkpoint, or with @reset for a return to it. */
	void (*checkpoint)(void *owner, bool reset);
	/* The guest has ended itself: power-off, reboot or panic. */
	void (*end)(void *owner, enum guest_end why, const char *text);
};

#define PC_SERIAL_FIFO 16

struct pc {
	const struct pc_ops *ops;
	void *owner;
	struct {
		uint8_t ier, lcr, mcr, scr, fcr, dll, dlm;
		uint8_t fifo[PC_SERIAL_FIFO];
		unsigned head, count;
		bool at_break;	  /* The next byte of @fifo is a break, and LSR was not read since it arrived */
		bool thr_pending; /* The transmitter-empty interrupt is pending */
		unsigned polls;	  /* Reads of LSR in a row with an empty transmitter and no input */
		bool level;	  /* Level of the interrupt line */
	} uart;
	uint8_t cmos_index;
	enum exit_port exit_port;
	uint16_t exit_base; /* I/O port of @exit_port */
	uint8_t reported;   /* The byte that was written to it */
	bool checkpoint;    /* It also takes EXIT_PORT_CHECKPOINT and EXIT_PORT_RESET */
	struct {
		uint16_t status, enable, control;
		bool level;
	} pm;
};

/* Set all ports to their state after power-on. */
void pc_init(struct pc *pc, const struct pc_ops *ops, void *owner);
/* Access @len (1, 2 or 4) bytes. False if there is no such port; it then reads as all ones. */
bool pc_in(struct pc *pc, uint16_t port, unsigned len, uint32_t *v);
bool pc_out(struct pc *pc, uint16_t port, unsigned len, uint32_t v);
/* Put input into the serial port. Returns the number of bytes accepted: 0 until the guest reads the port. */
size_t pc_serial_input(struct pc *pc, const uint8_t *buf, size_t len);
/*
 * Put a break and the byte @key into the serial port, which Linux takes for a key of sysrq. Returns false if the guest
 * does not read the port, or has not read all earlier input.
 */
bool pc_serial_sysrq(struct pc *pc, uint8_t key);
/* There is room for output again: report an empty transmitter. */
void pc_serial_drained(struct pc *pc);
/* Press the ACPI power button, which asks the guest to power off. */
void pc_power_button(struct pc *pc);

#endif
