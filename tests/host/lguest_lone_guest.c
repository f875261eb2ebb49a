/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scripts of the test double for paths on which the launcher only saves time: one request
 * at a time, and the word by which the host asks for a call when interrupts are enabled
 * (irq_pending of struct lguest_data).
 */
#include <linux/virtio_blk.h>
#include <string.h>

#include "tests/host/lguest_double.h"

#define WAIT_MS 10000

static void no_kick(struct ring *r)
{
	(void)r;
}

static void offer_read(struct ring *r, uint64_t at, unsigned sector)
{
	struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_IN, .sector = sector };
	struct piece p[3] = { { at, sizeof(h), false }, { at + 512, 512, true }, { at + 256, 1, true } };

	poke(r->g, at, &h, sizeof(h));
	poken(r->g, at + 256, 1, 0xff);
	offer(r, p, 3);
}

static bool answer(struct ring *r, uint64_t at)
{
	if (r->ack)
		r->ack(r);
	return take(r, WAIT_MS) == 513 && peekn(r->g, at + 256, 1) == VIRTIO_BLK_S_OK;
}

static void one_at_a_time(struct ring *r, uint64_t at, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		clear_irq(r->g, r->irq);
		offer_read(r, at, i % 16);
		CHECK(wait_irq(r->g, r->irq, WAIT_MS), "interrupt for lone request %u", i);
		CHECK(answer(r, at), "answer to lone request %u", i);
	}
}

void drive_lone(struct ring *r, uint64_t at)
{
	void (*kick)(struct ring * r) = r->kick;

	one_at_a_time(r, at, 140);
	/* Two requests in flight: the launcher waits for neither, and both are answered. */
	for (unsigned i = 0; i < 10; i++) {
		r->kick = no_kick;
		offer_read(r, at, 1);
		r->kick = kick;
		offer_read(r, at + 4096, 2);
		CHECK(answer(r, at), "the first of pair %u", i);
		CHECK(answer(r, at + 4096), "the second of pair %u", i);
	}
	one_at_a_time(r, at, 40);
}

/* ---- struct lguest_data (include/linux/lguest.h) ---- */

#define IRQ_PENDING 20
#define STATUS	    24
#define RESERVE	    1368
#define LENGTH	    1392
/* In the bss of lguest_kernel.S, at no round address. */
#define DECOY 0x100104u
#define DATA  0x100804u

static void plant(struct guest *g, uint64_t at, bool live)
{
	static uint8_t d[LENGTH];
	const uint32_t offset = 0xc0000000, iret = 0xc0001234, vector = 0x80, asked = 0x200, flags = 0x246;
	const uint32_t reserve = live ? 0x400000 : 0, khz = 1000000;

	memset(d, 0, sizeof(d));
	memcpy(d, &flags, 4);
	memcpy(d + IRQ_PENDING, &asked, 4);
	memset(d + STATUS, 0xff, 64);
	d[STATUS] = 0; /* a call that waits */
	memcpy(d + RESERVE, &reserve, 4);
	memcpy(d + RESERVE + 4, &khz, 4);
	memcpy(d + RESERVE + 8, &iret, 4);
	memcpy(d + RESERVE + 12, script->pci ? &offset : &iret, 4);
	memcpy(d + RESERVE + 16, script->pci ? &vector : &offset, 4);
	memcpy(d + RESERVE + 20, &vector, script->pci ? 0 : 4);
	poke(g, at, d, sizeof(d));
}

/* Called with g->lock held each time that the guest continues: acts as a host that always sets the word. */
void guest_enters(struct guest *g)
{
	if (!g->flag)
		return;
	if (peekn(g, g->flag, 4))
		g->flag_set++;
	else
		g->flag_clear++;
	poken(g, g->flag, 4, 0x200);
}

void drive_flag(struct guest *g, void (*leave)(struct guest *g))
{
	uint8_t before[LENGTH], after[LENGTH];

	plant(g, DECOY, false);
	plant(g, DATA, true);
	peek(g, DATA, before, sizeof(before));
	pthread_mutex_lock(&g->lock);
	g->flag = DATA + IRQ_PENDING;
	pthread_mutex_unlock(&g->lock);
	/* The launcher finds the word at the first exit, or at the sixteenth if it looked before the word was set. */
	for (unsigned i = 0; i < 20; i++)
		leave(g);
	pthread_mutex_lock(&g->lock);
	g->flag_set = g->flag_clear = 0;
	pthread_mutex_unlock(&g->lock);
	for (unsigned i = 0; i < 20; i++)
		leave(g);
	CHECK(g->flag_set == 0 && g->flag_clear == 20, "cleared %u times of %u", g->flag_clear,
	      g->flag_set + g->flag_clear);
	CHECK(peekn(g, DECOY + IRQ_PENDING, 4) == 0x200, "what the kernel was made with is left alone");
	peek(g, DATA, after, sizeof(after));
	memcpy(after + IRQ_PENDING, before + IRQ_PENDING, 4);
	CHECK(!memcmp(before, after, sizeof(before)), "nothing else is written");
}
