/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interface between pc.c and pc_serial.c. */
#ifndef VCPU_PC_PRIVATE_H
#define VCPU_PC_PRIVATE_H

#include "vcpu/kvm/pc.h"

/* Access register @reg (0 to 7) of the serial port. */
uint8_t pc_uart_read(struct pc *pc, unsigned reg);
void pc_uart_write(struct pc *pc, unsigned reg, uint8_t v);

#endif
