/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes the guest's console to its destination: limits the bytes, adds time stamps, counts what is lost. */
#ifndef PARENT_SUPERVISE_CONSOLE_OUT_H
#define PARENT_SUPERVISE_CONSOLE_OUT_H

#include "parent/supervise/state.h"

/* Call it before the supervisor's seccomp filter is installed: it reads the time of day. */
void sup_console_prepare(struct supervisor *s);
/*
 * Returns how many of the @n bytes at @buf, which the guest wrote, may be put into s->out. The others are counted as
 * dropped, and the first time one line reports that.
 */
size_t sup_console_allow(struct supervisor *s, const uint8_t *buf, size_t n);
/* Returns the number of bytes that wait to be written to the console's descriptor. */
size_t sup_output_waits(const struct supervisor *s);
/* Make one write() of at most @most bytes to the console's descriptor. Returns false if nothing was written. */
bool sup_console_write(struct supervisor *s, size_t most);
/* From now on, drop and count the console's output because of @error (an errno value). */
void sup_console_drop(struct supervisor *s, int error);

#endif
