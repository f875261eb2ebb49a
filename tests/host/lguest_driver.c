/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The double's guest: what its drivers do with rings, and what each device must
 * answer (virtio 1.2, clauses 2.7, 5.1 to 5.4). Addresses below are
 * guest-physical.
 */
#include <arpa/inet.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/host/lguest_double.h"

#define WAIT_MS 10000

void offer(struct ring *r, const struct piece *p, unsigned n)
{
	uint16_t idx = (uint16_t)peekn(r->g, r->avail + 2, 2);
	unsigned head = r->next;

	for (unsigned i = 0; i < n; i++) {
		struct vring_desc d = { .addr = p[i].gpa, .len = p[i].len };
		unsigned at = (head + i) % RING;

		d.flags = (uint16_t)((p[i].write ? VRING_DESC_F_WRITE : 0) | (i + 1 < n ? VRING_DESC_F_NEXT : 0));
		d.next = (uint16_t)((at + 1) % RING);
		poke(r->g, r->desc + 16 * at, &d, sizeof(d));
	}
	r->next = (uint16_t)((head + n) % RING);
	poken(r->g, r->avail + 4 + 2 * (idx % RING), 2, head);
	__sync_synchronize();
	poken(r->g, r->avail + 2, 2, (uint16_t)(idx + 1));
	r->kick(r);
}

/* Take the next used entry. Returns the bytes written, or -1 if none comes within @ms. */
int take(struct ring *r, unsigned ms)
{
	uint64_t e;

	for (unsigned looks = 0;; looks++) {
		if ((uint16_t)peekn(r->g, r->used + 2, 2) != r->seen) {
			e = peekn(r->g, r->used + 4 + 8 * (r->seen % RING), 8);
			r->seen++;
			return (int)(e >> 32);
		}
		/* queues share an interrupt: it may have been another's */
		if (looks == 4 || (looks && !ms) || (!wait_irq(r->g, r->irq, ms) && looks))
			return -1;
	}
}

int exchange(struct ring *r, const struct piece *p, unsigned n)
{
	int got;

	clear_irq(r->g, r->irq);
	offer(r, p, n);
	/* an interrupt without a used entry is allowed: one for the start of the ring, say */
	do {
		bool came = wait_irq(r->g, r->irq, WAIT_MS);

		CHECK(came, "interrupt %u for queue %u", r->irq, r->index);
		if (r->ack)
			r->ack(r);
		if (!came)
			break;
	} while ((uint16_t)peekn(r->g, r->used + 2, 2) == r->seen);
	got = take(r, 0);
	CHECK(got >= 0, "a used entry in queue %u", r->index);
	return got;
}

/* ---- disk ---- */

static int transfer(struct ring *r, uint64_t at, uint32_t type, uint64_t sector, uint32_t len)
{
	struct virtio_blk_outhdr h = { .type = type, .sector = sector };
	struct piece p[3] = { { at, sizeof(h), false },
			      { at + 512, len, type == VIRTIO_BLK_T_IN },
			      { at + 256, 1, true } };
	unsigned n = 3;
	int got, want = 1;

	poke(r->g, at, &h, sizeof(h));
	poken(r->g, at + 256, 1, 0xff);
	if (!len) {
		p[1] = p[2];
		n = 2;
	}
	got = exchange(r, p, n);
	/* virtio 1.2, 2.7.8.2: from the first byte on; of a read that is refused no byte of data is written */
	if (type == VIRTIO_BLK_T_IN)
		want = peekn(r->g, at + 256, 1) == VIRTIO_BLK_S_OK ? (int)len + 1 : 0;
	CHECK(got == want, "%d bytes written by request %u", got, type);
	return (int)peekn(r->g, at + 256, 1);
}

void drive_disk(struct ring *r, uint64_t at, uint64_t capacity)
{
	char text[512], back[512];

	CHECK(capacity >= 16, "capacity %llu", (unsigned long long)capacity);
	memset(text, 'd', sizeof(text));
	memcpy(text, "written by the double", 21);
	poke(r->g, at + 512, text, sizeof(text));
	CHECK(transfer(r, at, VIRTIO_BLK_T_OUT, 3, 512) == VIRTIO_BLK_S_OK, "write");
	CHECK(transfer(r, at, VIRTIO_BLK_T_FLUSH, 0, 0) == VIRTIO_BLK_S_OK, "flush");
	memset(text, 0, sizeof(text));
	poke(r->g, at + 512, text, sizeof(text));
	CHECK(transfer(r, at, VIRTIO_BLK_T_IN, 3, 512) == VIRTIO_BLK_S_OK, "read");
	peek(r->g, at + 512, back, sizeof(back));
	CHECK(!memcmp(back, "written by the double", 21) && back[511] == 'd', "what was written is read");
	CHECK(transfer(r, at, VIRTIO_BLK_T_IN, capacity, 512) == VIRTIO_BLK_S_IOERR, "a sector past the end");
	CHECK(transfer(r, at, 77, 0, 512) == VIRTIO_BLK_S_UNSUPP, "an unknown request");
}

/* ---- NIC: the host's end of the tap answers for 10.66.0.1 ---- */

struct arp {
	uint8_t to[6], from[6];
	uint16_t type, hw, proto;
	uint8_t hlen, plen;
	uint16_t op;
	uint8_t smac[6], sip[4], tmac[6], tip[4];
} __attribute__((packed));

void drive_nic(struct ring *rx, struct ring *tx, uint64_t at, const uint8_t *mac, unsigned hdr)
{
	struct arp a = { .type = htons(ETHERTYPE_ARP),
			 .hw = htons(1),
			 .proto = htons(ETHERTYPE_IP),
			 .hlen = 6,
			 .plen = 4,
			 .op = htons(1),
			 .sip = { 10, 66, 0, 2 },
			 .tip = { 10, 66, 0, 1 } };
	struct piece in = { at, 2048, true }, out = { at + 8192, hdr + (uint32_t)sizeof(a), false };
	uint8_t zero[12] = { 0 };
	bool answered = false;
	struct arp b;
	int n;

	memset(a.to, 0xff, 6);
	memcpy(a.from, mac, 6);
	memcpy(a.smac, mac, 6);
	for (unsigned i = 0; i < 16; i++) {
		in.gpa = at + 2048 * (i % 4);
		offer(rx, &in, 1);
	}
	poke(tx->g, at + 8192, zero, hdr);
	poke(tx->g, at + 8192 + hdr, &a, sizeof(a));
	offer(tx, &out, 1);
	for (unsigned i = 0; i < 16 && !answered; i++) {
		n = take(rx, 3000);
		if (n < 0)
			break;
		peek(rx->g, at + 2048 * (i % 4) + hdr, &b, sizeof(b));
		if (b.type != htons(ETHERTYPE_ARP) || b.op != htons(2))
			continue;
		answered = true;
		CHECK(n >= (int)(hdr + sizeof(b)), "%d bytes received", n);
		CHECK(!memcmp(b.to, mac, 6) && !memcmp(b.tip, a.sip, 4) && !memcmp(b.sip, a.tip, 4),
		      "the answer is ours");
	}
	CHECK(answered, "the host answers an ARP request");
	CHECK(take(tx, 1000) == 0, "the frame was taken");
}

/* ---- rng and console ---- */

void drive_rng(struct ring *r, uint64_t at)
{
	struct piece p = { at, 64, true };
	uint8_t zero[64] = { 0 }, got[64];
	int n;

	poke(r->g, at, zero, sizeof(zero));
	n = exchange(r, &p, 1);
	peek(r->g, at, got, sizeof(got));
	CHECK(n > 0 && n <= 64, "%d random bytes", n);
	CHECK(memcmp(got, zero, sizeof(got)), "they are not zero");
}

void drive_console(struct ring *rx, struct ring *tx, uint64_t at)
{
	static const char hello[] = "hello from the double\n", typed[] = "typed by the test\n";
	struct piece out = { at, sizeof(hello) - 1, false }, in = { at + 4096, 256, true };
	char got[sizeof(typed)] = "";
	unsigned have = 0;

	poke(tx->g, at, hello, sizeof(hello));
	CHECK(exchange(tx, &out, 1) == 0, "console output");
	while (have < sizeof(typed) - 1) {
		int n;

		offer(rx, &in, 1);
		n = take(rx, WAIT_MS);
		CHECK(n > 0, "console input: %d", n);
		if (n <= 0)
			return;
		n = n < (int)(sizeof(typed) - 1 - have) ? n : (int)(sizeof(typed) - 1 - have);
		peek(rx->g, at + 4096, got + have, (size_t)n);
		have += (unsigned)n;
	}
	CHECK(!strcmp(got, typed), "console input is '%s'", got);
}

/* Check boot_params. Returns the end of RAM. */
uint64_t boot_checks(struct guest *g)
{
	uint64_t ram = peekn(g, 0x2d8, 8);
	char line[128];

	CHECK(g->entry == 0x100000, "entry 0x%llx", (unsigned long long)g->entry);
	CHECK(peekn(g, 0x1e8, 1) == 1, "one e820 entry");
	CHECK(peekn(g, 0x2d0, 8) == 0 && peekn(g, 0x2e0, 4) == 1, "it is RAM from 0");
	CHECK(ram % PAGE == 0 && ram <= g->pfn_limit * PAGE, "RAM of %llu bytes", (unsigned long long)ram);
	CHECK(peekn(g, 0x23c, 4) == 1, "hardware_subarch");
	CHECK(peekn(g, 0x211, 1) & 0x40, "KEEP_SEGMENTS");
	peek(g, peekn(g, 0x228, 4), line, sizeof(line));
	line[sizeof(line) - 1] = '\0';
	/* Our words come before the user's, so that the user's take precedence. */
	CHECK(!strcmp(line, "console=hvc0 panic=-1 first second=2"), "command line '%s'", line);
	CHECK(peekn(g, 0x100000, 4) == 0xfeeb90f4, "the kernel is where it belongs");
	return ram;
}
