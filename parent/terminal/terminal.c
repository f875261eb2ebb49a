/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user's terminal. Runs in the parent before and after it gives up its privileges.
 * It must not leave the terminal raw when the guest does not use it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/ctl.h"
#include "parent/terminal/terminal.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/*
 * Opens the terminal or pipe of @fd again, to get an open file description that no other process shares.
 * Returns the new descriptor, or @fd if that is not possible, or -1 if @fd is closed.
 */
static int own_output(int fd, bool *tty, bool *own)
{
	struct stat st;
	char path[40];
	int mine;

	*own = false;
	*tty = false;
	if (!is_open(fd) || fstat(fd, &st) < 0)
		return -1;
	*tty = isatty(fd);
	if (!*tty && !S_ISFIFO(st.st_mode))
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	mine = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (mine < 0)
		return fd;
	*own = true;
	return mine;
}

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

void terminal_open(struct terminal *t)
{
	*t = (struct terminal){ .in = -1, .out = -1, .err = -1, .group = getpgrp() };
	if (is_open(STDIN_FILENO)) {
		t->in = STDIN_FILENO;
		t->in_tty = isatty(STDIN_FILENO);
	}
	t->out = own_output(STDOUT_FILENO, &t->out_tty, &t->out_own);
	t->err = own_output(STDERR_FILENO, &t->err_tty, &t->err_own);
	t->together = t->out >= 0 && t->err >= 0 && same_file(STDOUT_FILENO, STDERR_FILENO);
}

static bool in_foreground(const struct terminal *t)
{
	pid_t group;

	return ioctl(t->in, TIOCGPGRP, &group) == 0 && group == t->group;
}

void terminal_raw(struct terminal *t)
{
	struct termios raw;

	if (t->in < 0 || !t->in_tty || !in_foreground(t))
		return;
	if (!t->raw && ioctl(t->in, TCGETS, &t->saved) < 0)
		return;
	raw = t->saved;
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	t->raw = ioctl(t->in, TCSETS, &raw) == 0;
}

void terminal_resume(struct terminal *t)
{
	if (t->raw && !in_foreground(t))
		t->raw = false;
	else
		terminal_raw(t);
}

bool terminal_waits(const struct terminal *t)
{
	return t->in >= 0 && t->in_tty && !t->raw;
}

uint32_t terminal_size(const struct terminal *t)
{
	struct winsize w;

	if (t->in < 0 || !t->in_tty || ioctl(t->in, TIOCGWINSZ, &w) < 0)
		return 0;
	return WINDOW_SIZE(w.ws_col, w.ws_row);
}

void terminal_restore(struct terminal *t)
{
	if (!t->raw)
		return;
	/* Not TCSETSW: it waits for the output, for ever if the terminal takes none. */
	ioctl(t->in, TCSETS, &t->saved);
	t->raw = false;
}

bool terminal_readable(const struct terminal *t)
{
	return t->in >= 0 && (!t->in_tty || t->raw);
}
