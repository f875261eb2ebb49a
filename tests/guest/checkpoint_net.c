/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --checkpoint with a NIC: a guest that sends echo requests with a nonce, sets up the NIC and its control queue
 * otherwise, asks for a reset while requests and answers are on their way, and looks for the nonce afterwards. The host
 * at 10.99.0.1 answers. Nothing survives a reset, so the guest does not count; the option --resets ends it. Runs in ring
 * 0 of a guest.
 */
#include "tests/guest/guest.h"

#define NET	   0x10411af4u
#define EXIT_PORT  0xf4
#define VECTOR	   0x51u
#define NEXT	   1
#define WRITE	   2
#define HDR	   12u
#define BUFFER	   2048u
#define BUFFERS	   8	      /* Of one receive queue: fewer than the answers that come before a reset */
#define MEMORY	   0x1000000u /* Memory that only these tests use */
#define RX(n)	   (MEMORY + (n)*0x10000u)
#define TX(n)	   (MEMORY + 0x40000u + (n)*0x10000u)
#define MAC_F	   (1ull << 5)
#define CTRL_VQ	   (1ull << 17)
#define MQ	   (1ull << 22)
#define RING_RESET (1ull << 40)
#define OFFLOADS   (1ull << 0 | 1ull << 1 | 1ull << 7 | 1ull << 11 | 1ull << 15)
#define PATIENCE   2000000000ull /* Of the time stamp counter; then the request is sent again. */
#define MARK	   0x454b4f4e43455343ull

static struct vdev nic;
/* The pairs of queues, the last one for another set-up, and the control queue. */
static struct vqueue rx[3], tx[3], ctl;
static uint8_t mac[6], host_mac[6];
static bool two_pairs, late_answers;

struct registers {
	uint32_t common[14], msix[12], pci[64], config[3];
	uint16_t avail, used, ctl_used;
};
static struct registers before, now;

struct frame {
	uint8_t header[HDR], to[6], from[6], type[2];
	union {
		struct {
			uint8_t kinds[6], op[2], from_mac[6], from_ip[4], to_mac[6], to_ip[4];
		} __attribute__((packed)) arp;
		struct {
			uint8_t ip[8], ttl, protocol, sum[2], from_ip[4], to_ip[4];
			uint8_t kind, code, icmp_sum[2], id[4];
			uint64_t mark, nonce;
		} __attribute__((packed)) echo;
	};
} __attribute__((packed));

static const uint8_t me[4] = { 10, 99, 0, 2 }, host[4] = { 10, 99, 0, 1 };

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* ---- frames ---- */

/* Room for the next frame of transmit queue @n. */
static struct frame *next_frame(unsigned n)
{
	struct vqueue *q = &tx[n];
	uint64_t from = rdtsc();

	while ((uint16_t)(q->avail.idx - MMIO(uint16_t, &q->used.idx)) >= QSIZE)
		if (rdtsc() - from > 10 * PATIENCE)
			fail("the NIC does not send");
	return (struct frame *)(uintptr_t)(TX(n) + q->avail.idx % QSIZE * BUFFER);
}

static void send(unsigned n, struct frame *f, uint32_t bytes)
{
	uint16_t d = (uint16_t)(tx[n].avail.idx % QSIZE);

	memset(f->header, 0, HDR);
	memcpy(f->from, mac, 6);
	tx[n].desc[d] = (struct desc){ (uintptr_t)f, HDR + bytes, 0, 0 };
	vq_offer(&tx[n], d);
}

/* An ARP message to all: @op is 1 for a request, 2 for a reply; @last: of the address of the host, or another one. */
static void put_arp(struct frame *f, uint8_t op, uint8_t last)
{
	const uint8_t kinds[8] = { 0, 1, 8, 0, 6, 4, 0, op };

	memset(f->to, 0xff, 6);
	f->type[0] = 8;
	f->type[1] = 6;
	memcpy(f->arp.kinds, kinds, 8);
	memcpy(f->arp.from_mac, mac, 6);
	memcpy(f->arp.from_ip, me, 4);
	memset(f->arp.to_mac, 0, 6);
	memcpy(f->arp.to_ip, host, 4);
	f->arp.to_ip[3] = last;
}

static void ask_for_host(unsigned n, uint8_t last)
{
	struct frame *f = next_frame(n);

	put_arp(f, 1, last);
	send(n, f, 14 + sizeof(f->arp));
}

static void put_sum(uint8_t *to, const uint8_t *p, unsigned bytes)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < bytes; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	to[0] = (uint8_t)(sum >> 8);
	to[1] = (uint8_t)sum;
}

/* An echo request with @nonce. */
static void ping(unsigned n, uint64_t nonce)
{
	struct frame *f = next_frame(n);

	memcpy(f->to, host_mac, 6);
	memset(&f->echo, 0, sizeof(f->echo));
	f->type[0] = 8;
	f->type[1] = 0;
	f->echo.ip[0] = 0x45;
	f->echo.ip[3] = sizeof(f->echo);
	f->echo.ttl = 64;
	f->echo.protocol = 1;
	memcpy(f->echo.from_ip, me, 4);
	memcpy(f->echo.to_ip, host, 4);
	put_sum(f->echo.sum, f->echo.ip, 20);
	f->echo.kind = 8;
	f->echo.mark = MARK;
	f->echo.nonce = nonce;
	put_sum(f->echo.icmp_sum, &f->echo.kind, sizeof(f->echo) - 20);
	send(n, f, 14 + sizeof(f->echo));
}

static bool is_echo(const struct frame *f)
{
	return f->type[0] == 8 && f->type[1] == 0 && f->echo.protocol == 1 && f->echo.mark == MARK;
}

static bool is_from_host(const struct frame *f)
{
	return f->type[0] == 8 && f->type[1] == 6 && f->arp.op[1] == 2 && f->arp.from_ip[3] == host[3];
}

/* The next frame for queue @n, whose buffer is offered again with the one after it; NULL if there is none. */
static struct frame *received(unsigned n)
{
	struct vqueue *q = &rx[n];
	uint32_t len;

	if (MMIO(uint16_t, &q->used.idx) == q->seen)
		return NULL;
	if (q->seen)
		vq_offer(q, (uint16_t)q->used.ring[(q->seen - 1) % QSIZE].id);
	(void)vq_wait(q, &len);
	vq_kick(q);
	return (struct frame *)(uintptr_t)(RX(n) + q->used.ring[(uint16_t)(q->seen - 1) % QSIZE].id * BUFFER);
}

/* ---- set-up ---- */

static void setup_pair(unsigned pair, unsigned n, unsigned vector)
{
	vdev_queue(&nic, &rx[n], 2 * pair, vector);
	vdev_queue(&nic, &tx[n], 2 * pair + 1, 0);
	/* vdev_queue() switches MSI-X off with the vector of the last queue. */
	pci_write(nic.slot, nic.msix_cap, vector ? 0x80000000u : 0);
	for (uint16_t i = 0; i < BUFFERS; i++) {
		rx[n].desc[i] = (struct desc){ RX(n) + i * BUFFER, BUFFER, WRITE, 0 };
		vq_offer(&rx[n], i);
	}
}

/* @wanted: features, of which a NIC without a tap offers few. */
static void setup(uint64_t wanted, unsigned first, unsigned vector)
{
	uint64_t features;

	MMIO(uint32_t, nic.common) = 0;
	features = wanted & MMIO(uint32_t, nic.common + 4);
	if (!vdev_begin(&nic, MAC_F | RING_RESET | features | (two_pairs ? CTRL_VQ | MQ : 0)))
		fail("features");
	setup_pair(0, first, vector);
	if (two_pairs && !first) {
		setup_pair(1, 1, 0);
		vdev_queue(&nic, &ctl, 4, 0);
		pci_write(nic.slot, nic.msix_cap, vector ? 0x80000000u : 0);
	}
	vdev_ready(&nic);
	vq_kick(&rx[first]);
}

/* The control queue's command: use @pairs pairs of queues. */
static void use_pairs(uint8_t pairs)
{
	static uint8_t command[4], answer;
	uint32_t len;

	command[0] = 4;
	command[2] = pairs;
	answer = 0xff;
	ctl.desc[0] = (struct desc){ (uintptr_t)command, 4, NEXT, 1 };
	ctl.desc[1] = (struct desc){ (uintptr_t)&answer, 1, WRITE, 0 };
	vq_offer(&ctl, 0);
	vq_kick(&ctl);
	if (!vq_wait(&ctl, &len) || answer)
		fail("the control queue does not work");
}

/* ---- what is looked at ---- */

static void look(struct registers *r)
{
	memset(r, 0, sizeof(*r));
	/* Not the generation, which is a byte at 0x15. */
	for (unsigned i = 0; i < 14; i++)
		r->common[i] = i == 5 ? MMIO(uint8_t, nic.common + 0x14) : MMIO(uint32_t, nic.common + i * 4);
	for (unsigned i = 0; i < 12; i++)
		r->msix[i] = MMIO(uint32_t, nic.msix + i * 4);
	for (unsigned i = 0; i < 64; i++)
		r->pci[i] = pci_read(nic.slot, i * 4);
	for (unsigned i = 0; i < 3; i++)
		r->config[i] = MMIO(uint32_t, nic.config + i * 4);
	r->avail = tx[0].avail.idx;
	r->used = MMIO(uint16_t, &tx[0].used.idx);
	r->ctl_used = MMIO(uint16_t, &ctl.used.idx);
}

/* No buffer has an echo request or an answer. */
static void look_at_memory(void)
{
	for (unsigned n = 0; n < 3; n++)
		for (unsigned i = 0; i < QSIZE; i++) {
			if (((struct frame *)(uintptr_t)(TX(n) + i * BUFFER))->echo.mark == MARK)
				fail("a nonce is left in a buffer of the guest's");
			if (i < BUFFERS && ((struct frame *)(uintptr_t)(RX(n) + i * BUFFER))->echo.mark == MARK)
				fail("a nonce is left in a buffer of the NIC's");
		}
}

/* Wait for an answer, of an echo request with @echo. False if none comes soon. */
static bool answered(unsigned n, bool echo)
{
	uint64_t from = rdtsc();

	while (rdtsc() - from < PATIENCE) {
		struct frame *f = received(n);

		if (!f)
			continue;
		if (!echo && is_echo(f))
			fail("the answer to a request from before the reset");
		if (!echo && is_from_host(f))
			memcpy(host_mac, f->from, 6);
		if (echo ? is_echo(f) : is_from_host(f))
			return true;
	}
	return false;
}

/*
 * Confirm this guest's address to the host, which otherwise asks for it every few seconds. Without an answer it would
 * keep what it has to send until the guest's next request, which may come after a reset.
 */
static void confirm(void)
{
	struct frame *f = next_frame(0);

	put_arp(f, 2, host[3]);
	memcpy(f->to, host_mac, 6);
	memcpy(f->arp.to_mac, host_mac, 6);
	send(0, f, 14 + sizeof(f->arp));
	vq_kick(&tx[0]);
	for (unsigned i = 0; MMIO(uint16_t, &tx[0].used.idx) != tx[0].avail.idx; i++)
		if (i == 20000000)
			fail("the NIC does not send");
}

static void find_host(void)
{
	for (unsigned i = 0; i < 30; i++) {
		ask_for_host(0, host[3]);
		vq_kick(&tx[0]);
		if (answered(0, false)) {
			confirm();
			return;
		}
	}
	fail("the host does not answer");
}

/* Of two pairs only the first is in use: the other one is silent until the control queue says otherwise. */
static void check_pairs(void)
{
	ping(1, 1);
	vq_kick(&tx[1]);
	find_host();
	if (MMIO(uint16_t, &tx[1].used.idx))
		fail("a pair of queues that is not in use works");
	use_pairs(2);
	if (MMIO(uint16_t, &ctl.used.idx) != before.ctl_used + 1)
		fail("the control queue was not taken back");
	for (unsigned i = 0; !MMIO(uint16_t, &tx[1].used.idx); i++)
		if (i == 20000000)
			fail("a pair of queues that is in use does not work");
}

/* The state is that of the checkpoint, and the NIC works. */
static void check(void)
{
	look(&now);
	expect_same("byte", &before, &now, 1, sizeof(now));
	if (!late_answers)
		look_at_memory();
	find_host();
	if (two_pairs)
		check_pairs();
}

/* ---- the test ---- */

/* Change what the driver can change, otherwise each time. Returns the pair that sends. */
static unsigned change(uint64_t nonce)
{
	unsigned n = 0;

	switch (nonce >> 3 & 7) {
	case 0:
		setup(OFFLOADS, 2, VECTOR + 2);
		n = 2;
		break;
	case 1:
		setup(OFFLOADS, 2, 0);
		vdev_reset(&nic);
		break;
	case 2:
		MMIO(uint32_t, nic.msix + 16 + 8) = VECTOR + 1;
		MMIO(uint32_t, nic.msix + 16 + 12) = 1;
		break;
	case 3:
		/* A fault of the ring */
		MMIO(uint16_t, &rx[0].avail.idx) = (uint16_t)(rx[0].avail.idx + 1000);
		vq_kick(&rx[0]);
		break;
	case 4:
		/* One queue only */
		MMIO(uint16_t, nic.common + 0x16) = 0;
		MMIO(uint16_t, nic.common + 0x3a) = 1;
		break;
	default:
		break;
	}
	MMIO(uint32_t, nic.common) = (uint32_t)nonce;
	pci_write(nic.slot, 0x3c, (uint32_t)nonce);
	return n;
}

/* @late: not the host answers, but passt, which may do that after the reset; and it answers no echo request. */
void test_checkpoint_net(bool pairs, bool late)
{
	uint64_t nonce;
	unsigned n;

	two_pairs = pairs;
	late_answers = late;
	__asm__ volatile("cli");
	if (!vdev_find(&nic, NET))
		fail("no NIC");
	memset((void *)(uintptr_t)MEMORY, 0, 0x80000);
	setup(0, 0, VECTOR);
	for (unsigned i = 0; i < 6; i++)
		mac[i] = MMIO(uint8_t, nic.config + i);
	find_host();
	look(&before);
	look(&before);
	outb(EXIT_PORT, 'C');
	check();
	nonce = rdtsc() * 0x9e3779b97f4a7c15ull | 1;
	for (unsigned i = 0; !late; i++) {
		ping(0, nonce);
		vq_kick(&tx[0]);
		if (answered(0, true))
			break;
		if (i == 30)
			fail("the host does not answer an echo request");
	}
	n = change(nonce);
	for (unsigned i = 0; i < QSIZE - 2; i++)
		if (late)
			ask_for_host(n, (uint8_t)(10 + i));
		else
			ping(n, nonce + i);
	vq_kick(&tx[n]);
	for (unsigned i = nonce >> 20 & 63; i; i--)
		__asm__ volatile("pause");
	outb(EXIT_PORT, 'R');
	fail("no reset");
}

/* ---- for measurements ---- */

void net_begin(void)
{
	if (!vdev_find(&nic, NET))
		fail("no NIC");
	setup(0, 0, nic.msix_cap ? VECTOR : 0); /* QEMU 7.2 with vhost-user crashes unless vectors=0. */
	for (unsigned i = 0; i < 6; i++)
		mac[i] = MMIO(uint8_t, nic.config + i);
}

void net_use(void)
{
	find_host();
}
