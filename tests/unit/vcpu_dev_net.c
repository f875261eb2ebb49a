/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The NIC's control queue (virtio 1.2, 5.1.6.5) answers every command, accepts only a valid
 * number of queue pairs, and stops at a command without room for the answer. A reset clears
 * errors of the helper. For --checkpoint, it can go back, and its writes are recorded.
 */
#include <linux/virtio_config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/world.h"
#include "vcpu/devices/devices.h"
#include "vcpu/devices/held.h"
#include "vcpu/devices/net.h"
#include "vcpu/devices/written.h"

#define PAIRS 4
#define CTL   (2 * PAIRS)
#define ACK   (DATA + 0x100)

static struct device d;
static struct world *w;
static unsigned faults;

static void on_fault(struct vq *vq, enum guest_fault f, uint64_t detail)
{
	(void)vq;
	(void)detail;
	assert_int_equal(f, FAULT_SHORT_HEADER);
	faults++;
}

static int setup(void **state)
{
	const struct vcpu_device c = { .kind = DEV_NET, .queues = CTL };
	const struct vq_setup s = { .size = WORLD_SIZE, .desc = DESC, .avail = AVAIL, .used = USED, .indirect = true };

	(void)state;
	memset(&d, 0, sizeof(d));
	faults = 0;
	w = world_new();
	d.front.nqueues = CTL;
	d.front.name = "net0";
	d.pairs = 1;
	dev_net_init(&d, &c);
	d.v.features = d.desc.features;
	d.ctl.on_fault = on_fault;
	assert_int_equal(d.desc.nqueues, CTL + 1);
	assert_int_equal(vq_start(&d.ctl, &w->mem, &s), VQ_START_OK);
	/* No interrupt: there is no machine around it. */
	d.ctl.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* One command of @len bytes with @room for the answer. */
static void command(const uint8_t *cmd, uint32_t len, uint32_t room)
{
	struct vring_desc out = { DATA, len, room ? VRING_DESC_F_NEXT : 0, 1 };
	const struct vring_desc in = { ACK, room, VRING_DESC_F_WRITE, 0 };

	memcpy(shm_ptr(&w->mem, DATA, 4), cmd, MIN(len, 4u));
	memset(shm_ptr(&w->mem, ACK, 4), 0xee, 4);
	world_put(w, DESC, 0, out);
	world_put(w, DESC, 1, in);
	d.ctl.avail->ring[d.ctl.avail->idx % WORLD_SIZE] = 0;
	d.ctl.avail->idx++;
	d.desc.notify(&d.v, CTL);
}

static uint8_t ack(void)
{
	return *(uint8_t *)shm_ptr(&w->mem, ACK, 1);
}

static void pairs_in_range_alone(void **state)
{
	static const struct {
		uint16_t pairs;
		bool ok;
	} sets[] = { { 1, true }, { PAIRS, true },   { 0, false },     { PAIRS + 1, false },
		     { 2, true }, { 0x8000, false }, { 65535, false }, { 256 + 1, false } };
	unsigned have = 1;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
		const uint8_t cmd[4] = { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, (uint8_t)sets[i].pairs,
					 (uint8_t)(sets[i].pairs >> 8) };

		command(cmd, 4, 1);
		assert_int_equal(ack(), sets[i].ok ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
		have = sets[i].ok ? sets[i].pairs : have;
		assert_int_equal(d.pairs, have);
	}
	assert_int_equal(d.ctl.used->idx, ARRAY_SIZE(sets));
	assert_int_equal(faults, 0);
}

static void other_commands_are_errors(void **state)
{
	(void)state;
	for (unsigned class = 0; class < 256; class ++)
		for (unsigned cmd = 0; cmd < 4; cmd++) {
			const uint8_t bytes[4] = { (uint8_t) class, (uint8_t)cmd, 2, 0 };

			if (class == VIRTIO_NET_CTRL_MQ && cmd == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET)
				continue;
			command(bytes, 4, 1);
			assert_int_equal(ack(), VIRTIO_NET_ERR);
		}
	/* The right one, too short or too long. */
	for (uint32_t len = 2; len < 200; len += len == 3 ? 2 : 1) {
		const uint8_t bytes[4] = { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0 };

		command(bytes, len, 1);
		assert_int_equal(ack(), VIRTIO_NET_ERR);
	}
	assert_int_equal(d.pairs, 1);
	assert_int_equal(faults, 0);
}

static void without_room_it_stops(void **state)
{
	const uint8_t cmd[4] = { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0 };

	for (unsigned i = 0; i < 2; i++) {
		if (i) {
			teardown(state);
			setup(state);
		}
		command(cmd, i ? 1 : 4, i); /* no room for the answer; half a header */
		assert_int_equal(faults, 1);
		assert_int_equal(d.pairs, 1);
		assert_false(d.ctl.running);
		d.desc.notify(&d.v, CTL);
		d.desc.notify(&d.v, CTL + 1);
		d.desc.notify(&d.v, 0xffff);
		assert_int_equal(faults, 1);
	}
}

/* The driver of Linux: with the event index it kicks only where the device asked for it (2.7.7.2). */
static void every_command_is_kicked_for(void **state)
{
	const struct vq_setup s = { .size = WORLD_SIZE, .desc = DESC, .avail = AVAIL, .used = USED, .event_idx = true };
	const uint8_t cmd[4] = { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0 };

	(void)state;
	assert_int_equal(vq_start(&d.ctl, &w->mem, &s), VQ_START_OK);
	for (uint16_t n = 0; n < 100; n++) {
		uint16_t event = (uint16_t)d.ctl.used->ring[WORLD_SIZE].id;

		/* no interrupt: there is no machine around it */
		d.ctl.avail->ring[WORLD_SIZE] = (uint16_t)(n + 100);
		assert_true(vring_need_event(event, (uint16_t)(n + 1), n));
		command(cmd, 4, 1);
		assert_int_equal(d.ctl.used->idx, n + 1);
		assert_int_equal(ack(), VIRTIO_NET_OK);
	}
}

/* More than the budget at once: the rest is work for the main thread, and is not lost. */
static void commands_that_are_left_come_later(void **state)
{
	const struct vq_setup s = { .size = 64, .desc = TABLE, .avail = AVAIL, .used = DATA + 0x800 };
	static struct devices ds;

	(void)state;
	ds.n = 1;
	assert_int_equal(vq_start(&d.ctl, &w->mem, &s), VQ_START_OK);
	d.ctl.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	memset(shm_ptr(&w->mem, DATA, 4), 0, 4);
	world_put(w, TABLE, 0, (struct vring_desc){ DATA, 4, VRING_DESC_F_NEXT, 1 });
	world_put(w, TABLE, 1, (struct vring_desc){ ACK, 1, VRING_DESC_F_WRITE, 0 });
	d.ctl.avail->idx = 40;
	d.desc.notify(&d.v, CTL);
	assert_true(d.ctl.used->idx < 40);
	ds.dev[0] = d;
	assert_true(devices_have_work(&ds));
	for (unsigned turns = 0; devices_work(&ds); turns++)
		assert_true(turns < 40);
	assert_int_equal(ds.dev[0].ctl.used->idx, 40);
	assert_false(devices_have_work(&ds));
}

static void no_intx(struct vpci *v, bool level)
{
	(void)v;
	(void)level;
}

/* An error from before a reset is not reported to the driver after it. */
static void a_reset_forgets_errors(void **state)
{
	static struct role_config rc = { .vcpu = { .ndevices = 1 } };
	static struct vm vm = { .rc = &rc, .c = &rc.vcpu };
	static const struct vpci_host host = { .intx = no_intx };
	static struct devices ds;
	uint64_t one = 1;
	int fd = eventfd(0, EFD_NONBLOCK);

	(void)state;
	assert_int_equal(dup2(fd, VFD_QERR0), VFD_QERR0);
	close(fd);
	ds.vm = &vm;
	ds.n = 1;
	d.front.err = VFD_QERR0;
	ds.dev[0] = d;
	ds.dev[0].v.status = 15;
	ds.dev[0].v.host = &host;
	assert_int_equal(write(VFD_QERR0, &one, sizeof(one)), sizeof(one));
	ds.dev[0].desc.stop(&ds.dev[0].v);
	assert_true(devices_event(&ds, VFD_QERR0, 0));
	assert_int_equal(ds.dev[0].v.status, 15);
	/* one that is there is heard */
	assert_int_equal(write(VFD_QERR0, &one, sizeof(one)), sizeof(one));
	assert_true(devices_event(&ds, VFD_QERR0, 0));
	assert_int_equal(ds.dev[0].v.status, 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	close(VFD_QERR0);
}

static void the_control_queue_goes_back(void **state)
{
	const uint8_t cmd[4] = { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0 };
	static struct held_device at;

	(void)state;
	/* Without a helper, which vcpu_front_held.c has. */
	assert_int_equal(d.type, DEVICE_CONSOLE);
	command(cmd, 4, 1);
	d.ctl_again = true;
	held_save(&d, &at);
	for (unsigned i = 0; i < 20; i++) {
		const uint8_t all[4] = { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, PAIRS, 0 };

		for (unsigned n = 0; n < i; n++)
			command(all, 4, 1);
		if (i & 1)
			vq_stop(&d.ctl);
		assert_true(held_load(&d, &at));
		assert_int_equal(d.pairs, 2);
		assert_true(d.ctl_again);
		/* The guest's memory goes back as well: the next command is its second one. */
		d.ctl.avail->idx = d.ctl.used->idx = 1;
		command(all, 4, 1);
		assert_int_equal(d.ctl.used->idx, 2);
		assert_int_equal(d.pairs, PAIRS);
	}
}

/* The answer to a command, and the whole used ring of a queue that starts: each in a page of its own. */
static void what_it_writes_is_recorded(void **state)
{
	const uint8_t cmd[4] = { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0 };
	static uint64_t log[3][1];
	uint64_t *const logs[SHM_MAX_REGIONS] = { log[0], log[1], log[2] };
	static struct vm vm;
	static struct devices ds = { .vm = &vm };

	(void)state;
	vm.mem = w->mem;
	d.all = &ds;
	written_start(&vm.mem, logs);
	vq_stop(&d.ctl);
	d.v.queue[CTL] =
		(struct vpci_queue){ .size = WORLD_SIZE, .enabled = true, .desc = DESC, .avail = AVAIL, .used = TABLE };
	assert_true(d.desc.start_queue(&d.v, CTL));
	assert_int_equal(log[0][0], BIT64((TABLE - A_GPA) / PAGE));
	log[0][0] = 0;
	d.ctl.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	command(cmd, 4, 1);
	assert_int_equal(ack(), VIRTIO_NET_OK);
	assert_true(log[0][0] & BIT64((ACK - A_GPA) / PAGE));
	written_start(NULL, logs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pairs_in_range_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(other_commands_are_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(without_room_it_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(every_command_is_kicked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(commands_that_are_left_come_later, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reset_forgets_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(the_control_queue_goes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(what_it_writes_is_recorded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
