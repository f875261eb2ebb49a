/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of the guest's console: ring buffers for output, the search for the escape
 * key, and the search for the line of a kernel panic. Only outbuf_write() makes a system
 * call.
 */
#ifndef PARENT_CONSOLE_H
#define PARENT_CONSOLE_H

#include "common/log.h"
#include "common/util.h"

/* A ring buffer of bytes that wait to be written to a descriptor. The caller owns @buf. */
struct outbuf {
	uint8_t *buf;
	size_t size;	  /* Bytes in @buf. */
	size_t head;	  /* Position of the oldest byte. */
	size_t len;	  /* Number of waiting bytes. */
	bool gone;	  /* The reader is gone: drop what is put in. */
	bool mid_line;	  /* The last byte put in did not end a line. */
	int error;	  /* errno of the write that failed; 0: none. */
	uint64_t dropped; /* Number of dropped bytes. */
};
/* Returns how many bytes can be put in. */
size_t outbuf_room(const struct outbuf *o);
/* Put in as many of the @n bytes as fit. Returns how many. */
size_t outbuf_put(struct outbuf *o, const void *data, size_t n);
/* Move up to @most of the oldest bytes to @to. Returns how many. */
size_t outbuf_take(struct outbuf *o, void *to, size_t most);
/*
 * Make one write() of at most @most bytes to @fd. Returns false if nothing was written
 * (EAGAIN). After any other error, or if @fd is -1, the buffer drops everything.
 */
bool outbuf_write(struct outbuf *o, int fd, size_t most);

/* There is no escape key: every key goes to the guest. */
#define ESCAPE_OFF (-1)
/* The default escape key: ^C. */
#define ESCAPE_DEFAULT 3

/* Detects the escape key typed three times within one second without another key in between. */
struct escape {
	uint64_t first, second; /* When the earlier ones were typed (ms). */
	unsigned n;		/* How often it was typed so far, 0 to 2. */
};
/*
 * The user typed @n bytes at the time @now (ms). @key: the byte of the escape key, or ESCAPE_OFF. Returns true at the
 * third one.
 */
bool escape_feed(struct escape *e, int key, const uint8_t *data, size_t n, uint64_t now);

/* Searches one stream of console output for the line of a kernel panic. */
struct panic_watch {
	char line[LOG_LINE_MAX]; /* The current line; the rest of a longer one is ignored. */
	size_t len;
	bool seen;
	unsigned count; /* Number of lines that look like a panic. */
	char text[128]; /* The text after "not syncing: ", printable. */
};
/* The guest printed @n bytes. */
void panic_feed(struct panic_watch *p, const uint8_t *data, size_t n);
/* The stream has ended: also check a last line that has no end of line. */
void panic_end(struct panic_watch *p);

#endif
