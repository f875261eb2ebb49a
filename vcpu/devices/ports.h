/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named ports of the console device (virtio 1.2, clause 5.3, VIRTIO_CONSOLE_F_MULTIPORT):
 * the queues for control messages, and two queues and a connection to the supervisor for
 * each port. Runs in the vCPU process, under the engine's device lock. Never waits:
 * while a connection is full, the guest's output stays in its queue.
 */
#ifndef VCPU_PORTS_H
#define VCPU_PORTS_H

#include "common/ctl.h"
#include "common/vring.h"

/* Size of the device's queues, and so the most buffers of one chain. */
#define PORTS_QUEUE_MAX 256
/* Bytes from the supervisor that a port keeps for a guest without buffers. */
#define PORT_INPUT_SIZE 4096
/* Bytes that one call of ports_kick() takes from one port. */
#define PORT_TX_BUDGET 65536u

/* The device's queues: the console's two, those of the control messages, then two for each named port. */
enum { PORTS_CTL_RX = 2, PORTS_CTL_TX = 3, PORTS_FIRST = 4, PORTS_MAX_QUEUES = 4 + 2 * MAX_PORTS };

/* The bits that port.pending can have: of the console (port 0), and of a named port. */
#define CONSOLE_MESSAGES 0x13u
#define PORT_MESSAGES	 0x0fu

struct port {
	struct vq rx, tx;
	bool guest_open;  /* A program in the guest has it open. */
	bool gone;	  /* The supervisor has closed the connection: output is dropped. */
	bool blocked;	  /* The connection is full: wait until it is writable. */
	bool again;	  /* Output is left because the budget was used up. */
	uint8_t pending;  /* Control messages that wait for a buffer: enum in ports.c. */
	uint32_t watched; /* Events that VFD_EPOLL has for the connection; 0: it has none. */
	/* The current transmit chain. */
	bool busy;
	size_t done;
	struct vq_chain chain;
	struct iovec iov[PORTS_QUEUE_MAX];
	/* Input that the guest has no buffers for yet. */
	size_t in_head, in_len;
	uint8_t in[PORT_INPUT_SIZE];
};

struct ports {
	unsigned n; /* Named ports: numbers 1 to n. Port 0 is the console. */
	const char (*name)[PORT_NAME_MAX];
	struct vq ctl_rx, ctl_tx;
	bool ctl_again;
	bool held;			 /* Nothing more is sent to the supervisor (vcpu/kvm/round.h). */
	uint32_t size;			 /* Of the console's terminal: WINDOW_SIZE(), or 0. */
	bool size_known;		 /* The driver has initialized port 0 and can receive the size. */
	struct port port[1 + MAX_PORTS]; /* Of port 0 only @pending is used. */
	/* Called to interrupt the driver for queue @q of the device. */
	void (*call)(void *owner, unsigned q);
	void *owner;
};

/* Prepare @p, which is zeroed memory. @name: entry p - 1 is the name of port p; the caller keeps ownership. */
void ports_init(struct ports *p, unsigned n, const char (*name)[PORT_NAME_MAX], void (*call)(void *, unsigned),
		void *owner);
/* Returns the queue with number @q (PORTS_CTL_RX and up), or NULL. */
struct vq *ports_queue(struct ports *p, unsigned q);
/* Number of queues of a device with @n named ports. */
static inline unsigned ports_queues(unsigned n)
{
	return n ? PORTS_FIRST + 2 * n : PORTS_CTL_RX;
}

/* Device reset: no guest memory is touched afterwards. Input that was not delivered stays for the next driver. */
void ports_stop(struct ports *p);
/* The console's terminal has a new size (WINDOW_SIZE()). */
void ports_resize(struct ports *p, uint32_t size);
/*
 * Return to the state of @s, a copy of @p at a checkpoint: queues, and the chain that was being sent then. Guest memory
 * is as it was then, too. What the supervisor sees stays: connections that have ended, and input that was received.
 */
void ports_load(struct ports *p, const struct ports *s);
/*
 * Port @i of a saved guest, whose queues were set already. @gone: the guest was told that its connection had ended,
 * which is a new one now. ports_restart() is called next.
 */
void ports_restore(struct ports *p, unsigned i, bool guest_open, uint8_t pending, bool gone);
/* Let ports_work() look at all queues. Nothing is sent to the guest before. */
void ports_restart(struct ports *p);
/*
 * After ports_load(), once the guest can be interrupted: look at all queues, because their kicks may have been dealt
 * with.
 */
void ports_look(struct ports *p);
/* Record that the used rings of all queues may be written (vcpu/devices/written.h). */
void ports_mark_rings(struct ports *p);
/* The driver notified queue @q. */
void ports_kick(struct ports *p, unsigned q);
/* The connection VFD_PORT0 + 2 * @i of named port @i + 1 is ready. */
void ports_event(struct ports *p, unsigned i, uint32_t events);
/* Continue work that stopped because its budget was used up. Returns true if some is left again. */
bool ports_work(struct ports *p);
bool ports_have_work(const struct ports *p);

#endif
