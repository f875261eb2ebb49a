/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: the helper of a saved guest's disk, NIC or share gets what the driver had set up, and goes on at the index where the
 * rings stood; another image, MAC address or option is refused with a line that names both; and so are rings that no driver
 * could have set up.
 */
#include "tests/unit/vcpu_front_rig.h"

#include "vcpu/devices/backed.h"
#include "vcpu/devices/fs.h"
#include "vcpu/devices/held.h"
#include "vcpu/devices/helper_saved.h"
#include "vcpu/devices/net.h"
#include "vcpu/vm.h"

#define HELPER_AT sizeof(struct record_header)
#define RINGS_AT  (HELPER_AT + 80 + sizeof(struct record_header))

static struct devices ds;
static struct vm vm;
static struct vcpu_config config;
static struct device *d;
static uint8_t buf[4096];
static struct records r;
static size_t len; /* Of the records in @buf */
static unsigned rewired;

static void rewire(struct vpci *v)
{
	(void)v;
	rewired++;
}

static const struct vpci_host host = { .rewire = rewire };

/* A new device with its helper, as before the guest runs. */
static void make(enum device_kind kind)
{
	assert_int_equal(attach_as(kind, kind == DEV_NET ? 4 : 2), 0);
	ds = (struct devices){ .vm = &vm, .host = &host, .n = 1 };
	vm.c = &config;
	config.ndevices = 1;
	config.dev[0].kind = (uint8_t)kind;
	d = &ds.dev[0];
	d->all = &ds;
	d->type = DEVICE_BACKED;
	memcpy(d->name, f.name, strlen(f.name) + 1);
	d->front = f;
	if (kind == DEV_NET)
		dev_net_init(d, &config.dev[0]);
	else if (kind == DEV_FS)
		dev_fs_init(d, &config.dev[0]);
	else
		dev_blk_init(d, &config.dev[0]);
	d->v.dev = &d->desc;
	d->v.host = &host;
	rewired = 0;
}

/* The registers that its driver has set, which saved_vpci() saves and loads. */
static void set_registers(void)
{
	d->v.running = true;
	d->v.features = BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_BLK_F_FLUSH) |
			(d->front.kind == DEV_NET ? BIT64(VIRTIO_NET_F_CTRL_VQ) | BIT64(VIRTIO_NET_F_MQ) : 0);
	for (unsigned q = 0; q < 2; q++)
		d->v.queue[q] = (struct vpci_queue){
			.size = 128, .enabled = true, .desc = 0x1000 + q, .avail = 0x2000 + q, .used = 0x3000 + q
		};
}

static bool all(bool reading)
{
	r = (struct records){ .buf = buf, .size = reading ? len : sizeof(buf), .reading = reading };
	return saved_helpers(&r, &ds) && saved_rings(&r, d);
}

/* A guest whose driver uses queue 1 is saved. */
static void save_it(enum device_kind kind)
{
	const struct front_ring ring = { 128, 0x1001, 0x2001, 0x3001 };

	make(kind);
	set_registers();
	d->pairs = 1;
	if (kind == DEV_BLK)
		d->front.config[32] = 0;
	assert_true(front_features(&d->front, d->v.features) && front_start(&d->front, 1, &ring) &&
		    front_enable(&d->front, 1, true) && held_begin(d));
	assert_true(all(false));
	len = r.at;
	detach();
	h.starts = h.enables = h.holds = h.goes = h.configs = 0;
}

static void load_into(enum device_kind kind)
{
	make(kind);
	set_registers();
}

static int disk(void **state)
{
	fresh(state);
	memset(&config, 0, sizeof(config));
	config.dev[0].image_time = 1000;
	save_it(DEV_BLK);
	return 0;
}

static int nic(void **state)
{
	const uint8_t mac[ETH_ALEN] = { 2, 0, 0, 0, 0, 7 };

	fresh(state);
	h.queues = h.held_queues = 4;
	h.features |= BIT64(VIRTIO_NET_F_MQ);
	memset(&config, 0, sizeof(config));
	memcpy(config.dev[0].mac, mac, sizeof(mac));
	save_it(DEV_NET);
	return 0;
}

static int share(void **state)
{
	fresh(state);
	memset(&config, 0, sizeof(config));
	memcpy(config.dev[0].tag, "data", 5);
	config.dev[0].inodes = 1000;
	config.dev[0].cache = FS_CACHE_NONE;
	save_it(DEV_FS);
	return 0;
}

static void refused(enum device_kind kind, const char *text)
{
	load_into(kind);
	assert_false(all(true));
	if (!strstr(r.error, text))
		fail_msg("\"%s\" is not in \"%s\"", text, r.error);
	assert_true(strlen(r.error) < sizeof(r.error) - 1);
	detach();
}

static void change(enum device_kind kind, size_t at, uint8_t v, const char *text)
{
	uint8_t was = buf[at];

	buf[at] = v;
	refused(kind, text);
	buf[at] = was;
}

/* ---- tests ---- */

static void a_helper_goes_on_where_its_rings_stood(void **state)
{
	(void)state;
	load_into(DEV_BLK);
	assert_true(all(true));
	assert_int_equal(h.holds, 1);
	assert_int_equal(h.goes, 0);
	assert_true(h.held);
	assert_int_equal(h.enabled_while_held, 1);
	assert_int_equal(h.starts, 1);
	assert_int_equal(h.addr.index, 1);
	assert_int_equal(h.addr.desc, 0x1001);
	assert_int_equal(h.addr.avail, 0x2001);
	assert_int_equal(h.addr.used, 0x3001);
	assert_int_equal(h.got_features & BIT64(VIRTIO_BLK_F_FLUSH), BIT64(VIRTIO_BLK_F_FLUSH));
	/* The byte that the driver has written */
	assert_int_equal(h.configs, 1);
	assert_int_equal(h.config, 0);
	assert_int_equal(d->front.config[32], 0);
	assert_int_equal(rewired, 1);
	assert_true(held_end(d, VHU_GO_ON));
	assert_int_equal(h.go.what, VHU_GO_ON);
	assert_int_equal(h.go.nqueues, 2);
	assert_int_equal(h.go.base[1], 65535);
	assert_true(d->front.running[1] && d->front.enabled[1] && !d->front.running[0]);
	detach();
}

static void a_device_that_was_not_in_use_is_not_set_up(void **state)
{
	(void)state;
	memset(buf + RINGS_AT, 0, 40);
	load_into(DEV_BLK);
	d->v.running = false;
	assert_true(all(true));
	assert_int_equal(h.starts + h.enables, 0);
	assert_true(held_end(d, VHU_GO_ON));
	detach();
}

static void another_disk_is_refused(void **state)
{
	(void)state;
	config.dev[0].image_time = 1001;
	refused(DEV_BLK, "blk0: its image was written at 1000, and this one at 1001");
	config.dev[0].image_time = 1000;
	config.dev[0].read_only = true;
	refused(DEV_BLK, "blk0: the disk is not ro, and here ro; give");
	config.dev[0].read_only = false;
	/* Capacity, kind, a limit of requests, and the number of bytes. */
	change(DEV_BLK, HELPER_AT + 16 + 3, 0,
	       "blk0: its image has 1229782937962090769 sectors, and this one 1229782938247303441");
	change(DEV_BLK, HELPER_AT + 12, DEV_NET, "device 1 is a NIC, and here a disk");
	change(DEV_BLK, HELPER_AT + 12, 200, "device 1 is a share, and here a disk");
	change(DEV_BLK, HELPER_AT + 16 + 34, 9, "blk0: it has queues=4361, and here queues=4369; give queues=4361");
	change(DEV_BLK, HELPER_AT + 16 + 20, 9, "blk0: byte 20 of its configuration is 9, and here 17");
	change(DEV_BLK, HELPER_AT + 8, 61, "blk0: its configuration has 61 bytes, and here 60");
	/* A driver may write this one: it is with the rings. */
	buf[HELPER_AT + 16 + 32] = 7;
	load_into(DEV_BLK);
	assert_true(all(true));
	detach();
}

static void another_nic_is_refused(void **state)
{
	(void)state;
	config.dev[0].mac[5] = 8;
	refused(DEV_NET, "net0: give mac=02:00:00:00:00:07, the saved guest's address; here it is 02:00:00:00:00:08");
	config.dev[0].mac[5] = 7;
	config.dev[0].mtu = 9000;
	refused(DEV_NET, "net0: its MTU is 0, and here 9000; give mtu=0");
	config.dev[0].mtu = 0;
	change(DEV_NET, HELPER_AT + 16 + 8, 1, "net0: it has queues=1, and here queues=2; give queues=1");
	change(DEV_NET, HELPER_AT + 16 + 6, 0, "net0: byte 6 of its configuration is 0, and here 1");
}

static void another_share_is_refused(void **state)
{
	const size_t options = HELPER_AT + 80 + sizeof(struct record_header);

	(void)state;
	load_into(DEV_FS);
	assert_true(all(true));
	detach();
	change(DEV_FS, HELPER_AT + 16, 'b', "fs0: its tag is bata, and here data; give tag=bata");
	change(DEV_FS, HELPER_AT + 16 + 1, 27, "fs0: its tag is d?ta, and here data; give tag=d?ta");
	change(DEV_FS, HELPER_AT + 16 + 35, 'a', "fs0: its tag is data, and here data; give tag=data");
	change(DEV_FS, HELPER_AT + 16 + 36, 2, "fs0: it has queues=2, and here queues=1; give queues=2");
	change(DEV_FS, HELPER_AT + 12, DEV_BLK, "device 1 is a disk, and here a share; give");
	change(DEV_FS, options, 0xe9, "fs0: it has inodes=1001, and here inodes=1000; give inodes=1001");
	change(DEV_FS, options + 4, FS_CACHE_ALWAYS,
	       "fs0: it has cache=always, and here cache=none; give cache=always");
	change(DEV_FS, options + 4, 255, "fs0: it has cache=");
	change(DEV_FS, options + 5, 1, "fs0: the saved guest was started by a user, and this one by root");
}

static void impossible_rings_are_refused(void **state)
{
	(void)state;
	change(DEV_BLK, RINGS_AT, 7, "blk0: queues 0x7 run");
	change(DEV_BLK, RINGS_AT + 1, 0x80, "blk0: queues 0x8002 run");
	change(DEV_BLK, RINGS_AT + 2, 3, "blk0: queues 0x2 run, of which 0x3 are in use");
	change(DEV_BLK, RINGS_AT + 4, 2, "blk0: 2 of 1 pairs of queues are in use");
	change(DEV_BLK, RINGS_AT + 6, 2, "a write cache is 2, not 0 or 1");
	/* The device does not run, or the driver has not enabled the queue. */
	load_into(DEV_BLK);
	d->v.running = false;
	assert_false(all(true));
	assert_non_null(strstr(r.error, "blk0: queue 1 runs, but its device does not"));
	detach();
	load_into(DEV_BLK);
	d->v.queue[1].enabled = false;
	assert_false(all(true));
	assert_non_null(strstr(r.error, "blk0: queue 1 runs, but its device does not"));
	detach();
}

static void impossible_pairs_are_refused(void **state)
{
	(void)state;
	change(DEV_NET, RINGS_AT + 4, 0, "net0: 0 of 2 pairs of queues are in use");
	change(DEV_NET, RINGS_AT + 4, 3, "net0: 3 of 2 pairs of queues are in use");
	/* The control queue, which the vCPU process serves: without MQ it has the number of a helper's queue. */
	buf[RINGS_AT] = 4;
	buf[RINGS_AT + 2] = 0;
	load_into(DEV_NET);
	d->v.queue[2].enabled = true;
	d->v.features &= ~BIT64(VIRTIO_NET_F_MQ);
	assert_false(all(true));
	assert_non_null(strstr(r.error, "net0: queue 2 runs, but its device does not"));
	detach();
}

static void a_helper_that_does_not_answer_or_refuses_is_named(void **state)
{
	(void)state;
	h.lie_at = VHU_HOLD;
	h.lie = HANG_UP;
	refused(DEV_BLK, "blk0 does not answer, or refuses");
	h.lie = HONEST;
	h.nack = VHU_SET_VRING_ADDR;
	refused(DEV_BLK, "blk0 does not accept its queues");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_helper_goes_on_where_its_rings_stood, disk),
		cmocka_unit_test_setup(a_device_that_was_not_in_use_is_not_set_up, disk),
		cmocka_unit_test_setup(another_disk_is_refused, disk),
		cmocka_unit_test_setup(another_nic_is_refused, nic),
		cmocka_unit_test_setup(another_share_is_refused, share),
		cmocka_unit_test_setup(impossible_rings_are_refused, disk),
		cmocka_unit_test_setup(impossible_pairs_are_refused, nic),
		cmocka_unit_test_setup(a_helper_that_does_not_answer_or_refuses_is_named, disk),
	};

	return cmocka_run_group_tests(tests, once, NULL);
}
