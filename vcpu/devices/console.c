/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtio console and the output pipe: see console.h. Runs in the vCPU process. Rings
 * are in guest memory; only common/vring.c reads them.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/fdtab.h"
#include "common/iov.h"
#include "common/log.h"
#include "vcpu/devices/console.h"
#include "vcpu/devices/fill.h"
#include "vcpu/devices/written.h"

size_t conio_used(const struct conio *c)
{
	return c->tail - c->head;
}

static size_t raw_room(const struct conio *c)
{
	return c->gone ? CONIO_SIZE : CONIO_SIZE - conio_used(c);
}

size_t conio_room(const struct conio *c)
{
	size_t room = raw_room(c), extra = pair_extra(&c->pair);

	return room > extra ? room - extra : 0;
}

size_t conio_put(struct conio *c, const void *buf, size_t len)
{
	size_t n = MIN(len, raw_room(c));

	if (c->gone)
		return len;
	for (size_t i = 0; i < n;) {
		size_t at = c->tail % CONIO_SIZE, some = MIN(n - i, CONIO_SIZE - at);

		memcpy(c->buf + at, (const uint8_t *)buf + i, some);
		c->tail += (uint32_t)some;
		i += some;
	}
	return n;
}

static void show(void *owner, const uint8_t *buf, size_t n)
{
	conio_put(owner, buf, n);
}

void conio_put_serial(struct conio *c, const void *buf, size_t len)
{
	pair_serial(&c->pair, buf, len, show, c);
}

void conio_put_virtio(struct conio *c, const void *buf, size_t len)
{
	pair_virtio(&c->pair, buf, len, show, c);
}

void conio_flush(struct conio *c)
{
	while (conio_used(c) && !c->gone) {
		size_t at = c->head % CONIO_SIZE;
		ssize_t n = write(VFD_CON_OUT, c->buf + at, MIN(conio_used(c), CONIO_SIZE - at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			c->blocked = errno == EAGAIN;
			c->gone = !c->blocked;
			break;
		}
		c->head += (uint32_t)n;
	}
	if (!conio_used(c))
		c->blocked = false;
	if (c->gone)
		c->head = c->tail;
}

void console_init(struct console *c, struct conio *io, void (*call)(void *, unsigned), void *owner)
{
	c->io = io;
	c->call = call;
	c->owner = owner;
}

bool console_start(struct console *c, unsigned q, const struct guest_mem *mem, const struct vq_setup *s)
{
	if (q == CONSOLE_RX)
		c->input_from = now_ms() + CONSOLE_INPUT_DELAY_MS;
	if (vq_start(&c->q[q], mem, s) != VQ_START_OK)
		return false;
	written_mark_ring(&c->q[q]);
	return true;
}

void console_stop(struct console *c)
{
	for (unsigned q = 0; q < CONSOLE_QUEUES; q++)
		vq_stop(&c->q[q]);
	c->busy = c->transmitted = false;
	c->input_from = 0;
}

bool console_running(const struct console *c)
{
	return c->q[CONSOLE_RX].running;
}

/* Move the current transmit chain to the output buffer, as far as there is room. True if all was moved. */
static bool pass_on(struct console *c, size_t *budget)
{
	while (c->done < c->chain.out_len) {
		uint8_t some[512];
		size_t n = MIN(MIN(sizeof(some), conio_room(c->io)), *budget);

		if (!n) {
			conio_flush(c->io);
			if (!conio_room(c->io) || !*budget)
				return false;
			continue;
		}
		n = iov_to_buf(c->iov, c->chain.nout, c->done, some, n);
		conio_put_virtio(c->io, some, n);
		c->transmitted = true;
		c->done += n;
		*budget -= n;
	}
	return true;
}

bool console_transmit(struct console *c)
{
	struct vq *vq = &c->q[CONSOLE_TX];
	size_t budget = CONSOLE_TX_BUDGET;
	bool any = false, more = false;

	for (unsigned n = 0; vq->running; n++) {
		if (!c->busy) {
			if (n >= vq->size) {
				more = true;
				break;
			}
			if (vq_pop(vq, c->iov, ARRAY_SIZE(c->iov), &c->chain) != VQ_POP_CHAIN) {
				if (vq->running && vq_enable_kicks(vq))
					continue;
				break;
			}
			c->busy = true;
			c->done = 0;
		}
		if (!pass_on(c, &budget)) {
			more = !budget;
			break;
		}
		c->busy = false;
		vq_push(vq, c->chain.head, 0);
		any = true;
	}
	conio_flush(c->io);
	if (any && vq_publish(vq) && vq_wants_call(vq))
		c->call(c->owner, CONSOLE_TX);
	return more && vq->running;
}

int console_input_wait(const struct console *c)
{
	uint64_t now;

	if (!console_running(c) || c->transmitted)
		return -1;
	now = now_ms();
	return now < c->input_from ? (int)(c->input_from - now) : -1;
}

size_t console_input(struct console *c, const uint8_t *buf, size_t len)
{
	struct vq *vq = &c->q[CONSOLE_RX];
	size_t done;
	bool used;

	if (console_input_wait(c) >= 0)
		return 0;
	done = fill_queue(vq, buf, len, &used);
	if (used && vq_publish(vq) && vq_wants_call(vq))
		c->call(c->owner, CONSOLE_RX);
	return done;
}
