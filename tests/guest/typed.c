/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of the consoles' input, and of output without an end of line. Run in ring 0 of a
 * guest; each ends with "passed" (machine.c) or fail().
 */
#include "tests/guest/guest.h"

#define CONSOLE 0x10431af4u
#define VECTOR	0x41u
#define WRITE	2

static struct vqueue q;

/* Print a prompt without an end of line by the emergency write, then nothing more. */
void test_prompt(void)
{
	static struct vdev con;

	if (!vdev_find(&con, CONSOLE))
		fail("no console");
	for (const char *c = "login: "; *c; c++)
		MMIO(uint32_t, con.config + 8) = (uint8_t)*c;
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void echo_line(const char *how, const char *line, unsigned n)
{
	char text[64];

	memcpy(text, line, n < 63 ? n : 63);
	text[n < 63 ? n : 63] = '\0';
	say(how);
	say(text);
}

/* Read a line from the serial port without interrupts; it is longer than the port's FIFO. */
void test_serial_in(void)
{
	static char line[64];
	unsigned n = 0;

	say("type\n");
	while (n < 63 && (n == 0 || line[n - 1] != '\n')) {
		while (!(inb(0x3fd) & 1))
			;
		line[n++] = (char)inb(0x3f8);
		/* Echo each byte, as a terminal driver does. */
		say(".");
	}
	say("\n");
	echo_line("serial got ", line, n);
}

/*
 * Like Linux: offer buffers first and create the console later; input in between is dropped.
 * Output shows that the console exists.
 */
void test_ring_late(void)
{
	static struct vqueue out;
	static struct vdev con;
	static char line[64];
	static const char up[] = "up\n";
	uint32_t len = 0;
	unsigned n = 0;

	if (!vdev_find(&con, CONSOLE) || !vdev_begin(&con, 0))
		fail("no console");
	vdev_queue(&con, &q, 0, VECTOR);
	vdev_queue(&con, &out, 1, VECTOR);
	vdev_ready(&con);
	for (unsigned i = 0; i < 3; i++) {
		q.desc[i] = (struct desc){ (uintptr_t)line + 16 * i, 16, WRITE, 0 };
		vq_offer(&q, (uint16_t)i);
	}
	vq_kick(&q);
	for (unsigned i = 0; i < 3000; i++)
		__asm__ volatile("pause");
	q.seen = MMIO(uint16_t, &q.used.idx);
	out.desc[0] = (struct desc){ (uintptr_t)up, sizeof(up) - 1, 0, 0 };
	vq_offer(&out, 0);
	vq_kick(&out);
	while (n < 60 && (n == 0 || line[n - 1] != '\n')) {
		while (!vq_wait(&q, &len))
			;
		n += len;
		if (n < 60 && line[n - 1] != '\n') {
			q.desc[3] = (struct desc){ (uintptr_t)line + n, 16, WRITE, 0 };
			vq_offer(&q, 3);
			vq_kick(&q);
		}
	}
	echo_line("late got ", line, n);
}

/* Read a line from the virtio console's receive queue, with three bytes per buffer. */
void test_ring_in(void)
{
	static struct vdev con;
	static char line[64];
	uint32_t len = 0;
	unsigned n = 0;

	if (!vdev_find(&con, CONSOLE) || !vdev_begin(&con, 0))
		fail("no console");
	vdev_queue(&con, &q, 0, VECTOR);
	vdev_ready(&con);
	say("type\n");
	while (n < 60 && (n == 0 || line[n - 1] != '\n')) {
		q.desc[0] = (struct desc){ (uintptr_t)line + n, 3, WRITE, 0 };
		vq_offer(&q, 0);
		vq_kick(&q);
		while (!vq_wait(&q, &len))
			;
		n += len;
	}
	echo_line("ring got ", line, n);
}

/* Ends after a key of sysrq on the serial port and an NMI, in this order; never sleeps. */
void test_steer(void)
{
	char key[] = "break and x\n";
	bool told = false;

	for (unsigned i = 0; !(inb(0x3fd) & 0x10); i++) {
		/* The port takes input once the guest has polled it for a while. */
		if (i == 200)
			say("ready\n");
	}
	if (inb(0x3f8) != 0)
		fail("a break is a byte of zeros");
	while (!(inb(0x3fd) & 1))
		;
	key[10] = (char)inb(0x3f8);
	say(key);
	while (!irqs[2]) {
		if (!told)
			say("waits\n");
		told = true;
	}
	say_num("NMIs ", irqs[2]);
}
