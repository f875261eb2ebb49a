/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's console, between the guest and the user's terminal. */
#ifndef PARENT_SUPERVISE_IO_H
#define PARENT_SUPERVISE_IO_H

#include "parent/supervise/state.h"

/* True if standard input is to be polled: we may read it, and the buffer has room (or a terminal may send ^C). */
bool sup_wants_stdin(const struct supervisor *s);
/* Standard input is readable: read once and queue the bytes for the guest. Three ^C end the guest. */
void sup_read_stdin(struct supervisor *s);

/* The guest's output *@fd is readable: read once and search it with @p. At end of file, close it and set *@fd to -1. */
void sup_read_console(struct supervisor *s, int *fd, struct panic_watch *p);
/* Close the console output *@fd, after everything was read from it, and set *@fd to -1. */
void sup_close_console(struct supervisor *s, int *fd, struct panic_watch *p);

/* Tell the vCPU process the size of the user's terminal, if it has changed. */
void sup_window_size(struct supervisor *s);

/* Write queued bytes to the descriptors that are ready: standard output, standard error, the guest's input. */
void sup_flush(struct supervisor *s, bool out_ready, bool err_ready, bool in_ready);

/* Returns how many bytes of the guest's output may be read now, so that all of them fit into the buffer. */
size_t sup_console_room(const struct supervisor *s);

/* Search the guest's output for the line of a kernel panic, and note the time. NULL @buf: the output has ended. */
void sup_watch_panic(struct supervisor *s, struct panic_watch *p, const uint8_t *buf, size_t n);

#endif
