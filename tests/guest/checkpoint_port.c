/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --checkpoint with a named port: a guest that writes more to its port than can be sent at once, and messages to the
 * control queue, asks for a reset, and looks at registers and rings afterwards. In the port's file each line that begins with
 * "<" may be cut short; no line begins with its rest. Nothing survives a reset, so the guest does not count; the option
 * --resets ends it. Runs in ring 0 of a guest.
 */
#include "tests/guest/guest.h"

#define CONSOLE	  0x10431af4u
#define MULTIPORT 2u
#define EXIT_PORT 0xf4
#define WRITE	  2
#define QUEUES	  6
#define BUFFER	  0x1000000u /* Memory that only these tests use */
#define BYTES	  0x10000u

enum { CTL_RX = 2, CTL_TX, PORT_RX, PORT_TX };
enum { DEVICE_READY, PORT_READY = 3, PORT_OPEN = 6 };

struct control {
	uint32_t id;
	uint16_t event, value;
};
struct registers {
	uint32_t common[14], pci[64];
	uint16_t used[QUEUES];
};

static struct vdev con;
static struct vqueue q[QUEUES];
static struct control answer[8][8];
static struct registers before, now;

static void offer(unsigned queue, uint16_t d, const void *data, uint32_t len)
{
	q[queue].desc[d] = (struct desc){ (uintptr_t)data, len, 0, 0 };
	vq_offer(&q[queue], d);
	vq_kick(&q[queue]);
}

static void transmit(unsigned queue, const void *data, uint32_t len)
{
	uint32_t used;

	offer(queue, 0, data, len);
	if (!vq_wait(&q[queue], &used))
		fail("a buffer does not come back");
}

static void control(uint32_t id, uint16_t event, uint16_t value)
{
	static struct control m;

	m = (struct control){ id, event, value };
	transmit(CTL_TX, &m, sizeof(m));
}

static void look(struct registers *r)
{
	memset(r, 0, sizeof(*r));
	/* Not the generation, which is a byte at 0x15. */
	for (unsigned i = 0; i < 14; i++)
		r->common[i] = i == 5 ? MMIO(uint8_t, con.common + 0x14) : MMIO(uint32_t, con.common + i * 4);
	for (unsigned i = 0; i < 64; i++)
		r->pci[i] = pci_read(con.slot, i * 4);
	for (unsigned i = 0; i < QUEUES; i++)
		r->used[i] = MMIO(uint16_t, &q[i].used.idx);
}

static void check(void)
{
	const uint8_t *a = (const uint8_t *)&before, *b = (const uint8_t *)&now;
	uint32_t len;

	look(&now);
	for (unsigned i = 0; i < sizeof(before); i++)
		if (a[i] != b[i]) {
			say_num("byte ", i);
			fail("a nonce is left in a register or a ring");
		}
	for (unsigned i = 0; i < 8; i++)
		if (answer[i][0].event)
			fail("an answer is left in memory");
	transmit(PORT_TX, "\nround\n", 7);
	/* One message, one answer: the name. */
	control(1, PORT_READY, 1);
	if (!vq_wait(&q[CTL_RX], &len) || len < sizeof(struct control) || answer[0][0].id != 1)
		fail("the control queue does not work");
}

void test_checkpoint_port(void)
{
	uint32_t lo, hi;

	__asm__ volatile("cli");
	if (!vdev_find(&con, CONSOLE) || !vdev_begin(&con, MULTIPORT))
		fail("the console has no ports");
	for (unsigned i = 0; i < QUEUES; i++)
		vdev_queue(&con, &q[i], i, 0);
	vdev_ready(&con);
	for (uint16_t i = 0; i < 8; i++) {
		q[CTL_RX].desc[i] = (struct desc){ (uintptr_t)answer[i], sizeof(answer[i]), WRITE, 0 };
		vq_offer(&q[CTL_RX], i);
	}
	vq_kick(&q[CTL_RX]);
	control(1, PORT_OPEN, 1);
	memset((void *)(uintptr_t)BUFFER, 'a', BYTES);
	MMIO(uint8_t, BUFFER) = '<';
	look(&before);
	look(&before);
	outb(EXIT_PORT, 'C');
	check();
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	control(0xffffffff, DEVICE_READY, 1);
	control(1, PORT_OPEN, 0);
	for (uint16_t i = 0; i < 10; i++)
		offer(PORT_TX, i, (const void *)(uintptr_t)BUFFER, BYTES);
	if (lo & 64)
		vdev_reset(&con);
	MMIO(uint32_t, con.common) = lo;
	for (lo = lo >> 7 & 63; lo; lo--)
		__asm__ volatile("pause");
	outb(EXIT_PORT, 'R');
	fail("no reset");
}
