/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console between the guest and controld: see control_io.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/supervise/control_io.h"

/* How long controld may read nothing before its output is dropped (ms). */
#define STALL_MS 1000
/* Longest write(): the socket is non-blocking, so this bounds only the time of one turn. */
#define WRITE_MAX 16384

void sup_control_console(struct supervisor *s, const void *buf, size_t n)
{
	if (s->control_console < 0)
		return;
	if (!s->control_out.len)
		s->control_taken = now_ms();
	outbuf_put(&s->control_out, buf, n);
}

void sup_control_line(struct supervisor *s, const char *text)
{
	char line[LOG_LINE_MAX + 32];
	size_t n = fmt_line(line, sizeof(line), "%slguest-sep: %s\r\n", s->control_out.mid_line ? "\r\n" : "", text);

	sup_control_console(s, line, n);
}

size_t sup_control_room(const struct supervisor *s)
{
	return s->control_console < 0 || s->control_stalled ? SIZE_MAX : outbuf_room(&s->control_out);
}

uint64_t sup_control_stall(const struct supervisor *s)
{
	if (s->control_console < 0 || s->control_stalled || !s->control_out.len)
		return 0;
	return s->control_taken + STALL_MS;
}

void sup_control_stall_due(struct supervisor *s)
{
	uint64_t at = sup_control_stall(s);

	s->control_stalled |= at && now_ms() >= at;
}

short sup_control_events(const struct supervisor *s)
{
	return (short)((s->control_out.len ? POLLOUT : 0) | (outbuf_room(&s->in) && !s->sysrq_key ? POLLIN : 0));
}

void sup_control_close(struct supervisor *s)
{
	if (s->control_console >= 0)
		close(s->control_console);
	s->control_console = -1;
	s->control_out.head = s->control_out.len = 0;
	s->control_out.gone = s->control_stalled = false;
	s->stats_until = 0; /* Nobody is left who asked. */
}

static void read_input(struct supervisor *s)
{
	uint8_t buf[1024];
	ssize_t n = read(s->control_console, buf, MIN(sizeof(buf), outbuf_room(&s->in)));

	if (n > 0)
		outbuf_put(&s->in, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		sup_control_close(s);
}

void sup_control_ready(struct supervisor *s, short revents)
{
	if (revents & POLLOUT && s->control_out.len && outbuf_write(&s->control_out, s->control_console, WRITE_MAX)) {
		s->control_taken = now_ms();
		s->control_stalled = false;
	}
	if (revents & (POLLHUP | POLLERR) && (!outbuf_room(&s->in) || s->sysrq_key))
		sup_control_close(s);
	else if (revents & (POLLIN | POLLHUP | POLLERR))
		read_input(s);
}
