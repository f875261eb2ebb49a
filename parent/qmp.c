// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A scanner for QMP's lines. Runs in the supervisor; the bytes come from a
 * process that the guest may have taken. It must accept any bytes, remember
 * only strings of known meaning, and look only where they mean something: an
 * "event" at the top, a "reason" in its "data".
 */
#include <string.h>

#include "qmp.h"

#define WORD_MAX  32
#define DEPTH_MAX 8

struct word {
	char text[WORD_MAX];
	size_t len;
};

struct scan {
	const char *s, *end;
	unsigned depth;
	struct word key[DEPTH_MAX]; /* the last key seen at each depth */
	struct word event, reason;
	bool greeting;
};

/* A string, its opening quote already taken; cut if too long (then it matches nothing). */
static bool scan_string(struct scan *c, struct word *w)
{
	w->len = 0;
	while (c->s < c->end) {
		char ch = *c->s++;

		if (ch == '"') {
			w->text[w->len] = '\0';
			return true;
		}
		if (ch == '\\') {
			if (c->s == c->end)
				return false;
			c->s++;
			ch = '?';
		}
		if (w->len < sizeof(w->text) - 1)
			w->text[w->len++] = ch;
		else
			w->text[0] = '?';
	}
	return false;
}

static bool is(const struct word *w, const char *text)
{
	return !strcmp(w->text, text);
}

/* The string @w at the current depth is a key if a colon follows, else a value. */
static void take_string(struct scan *c, const struct word *w)
{
	while (c->s < c->end && *c->s == ' ')
		c->s++;
	if (c->depth == 0 || c->depth >= DEPTH_MAX)
		return;
	if (c->s < c->end && *c->s == ':') {
		c->key[c->depth] = *w;
		if (c->depth == 1 && is(w, "QMP"))
			c->greeting = true;
		return;
	}
	if (c->depth == 1 && is(&c->key[1], "event"))
		c->event = *w;
	if (c->depth == 2 && is(&c->key[1], "data") && is(&c->key[2], "reason"))
		c->reason = *w;
}

static enum qmp_news judge(const struct scan *c)
{
	if (is(&c->event, "GUEST_PANICKED") || is(&c->event, "GUEST_CRASHLOADED"))
		return QMP_GUEST_PANIC;
	if (!is(&c->event, "SHUTDOWN"))
		return c->greeting ? QMP_GREETING : QMP_NOTHING;
	if (is(&c->reason, "guest-reset"))
		return QMP_GUEST_RESET;
	if (is(&c->reason, "guest-shutdown"))
		return QMP_GUEST_OFF;
	if (is(&c->reason, "guest-panic"))
		return QMP_GUEST_PANIC;
	return QMP_HOST_END;
}

static enum qmp_news scan_line(const char *line, size_t len)
{
	struct scan c = { .s = line, .end = line + len };
	struct word w;

	while (c.s < c.end) {
		char ch = *c.s++;

		if (ch == '{' || ch == '[') {
			if (++c.depth < DEPTH_MAX)
				c.key[c.depth].text[0] = '\0';
		} else if (ch == '}' || ch == ']') {
			if (!c.depth)
				return QMP_NOTHING;
			c.depth--;
		} else if (ch == '"') {
			if (!scan_string(&c, &w))
				return QMP_NOTHING;
			take_string(&c, &w);
		}
	}
	return c.depth ? QMP_NOTHING : judge(&c);
}

enum qmp_news qmp_feed(struct qmp *q, uint8_t byte)
{
	enum qmp_news news = QMP_NOTHING;

	if (byte != '\n') {
		if (q->len < sizeof(q->line))
			q->line[q->len++] = (char)byte;
		else
			q->too_long = true;
		return QMP_NOTHING;
	}
	if (!q->too_long)
		news = scan_line(q->line, q->len);
	q->len = 0;
	q->too_long = false;
	return news;
}
