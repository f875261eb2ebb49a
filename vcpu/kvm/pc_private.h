/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interface between pc.c, pc_serial.c and pc_saved.c. */
#ifndef VCPU_PC_PRIVATE_H
#define VCPU_PC_PRIVATE_H

#include "vcpu/kvm/pc.h"

/* Access register @reg (0 to 7) of the serial port. */
uint8_t pc_uart_read(struct pc *pc, unsigned reg);
void pc_uart_write(struct pc *pc, unsigned reg, uint8_t v);
/* Set the interrupt lines of serial port and power management as their registers demand. */
void pc_uart_update(struct pc *pc);
void pc_pm_update(struct pc *pc);
/* True if writes of a guest can lead to these values: registers, and reads of LSR in a row. */
bool pc_uart_state_ok(uint8_t ier, uint8_t mcr, uint8_t fcr, unsigned polls);
bool pc_pm_state_ok(uint16_t status, uint16_t control);

#endif
