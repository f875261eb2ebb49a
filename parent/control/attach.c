/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lguest-sep logs and attach: see attach.h. Runs as the user who called it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "parent/control/attach.h"
#include "parent/options/util.h"
#include "parent/terminal/terminal.h"

/* ^] */
#define ESCAPE 29

static volatile sig_atomic_t signalled;

static void on_signal(int sig)
{
	signalled = sig;
}

static bool write_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR && !signalled)
			continue;
		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

struct session {
	struct guest *g;
	struct terminal term;
	bool in_open;	    /* Standard input has not ended. */
	struct ctl_msg out; /* Input for the guest that the listener has not taken yet: @out.count bytes. */
};

/* Send the waiting input. Returns false if the connection has ended. */
static bool send_input(struct session *s)
{
	if (ctl_send(s->g->fd, &s->out) < 0)
		return errno == EAGAIN || errno == ENOBUFS;
	s->out.count = 0;
	return true;
}

/* Returns false if the user typed the key that detaches. */
static bool read_input(struct session *s)
{
	const char *escape;
	ssize_t n = read(STDIN_FILENO, s->out.text, sizeof(s->out.text));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		s->in_open = false;
		return true;
	}
	s->out.count = (uint32_t)n;
	escape = s->term.in_tty ? memchr(s->out.text, ESCAPE, (size_t)n) : NULL;
	if (escape)
		s->out.count = (uint32_t)(escape - s->out.text);
	if (s->out.count)
		(void)send_input(s);
	return !escape;
}

/* Handle one message. Returns -1 to go on, or the exit status. */
static int show(struct session *s, const struct ctl_msg *m)
{
	switch (m->type) {
	case CTL_CONSOLE:
		return write_all(STDOUT_FILENO, m->text, m->count) ? -1 : EXIT_HOST;
	case CTL_OVER:
		return (int)(m->value & 0xff);
	case CTL_ANSWER:
		if (m->value == CONTROL_DONE)
			return EXIT_POWEROFF;
		terminal_restore(&s->term);
		return complain(EXIT_HOST, "%s: %s", s->g->name,
				m->value == CONTROL_REFUSED ? "only root and the user who started it may do that"
				: m->value == CONTROL_BUSY  ? "too many connections at the same time; try again"
							    : m->text);
	default:
		return -1;
	}
}

static int lost(struct session *s)
{
	terminal_restore(&s->term);
	return complain(EXIT_HOST, "%s: the connection has ended; its launcher may have died", s->g->name);
}

static int turn(struct session *s)
{
	struct pollfd p[2] = { { .fd = s->g->fd, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	struct ctl_msg m;
	int got, status = -1;

	if (s->out.count)
		p[0].events |= POLLOUT;
	else if (s->in_open)
		p[1].fd = STDIN_FILENO;
	if (poll(p, 2, -1) < 0)
		return errno == EINTR ? -1 : lost(s);
	if (p[1].revents && !read_input(s))
		return EXIT_POWEROFF;
	if (p[0].revents & POLLOUT && s->out.count && !send_input(s))
		return lost(s);
	while (status < 0 && p[0].revents & (POLLIN | POLLHUP | POLLERR)) {
		got = guest_recv(s->g, &m, 0);
		if (got == 0)
			break;
		status = got < 0 ? lost(s) : show(s, &m);
	}
	return status;
}

int attach_run(struct guest *g, bool input)
{
	static struct session s;
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction a = { .sa_handler = on_signal };
	int status = -1;

	s = (struct session){ .g = g, .in_open = input, .out = { .type = CTL_CONSOLE } };
	s.term = (struct terminal){ .in = -1, .out = -1, .err = -1 };
	if (input) {
		terminal_open(&s.term);
		for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
			sigaction(ends[i], &a, NULL);
		if (s.term.in_tty)
			complain(0, "%s: attached; press Ctrl-] to detach", g->name);
		terminal_raw(&s.term);
	}
	while (status < 0 && !signalled)
		status = turn(&s);
	terminal_restore(&s.term);
	if (s.term.in_tty && status == EXIT_POWEROFF)
		complain(0, "%s: detached", g->name);
	return signalled ? 128 + (int)signalled : status;
}
