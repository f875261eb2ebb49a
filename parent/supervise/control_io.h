/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies the guest's console to and from controld, for scroll-back and lguest-sep attach. Runs
 * in the supervisor and never waits. While controld reads, nothing is lost. A controld that stalls
 * holds up the guest's output for a second; after that, output for it is dropped until it reads again.
 */
#ifndef PARENT_SUPERVISE_CONTROL_IO_H
#define PARENT_SUPERVISE_CONTROL_IO_H

#include "parent/supervise/state.h"

/* Queue @n bytes that the guest printed, or one log message of ours. */
void sup_control_console(struct supervisor *s, const void *buf, size_t n);
void sup_control_line(struct supervisor *s, const char *text);
/* Returns how many bytes of the guest's output may be read now without overrunning controld (SIZE_MAX: no limit). */
size_t sup_control_room(const struct supervisor *s);
/* The first returns when output that controld does not read is dropped (ms; 0: none waits); the second drops it. */
uint64_t sup_control_stall(const struct supervisor *s);
void sup_control_stall_due(struct supervisor *s);
/* ppoll() reported @revents of s->control_console: write once, and read once if the guest's input has room. */
void sup_control_ready(struct supervisor *s, short revents);
/* What to wait for at s->control_console. */
short sup_control_events(const struct supervisor *s);
/* Close the channel: controld has ended. */
void sup_control_close(struct supervisor *s);

#endif
