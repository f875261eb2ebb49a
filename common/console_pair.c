/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two consoles of a guest merged into one output: see console_pair.h. Runs in the
 * supervisor (qemu engine) or in the vCPU process (kvm engine). All bytes come from
 * the guest. A line is skipped only if it equals, byte for byte, one already shown.
 */
#include <string.h>

#include "common/console_pair.h"

/* After this many lines that the serial console has not shown, stop looking for repeated ones. */
#define MAX_FRESH 256

static const char panic_mark[] = "Kernel panic - not syncing";
static const char first_line[] = "Linux version ";

void pair_reset(struct console_pair *p)
{
	p->state = PAIR_SERIAL;
	p->mid_line = p->begun = p->plain = p->passing = p->panic_virtio = false;
	p->record_len = p->cursor = p->candidate = p->matched = p->tail_len = 0;
	p->virtio.len = p->serial.len = 0;
	p->virtio.stamped = p->serial.stamped = 0;
	p->fresh = p->mark_serial = p->mark_virtio = 0;
}

size_t pair_extra(const struct console_pair *p)
{
	return p->on ? p->matched + p->serial.len + p->tail_len + 4 : 0;
}

static bool digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/*
 * Do the first @n bytes of a line have the time stamp of the kernel's log,
 * "[    1.234567] ", perhaps after a level, "<6>"? Returns 1 for yes, -1 for no, 0 if
 * more bytes are needed.
 */
static int stamp(const uint8_t *s, size_t n)
{
	size_t i = 0, from;

	if (i < n && s[i] == '<') {
		for (i++; i < n && digit(s[i]); i++)
			;
		if (i < n && s[i++] != '>')
			return -1;
	}
	if (i < n && s[i++] != '[')
		return -1;
	while (i < n && s[i] == ' ')
		i++;
	for (from = i; i < n && digit(s[i]); i++)
		;
	if (i < n && (i == from || s[i++] != '.'))
		return -1;
	for (from = i; i < n && digit(s[i]); i++)
		;
	if (i < n)
		return i - from == 6 && s[i] == ']' ? 1 : -1;
	return n < PAIR_HEAD ? 0 : -1;
}

static bool stamped(const uint8_t *s, size_t n)
{
	return stamp(s, n) == 1;
}

/* Add the next byte of a line, until it is known whether the line has a time stamp. */
static void to_head(struct pair_head *h, uint8_t c)
{
	if (h->stamped)
		return;
	h->text[h->len++] = c;
	h->stamped = c == '\n' ? -1 : stamp(h->text, h->len);
}

static void end_head(struct pair_head *h)
{
	h->len = 0;
	h->stamped = 0;
}

/* Match the panic message byte by byte; *@seen: bytes matched so far. True at its last byte. */
static bool mark_feed(unsigned *seen, uint8_t c)
{
	if (c != (uint8_t)panic_mark[*seen])
		*seen = 0; /* Restarting at 0 is enough: its first letter, K, occurs only once in it */
	if (c == (uint8_t)panic_mark[*seen])
		(*seen)++;
	if (*seen < sizeof(panic_mark) - 1)
		return false;
	*seen = 0;
	return true;
}

/* The position after the line of p->record that begins at @pos; 0 if its newline is missing. */
static size_t line_end(const struct console_pair *p, size_t pos)
{
	const uint8_t *nl = memchr(p->record + pos, '\n', p->record_len - pos);

	return nl ? (size_t)(nl - p->record) + 1 : 0;
}

/*
 * May the line at @pos be part of the kernel's log, which hvc0 repeats? A program may
 * print the same line twice on purpose, so a line without a time stamp counts only if
 * the whole log has no time stamps.
 */
static bool comparable(const struct console_pair *p, size_t pos, size_t end)
{
	const uint8_t *s = p->record + pos;
	size_t n = end - pos;

	if (n > PAIR_LINE)
		return false;
	if (p->plain || stamped(s, n))
		return true;
	return !p->begun && n > sizeof(first_line) && !memcmp(s, first_line, sizeof(first_line) - 1);
}

/* Find the first line from @pos on that begins with the bytes matched so far, then @c. False: none. */
static bool find_candidate(struct console_pair *p, size_t pos, uint8_t c)
{
	const uint8_t *same = p->record + p->candidate;
	size_t end;

	for (; pos < p->record_len && (end = line_end(p, pos)); pos = end) {
		if (end - pos <= p->matched || p->record[pos + p->matched] != c || !comparable(p, pos, end) ||
		    memcmp(p->record + pos, same, p->matched) != 0)
			continue;
		p->candidate = pos;
		return true;
	}
	return false;
}

/* Show bytes of one console. If the other console is in the middle of a line, end that line first. */
static void put(struct console_pair *p, bool virtio, const uint8_t *buf, size_t n, pair_show show, void *owner)
{
	if (!n)
		return;
	if (p->mid_line && p->last_virtio != virtio)
		show(owner, (const uint8_t *)"\r\n", 2);
	p->last_virtio = virtio;
	p->mid_line = buf[n - 1] != '\n';
	show(owner, buf, n);
}

/*
 * Handle a byte of a line of hvc0 that the serial console has not shown. If the line
 * comes from a program, the repeated log is over.
 */
static void fresh_byte(struct console_pair *p, uint8_t c)
{
	to_head(&p->virtio, c);
	if (p->plain || p->virtio.stamped < 0)
		p->state = PAIR_VIRTIO;
	if (c != '\n')
		return;
	p->passing = false;
	end_head(&p->virtio);
	if (++p->fresh > MAX_FRESH)
		p->cursor = p->record_len;
}

static void compare(struct console_pair *p, uint8_t c, pair_show show, void *owner)
{
	size_t from = p->matched ? p->candidate : p->cursor;

	if (!p->passing && find_candidate(p, from, c)) {
		p->matched++;
		if (c != '\n')
			return;
		p->plain = !p->begun ? !stamped(p->record + p->candidate, p->matched) : p->plain;
		p->begun = true;
		p->cursor = p->candidate + p->matched;
		p->matched = 0;
		return;
	}
	if (!p->passing) {
		p->passing = true;
		for (size_t i = 0; i < p->matched; i++)
			fresh_byte(p, p->record[p->candidate + i]);
		put(p, true, p->record + p->candidate, p->matched, show, owner);
		p->matched = 0;
	}
	fresh_byte(p, c);
	put(p, true, &c, 1, show, owner);
}

void pair_virtio(struct console_pair *p, const uint8_t *buf, size_t n, pair_show show, void *owner)
{
	size_t i = 0;

	if (!p->on || p->state == PAIR_BOTH) {
		show(owner, buf, n);
		return;
	}
	if (p->state == PAIR_SERIAL && n) {
		p->state = PAIR_COMPARE;
		/* A program is in the middle of a line on the serial console: show its rest too. */
		p->serial.stamped = p->mid_line ? -1 : 0;
	}
	for (size_t j = 0; j < n; j++)
		p->panic_virtio |= mark_feed(&p->mark_virtio, buf[j]);
	while (i < n && p->state == PAIR_COMPARE)
		compare(p, buf[i++], show, owner);
	put(p, true, buf + i, n - i, show, owner);
}

/* Append a byte to the record. If it is full, drop the older half, up to the start of a line. */
static void remember(struct console_pair *p, uint8_t c)
{
	if (p->record_len == sizeof(p->record)) {
		size_t half = line_end(p, sizeof(p->record) / 2);

		p->record_len = half ? p->record_len - half : 0;
		memmove(p->record, p->record + half, p->record_len);
	}
	p->record[p->record_len++] = c;
}

static void to_tail(struct console_pair *p, uint8_t c)
{
	if (p->tail_len == sizeof(p->tail)) {
		p->tail_len /= 2;
		memmove(p->tail, p->tail + p->tail_len, p->tail_len);
	}
	p->tail[p->tail_len++] = c;
}

/* The start of the last line in p->tail. */
static size_t last_line(const struct console_pair *p)
{
	size_t i = p->tail_len;

	while (i && p->tail[i - 1] != '\n')
		i--;
	return i;
}

/*
 * Is a panic message complete on the serial console, but absent from hvc0? Linux writes
 * each line to hvc0 first, as the preferred console, so hvc0 must have stopped working.
 */
static bool panic_on_serial_only(struct console_pair *p, uint8_t c)
{
	return mark_feed(&p->mark_serial, c) && !p->panic_virtio;
}

static void back_to_serial(struct console_pair *p, pair_show show, void *owner)
{
	size_t from = last_line(p);

	p->state = PAIR_BOTH;
	put(p, true, p->record + p->candidate, p->matched, show, owner);
	p->matched = 0;
	put(p, false, p->tail + from, p->tail_len - from, show, owner);
	p->tail_len = 0;
}

/* Handle a byte of the serial console after hvc0 has begun to write. */
static void late_byte(struct console_pair *p, uint8_t c, pair_show show, void *owner)
{
	struct pair_head *h = &p->serial;
	bool undecided = !h->stamped;

	to_tail(p, c);
	if (panic_on_serial_only(p, c)) {
		back_to_serial(p, show, owner);
		return;
	}
	to_head(h, c);
	if (p->state == PAIR_COMPARE && !p->plain && h->stamped < 0) {
		if (undecided)
			put(p, false, h->text, h->len, show, owner);
		else
			put(p, false, &c, 1, show, owner);
	}
	if (h->stamped)
		h->len = 0;
	if (c == '\n')
		end_head(h);
}

void pair_serial(struct console_pair *p, const uint8_t *buf, size_t n, pair_show show, void *owner)
{
	size_t i = 0;

	if (p->on && p->state == PAIR_SERIAL && n) {
		for (; i < n; i++)
			remember(p, buf[i]);
		put(p, false, buf, n, show, owner);
		return;
	}
	while (p->on && i < n && p->state != PAIR_BOTH)
		late_byte(p, buf[i++], show, owner);
	if (n > i)
		show(owner, buf + i, n - i);
}
