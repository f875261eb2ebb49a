/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scanner for the lines of QMP, QEMU's monitor protocol (JSON). Runs in the
 * supervisor. The guest may have taken over QEMU, so the scanner must accept any
 * bytes. It recognises known strings only, at the depth where QMP puts them: an
 * "event", an "id" and the kind of a result at the top level, a "reason" or "open" in its "data".
 */
#include <string.h>

#include "parent/supervise/qmp.h"

#define WORD_MAX  32
#define DEPTH_MAX 8

struct word {
	char text[WORD_MAX];
	size_t len;
};

struct scan {
	const char *s, *end;
	unsigned depth;
	struct word key[DEPTH_MAX]; /* The last key seen at each depth. */
	struct word event, reason;
	bool greeting, open, result, failed, of_break, of_nmi;
};

/*
 * Read a string whose opening quote was already read. A string that is too long is changed so that it matches no
 * known word. Returns false if the line ends first.
 */
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

static bool word_is(const struct word *w, const char *text)
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
		if (c->depth == 1) {
			c->greeting |= word_is(w, "QMP");
			c->result |= word_is(w, "return");
			c->failed |= word_is(w, "error");
		}
		return;
	}
	if (c->depth == 1 && word_is(&c->key[1], "event"))
		c->event = *w;
	if (c->depth == 1 && word_is(&c->key[1], "id")) {
		c->of_break = word_is(w, "break");
		c->of_nmi = word_is(w, "nmi");
	}
	if (c->depth == 2 && word_is(&c->key[1], "data") && word_is(&c->key[2], "reason"))
		c->reason = *w;
}

static enum qmp_news verdict_of(const struct scan *c)
{
	if (word_is(&c->event, "GUEST_PANICKED") || word_is(&c->event, "GUEST_CRASHLOADED"))
		return QMP_GUEST_PANIC;
	if (word_is(&c->event, "VSERPORT_CHANGE") && c->open)
		return QMP_CONSOLE_OPEN;
	if (word_is(&c->event, "STOP"))
		return QMP_STOPPED;
	if (c->of_break && (c->result || c->failed))
		return c->failed ? QMP_BREAK_FAILED : QMP_BREAK_SENT;
	if (c->of_nmi && (c->result || c->failed))
		return c->failed ? QMP_NMI_FAILED : QMP_NMI_SENT;
	if (!word_is(&c->event, "SHUTDOWN"))
		return c->greeting ? QMP_GREETING : QMP_NOTHING;
	if (word_is(&c->reason, "guest-reset"))
		return QMP_GUEST_RESET;
	if (word_is(&c->reason, "guest-shutdown"))
		return QMP_GUEST_OFF;
	if (word_is(&c->reason, "guest-panic"))
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
		} else if (ch == 't' && c.depth == 2 && word_is(&c.key[1], "data") && word_is(&c.key[2], "open")) {
			c.open = true; /* "open": true; only "true" starts with a t. */
		}
	}
	return c.depth ? QMP_NOTHING : verdict_of(&c);
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
