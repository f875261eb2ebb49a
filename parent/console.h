/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done with the bytes of the guest's console: buffers that never lose
 * or block, three ^C, and the line that says the guest's kernel panicked. No
 * system call is made here but in outbuf_write().
 */
#ifndef PARENT_CONSOLE_H
#define PARENT_CONSOLE_H

#include "common/log.h"
#include "common/util.h"

/* Bytes on their way to a descriptor. The owner asks for no more than there is room for. */
struct outbuf {
	uint8_t *buf;
	size_t size, head, len;
	bool gone;     /* nobody takes them any more: they are dropped */
	bool mid_line; /* the last byte put in did not end a line */
	int error;     /* why: errno of the write that failed */
	uint64_t dropped;
};
size_t outbuf_room(const struct outbuf *o);
/* Puts in as much as there is room for; returns how much. */
size_t outbuf_put(struct outbuf *o, const void *data, size_t n);
/* Take up to @most of the oldest bytes out, into @to; how many. */
size_t outbuf_take(struct outbuf *o, void *to, size_t most);
/*
 * One write() of at most @most bytes. False if the descriptor takes nothing
 * now; an error other than that makes the buffer drop everything.
 */
bool outbuf_write(struct outbuf *o, int fd, size_t most);

/* Three ^C within one second, nothing else between them. */
struct ctrl_c {
	uint64_t first, second; /* ms */
	unsigned n;
};
/* @n bytes were typed at @now (ms). True: leave. */
bool ctrl_c_feed(struct ctrl_c *c, const uint8_t *data, size_t n, uint64_t now);

/* Looks for the kernel's panic line in one stream of console output. */
struct panic_watch {
	char line[LOG_LINE_MAX];
	size_t len;
	bool seen;
	char text[128]; /* what comes after "not syncing: ", printable */
};
void panic_feed(struct panic_watch *p, const uint8_t *data, size_t n);
/* The stream ended: a last line without its end counts too. */
void panic_end(struct panic_watch *p);

/* Make @n bytes printable in place: what is no ASCII text becomes '?'. */
void make_printable(char *s, size_t n);

#endif
