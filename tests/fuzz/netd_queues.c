/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: netd's queues between a guest's chains and a tap, in both directions, with a socket
 * pair in place of the tap. A sent frame must have a header that the driver's features allow
 * and the guest's source address; a received one must stay inside the offered buffers.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "netd/batch.h"
#include "netd/device.h"
#include "netd/netd.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/world.h"

#define STEPS  64
#define HEADER DATA
/* The second queue's rings, in the first region too. */
#define SECOND 0x800

enum { RX, TX, QUEUES };

static const uint8_t mac[ETH_ALEN] = { 0x52, 0x54, 0, 1, 2, 3 };
static struct world *w;
static struct netd netd;
static struct backend be;
static int far_end;
static unsigned faults;
static uint64_t offered;
/* The pages of guest memory that received frames were written to; netd's own writes to used rings are not in it. */
static uint8_t written[(C_GPA + C_LEN) / DIRTY_PAGE / 8 + 1];
static const struct dirty_log frames_log = { .bits = written, .bytes = sizeof(written) };

static void prepare(void)
{
	int pair[2];

	symbolizer_first();
	w = world_new();
	log_to_fd(fcntl(open("/dev/null", O_WRONLY), F_DUPFD, 200), "fuzz", LOG_ERROR);
	PROMISE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0);
	far_end = fcntl(pair[0], F_DUPFD, 200);
	PROMISE(far_end >= 0 && dup2(pair[1], HFD_TAP0) == HFD_TAP0);
	/* Until the tap is full for the first time, frames are sent many at once. */
	(void)batch_open(1);
}

static void on_fault(struct vq *vq, enum guest_fault f, uint64_t detail)
{
	(void)vq;
	(void)detail;
	PROMISE(f > FAULT_NONE && f < FAULT_COUNT);
	faults++;
}

static void start(unsigned q, bool indirect)
{
	const struct vq_setup s = { .size = WORLD_SIZE,
				    .desc = DESC + q * SECOND,
				    .avail = AVAIL + q * SECOND,
				    .used = USED + q * SECOND,
				    .indirect = indirect };

	memset(w->room[0] + q * SECOND, 0, SECOND);
	be.vq[q] = (struct vq){ .index = q, .name = "fuzz0", .on_fault = on_fault };
	PROMISE(vq_start(&be.vq[q], &w->mem, &s) == VQ_START_OK);
	be.vq[q].log = &frames_log;
	netd_ops.queue_start(&be, &be.vq[q]);
}

static void start_all(bool indirect)
{
	memset(written, 0, sizeof(written));
	for (unsigned q = 0; q < QUEUES; q++)
		start(q, indirect);
}

static void restart(unsigned q)
{
	netd_ops.queue_stop(&be, &be.vq[q]);
	start(q, true);
}

/* Read what the host receives: one packet per frame. */
static void drain(void)
{
	static uint8_t got[TAP_HDR_LEN + FRAME_MAX + 64];
	ssize_t n;

	while ((n = recv(far_end, got, sizeof(got), MSG_DONTWAIT)) >= 0) {
		const struct virtio_net_hdr *h = (const void *)got;
		uint64_t len = (uint64_t)n - TAP_HDR_LEN;

		PROMISE(n >= TAP_HDR_LEN + ETH_HLEN && len <= FRAME_MAX);
		PROMISE(!memcmp(got + TAP_HDR_LEN + ETH_ALEN, mac, sizeof(mac)));
		PROMISE(!(h->flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM));
		PROMISE(!h->flags || netd.features & BIT64(VIRTIO_NET_F_CSUM));
		PROMISE(!h->flags || (uint64_t)h->csum_start + h->csum_offset + 2 <= len);
		PROMISE(!h->gso_type || (h->flags && h->gso_size && h->hdr_len <= len));
	}
}

static uint64_t somewhere(struct input *in)
{
	uint8_t what = take8(in);

	switch (what & 3) {
	case 0:
		return what & 4 ? take64(in) : C_GPA + what;
	case 1:
		return B_GPA - what / 8 * 16;
	default:
		return B_GPA + what / 4 * 64;
	}
}

/* Offer a chain of descriptors in one direction, except where the input chooses the other one. */
static void offer(struct input *in, unsigned q, bool header)
{
	struct vq *vq = &be.vq[q];
	uint8_t what = take8(in);
	unsigned n = 1 + (what & 7) % 6, at = header ? 0 : vq->avail->idx % WORLD_SIZE;
	uint64_t table = DESC + q * SECOND;

	for (unsigned i = 0; i < n; i++) {
		uint16_t len = take16(in), flags = q == RX ? VRING_DESC_F_WRITE : 0;
		uint64_t to = header && !i ? HEADER : somewhere(in);

		if (what & 0x40)
			flags ^= take8(in) & 7;
		if (i + 1 < n)
			flags |= VRING_DESC_F_NEXT;
		world_put(w, table, (at + i) % WORLD_SIZE,
			  (struct vring_desc){ to, len, flags, (uint16_t)((at + i + 1) % WORLD_SIZE) });
	}
	vq->avail->ring[vq->avail->idx % WORLD_SIZE] = what & 0x80 ? take16(in) : (uint16_t)at;
	vq->avail->idx++;
}

static void transmit(struct input *in)
{
	uint8_t *p = shm_ptr(&w->mem, HEADER, 64), what = take8(in);
	struct vq *vq = &be.vq[TX];
	unsigned before = faults;

	take(in, p, netd.hdr_len);
	take(in, p + netd.hdr_len, ETH_HLEN);
	if (what & 1)
		memcpy(p + netd.hdr_len + ETH_ALEN, mac, sizeof(mac));
	offer(in, TX, true);
	netd_ops.queue_work(&be, vq, BACKEND_CHAIN_BUDGET);
	PROMISE(faults != before || vq->in_flight == 0);
	drain();
}

static void receive(struct input *in)
{
	static uint8_t frame[TAP_HDR_LEN + FRAME_MAX + 64];
	uint8_t what = take8(in);
	size_t len = what & 1 ? take16(in) + (what & 2 ? 40u : 0) : take8(in);

	take(in, frame, what & 4 ? TAP_HDR_LEN : 0);
	send(far_end, frame, len, MSG_DONTWAIT);
	memset(frame, 0, TAP_HDR_LEN);
	netd_ops.fd_ready(&be, HFD_TAP0, EPOLLIN | EPOLLOUT);
}

/* True if the guest has offered the page of its rings as a receive buffer, and a frame is there. */
static bool rings_overwritten(void)
{
	return written[A_GPA / DIRTY_PAGE / 8] & (1u << (A_GPA / DIRTY_PAGE % 8));
}

/* Check that used entries belong to offered chains, and that their lengths fit. */
static void check_used(unsigned q)
{
	const struct vq *vq = &be.vq[q];

	/* Both queues give back what they have not used before a call ends. */
	PROMISE(!vq->running || (vq->in_flight == 0 && vq->last_avail == vq->next_used));
	PROMISE(!vq->running || vq->published == vq->next_used);
	if (rings_overwritten())
		return;
	PROMISE((uint16_t)(vq->avail->idx - vq->used->idx) <= 2 * STEPS);
	for (unsigned i = 0; i < WORLD_SIZE; i++)
		PROMISE(vq->used->ring[i].len <= TAP_HDR_LEN + FRAME_MAX && vq->used->ring[i].id < WORLD_SIZE);
}

/* A checkpoint, or a return to one: afterwards nothing waits for the guest. */
static void checkpoint(bool back)
{
	for (unsigned q = 0; q < QUEUES; q++)
		netd_ops.queue_stop(&be, &be.vq[q]);
	PROMISE(netd_ops.checkpoint(&be, back));
	PROMISE(!back || (!netd.pair[0].held.full && !batch_waiting(&netd.pair[0])));
	PROMISE(!back || recv(HFD_TAP0, &back, 1, MSG_DONTWAIT) < 0);
	start_all(true);
}

static void step(struct input *in)
{
	uint8_t what = take8(in);

	switch (what & 3) {
	case 0:
		transmit(in);
		break;
	case 1:
		offer(in, RX, false);
		netd_ops.queue_work(&be, &be.vq[RX], what >> 2);
		break;
	case 2:
		receive(in);
		break;
	default:
		if (what >> 4 == 15)
			checkpoint(what & 4);
		else
			netd_ops.poll(&be);
		break;
	}
	for (unsigned q = 0; q < QUEUES; q++) {
		check_used(q);
		if (!be.vq[q].running)
			restart(q);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_config c = { .mtu = 1500,
				.queue_pairs = 1,
				.offload = true,
				.spoof_check = true,
				.vnet_hdr = true,
				.tap_offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 |
						TUN_F_USO6 };
	struct input in = { data, data + size };
	uint8_t how, byte;

	if (!w)
		prepare();
	while (recv(HFD_TAP0, &byte, 1, MSG_DONTWAIT) >= 0)
		;
	memcpy(c.mac, mac, sizeof(mac));
	memset(&netd, 0, sizeof(netd));
	memset(&be.stats, 0, sizeof(be.stats));
	be.c = (struct backend_config){
		.ops = &netd_ops, .device = &netd, .device_name = "fuzz0", .max_queues = QUEUES
	};
	offered = netd_init(&netd, &c);
	how = take8(&in);
	netd_ops.set_features(&be, how & 1 ? offered | BIT64(VIRTIO_F_VERSION_1)
					   : take64(&in) & (offered | BIT64(VIRTIO_F_VERSION_1)));
	start_all(how & 2);
	for (unsigned steps = 0; left(&in) && steps < STEPS; steps++)
		step(&in);
	for (unsigned q = 0; q < QUEUES; q++)
		netd_ops.queue_stop(&be, &be.vq[q]);
	return 0;
}
