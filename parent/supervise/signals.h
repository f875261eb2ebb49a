/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals of the user and of the terminal. */
#ifndef PARENT_SUPERVISE_SIGNALS_H
#define PARENT_SUPERVISE_SIGNALS_H

#include "parent/supervise/state.h"

/* Opens s->sigfd, and has a crash of our own restore the terminal. Returns 0, or -1 with errno set. */
int sup_open_signals(struct supervisor *s);
/* s->sigfd is readable: read one signal and do what it asks for. */
void sup_on_signal(struct supervisor *s);

#endif
