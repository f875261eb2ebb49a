/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --exit-port: ends a guest that reports a number through an I/O port. */
#ifndef PARENT_SUPERVISE_EXIT_PORT_H
#define PARENT_SUPERVISE_EXIT_PORT_H

#include "parent/supervise/state.h"

/* Set the part of the vCPU process's configuration that says what the exit port does. */
void sup_exit_port_config(const struct supervisor *s, struct vcpu_config *v);
/* The guest wrote @byte to its exit port: end the guest on the first one, after reading what it printed before. */
void sup_reported(struct supervisor *s, uint8_t byte);
/* QEMU: s->exit_port is readable. Reads once; closes it at its end. */
void sup_read_exit_port(struct supervisor *s);
void sup_close_exit_port(struct supervisor *s);
/* The vCPU process has ended: if QEMU's isa-debug-exit device ended it, treat its exit status as a report. */
void sup_take_exit_status(struct supervisor *s);

/* Kill a guest that has reported a number, once all of its output has been read. */
void sup_reported_due(struct supervisor *s, uint64_t now);
/* Returns when sup_reported_due() has to be called (ms; 0: never). */
uint64_t sup_reported_deadline(const struct supervisor *s);

/* Returns the number that the guest reported: the byte, or with isa-debug-exit QEMU's exit status for it. */
unsigned sup_reported_number(const struct supervisor *s);
/* Returns the exit status for this number, after a log message if the number does not stand for success. */
int sup_conclude_reported(struct supervisor *s);

#endif
