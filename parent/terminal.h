/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user's terminal: raw while the guest has it, and put back on every way
 * out. Only the supervisor ever holds it.
 */
#ifndef PARENT_TERMINAL_H
#define PARENT_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

struct terminal {
	int in, out, err; /* -1: closed, or gone */
	bool in_tty, out_tty, err_tty;
	bool out_own, err_own; /* an open file description of our own: non-blocking */
	bool together;	       /* output and error are one terminal, pipe or file */
	bool raw;
	pid_t group; /* our process group */
	struct termios saved;
};

/*
 * Take the three standard descriptors as they are. Output gets a description of
 * its own where that is possible, since O_NONBLOCK on the inherited one would
 * change it for the user's shell too.
 */
void terminal_open(struct terminal *t);
/* Raw mode, if the input is a terminal and we are in its foreground. */
void terminal_raw(struct terminal *t);
/* As it was. Harmless when it is not raw. */
void terminal_restore(struct terminal *t);
/* True if input may be read: no terminal, or we have it. */
bool terminal_readable(const struct terminal *t);

#endif
