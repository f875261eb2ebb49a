/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console of a guest: output to the pipe VFD_CON_OUT, and the virtio console (virtio
 * 1.2, clause 5.3), independent of the transport. Runs in the vCPU process, under the
 * engine's device lock. It never waits: output that the pipe does not accept stays in a
 * fixed buffer, and if that is full, the guest's device accepts no more.
 */
#ifndef VCPU_CONSOLE_H
#define VCPU_CONSOLE_H

#include "common/console_pair.h"
#include "common/vring.h"

#define CONIO_SIZE 32768u /* Bytes; a power of two */

/* Output buffer in front of VFD_CON_OUT. The serial port and the virtio console share it. */
struct conio {
	struct console_pair pair; /* Merges both consoles; off if the guest has only one of them */
	uint8_t buf[CONIO_SIZE];
	uint32_t head, tail; /* Bytes read and written since the start; modulo CONIO_SIZE: index in buf */
	bool blocked;	     /* The pipe is full: wait for EPOLLOUT */
	bool gone;	     /* The reader has closed the pipe: discard output */
};
/* Bytes that the guest may still write. */
size_t conio_room(const struct conio *c);
/* Bytes in the buffer. */
size_t conio_used(const struct conio *c);
/* Append @len bytes, or as many as fit. Returns their number. */
size_t conio_put(struct conio *c, const void *buf, size_t len);
/*
 * Append @len bytes that the guest wrote to its serial port, or to its virtio console. The
 * caller has checked conio_room().
 */
void conio_put_serial(struct conio *c, const void *buf, size_t len);
void conio_put_virtio(struct conio *c, const void *buf, size_t len);
/* Write as much as VFD_CON_OUT accepts without waiting. */
void conio_flush(struct conio *c);

enum { CONSOLE_RX = 0, CONSOLE_TX = 1, CONSOLE_QUEUES = 2 };

/* Most bytes that one call of console_transmit() moves. */
#define CONSOLE_TX_BUDGET 65536u

/*
 * Milliseconds for which input is held back after the driver has started, unless the guest
 * writes before. Linux adds receive buffers first and registers the console later
 * (drivers/char/virtio_console.c, add_port()); input between the two would be lost. The
 * first output comes after both steps, so from then on input is safe.
 */
#define CONSOLE_INPUT_DELAY_MS 2000

struct console {
	struct conio *io;
	struct vq q[CONSOLE_QUEUES];
	/* Called to interrupt the driver for queue @q. */
	void (*call)(void *owner, unsigned q);
	void *owner;
	struct vq_chain chain;	       /* The transmit chain in progress, if @busy */
	struct iovec iov[VQ_MAX_SIZE]; /* Its buffers */
	bool busy;
	size_t done;	     /* Bytes of it that were moved */
	bool transmitted;    /* The driver has written, so it reads the console too */
	uint64_t input_from; /* now_ms() from which input is delivered even if it has not; 0: not running */
};

void console_init(struct console *c, struct conio *io, void (*call)(void *, unsigned), void *owner);
/* Start queue @q. False if @s is invalid. */
bool console_start(struct console *c, unsigned q, const struct guest_mem *mem, const struct vq_setup *s);
/* Stop both queues. */
void console_stop(struct console *c);
/* Move output of the guest to c->io. True if the budget ended it, and the caller must call again. */
bool console_transmit(struct console *c);
/* Move @len bytes of input into the guest's buffers. Returns the number of bytes that fitted. */
size_t console_input(struct console *c, const uint8_t *buf, size_t len);
/* True if the receive queue runs. */
bool console_running(const struct console *c);
/* Milliseconds until console_input() delivers input that it holds back now; -1 if it holds none back. */
int console_input_wait(const struct console *c);

#endif
