/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console between the user's terminal and the guest. Runs in the supervisor and
 * never blocks. While the terminal takes no output, the supervisor reads no more from
 * the guest, so that none is lost. It always reads what the user types, so that the
 * escape key ends the guest even when the guest reads nothing.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "parent/supervise/console_out.h"
#include "parent/supervise/consoles.h"
#include "parent/supervise/control_io.h"
#include "parent/supervise/io.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/receive.h"
#include "parent/supervise/run_result.h"
#include "parent/supervise/state.h"

/*
 * Longest write() to a terminal whose open file description we share with other processes: it is not
 * O_NONBLOCK, so a longer write could block although poll() reported room.
 */
#define SMALL_WRITE 64

bool sup_wants_stdin(const struct supervisor *s)
{
	if (!s->stdin_open || s->sysrq_key || !terminal_readable(&s->h->term))
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
	/* In piped input the byte of the escape key is data. */
	if (s->h->term.in_tty && escape_feed(&s->escape, s->c->escape_key, buf, (size_t)n, now_ms())) {
		sup_line(s, "three ^%c: ending the guest", s->c->escape_key + '@');
		s->hurried = true;
		sup_force(s, EXIT_THREE_CTRL_C);
		return;
	}
	outbuf_put(&s->in, buf, (size_t)n);
}

void sup_window_size(struct supervisor *s)
{
	uint32_t size = terminal_size(&s->h->term);
	struct ctl_msg m = { .type = CTL_WINDOW_SIZE, .value = size };
	int ctl = s->phase < PHASE_ENDING && s->nroles ? sup_vcpu(s)->ctl : -1;

	/* A guest that is paused gets the size when it is resumed. */
	if (!size || size == s->window_size || s->hold)
		return;
	/* QEMU cannot receive the size. If the channel is full, the size is sent at the next change. */
	if (ctl >= 0 && s->h->engine != ENGINE_QEMU && ctl_send(ctl, &m) < 0)
		return;
	s->window_size = size;
}

void sup_watch_panic(struct supervisor *s, struct panic_watch *p, const uint8_t *buf, size_t n)
{
	unsigned before = p->count;

	if (buf)
		panic_feed(p, buf, n);
	else
		panic_end(p);
	if (p->count != before)
		s->panic_at = now_ms();
}

void sup_close_console(struct supervisor *s, int *fd, struct panic_watch *p)
{
	sup_watch_panic(s, p, NULL, 0);
	close(*fd);
	*fd = -1;
}

size_t sup_console_room(const struct supervisor *s)
{
	size_t room = MIN(outbuf_room(&s->out), sup_control_room(s)),
	       kept = s->err.len && sup_lines_join(s) ? s->err.len + 2 : 0;

	if (s->pair)
		kept += pair_extra(s->pair);

	return room > kept ? room - kept : 0;
}

/* Queue the guest's output. Our waiting log messages are inserted after its first end of line. */
static void put_console(void *owner, const uint8_t *buf, size_t n)
{
	struct supervisor *s = owner;
	const uint8_t *end;
	size_t first;

	sup_control_console(s, buf, n);
	s->console.bytes += n;
	if (s->c->run.on)
		sup_run_console(buf, n);
	if (s->c->run.on && !s->c->console.path)
		return;
	n = sup_console_allow(s, buf, n);
	end = s->err.len && sup_lines_join(s) ? memchr(buf, '\n', n) : NULL;
	first = end ? (size_t)(end - buf) + 1 : n;

	outbuf_put(&s->out, buf, first);
	if (s->lines_until)
		s->lines_until = MIN(now_ms() + LINE_IDLE_MS, s->lines_from + LINE_WAIT_MS);
	if (!end)
		return;
	sup_join_lines(s, false);
	if (n > first)
		outbuf_put(&s->out, buf + first, n - first);
}

/*
 * Before the first byte of the virtio console is shown, read what the serial console
 * wrote earlier. Returns false if the output buffer has no room for all of it.
 */
static bool drain_serial(struct supervisor *s)
{
	static uint8_t buf[4096];

	while (s->pair && s->pair->on && s->pair->state == PAIR_SERIAL && s->serial >= 0) {
		size_t space = MIN(sizeof(buf), sup_console_room(s));
		ssize_t n;

		if (!space)
			return false;
		n = sup_receive(s->serial, buf, space);
		if (n <= 0)
			return true;
		sup_watch_panic(s, &s->panic_serial, buf, (size_t)n);
		sup_console_output(s, true, buf, (size_t)n, put_console);
	}
	return true;
}

void sup_read_console(struct supervisor *s, int *fd, struct panic_watch *p)
{
	static uint8_t buf[16384];
	size_t room;
	ssize_t n;

	if (fd == &s->con_out && !drain_serial(s))
		return;
	room = MIN(sizeof(buf), sup_console_room(s));
	if (!room)
		return;
	n = fd == &s->serial ? sup_receive(*fd, buf, room) : read(*fd, buf, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		sup_close_console(s, fd, p);
		return;
	}
	sup_watch_panic(s, p, buf, (size_t)n);
	sup_console_output(s, fd == &s->serial, buf, (size_t)n, put_console);
}

static size_t step(bool own)
{
	return own ? SIZE_MAX : SMALL_WRITE;
}

void sup_flush(struct supervisor *s, bool out_ready, bool err_ready, bool in_ready)
{
	const struct terminal *t = &s->h->term;

	bool took = false;

	if (out_ready && sup_output_waits(s))
		took = sup_console_write(s, s->h->console.own ? SIZE_MAX : s->h->console.tty ? SMALL_WRITE : 4096);
	if (err_ready && s->err.len && !sup_lines_join(s))
		took |= outbuf_write(&s->err, t->err, t->err_tty ? step(t->err_own) : 4096);
	if (took)
		s->taken_at = now_ms();
	if (in_ready && s->in.len && sup_input_fd(s) >= 0)
		outbuf_write(&s->in, sup_input_fd(s), 4096);
}
