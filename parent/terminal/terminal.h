/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user's terminal: in raw mode while the guest uses it, and restored on every way
 * out. No process but the supervisor has it open.
 */
#ifndef PARENT_TERMINAL_H
#define PARENT_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

struct terminal {
	int in, out, err;	       /* Descriptors; -1: closed. */
	bool in_tty, out_tty, err_tty; /* The descriptor is a terminal. */
	bool out_own, err_own;	       /* Non-blocking, with an open file description that no other process shares. */
	bool together;		       /* Output and error go to the same terminal, pipe or file. */
	bool raw;		       /* The terminal is in raw mode now. */
	pid_t group;		       /* Our process group. */
	struct termios saved;	       /* The settings to restore. */
};

/*
 * Examine the three standard descriptors. Output and error are opened again if possible,
 * because O_NONBLOCK on the inherited open file description would also affect the user's
 * shell.
 */
void terminal_open(struct terminal *t);
/* Switch to raw mode, if the input is a terminal and we are in its foreground. */
void terminal_raw(struct terminal *t);
/*
 * After SIGCONT: switch to raw mode again if we are in the foreground, because the shell may have
 * changed the settings. In the background, leave the terminal alone.
 */
void terminal_resume(struct terminal *t);
/* Returns the terminal's size as WINDOW_SIZE() of common/ctl.h; 0 if input is not a terminal or has no size. */
uint32_t terminal_size(const struct terminal *t);
/* Restore the settings of before terminal_raw(). Does nothing if the terminal is not raw. */
void terminal_restore(struct terminal *t);
/* True if the input is a terminal in whose background we run. No signal reports the change to the foreground (fg). */
bool terminal_waits(const struct terminal *t);
/* True if the input may be read: it is no terminal, or we are in its foreground. */
bool terminal_readable(const struct terminal *t);

#endif
