/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every register of the PC's ports and of the console's and rng's transports accepts every
 * value at every width, in any order, while the devices run, and the devices work afterwards.
 * Meant to be run with sanitizers.
 */
#include <fcntl.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vcpu/devices/devices.h"
#include "vcpu/kvm/pc.h"

#define MEM   (1u << 20)
#define BARS  0xd0000000u
#define CON   BARS
#define RNG   0xd0008000u
#define QSIZE 8

/* What a child that checks by itself ends with if something is wrong. */
#define CHECK(x)                                                           \
	do {                                                               \
		if (!(x)) {                                                \
			dprintf(2, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			_exit(1);                                          \
		}                                                          \
	} while (0)

static const uint64_t edges[] = { 0,	  1,	  2,	  3,	      0x7f,	  0x80,	      0xfe,	 0xff,
				  0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX };

static struct role_config rc;
static struct vm vm = { .rc = &rc, .c = &rc.vcpu };
static struct devices ds;
static struct pc pc;
static unsigned ends, msis;
static uint8_t *ram;
static int con_out;

static void intx(struct vpci *v, bool level)
{
	(void)v;
	(void)level;
}

static void msi(struct vpci *v, uint64_t addr, uint32_t data)
{
	(void)v;
	(void)addr;
	(void)data;
	msis++;
}

static const struct vpci_host host = { .intx = intx, .msi = msi };

static void pc_irq(void *owner, unsigned gsi, bool level)
{
	(void)owner;
	(void)level;
	CHECK(gsi == PC_SERIAL_IRQ || gsi == PC_SCI_IRQ);
}

static bool pc_room(void *owner)
{
	(void)owner;
	return conio_room(&ds.conio) > 0;
}

static void pc_put(void *owner, uint8_t c)
{
	(void)owner;
	conio_put(&ds.conio, &c, 1);
}

static void pc_wanted(void *owner)
{
	(void)owner;
}

static void pc_end(void *owner, enum guest_end why, const char *text)
{
	(void)owner;
	CHECK(why >= GUEST_POWEROFF && why <= GUEST_PANIC && text[0]);
	ends++;
}

static const struct pc_ops pc_ops = {
	.irq = pc_irq,
	.out_room = pc_room,
	.out = pc_put,
	.in_wanted = pc_wanted,
	.end = pc_end,
};

/* The process's descriptors as the vCPU process has them; runs in a child. */
static void make_machine(void)
{
	const struct devices_place place = { .bar_base = BARS, .intx_base = 16 };
	struct shm_policy p = { 0 };
	int in[2], out[2], ctl[2], mem;
	bool sealed;

	CHECK(pipe(in) == 0 && pipe(out) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ctl) == 0);
	con_out = fcntl(out[0], F_DUPFD, 200);
	CHECK(fcntl(con_out, F_SETFL, O_NONBLOCK) == 0);
	CHECK(dup2(fcntl(in[0], F_DUPFD, 200), VFD_CON_IN) == VFD_CON_IN);
	CHECK(dup2(fcntl(out[1], F_DUPFD, 200), VFD_CON_OUT) == VFD_CON_OUT);
	CHECK(dup2(fcntl(ctl[0], F_DUPFD, 200), VFD_CTL) == VFD_CTL);
	mem = shm_create(MEM, &sealed);
	CHECK(mem >= 0 && shm_add(&vm.mem, &p, mem, 0, MEM, 0, 0) == SHM_OK);
	ram = shm_ptr(&vm.mem, 0, MEM);
	rc.vcpu.rng = true;
	rc.vcpu.smp = 1;
	CHECK(devices_create(&ds, &vm, &host, NULL) == 0 && devices_attach(&ds, &place) == 0);
	pc_init(&pc, &pc_ops, NULL);
}

static void wr(uint64_t at, unsigned len, uint64_t v)
{
	pci_mem_write(&ds.bus, at, len, v);
}

static uint64_t rd(uint64_t at, unsigned len)
{
	uint64_t v;

	pci_mem_read(&ds.bus, at, len, &v);
	return v;
}

/* Queue @q at 0x10000 * (q + 1): descriptors, then available at + 0x1000, used at + 0x2000. */
static void start(uint32_t bar, unsigned queues)
{
	wr(bar + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	wr(bar + VIRTIO_PCI_COMMON_STATUS, 1, 3);
	wr(bar + VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(bar + VIRTIO_PCI_COMMON_GF, 4, 1);
	wr(bar + VIRTIO_PCI_COMMON_STATUS, 1, 11);
	for (unsigned q = 0; q < queues; q++) {
		uint64_t at = 0x10000 * (q + 1);

		memset(ram + at, 0, 0x3000);
		wr(bar + VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
		wr(bar + VIRTIO_PCI_COMMON_Q_SIZE, 2, QSIZE);
		wr(bar + VIRTIO_PCI_COMMON_Q_DESCLO, 4, at);
		wr(bar + VIRTIO_PCI_COMMON_Q_DESCHI, 4, 0);
		wr(bar + VIRTIO_PCI_COMMON_Q_AVAILLO, 4, at + 0x1000);
		wr(bar + VIRTIO_PCI_COMMON_Q_AVAILHI, 4, 0);
		wr(bar + VIRTIO_PCI_COMMON_Q_USEDLO, 4, at + 0x2000);
		wr(bar + VIRTIO_PCI_COMMON_Q_USEDHI, 4, 0);
		wr(bar + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	}
	wr(bar + VIRTIO_PCI_COMMON_STATUS, 1, 15);
	CHECK(rd(bar + VIRTIO_PCI_COMMON_STATUS, 1) == 15);
}

/* One descriptor on queue @q, and its doorbell by register. */
static uint16_t submit(uint32_t bar, unsigned q, uint64_t addr, uint32_t len, uint16_t flags)
{
	uint8_t *at = ram + 0x10000 * (q + 1);
	struct vring_desc *d = (struct vring_desc *)at;
	struct vring_avail *a = (struct vring_avail *)(at + 0x1000);
	struct vring_used *u = (struct vring_used *)(at + 0x2000);

	d[0] = (struct vring_desc){ .addr = addr, .len = len, .flags = flags };
	a->ring[a->idx % QSIZE] = 0;
	a->idx++;
	wr(bar + 0x3000 + 4 * q, 2, q);
	return u->idx;
}

static void devices_work_afterwards(void)
{
	static char got[65536];
	ssize_t n;

	/* whatever was written so far is out */
	do {
		conio_flush(&ds.conio);
		n = read(con_out, got, sizeof(got));
	} while (n > 0);
	ds.conio.blocked = false;
	start(CON, 2);
	memcpy(ram + 0x50000, "it works", 8);
	CHECK(submit(CON, 1, 0x50000, 8, 0) == 1);
	CHECK(read(con_out, got, sizeof(got)) == 8 && !memcmp(got, "it works", 8));
	start(RNG, 1);
	memset(ram + 0x50000, 0, 64);
	CHECK(submit(RNG, 0, 0x50000, 64, VRING_DESC_F_WRITE) == 1);
	n = 0;
	for (unsigned i = 0; i < 64; i++)
		n += ram[0x50000 + i] != 0;
	CHECK(n > 32);
}

static void in_child(void (*f)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		make_machine();
		f();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void sweep_ports(void)
{
	uint32_t v;

	for (unsigned round = 0; round < 2; round++)
		for (uint32_t port = 0; port<0x10000; port += port> 0x1000 ? 255 : 1)
			for (unsigned len = 1; len <= 4; len *= 2)
				for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
					pc_in(&pc, (uint16_t)port, len, &v);
					pc_out(&pc, (uint16_t)port, len, (uint32_t)edges[i]);
					pci_port_in(&ds.bus, (uint16_t)port, len);
					pci_port_out(&ds.bus, (uint16_t)port, len, (uint32_t)edges[i]);
					if (conio_used(&ds.conio) > CONIO_SIZE / 2)
						ds.conio.head = ds.conio.tail;
				}
	CHECK(ends > 0); /* reset and pvpanic were among them */
	devices_work_afterwards();
}

static void sweep_bars(void)
{
	start(CON, 2);
	start(RNG, 1);
	for (uint32_t off = 0; off < 0x10000; off++) {
		if ((off & 0xfff) > 0x120 && (off & 0xfff) < 0xff0 && (off & 0xfff) != 0x800)
			continue;
		for (unsigned len = 1; len <= 8; len *= 2)
			for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
				wr(BARS + off, len, edges[i]);
				rd(BARS + off, len);
			}
		if (off % 64 == 0)
			devices_work(&ds);
		if (conio_used(&ds.conio) > CONIO_SIZE / 2)
			ds.conio.head = ds.conio.tail;
	}
	devices_work_afterwards();
}

/* Rings in the worst places, and junk in them, while the notify registers are hit. */
static void junk_rings(void)
{
	static const uint64_t places[] = { 0, 1, 0x1000, MEM - 16, MEM - 1, MEM, UINT64_MAX - 15, 1ull << 63 };

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(places); j++) {
			start(CON, 0);
			wr(CON + VIRTIO_PCI_COMMON_STATUS, 1, 0);
			wr(CON + VIRTIO_PCI_COMMON_STATUS, 1, 3);
			wr(CON + VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
			wr(CON + VIRTIO_PCI_COMMON_GF, 4, 1);
			wr(CON + VIRTIO_PCI_COMMON_STATUS, 1, 11);
			for (unsigned q = 0; q < 2; q++) {
				wr(CON + VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
				wr(CON + VIRTIO_PCI_COMMON_Q_DESCLO, 8, places[i]);
				wr(CON + VIRTIO_PCI_COMMON_Q_AVAILLO, 8, places[j]);
				wr(CON + VIRTIO_PCI_COMMON_Q_USEDLO, 8, places[(i + j) % 8]);
				wr(CON + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
			}
			wr(CON + VIRTIO_PCI_COMMON_STATUS, 1, 15);
			wr(CON + 0x3000, 2, 0);
			wr(CON + 0x3004, 2, 1);
			memset(ram, (int)(i * 17 + j), 0x4000);
			wr(CON + 0x3004, 2, 1);
			devices_work(&ds);
		}
	devices_work_afterwards();
}

/* 5.3: input goes to the driver's buffers; what has no room waits; the line is as long as it is. */
static void output_that_nobody_reads(void)
{
	unsigned n;

	start(CON, 2);
	memset(ram + 0x50000, 'x', 0x10000);
	/* far more than pipe and buffer hold: the device keeps the chain, and its bounds */
	for (n = 0; n < 16; n++)
		submit(CON, 1, 0x50000, 0x10000, 0);
	CHECK(conio_used(&ds.conio) == CONIO_SIZE);
	CHECK(!pc_room(NULL));
	CHECK(ds.out_watched);
	devices_work(&ds);
	wr(CON + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	ds.conio.head = ds.conio.tail;
	devices_work_afterwards();
}

static void ports(void **state)
{
	(void)state;
	in_child(sweep_ports);
}

static void bars(void **state)
{
	(void)state;
	in_child(sweep_bars);
}

static void rings(void **state)
{
	(void)state;
	in_child(junk_rings);
}

static void output(void **state)
{
	(void)state;
	in_child(output_that_nobody_reads);
}

static unsigned reports;

static void reported(void *owner, enum guest_end why, const char *text)
{
	(void)owner;
	(void)text;
	assert_int_equal(why, GUEST_REPORTED);
	reports++;
}

/* Without it there is nothing; bytes alone, or any width; no neighbour of it. */
static void the_exit_port(void **state)
{
	static const struct pc_ops ops = { .end = reported };
	struct pc p;
	uint32_t v;

	(void)state;
	reports = 0;
	pc_init(&p, &ops, NULL);
	assert_false(pc_out(&p, EXIT_PORT, 1, 3));
	assert_false(pc_in(&p, EXIT_PORT, 1, &v));
	p.exit_port = EXIT_PORT_BYTE;
	p.exit_base = EXIT_PORT;
	for (uint16_t port = EXIT_PORT - 4; port < EXIT_PORT + 4; port++)
		for (unsigned len = 1; len <= 4; len *= 2)
			if (port != EXIT_PORT || len != 1)
				assert_false(pc_out(&p, port, len, 3));
	assert_int_equal(reports, 0);
	assert_true(pc_out(&p, EXIT_PORT, 1, 0x1fe));
	assert_int_equal(reports, 1);
	assert_int_equal(p.reported, 0xfe);
	p.exit_port = EXIT_PORT_ISA_DEBUG_EXIT;
	for (unsigned len = 1; len <= 4; len *= 2)
		assert_true(pc_out(&p, EXIT_PORT, len, 0x11223300 + len));
	assert_int_equal(reports, 4);
	assert_int_equal(p.reported, 4);
	assert_true(pc_in(&p, EXIT_PORT, 1, &v));
	assert_int_equal(v, 0);
	p.exit_base = EXIT_PORT_QEMU;
	assert_false(pc_out(&p, EXIT_PORT, 1, 3));
	assert_true(pc_out(&p, EXIT_PORT_QEMU, 1, 5));
	assert_int_equal(reports, 5);
	assert_int_equal(p.reported, 5);
}

static unsigned asked[2];

static void request(void *owner, bool reset)
{
	(void)owner;
	asked[reset]++;
}

/* With --checkpoint two numbers are requests; without it they are reports as all others. */
static void requests_at_the_exit_port(void **state)
{
	static const struct pc_ops ops = { .checkpoint = request, .end = reported };
	struct pc p;

	(void)state;
	reports = 0;
	pc_init(&p, &ops, NULL);
	p.exit_port = EXIT_PORT_BYTE;
	p.exit_base = EXIT_PORT;
	assert_true(pc_out(&p, EXIT_PORT, 1, EXIT_PORT_CHECKPOINT));
	assert_true(pc_out(&p, EXIT_PORT, 1, EXIT_PORT_RESET));
	assert_int_equal(reports, 2);
	p.checkpoint = true;
	assert_true(pc_out(&p, EXIT_PORT, 1, EXIT_PORT_CHECKPOINT));
	assert_true(pc_out(&p, EXIT_PORT, 1, EXIT_PORT_RESET));
	assert_true(pc_out(&p, EXIT_PORT, 1, EXIT_PORT_RESET));
	assert_int_equal(asked[0], 1);
	assert_int_equal(asked[1], 2);
	assert_int_equal(reports, 2);
	assert_true(pc_out(&p, EXIT_PORT, 1, 0));
	assert_int_equal(reports, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_at_the_exit_port),
		cmocka_unit_test(the_exit_port),
		cmocka_unit_test(ports),
		cmocka_unit_test(bars),
		cmocka_unit_test(rings),
		cmocka_unit_test(output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
