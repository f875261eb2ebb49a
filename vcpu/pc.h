/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few ports of a PC that Linux looks at (kvm engine): serial port 0x3f8,
 * clock, reset port, ACPI power management, pvpanic. Runs in the vCPU process;
 * every port value is the guest's. Nothing here makes a system call: what
 * must leave goes through struct pc_ops.
 */
#ifndef VCPU_PC_H
#define VCPU_PC_H

#include "common/ctl.h"

#define PC_SERIAL_PORT	0x3f8u
#define PC_SERIAL_IRQ	4u
#define PC_CMOS_PORT	0x70u
#define PC_I8042_DATA	0x60u
#define PC_I8042_PORT	0x64u
#define PC_RESET_VALUE	0xfeu /* to PC_I8042_PORT */
#define PC_PVPANIC_PORT 0x505u
#define PC_PM_PORT	0x600u /* PM1a event block (4 bytes), then control (2) */
#define PC_PM_CNT	(PC_PM_PORT + 4)
#define PC_SCI_IRQ	9u
#define PC_S5_TYPE	5u /* SLP_TYP of power-off, in the DSDT's \_S5 */

struct pc_ops {
	void (*irq)(void *owner, unsigned gsi, bool level);
	/* True if one more byte of output would be taken. */
	bool (*out_room)(void *owner);
	void (*out)(void *owner, uint8_t c);
	/* There is room for input again. */
	void (*in_wanted)(void *owner);
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
		bool thr_pending; /* transmitter-empty interrupt not yet seen */
		bool level;
	} uart;
	uint8_t cmos_index;
	struct {
		uint16_t status, enable, control;
		bool level;
	} pm;
};

void pc_init(struct pc *pc, const struct pc_ops *ops, void *owner);
/* @len is 1, 2 or 4. False: nothing of ours at @port (reads are ones then). */
bool pc_in(struct pc *pc, uint16_t port, unsigned len, uint32_t *v);
bool pc_out(struct pc *pc, uint16_t port, unsigned len, uint32_t v);
/* Input for the serial port: the number of bytes taken. */
size_t pc_serial_input(struct pc *pc, const uint8_t *buf, size_t len);
/* Output drained: the transmitter is ready again. */
void pc_serial_drained(struct pc *pc);
/* The user asks the guest to power off. */
void pc_power_button(struct pc *pc);

#endif
