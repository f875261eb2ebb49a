/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named ports of the console device: see ports.h. Runs in the vCPU process. The guest
 * controls rings and control messages: rings are read only through common/vring.c, a message
 * is copied once, and an unknown one is ignored. The device's pending messages are a few
 * bits for each port, however often the guest requests them.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/fdtab.h"
#include "common/iov.h"
#include "vcpu/devices/fill.h"
#include "vcpu/devices/ports.h"
#include "vcpu/devices/written.h"

/* Control messages to the guest, in the order in which they are sent. */
enum { SAY_ADD = 1, SAY_KIND = 2, SAY_OPEN = 4, SAY_CLOSED = 8, SAY_SIZE = 16 };
_Static_assert((SAY_ADD | SAY_KIND | SAY_SIZE) == CONSOLE_MESSAGES, "only a console has a size");
_Static_assert((SAY_ADD | SAY_KIND | SAY_OPEN | SAY_CLOSED) == PORT_MESSAGES, "only a named port has a connection");

/* The longest message to the guest: a name. */
#define MESSAGE_MAX (sizeof(struct virtio_console_control) + PORT_NAME_MAX)

static int fd_of(unsigned i)
{
	return VFD_PORT0 + 2 * (int)(i - 1);
}

static unsigned rx_queue(unsigned i)
{
	return PORTS_FIRST + 2 * (i - 1);
}

void ports_init(struct ports *p, unsigned n, const char (*name)[PORT_NAME_MAX], void (*call)(void *, unsigned),
		void *owner)
{
	p->n = MIN(n, MAX_PORTS);
	p->name = name;
	p->call = call;
	p->owner = owner;
}

struct vq *ports_queue(struct ports *p, unsigned q)
{
	unsigned i = 1 + (q - PORTS_FIRST) / 2;

	if (q == PORTS_CTL_RX)
		return &p->ctl_rx;
	if (q == PORTS_CTL_TX)
		return &p->ctl_tx;
	if (q < PORTS_FIRST || i > p->n)
		return NULL;
	return q % 2 ? &p->port[i].tx : &p->port[i].rx;
}

static void publish(struct ports *p, struct vq *vq, unsigned q)
{
	if (vq_publish(vq) && vq_wants_call(vq))
		p->call(p->owner, q);
}

/* ---- control messages to the guest ---- */

/* Write the next message for port @i to @buf. Returns its length, or 0 if there is none. */
static size_t next_message(const struct ports *p, unsigned i, uint8_t buf[MESSAGE_MAX], uint8_t *bit)
{
	uint8_t pending = p->port[i].pending;
	struct virtio_console_control m = { .id = htole32(i), .value = htole16(1) };
	/* Rows before columns, as Linux has them; virtio 1.2, 5.3.6.2, has the opposite order. */
	const uint16_t size[2] = { htole16(WINDOW_ROWS(p->size)), htole16(WINDOW_COLS(p->size)) };
	const void *more = size;
	size_t len = 0;

	*bit = (uint8_t)(pending & -pending);
	switch (*bit) {
	case SAY_ADD:
		m.event = htole16(VIRTIO_CONSOLE_PORT_ADD);
		break;
	case SAY_KIND:
		m.event = htole16(i ? VIRTIO_CONSOLE_PORT_NAME : VIRTIO_CONSOLE_CONSOLE_PORT);
		more = i ? p->name[i - 1] : NULL;
		len = i ? strnlen(p->name[i - 1], PORT_NAME_MAX - 1) : 0;
		break;
	case SAY_OPEN:
		m.event = htole16(VIRTIO_CONSOLE_PORT_OPEN);
		break;
	case SAY_CLOSED:
		m.event = htole16(VIRTIO_CONSOLE_PORT_OPEN);
		m.value = 0;
		break;
	case SAY_SIZE:
		m.event = htole16(VIRTIO_CONSOLE_RESIZE);
		len = sizeof(size);
		break;
	default:
		return 0;
	}
	memcpy(buf, &m, sizeof(m));
	if (len)
		memcpy(buf + sizeof(m), more, len);
	return sizeof(m) + len;
}

/* Take the next chain of the control queue. Returns false if there is none. */
static bool control_buffer(struct ports *p, struct iovec *iov, unsigned cap, struct vq_chain *chain)
{
	struct vq *vq = &p->ctl_rx;

	while (vq->running) {
		if (vq_pop(vq, iov, cap, chain) == VQ_POP_CHAIN)
			return true;
		if (!vq->running || !vq_enable_kicks(vq))
			break;
	}
	return false;
}

static void send_control(struct ports *p)
{
	static struct iovec iov[PORTS_QUEUE_MAX];
	uint8_t buf[MESSAGE_MAX], bit;
	struct vq_chain chain;
	size_t len;

	for (unsigned i = 0; i <= p->n; i++) {
		while ((len = next_message(p, i, buf, &bit)) > 0) {
			if (!control_buffer(p, iov, ARRAY_SIZE(iov), &chain)) {
				publish(p, &p->ctl_rx, PORTS_CTL_RX);
				return;
			}
			if (chain.in_len < len) {
				guest_fault(&p->ctl_rx, FAULT_NO_WRITABLE, chain.head);
				return;
			}
			iov_from_buf(iov + chain.nout, chain.nin, 0, buf, len);
			written_mark_iov(iov + chain.nout, chain.nin, len);
			vq_push(&p->ctl_rx, chain.head, (uint32_t)len);
			p->port[i].pending &= (uint8_t)~bit;
		}
	}
	publish(p, &p->ctl_rx, PORTS_CTL_RX);
}

/* ---- a port's connection ---- */

/* Let VFD_EPOLL wait for the events that the port can use. It always reports a closed connection, so remove one without
 * such events. */
static void watch(struct ports *p, unsigned i)
{
	struct port *port = &p->port[i];
	struct epoll_event ev = { .data.fd = fd_of(i) };
	int op;

	if (!port->gone && port->guest_open && !port->in_len)
		ev.events |= EPOLLIN;
	if (port->blocked)
		ev.events |= EPOLLOUT;
	if (ev.events == port->watched)
		return;
	op = !port->watched ? EPOLL_CTL_ADD : !ev.events ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
	if (epoll_ctl(VFD_EPOLL, op, fd_of(i), &ev) == 0)
		port->watched = ev.events;
}

static void connection_gone(struct ports *p, unsigned i)
{
	struct port *port = &p->port[i];

	if (port->gone)
		return;
	port->gone = true;
	port->blocked = false;
	port->pending |= SAY_CLOSED;
	send_control(p);
}

/* Deliver received input to the guest, as far as it has buffers. */
static void deliver(struct ports *p, unsigned i)
{
	struct port *port = &p->port[i];
	bool used = false;
	size_t n = 0;

	if (port->guest_open)
		n = fill_queue(&port->rx, port->in + port->in_head, port->in_len, &used);
	port->in_head += n;
	port->in_len -= n;
	if (used)
		publish(p, &port->rx, rx_queue(i));
	watch(p, i);
}

static void read_connection(struct ports *p, unsigned i)
{
	struct port *port = &p->port[i];
	ssize_t n;

	if (port->in_len || port->gone)
		return;
	n = read(fd_of(i), port->in, sizeof(port->in));
	if (n > 0) {
		port->in_head = 0;
		port->in_len = (size_t)n;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		connection_gone(p, i);
	}
	deliver(p, i);
}

/* Write a part of the current chain. Returns false if the connection is full or the budget is used up. */
static bool pass_on(struct port *port, int fd, size_t *budget)
{
	static uint8_t some[16384];

	while (port->done < port->chain.out_len && !port->gone) {
		size_t n = iov_to_buf(port->iov, port->chain.nout, port->done, some, MIN(sizeof(some), *budget));
		ssize_t put;

		if (!n)
			return false;
		put = write(fd, some, n);
		if (put < 0 && errno == EINTR)
			continue;
		port->blocked = put < 0 && errno == EAGAIN;
		if (port->blocked)
			return false;
		if (put < 0) {
			port->gone = true;
			port->pending |= SAY_CLOSED;
			break;
		}
		port->done += (size_t)put;
		*budget -= (size_t)put;
	}
	return true;
}

static void transmit(struct ports *p, unsigned i)
{
	struct port *port = &p->port[i];
	struct vq *vq = &port->tx;
	size_t budget = PORT_TX_BUDGET;
	bool was_gone = port->gone;

	port->again = false;
	port->blocked &= !p->held;
	for (unsigned n = 0; vq->running && !p->held; n++) {
		if (!port->busy) {
			if (n >= vq->size) {
				port->again = true;
				break;
			}
			if (vq_pop(vq, port->iov, ARRAY_SIZE(port->iov), &port->chain) != VQ_POP_CHAIN) {
				if (vq->running && vq_enable_kicks(vq))
					continue;
				break;
			}
			port->busy = true;
			port->done = 0;
		}
		if (!pass_on(port, fd_of(i), &budget)) {
			port->again = !port->blocked;
			break;
		}
		port->busy = false;
		vq_push(vq, port->chain.head, 0);
	}
	publish(p, vq, rx_queue(i) + 1);
	if (port->gone && !was_gone)
		send_control(p);
	watch(p, i);
}

/* ---- control messages from the guest ---- */

static void open_port(struct ports *p, unsigned i, bool open)
{
	if (!i)
		return; /* The console is open whenever its queues are in use. */
	p->port[i].guest_open = open;
	deliver(p, i);
}

static void control(struct ports *p, const struct virtio_console_control *m)
{
	uint32_t id = le32toh(m->id);
	uint16_t event = le16toh(m->event), value = le16toh(m->value);

	if (event == VIRTIO_CONSOLE_DEVICE_READY && value == 1) {
		for (unsigned i = 0; i <= p->n; i++)
			p->port[i].pending |= SAY_ADD;
		return;
	}
	/* Ignore numbers of ports that do not exist (virtio 1.2, 5.3.6.2). */
	if (id > p->n)
		return;
	if (event == VIRTIO_CONSOLE_PORT_READY && value == 1 && !id) {
		p->size_known = true;
		p->port[0].pending |= SAY_KIND | (p->size ? SAY_SIZE : 0);
	} else if (event == VIRTIO_CONSOLE_PORT_READY && value == 1) {
		p->port[id].pending |= SAY_KIND | (p->port[id].gone ? 0 : SAY_OPEN);
	}
	if (event == VIRTIO_CONSOLE_PORT_OPEN)
		open_port(p, id, value != 0);
}

static void receive_control(struct ports *p)
{
	static struct iovec iov[PORTS_QUEUE_MAX];
	struct vq *vq = &p->ctl_tx;
	struct virtio_console_control m;
	struct vq_chain chain;

	p->ctl_again = false;
	for (unsigned n = 0; vq->running; n++) {
		if (n >= vq->size) {
			p->ctl_again = true;
			break;
		}
		if (vq_pop(vq, iov, ARRAY_SIZE(iov), &chain) != VQ_POP_CHAIN) {
			if (vq->running && vq_enable_kicks(vq))
				continue;
			break;
		}
		if (iov_to_buf(iov, chain.nout, 0, &m, sizeof(m)) < sizeof(m)) {
			guest_fault(vq, FAULT_SHORT_HEADER, chain.head);
			break;
		}
		control(p, &m);
		vq_push(vq, chain.head, 0);
	}
	publish(p, vq, PORTS_CTL_TX);
	send_control(p);
}

/* ---- the engine's calls ---- */

void ports_resize(struct ports *p, uint32_t size)
{
	p->size = size;
	if (!p->size_known)
		return;
	p->port[0].pending |= SAY_SIZE;
	send_control(p);
}

void ports_stop(struct ports *p)
{
	vq_stop(&p->ctl_rx);
	vq_stop(&p->ctl_tx);
	p->ctl_again = p->size_known = false;
	for (unsigned i = 0; i <= p->n; i++) {
		struct port *port = &p->port[i];

		port->pending = 0;
		if (!i)
			continue;
		vq_stop(&port->rx);
		vq_stop(&port->tx);
		port->guest_open = port->blocked = port->busy = port->again = false;
		watch(p, i);
	}
}

void ports_mark_rings(struct ports *p)
{
	for (unsigned q = PORTS_CTL_RX; q < ports_queues(p->n); q++)
		written_mark_ring(ports_queue(p, q));
}

void ports_load(struct ports *p, const struct ports *s)
{
	p->ctl_rx = s->ctl_rx;
	p->ctl_tx = s->ctl_tx;
	p->size_known = s->size_known;
	p->port[0].pending = s->port[0].pending;
	for (unsigned i = 1; i <= p->n; i++) {
		struct port *port = &p->port[i];
		const struct port *then = &s->port[i];

		port->rx = then->rx;
		port->tx = then->tx;
		port->guest_open = then->guest_open;
		/* The connection has ended since, which does not go back. */
		port->pending = (uint8_t)(then->pending | (port->gone && !then->gone ? SAY_CLOSED : 0));
		port->busy = then->busy;
		port->done = then->done;
		port->chain = then->chain;
		if (port->busy)
			memcpy(port->iov, then->iov, sizeof(port->iov));
	}
}

/* Its kick may have been dealt with. */
static void look_at_messages(struct ports *p)
{
	p->ctl_again = p->ctl_tx.running;
}

void ports_restore(struct ports *p, unsigned i, bool guest_open, uint8_t pending, bool gone)
{
	struct port *port = &p->port[i];

	port->pending = gone ? (uint8_t)((pending & ~SAY_CLOSED) | SAY_OPEN) : pending;
	port->guest_open = i && guest_open;
}

void ports_restart(struct ports *p)
{
	look_at_messages(p);
	/* transmit() also lets VFD_EPOLL wait for input. */
	for (unsigned i = 1; i <= p->n; i++) {
		struct port *port = &p->port[i];

		port->again = port->tx.running || port->guest_open;
	}
}

void ports_look(struct ports *p)
{
	look_at_messages(p);
	for (unsigned i = 1; i <= p->n; i++) {
		p->port[i].blocked = false;
		p->port[i].again = p->port[i].tx.running;
		deliver(p, i);
	}
	send_control(p);
}

void ports_kick(struct ports *p, unsigned q)
{
	unsigned i = 1 + (q - PORTS_FIRST) / 2;

	if (q == PORTS_CTL_RX)
		send_control(p);
	else if (q == PORTS_CTL_TX)
		receive_control(p);
	else if (q < PORTS_FIRST || i > p->n)
		return;
	else if (q % 2)
		transmit(p, i);
	else
		deliver(p, i);
}

void ports_event(struct ports *p, unsigned i, uint32_t events)
{
	if (i >= p->n)
		return;
	i++;
	if (events & EPOLLOUT || p->port[i].blocked) {
		p->port[i].blocked = false;
		transmit(p, i);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_connection(p, i);
}

bool ports_have_work(const struct ports *p)
{
	bool any = p->ctl_again;

	for (unsigned i = 1; i <= p->n; i++)
		any |= p->port[i].again;
	return any;
}

bool ports_work(struct ports *p)
{
	if (p->ctl_again)
		receive_control(p);
	for (unsigned i = 1; i <= p->n; i++)
		if (p->port[i].again)
			transmit(p, i);
	return ports_have_work(p);
}
