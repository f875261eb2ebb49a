// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The console between the user's terminal and the guest. Runs in the
 * supervisor. Output of the guest is never lost and never waited for: while the
 * terminal takes nothing, no more is read from the guest. What is typed is
 * always looked at, so that three ^C leave even when the guest reads nothing.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "supervise.h"

/* Bytes of one write to a terminal or pipe whose description is not our own. */
#define SMALL_WRITE 64
/* How long a terminal that takes nothing is waited for at the end. */
#define DRAIN_MS 10000
/* A line of ours waits for the end of the guest's: while that goes on, and so long at most. */
#define LINE_IDLE_MS 300
#define LINE_WAIT_MS 3000

bool sup_wants_stdin(const struct supervisor *s)
{
	if (!s->stdin_open || !terminal_readable(&s->h->term))
		return false;
	return s->h->term.in_tty || outbuf_room(&s->in) > 0;
}

void sup_read_stdin(struct supervisor *s)
{
	uint8_t buf[1024];
	size_t most = s->h->term.in_tty ? sizeof(buf) : MIN(sizeof(buf), outbuf_room(&s->in));
	ssize_t n = read(s->h->term.in, buf, most);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		s->stdin_open = false;
		return;
	}
	if (ctrl_c_feed(&s->ctrl_c, buf, (size_t)n, now_ms())) {
		sup_line(s, "three ^C: the guest is ended");
		sup_force(s, EXIT_THREE_CTRL_C);
		return;
	}
	outbuf_put(&s->in, buf, (size_t)n);
}

void sup_close_console(int *fd, struct panic_watch *p)
{
	panic_end(p);
	close(*fd);
	*fd = -1;
}

bool sup_lines_join(const struct supervisor *s)
{
	return s->h->term.together && !s->out.gone;
}

void sup_join_lines(struct supervisor *s, bool now)
{
	uint8_t some[512];

	if (!s->err.len || !sup_lines_join(s))
		return;
	if (s->out.mid_line && !now) {
		if (!s->lines_until) {
			s->lines_from = now_ms();
			s->lines_until = s->lines_from + LINE_IDLE_MS;
		}
		if (now_ms() < s->lines_until)
			return;
	}
	if (outbuf_room(&s->out) < s->err.len + 2)
		return;
	if (s->out.mid_line)
		outbuf_put(&s->out, s->h->term.raw ? "\r\n" : "\n", s->h->term.raw ? 2 : 1);
	while (s->err.len)
		outbuf_put(&s->out, some, outbuf_take(&s->err, some, sizeof(some)));
	s->lines_until = 0;
}

size_t sup_console_room(const struct supervisor *s)
{
	size_t room = outbuf_room(&s->out), kept = s->err.len && sup_lines_join(s) ? s->err.len + 2 : 0;

	return room > kept ? room - kept : 0;
}

/* What the guest put out; lines of ours that wait come after the first of its own that ends. */
static void put_console(struct supervisor *s, const uint8_t *buf, size_t n)
{
	const uint8_t *end = s->err.len && sup_lines_join(s) ? memchr(buf, '\n', n) : NULL;
	size_t first = end ? (size_t)(end - buf) + 1 : n;

	outbuf_put(&s->out, buf, first);
	if (s->lines_until)
		s->lines_until = MIN(now_ms() + LINE_IDLE_MS, s->lines_from + LINE_WAIT_MS);
	if (!end)
		return;
	sup_join_lines(s, false);
	if (n > first)
		outbuf_put(&s->out, buf + first, n - first);
}

void sup_read_console(struct supervisor *s, int *fd, struct panic_watch *p)
{
	static uint8_t buf[16384];
	size_t room = MIN(sizeof(buf), sup_console_room(s));
	ssize_t n;

	if (!room)
		return;
	n = read(*fd, buf, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		sup_close_console(fd, p);
		return;
	}
	s->heard = true;
	panic_feed(p, buf, (size_t)n);
	put_console(s, buf, (size_t)n);
}

static size_t step(bool own)
{
	return own ? SIZE_MAX : SMALL_WRITE;
}

void sup_flush(struct supervisor *s, bool out_ready, bool err_ready, bool in_ready)
{
	const struct terminal *t = &s->h->term;

	if (out_ready && s->out.len)
		outbuf_write(&s->out, t->out, t->out_tty ? step(t->out_own) : 4096);
	if (err_ready && s->err.len && !sup_lines_join(s))
		outbuf_write(&s->err, t->err, t->err_tty ? step(t->err_own) : 4096);
	if (in_ready && s->in.len && s->con_in >= 0)
		outbuf_write(&s->in, s->con_in, 4096);
}

static void flush_all(struct supervisor *s)
{
	uint64_t until = now_ms() + DRAIN_MS;

	for (sup_join_lines(s, true); (s->out.len || s->err.len) && now_ms() < until; sup_join_lines(s, true)) {
		bool own_err = s->err.len && !sup_lines_join(s);
		struct pollfd p[2] = {
			{ .fd = s->out.len ? s->h->term.out : -1, .events = POLLOUT },
			{ .fd = own_err ? s->h->term.err : -1, .events = POLLOUT },
		};
		struct timespec wait = { .tv_sec = 1 };
		size_t before = s->out.len + s->err.len;

		if (s->out.len && s->h->term.out < 0)
			outbuf_write(&s->out, -1, 1);
		if (s->err.len && s->h->term.err < 0)
			outbuf_write(&s->err, -1, 1);
		if (ppoll(p, 2, &wait, NULL) < 0 && errno != EINTR)
			return;
		sup_flush(s, p[0].revents != 0, p[1].revents != 0, false);
		if (s->out.len + s->err.len < before)
			until = now_ms() + DRAIN_MS;
	}
}

void sup_flush_all(struct supervisor *s)
{
	flush_all(s);
	/* A reader that went away, or none from the beginning, is how the user wants it. */
	if (!s->out.dropped || !s->out.error || s->out.error == EPIPE || s->out.error == EBADF)
		return;
	errno = s->out.error;
	sup_line(s, "standard output: %m; %llu bytes that the guest wrote are lost",
		 (unsigned long long)s->out.dropped);
	s->out.dropped = 0;
	flush_all(s);
}
