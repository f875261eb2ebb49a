/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console of a guest: the bytes on VFD_CON_IN and VFD_CON_OUT, and the
 * virtio console (virtio 1.2, clause 5.3) behind any transport. Runs in the
 * vCPU process, under the engine's device lock. Never waits: what the other end does
 * not take is kept in a fixed buffer, and the guest is told that there is no room.
 */
#ifndef VCPU_CONSOLE_H
#define VCPU_CONSOLE_H

#include "common/vring.h"

#define CONIO_SIZE 32768u /* a power of two */

/* Output that waits for its pipe. Shared by the serial port and the virtio console. */
struct conio {
	uint8_t buf[CONIO_SIZE];
	uint32_t head, tail; /* free-running */
	bool blocked;	     /* the pipe is full: wait for it to be writable */
	bool gone;	     /* nobody reads any more: output is lost */
};
size_t conio_room(const struct conio *c);
size_t conio_used(const struct conio *c);
/* As much of @len bytes as there is room for; the count. */
size_t conio_put(struct conio *c, const void *buf, size_t len);
/* Write to VFD_CON_OUT what it takes. */
void conio_flush(struct conio *c);

enum { CONSOLE_RX = 0, CONSOLE_TX = 1, CONSOLE_QUEUES = 2 };

/* Bytes that one call of console_transmit() passes on. */
#define CONSOLE_TX_BUDGET 65536u

struct console {
	struct conio *io;
	struct vq q[CONSOLE_QUEUES];
	/* The driver's attention is wanted on queue @q. */
	void (*call)(void *owner, unsigned q);
	void *owner;
	/* The transmit chain that is under way. */
	struct vq_chain chain;
	struct iovec iov[VQ_MAX_SIZE];
	bool busy;
	size_t done;
};

void console_init(struct console *c, struct conio *io, void (*call)(void *, unsigned), void *owner);
/* Queue @q begins. False: its geometry is refused. */
bool console_start(struct console *c, unsigned q, const struct guest_mem *mem, const struct vq_setup *s);
void console_stop(struct console *c);
/* Pass on what the guest has written. True: there is more to do (budget); false also when output is blocked. */
bool console_transmit(struct console *c);
/* Give the guest input; the number of bytes that it had buffers for. */
size_t console_input(struct console *c, const uint8_t *buf, size_t len);
/* True if the driver runs. */
bool console_running(const struct console *c);

#endif
