/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the guest's console to its destination (see console_out.h). Runs in the
 * supervisor; never waits. A guest must not fill a disk of the host, so there is a limit
 * even without max=, unless the console goes to a terminal.
 */
#include <string.h>
#include <time.h>

#include "common/utc.h"
#include "parent/supervise/console_out.h"
#include "parent/supervise/lines.h"

#define STAMPED_SIZE 8192
/* Bytes of a time stamp and the blank after it. */
#define STAMP_BYTES UTC_TEXT

static uint8_t stamped_buf[STAMPED_SIZE];

void sup_console_prepare(struct supervisor *s)
{
	struct console_out *o = &s->console;
	struct timespec t = { 0 };

	o->stamped = (struct outbuf){ .buf = stamped_buf, .size = sizeof(stamped_buf) };
	o->max = s->c->console.max;
	if (o->max == UINT64_MAX && !s->h->console.tty)
		o->max = CONSOLE_MAX;
	clock_gettime(CLOCK_REALTIME, &t);
	o->utc_offset = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 - now_ms();
}

/* Returns how many of the @n bytes fit into *@left, which is reduced. The first byte of a line also needs its stamp. */
static size_t count_stamped(struct console_out *o, const uint8_t *buf, size_t n, uint64_t *left)
{
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned need = o->mid_line ? 1 : 1 + STAMP_BYTES;

		if (need > *left)
			break;
		*left -= need;
		o->mid_line = buf[i] != '\n';
	}
	return i;
}

static void report_full(struct supervisor *s)
{
	const char *path = s->c->console.path;
	bool chosen = s->c->console.max != UINT64_MAX;

	s->console.full = true;
	sup_line(s, "%s%s: the guest's console has written the %llu bytes that %s; dropping the rest%s",
		 path ? "--console=" : "", path ? path : "standard output", (unsigned long long)s->console.max,
		 chosen ? "max= allows" : "are the default limit",
		 chosen ? "" : (path ? " (max=SIZE changes that)" : " (--console=-,max=SIZE changes that)"));
}

size_t sup_console_allow(struct supervisor *s, const uint8_t *buf, size_t n)
{
	struct console_out *o = &s->console;
	uint64_t left = o->max - o->written, before = left;
	size_t fit;

	if (s->c->console.timestamps) {
		fit = o->full ? 0 : count_stamped(o, buf, n, &left);
	} else {
		fit = (size_t)MIN(n, left);
		left -= fit;
	}
	o->written += before - left;
	o->dropped += n - fit;
	if (fit < n && !o->full)
		report_full(s);
	return fit;
}

size_t sup_output_waits(const struct supervisor *s)
{
	return s->out.len + s->console.stamped.len;
}

/* Move bytes from s->out to the stamped buffer, adding time stamps, while it has room. */
static void stamp_lines(struct supervisor *s)
{
	struct outbuf *to = &s->console.stamped;
	char text[STAMP_BYTES + 1];
	uint8_t byte;

	while (s->out.len && outbuf_room(to) > STAMP_BYTES) {
		if (!to->mid_line) {
			utc_text(now_ms() + s->console.utc_offset, text);
			text[STAMP_BYTES - 1] = ' ';
			outbuf_put(to, text, STAMP_BYTES);
		}
		outbuf_take(&s->out, &byte, 1);
		outbuf_put(to, &byte, 1);
	}
}

bool sup_console_write(struct supervisor *s, size_t most)
{
	struct outbuf *from = &s->out;
	bool took;

	if (s->c->console.timestamps) {
		stamp_lines(s);
		from = &s->console.stamped;
	}
	took = outbuf_write(from, s->h->console.fd, most);
	if (from != &s->out && from->gone && !s->out.gone)
		sup_console_drop(s, from->error);
	return took;
}

void sup_console_drop(struct supervisor *s, int error)
{
	struct outbuf *stamped = &s->console.stamped;

	s->out.dropped += s->out.len + stamped->len + stamped->dropped;
	s->out.gone = true;
	s->out.error = error;
	s->out.head = s->out.len = stamped->head = stamped->len = 0;
	stamped->dropped = 0;
}
