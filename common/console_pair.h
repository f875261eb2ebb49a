/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Merges the serial console (ttyS0) and the virtio console (hvc0) of a guest into one
 * output without repeated lines. Used by the supervisor (qemu engine) and by the vCPU
 * process (kvm engine).
 *
 * If the user gives no console= argument, the kernel gets both consoles:
 * 1. Until the driver of hvc0 runs, only the serial console writes; all of it is shown.
 * 2. When hvc0 registers, Linux writes its whole log to it once more. Each line that
 *    equals one already shown, byte for byte, is skipped.
 * 3. From then on the kernel writes every line to both. Of the serial console, only
 *    lines of programs are shown (those without a time stamp): an early init may
 *    still have it open.
 * 4. Once programs write to hvc0, the serial console is hidden. It is shown again if a
 *    kernel panic appears on it but not on hvc0.
 *
 * All bytes come from the guest. Fixed memory, no system call.
 */
#ifndef COMMON_CONSOLE_PAIR_H
#define COMMON_CONSOLE_PAIR_H

#include "common/util.h"

/* Bytes kept of the serial console's output: the usual size of the kernel's log buffer. */
#define PAIR_RECORD 131072u
/* Longest line that is compared, in bytes; lines of the kernel are shorter. */
#define PAIR_LINE 1024u
/* Bytes kept of the serial console's hidden output, to show the lines before a panic. */
#define PAIR_TAIL 4096u
/* Bytes at the start of a line that are enough to recognise a time stamp. */
#define PAIR_HEAD 48u

enum pair_state {
	PAIR_SERIAL,  /* hvc0 has not written yet */
	PAIR_COMPARE, /* So far only the kernel has written to hvc0 */
	PAIR_VIRTIO,  /* Programs write to hvc0 */
	PAIR_BOTH,    /* A panic appeared on the serial console only: show both */
};

/* The start of a line, kept until it is known whether it has a time stamp, as lines of the kernel do. */
struct pair_head {
	uint8_t text[PAIR_HEAD];
	size_t len;
	int stamped; /* 1: yes, -1: no, 0: not known yet */
};

struct console_pair {
	bool on; /* False: show every byte of both consoles */
	enum pair_state state;
	bool mid_line;	  /* The last byte shown was not a newline */
	bool last_virtio; /* The last byte shown came from hvc0 */

	uint8_t record[PAIR_RECORD]; /* Output of the serial console before hvc0 wrote */
	size_t record_len;
	size_t cursor;	  /* Position in record after the last line that hvc0 repeated */
	size_t candidate; /* Position in record of a line that begins like the current line of hvc0 */
	size_t matched;	  /* Bytes of the current line of hvc0 that equal the candidate; not shown yet */
	bool begun;	  /* hvc0 has repeated at least one line */
	bool plain;	  /* The repeated log has no time stamps */

	bool passing;		 /* The current line of hvc0 is new, and is being shown */
	struct pair_head virtio; /* Start of that line */
	unsigned fresh;		 /* Lines of hvc0 that the serial console had not shown */

	struct pair_head serial; /* Start of the current line of the serial console, in PAIR_COMPARE */

	uint8_t tail[PAIR_TAIL]; /* Newest output of the serial console that was not shown */
	size_t tail_len;
	unsigned mark_serial; /* Bytes of the panic message matched on the serial console */
	unsigned mark_virtio; /* The same for hvc0 */
	bool panic_virtio;    /* The panic message appeared on hvc0 */
};

/* Callback that shows @n bytes at @buf. It must accept all of them. */
typedef void (*pair_show)(void *owner, const uint8_t *buf, size_t n);

/* Reset for a guest that has written nothing yet. Leaves p->on unchanged. */
void pair_reset(struct console_pair *p);

/* The guest wrote @n bytes to the serial console, or to hvc0. Passes the bytes to display to @show. */
void pair_serial(struct console_pair *p, const uint8_t *buf, size_t n, pair_show show, void *owner);
void pair_virtio(struct console_pair *p, const uint8_t *buf, size_t n, pair_show show, void *owner);

/* The most bytes that the next call may show in addition to those passed to it. */
size_t pair_extra(const struct console_pair *p);

#endif
