/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's two consoles with the qemu engine: what the user sees of each, and
 * which one gets the user's input. With the other engines the vCPU process decides.
 */
#ifndef PARENT_SUPERVISE_CONSOLES_H
#define PARENT_SUPERVISE_CONSOLES_H

#include "parent/supervise/state.h"

/* Fill in which consoles the kernel has, and its command line, for the vCPU process. */
void sup_console_config(struct supervisor *s, struct vcpu_config *v);
/* Reset the state of both consoles when the guest starts. */
void sup_consoles_start(struct supervisor *s);

/*
 * Handle @n bytes from the serial console (@serial), or from hvc0. Calls @show with what the user is to see:
 * at most @n plus pair_extra() bytes.
 */
void sup_console_output(struct supervisor *s, bool serial, const uint8_t *buf, size_t n, pair_show show);

/* Returns the descriptor that the user's input is written to, or -1 while the input has to wait. */
int sup_input_fd(struct supervisor *s);
/* Returns when waiting input goes to the serial console (ms), or 0 if no input waits for that. */
uint64_t sup_input_deadline(const struct supervisor *s, uint64_t now);

/*
 * Print one line with advice if the guest ran and ended without writing a byte. @status: the exit status, or -1
 * if the guest is about to be started again.
 */
void sup_report_mute(struct supervisor *s, int status);

#endif
