/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named ports, as a guest of lguest-sep run uses them. It first sends meaningless control
 * messages, then opens its ports and copies standard input to standard output. With rounds
 * (run --checkpoint-at) it takes a checkpoint, and acts as an init that is honest or not, the
 * same way in each round. Runs in ring 0 of a guest; "passed" (machine.c) or fail() ends it.
 */
#include "tests/guest/guest.h"

#define CONSOLE	  0x10431af4u
#define MULTIPORT 2u /* feature bit 1 */
#define WRITE	  2
#define PORTS	  4u
#define QUEUES	  (4 + 2 * PORTS)
#define EXIT_PORT 0xf4

/* include/uapi/linux/virtio_console.h */
struct control {
	uint32_t id;
	uint16_t event, value;
};
enum { DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

/* common/run_proto.h */
struct result {
	uint32_t magic, end, value, reserved;
	uint64_t out_bytes, err_bytes;
	char text[96];
};

static struct vdev con;
static struct vqueue q[QUEUES];
static struct control heard[QSIZE][8];
static uint8_t in[QSIZE][512];
static const char *const names[] = { "lguest-sep.stdin", "lguest-sep.stdout", "lguest-sep.stderr",
				     "lguest-sep.result" };

static void transmit(unsigned queue, const void *data, uint32_t len)
{
	uint32_t used;

	q[queue].desc[0] = (struct desc){ (uintptr_t)data, len, 0, 0 };
	vq_offer(&q[queue], 0);
	vq_kick(&q[queue]);
	if (!vq_wait(&q[queue], &used))
		fail("a buffer does not come back");
}

static void control(uint32_t id, uint16_t event, uint16_t value)
{
	static struct control m;

	m = (struct control){ id, event, value };
	transmit(3, &m, sizeof(m));
}

/* The next message of the device, in @m, with at most 40 bytes behind it. */
static const char *hear(struct control *m, uint32_t *len)
{
	static uint16_t next;
	static char more[64];
	struct control *from = heard[next];

	if (!vq_wait(&q[2], len))
		fail("no control message");
	*m = *from;
	memset(more, 0, sizeof(more));
	memcpy(more, from + 1, *len - sizeof(*m) < 40 ? *len - sizeof(*m) : 40);
	vq_offer(&q[2], next);
	vq_kick(&q[2]);
	next = (uint16_t)((next + 1) % QSIZE);
	return more;
}

static bool equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* Meaningless numbers, events and values, and valid ones out of order: the device takes all and answers none. */
static void nonsense(void)
{
	static const uint32_t ids[] = { PORTS + 1, 31, 0x7fffffff, 0x80000000, 0xffffffff };

	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		for (uint16_t event = PORT_ADD; event < 12; event++)
			control(ids[i], event, 1);
	for (uint32_t event = 0x100; event < 0x10000; event += 0x333)
		control(0, (uint16_t)event, 0xffff);
	for (unsigned i = 0; i < 20; i++) {
		control(1, PORT_OPEN, 1);
		control(1, PORT_OPEN, 0);
		control(0, PORT_OPEN, 1);
		control(0xffffffff, DEVICE_READY, 0);
	}
}

static void open_ports(void)
{
	struct control m;
	uint32_t len;

	/* Asked a hundred times without a buffer for the answer: one answer. */
	for (unsigned i = 0; i < 100; i++)
		control(0xffffffff, DEVICE_READY, 1);
	for (uint16_t i = 0; i < QSIZE; i++) {
		q[2].desc[i] = (struct desc){ (uintptr_t)heard[i], sizeof(heard[i]), WRITE, 0 };
		vq_offer(&q[2], i);
	}
	vq_kick(&q[2]);
	for (uint32_t i = 0; i <= PORTS; i++) {
		hear(&m, &len);
		if (len != sizeof(m) || m.id != i || m.event != PORT_ADD)
			fail("a port is not added");
	}
	control(0, PORT_READY, 1);
	hear(&m, &len);
	if (m.id != 0 || m.event != CONSOLE_PORT)
		fail("the console is not port 0");
	for (uint32_t i = 1; i <= PORTS; i++) {
		control(i, PORT_READY, 1);
		if (!equal(hear(&m, &len), names[i - 1]) || m.id != i || m.event != PORT_NAME)
			fail("a port has another name");
		hear(&m, &len);
		if (m.id != i || m.event != PORT_OPEN || m.value != 1)
			fail("a port is not open");
		control(i, PORT_OPEN, 1);
	}
}

/* The next bytes of standard input, in buffers of three sizes. */
static uint8_t next_byte(void)
{
	static uint16_t slot = QSIZE;
	static uint32_t at, len;

	if (slot == QSIZE) {
		for (uint16_t i = 0; i < QSIZE; i++) {
			q[4].desc[i] = (struct desc){ (uintptr_t)in[i], i % 3 ? 512u / i : 7, WRITE, 0 };
			vq_offer(&q[4], i);
		}
		vq_kick(&q[4]);
		slot = 0;
		if (!vq_wait(&q[4], &len))
			fail("no input");
	}
	while (at == len) {
		vq_offer(&q[4], slot);
		vq_kick(&q[4]);
		slot = (uint16_t)((slot + 1) % QSIZE);
		at = 0;
		if (!vq_wait(&q[4], &len))
			fail("no more input");
	}
	return in[slot][at++];
}

static uint16_t next_half(void)
{
	uint16_t low = next_byte();

	return (uint16_t)(low | next_byte() << 8);
}

void test_run(void)
{
	static struct result r = { .magic = 0x7075736c, .end = 1, .value = 7 };
	static uint8_t frame[4096], taken;
	uint32_t len;

	if (!vdev_find(&con, CONSOLE) || !vdev_begin(&con, MULTIPORT))
		fail("the console has no ports");
	if (MMIO(uint32_t, con.config + 4) != 1 + PORTS)
		fail("the number of ports");
	for (unsigned i = 0; i < QUEUES; i++)
		vdev_queue(&con, &q[i], i, 0x41);
	vdev_ready(&con);
	nonsense();
	open_ports();
	for (;;) {
		uint16_t type = next_half(), n = next_half();

		if (type == 2)
			break;
		if (type != 1 || n > sizeof(frame))
			fail("a frame");
		for (unsigned i = 0; i < n; i++)
			frame[i] = next_byte();
		transmit(7, frame, n);
		r.out_bytes += n;
	}
	transmit(9, "to standard error\n", r.err_bytes = 18);
	q[10].desc[0] = (struct desc){ (uintptr_t)&taken, 1, WRITE, 0 };
	vq_offer(&q[10], 0);
	vq_kick(&q[10]);
	transmit(11, &r, sizeof(r));
	if (!vq_wait(&q[10], &len) || taken != 'k')
		fail("the result is not taken");
}

static struct result report = { .magic = 0x7075736c, .end = 1, .value = 0 };

/* An acknowledgement from an earlier round must not be there when this one begins. */
static void no_acknowledgement_yet(uint8_t *taken)
{
	q[10].desc[0] = (struct desc){ (uintptr_t)taken, 1, WRITE, 0 };
	vq_offer(&q[10], 0);
	vq_kick(&q[10]);
	/* The device has looked at all queues when these two come back. */
	transmit(9, "e", 1);
	transmit(9, "e", 1);
	report.err_bytes = 2;
	if (MMIO(uint16_t, &q[10].used.idx))
		fail("an acknowledgement of an earlier round");
}

void test_rounds(enum rounds_test how)
{
	static uint8_t taken;
	uint32_t len;

	if (!vdev_find(&con, CONSOLE) || !vdev_begin(&con, MULTIPORT))
		fail("the console has no ports");
	for (unsigned i = 0; i < QUEUES; i++)
		vdev_queue(&con, &q[i], i, 0x41);
	vdev_ready(&con);
	open_ports();
	outb(EXIT_PORT, 'C');
	/* Only the first request counts; otherwise the next round would begin here, with nothing left to do. */
	transmit(7, "round\n", report.out_bytes = 6);
	outb(EXIT_PORT, 'C');
	no_acknowledgement_yet(&taken);
	switch (how) {
	case ROUNDS_HALF: /* The halves of two rounds would be a report. */
		report.out_bytes = report.err_bytes = 0;
		transmit(11, &report, sizeof(report) / 2);
		return;
	case ROUNDS_EARLIER: /* With the output of the last round it would be complete. */
		report.out_bytes = 12;
		transmit(11, &report, sizeof(report));
		return;
	case ROUNDS_DEAF: /* The acknowledgement stays on the way. */
		control(4, PORT_OPEN, 0);
		transmit(11, &report, sizeof(report));
		return;
	case ROUNDS_SPIN:
		for (;;)
			__asm__ volatile("pause");
	case ROUNDS_RESET: /* As our init does. */
		transmit(11, &report, sizeof(report));
		outb(EXIT_PORT, 'R');
		fail("no reset");
	case ROUNDS_SEVEN:
		report.value = 7;
		break;
	case ROUNDS_GOOD:
		break;
	}
	transmit(11, &report, sizeof(report));
	if (!vq_wait(&q[10], &len) || taken != 'k')
		fail("the result is not taken");
}
