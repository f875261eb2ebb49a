/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One turn of netd's receive path, called in this process: a tap that a batch has found empty is not read again, and
 * nothing that netd gave to the guest or left to it is forgotten.
 */
#include <string.h>
#include <sys/socket.h>

#include "netd/batch.h"
#include "netd/device.h"
#include "netd/netd.h"
#include "netd/rx.h"
#include "tests/lib/world.h"
#include "tests/unit/netd_process.h"

#define FRAME 60

static struct world *w;
static struct netd netd;
static struct backend be;

/* Check @x in the process that has netd's descriptors, which ends with the line that failed. */
#define CHECK(x)                         \
	do {                             \
		if (!(x))                \
			_exit(__LINE__); \
	} while (0)

/* The guest offers all descriptors of its queue, and 16 small frames have come in a row. */
static void prepare(int pair[2])
{
	struct net_config c = { .mtu = 1500, .queue_pairs = 1, .vnet_hdr = true };
	const struct vq_setup s = { .size = WORLD_SIZE, .desc = DESC, .avail = AVAIL, .used = USED };

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0 && dup2(pair[1], HFD_TAP0) == HFD_TAP0);
	if (batch_open(1) != 0)
		_exit(NOT_HERE);
	w = world_new();
	be.c = (struct backend_config){ .ops = &netd_ops, .device = &netd, .device_name = "net0", .max_queues = 2 };
	be.c.features = netd_init(&netd, &c);
	netd_ops.set_features(&be, BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_NET_F_MRG_RXBUF));
	be.vq[0] = (struct vq){ .name = "net0" };
	CHECK(vq_start(&be.vq[0], &w->mem, &s) == VQ_START_OK);
	for (uint16_t i = 0; i < WORLD_SIZE; i++) {
		world_put(w, DESC, i, (struct vring_desc){ DATA + i * 0x400, 0x400, VRING_DESC_F_WRITE, 0 });
		be.vq[0].avail->ring[i] = i;
	}
	be.vq[0].avail->idx = WORLD_SIZE;
	netd.pair[0].tap_readable = true;
	netd.pair[0].small_row = 16;
	netd.pair[0].burst = WORLD_SIZE;
}

static void frames(int to, unsigned n)
{
	uint8_t f[TAP_HDR_LEN + FRAME] = { 0 };

	for (unsigned i = 0; i < n; i++)
		CHECK(send(to, f, sizeof(f), 0) == sizeof(f));
}

/* Three frames for eight buffers: the tap is known to be empty after one call, and five buffers go back. */
static void empty_tap(void)
{
	int pair[2];

	prepare(pair);
	frames(pair[0], 3);
	CHECK(!rx_work(&be, &netd.pair[0], &be.vq[0], BACKEND_CHAIN_BUDGET));
	CHECK(be.stats.frames_in == 3 && be.vq[0].used->idx == 3);
	CHECK(be.vq[0].in_flight == 0 && be.vq[0].last_avail == 3);
	CHECK(!netd.pair[0].tap_readable && !netd.pair[0].rx_starved);
	CHECK(batch_ring.enters == 1);
	_exit(0);
}

/* Eight frames and more for eight buffers: the rest stays in the tap, and netd knows that it is there. */
static void full_tap(void)
{
	int pair[2];

	prepare(pair);
	frames(pair[0], 12);
	CHECK(!rx_work(&be, &netd.pair[0], &be.vq[0], BACKEND_CHAIN_BUDGET));
	CHECK(be.stats.frames_in == 8 && be.vq[0].used->idx == 8);
	CHECK(netd.pair[0].tap_readable && netd.pair[0].rx_starved);
	CHECK(batch_ring.enters == 1);
	_exit(0);
}

static void an_empty_tap_is_read_once(void **state)
{
	(void)state;
	in_a_process(empty_tap);
}

static void what_has_no_buffer_stays_in_the_tap(void **state)
{
	(void)state;
	in_a_process(full_tap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_tap_is_read_once),
		cmocka_unit_test(what_has_no_buffer_stays_in_the_tap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
