/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of the guest's console. Runs in the supervisor. The bytes are not trusted:
 * they are passed on unchanged, and the text that is extracted from them (of a panic)
 * is made printable and short.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/terminal/console.h"
#include "parent/terminal/copier.h"

#define ESCAPE_WITHIN_MS 1000
#define PANIC_MARK	 "Kernel panic - not syncing: "

size_t outbuf_room(const struct outbuf *o)
{
	return o->gone ? o->size : o->size - o->len;
}

size_t outbuf_put(struct outbuf *o, const void *data, size_t n)
{
	const uint8_t *from = data;
	size_t room = outbuf_room(o), tail, first;

	n = MIN(n, room);
	if (!n)
		return 0;
	o->mid_line = from[n - 1] != '\n';
	if (o->gone) {
		o->dropped += n;
		return n;
	}
	tail = (o->head + o->len) % o->size;
	first = MIN(n, o->size - tail);
	memcpy(o->buf + tail, from, first);
	memcpy(o->buf, from + first, n - first);
	o->len += n;
	return n;
}

size_t outbuf_take(struct outbuf *o, void *to, size_t most)
{
	size_t n = MIN(o->len, most), first = MIN(n, o->size - o->head);

	memcpy(to, o->buf + o->head, first);
	memcpy((uint8_t *)to + first, o->buf, n - first);
	o->head = (o->head + n) % o->size;
	o->len -= n;
	return n;
}

bool outbuf_write(struct outbuf *o, int fd, size_t most)
{
	size_t n = MIN(MIN(o->len, o->size - o->head), most);
	ssize_t done;

	if (!n)
		return false;
	done = fd < 0 ? -1 : copier_write(fd, o->buf + o->head, n);
	if (done < 0 && fd >= 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (done < 0) {
		o->gone = true;
		o->error = fd < 0 ? 0 : errno;
		o->dropped += o->len;
		o->head = o->len = 0;
		return false;
	}
	o->head = (o->head + (size_t)done) % o->size;
	o->len -= (size_t)done;
	return true;
}

bool escape_feed(struct escape *e, int key, const uint8_t *data, size_t n, uint64_t now)
{
	for (size_t i = 0; i < n; i++) {
		if (data[i] != key) {
			e->n = 0;
			continue;
		}
		if (e->n == 2 && now - e->first <= ESCAPE_WITHIN_MS)
			return true;
		if (e->n == 2)
			e->first = e->second;
		if (e->n == 0)
			e->first = now;
		else
			e->second = now;
		e->n = e->n == 0 ? 1 : 2;
	}
	return false;
}

/* Skips the stamps that a kernel may put before a line: "[   12.345678] ", "[    T1] ". */
static const char *skip_stamps(const char *s, const char *end)
{
	while (s < end && *s == '[') {
		const char *close = memchr(s, ']', (size_t)(end - s));

		if (!close)
			break;
		for (s = close + 1; s < end && *s == ' '; s++)
			;
	}
	return s;
}

/* Check a complete line for the text of a panic. */
static void check_line(struct panic_watch *p)
{
	const char *end = p->line + p->len;
	const char *s = skip_stamps(p->line, end);
	size_t mark = strlen(PANIC_MARK), n;

	p->len = 0;
	if ((size_t)(end - s) < mark || memcmp(s, PANIC_MARK, mark) != 0)
		return;
	p->seen = true;
	p->count++;
	n = MIN((size_t)(end - s) - mark, sizeof(p->text) - 1);
	memcpy(p->text, s + mark, n);
	p->text[n] = '\0';
	make_printable(p->text, n);
}

void panic_feed(struct panic_watch *p, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\n')
			check_line(p);
		else if (data[i] != '\r' && p->len < sizeof(p->line))
			p->line[p->len++] = (char)data[i];
	}
}

void panic_end(struct panic_watch *p)
{
	check_line(p);
}
