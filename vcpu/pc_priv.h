/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between pc.c and pc_serial.c. vCPU process. */
#ifndef VCPU_PC_PRIV_H
#define VCPU_PC_PRIV_H

#include "vcpu/pc.h"

/* @reg is 0 to 7. */
uint8_t pc_uart_read(struct pc *pc, unsigned reg);
void pc_uart_write(struct pc *pc, unsigned reg, uint8_t v);

#endif
