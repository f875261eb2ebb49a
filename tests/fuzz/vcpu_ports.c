/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: a driver of named ports that writes anything to its rings, sends any control
 * messages and notifies any queue, while the supervisor's ends of the connections are
 * written to, read and closed. What the device keeps stays bounded, and all of a
 * driver's buffers that come back were its own.
 */
#include <signal.h>

#include "tests/fuzz/fuzz.h"
#include "tests/lib/ports.h"

static struct ports kept; /* At a checkpoint; n is 0 before the first one. */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	symbolizer_first();
	signal(SIGPIPE, SIG_IGN);
	log_to_fd(-1, "fuzz", LOG_ERROR);
	return 0;
}

/* A descriptor of the fuzzer's: one in four has an address and length of any kind. */
static void offer(struct ports_rig *r, struct input *in)
{
	unsigned q = PORTS_CTL_RX + take8(in) % (RIG_QUEUES - PORTS_CTL_RX), slot = take8(in) % RIG_SIZE;
	uint8_t flags = take8(in);
	uint32_t len = take16(in) % 0x401;

	rig_offer(r, q, slot, len, flags & 1);
	if (flags % 4)
		return;
	rig_desc(r, q)[slot].addr = take32(in);
	rig_desc(r, q)[slot].len = take32(in);
	rig_desc(r, q)[slot].flags = flags >> 2 & 7;
	rig_desc(r, q)[slot].next = take8(in) % (RIG_SIZE + 1);
}

static void message(struct ports_rig *r, struct input *in)
{
	struct virtio_console_control m = { .id = take8(in), .event = take8(in), .value = take8(in) };
	unsigned slot = take8(in) % RIG_SIZE;

	if (m.id == 0xff)
		m.id = UINT32_MAX;
	memcpy(r->ram + rig_buffer(PORTS_CTL_TX, slot), &m, sizeof(m));
	rig_offer(r, PORTS_CTL_TX, slot, sizeof(m), false);
}

static void supervisor(struct ports_rig *r, struct input *in)
{
	static uint8_t buf[4096];
	uint8_t what = take8(in);
	int *far = &r->far[what % RIG_PORTS];

	if (*far < 0)
		return;
	if (what < 0x60) {
		(void)!write(*far, buf, take16(in) % sizeof(buf));
	} else if (what < 0xf0) {
		(void)!read(*far, buf, sizeof(buf));
	} else {
		close(*far);
		*far = -1;
	}
}

/* Chains of a queue that no fault has stopped. */
static unsigned in_flight(const struct vq *vq)
{
	return vq->running ? vq->in_flight : 0;
}

static void check(const struct ports_rig *r)
{
	for (unsigned i = 0; i <= RIG_PORTS; i++) {
		const struct port *p = &r->p.port[i];

		PROMISE(p->in_head + p->in_len <= sizeof(p->in));
		PROMISE(!p->busy || p->done <= p->chain.out_len);
		PROMISE(!(p->pending & ~0x1f));
		PROMISE(in_flight(&p->tx) <= 1 && in_flight(&p->rx) == 0);
		PROMISE(!p->gone || !p->blocked);
	}
	PROMISE(in_flight(&r->p.ctl_rx) == 0 && in_flight(&r->p.ctl_tx) == 0);
}

/* A driver that starts again, or is taken back to a checkpoint; its memory is then not what it was, which is worse. */
static void again(struct ports_rig *r, unsigned what)
{
	switch (what) {
	case 0:
		ports_stop(&r->p);
		PROMISE(rig_start(r));
		break;
	case 1:
		kept = r->p;
		break;
	case 2:
		if (!kept.n)
			break;
		ports_load(&r->p, &kept);
		check(r);
		ports_look(&r->p);
		break;
	default:
		break;
	}
}

static void step(struct ports_rig *r, struct input *in)
{
	switch (take8(in) % 8) {
	case 0:
		message(r, in);
		break;
	case 1:
		offer(r, in);
		break;
	case 2:
		ports_kick(&r->p, take16(in));
		break;
	case 3:
		supervisor(r, in);
		break;
	case 4:
		(void)rig_events(r);
		break;
	case 5:
		(void)ports_work(&r->p);
		break;
	case 6:
		ports_resize(&r->p, take32(in));
		break;
	default:
		again(r, take8(in) % 8);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ports_rig r;
	struct input in = { data, data + size };

	PROMISE(rig_open(&r));
	kept.n = 0;
	for (unsigned n = 0; left(&in) && n < 2000; n++) {
		step(&r, &in);
		check(&r);
	}
	rig_close(&r);
	return 0;
}
