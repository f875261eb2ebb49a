/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The exit port: where a guest reports a number and ends, or asks for a checkpoint or a reset. */
#ifndef COMMON_EXIT_PORT_H
#define COMMON_EXIT_PORT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The I/O port through which a guest without user space reports a number and ends (--exit-port). With EXIT_PORT_BYTE it
 * accepts only bytes; with EXIT_PORT_ISA_DEBUG_EXIT accesses of any width, as QEMU's device does. EXIT_PORT_QEMU is where
 * QEMU has that device unless it is told otherwise.
 */
#define EXIT_PORT	 0xf4
#define EXIT_PORT_QEMU	 0x501
#define EXIT_PORT_CHOICE "0xf4|0x501"
enum exit_port {
	EXIT_PORT_NONE,
	EXIT_PORT_BYTE,
	EXIT_PORT_ISA_DEBUG_EXIT,
	EXIT_PORT_SIFIVE_TEST, /* The riscv machines' test device, by which QEMU exits with the guest's number */
};

/* With --checkpoint, these two values at the exit port are requests, not reports. */
#define EXIT_PORT_CHECKPOINT 'C'
#define EXIT_PORT_RESET	     'R'

/* Whether @len bytes that the guest writes to I/O port @port are a report to the exit port at @base. */
static inline bool exit_port_takes(enum exit_port kind, uint16_t base, uint16_t port, unsigned len)
{
	return port == base && (kind == EXIT_PORT_ISA_DEBUG_EXIT || (kind == EXIT_PORT_BYTE && len == 1));
}

#endif
