/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kills netd under load, on a real tap in a network namespace of the test. From the guest:
 * a frame whose buffer was returned was sent, frames arrive in order, and only frames that
 * were not answered at a kill are repeated. To the guest: frames arrive whole, in order and
 * once; only frames in flight at a kill may be lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/restart/restart.h"

#define FEATURES  (BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_NET_F_MRG_RXBUF) | BIT64(VHU_F_PROTOCOL_FEATURES))
#define SLOTS	  32u
#define SLOT_SIZE 2048u
#define RX_AT	  0x100000u
#define TX_AT	  0x200000u
#define HDR	  12u
#define LEN	  600u
#define WINDOW	  24u

struct frame {
	uint8_t dst[ETH_ALEN], src[ETH_ALEN];
	uint16_t type;
	uint32_t seq;
	uint8_t data[LEN - 18];
} __attribute__((packed));

static const uint8_t guest[ETH_ALEN] = { 0x52, 0x54, 0, 1, 2, 3 };
static const uint8_t host[ETH_ALEN] = { 0x52, 0x54, 0, 9, 9, 9 };
static struct helper h;
static struct front front;
static struct front_queue *rx, *tx;
static int tap, wire;
static uint32_t tx_made, tx_acked, tx_next, tx_floor; /* sequence numbers */
static uint32_t rx_sent, rx_next;
static bool killed; /* since the last frame of the guest's arrived */
static uint64_t verified;

static void make_tap(void)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5) };
	struct ifreq r = { .ifr_name = "lgkill0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int size = HDR, bytes = 16 << 20;

	if (unshare(CLONE_NEWNET) < 0)
		fail("network namespace: %s (this needs root)", strerror(errno));
	tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	wire = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(0x88b5));
	if (tap < 0 || wire < 0 || ioctl(tap, TUNSETIFF, &r) < 0 || ioctl(tap, TUNSETVNETHDRSZ, &size) < 0)
		fail("tap: %s", strerror(errno));
	r.ifr_flags = IFF_UP | IFF_NOARP;
	if (ioctl(wire, SIOCSIFFLAGS, &r) < 0 || ioctl(wire, SIOCGIFINDEX, &r) < 0)
		fail("tap up: %s", strerror(errno));
	to.sll_ifindex = r.ifr_ifindex;
	if (setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
	    bind(wire, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("packet socket: %s", strerror(errno));
}

static void fill(struct frame *f, const uint8_t *dst, const uint8_t *src, uint32_t seq)
{
	memcpy(f->dst, dst, ETH_ALEN);
	memcpy(f->src, src, ETH_ALEN);
	f->type = htons(0x88b5);
	f->seq = seq;
	for (unsigned i = 0; i < sizeof(f->data); i++)
		f->data[i] = (uint8_t)(seq * 7 + i);
}

static bool whole(const struct frame *f)
{
	for (unsigned i = 0; i < sizeof(f->data); i++)
		if (f->data[i] != (uint8_t)(f->seq * 7 + i))
			return false;
	return true;
}

static void offer_rx(unsigned s)
{
	front_desc(rx, (uint16_t)s, RX_AT + (uint64_t)s * SLOT_SIZE, SLOT_SIZE, VRING_DESC_F_WRITE, 0);
	front_offer(rx, (uint16_t)s);
}

static void make_frames(void)
{
	uint16_t added = 0;

	while (tx_made - tx_acked < SLOTS && added < 8) {
		uint32_t s = tx_made % SLOTS;
		uint8_t *at = front_ptr(&front, TX_AT + (uint64_t)s * SLOT_SIZE);

		memset(at, 0, HDR);
		fill((struct frame *)(void *)(at + HDR), host, guest, tx_made);
		front_desc(tx, (uint16_t)s, TX_AT + (uint64_t)s * SLOT_SIZE, HDR + LEN, 0, 0);
		front_offer(tx, (uint16_t)s);
		tx_made++;
		added++;
	}
	if (added)
		front_notify(tx, added);
}

static void from_guest(void)
{
	uint32_t id, len;
	struct frame f;
	ssize_t n;

	while ((n = recv(wire, &f, sizeof(f), MSG_TRUNC)) >= 0) {
		if (memcmp(f.src, guest, ETH_ALEN) != 0)
			continue;
		if (n != LEN || !whole(&f))
			fail("a frame of %zd bytes came damaged", n);
		if (f.seq > tx_next || f.seq < tx_floor)
			fail("frame %u came after %u (answered at the last kill: %u)", f.seq, tx_next, tx_floor);
		/* After a kill, frames are repeated in order, starting where the successor begins. */
		tx_next = f.seq + 1;
		verified++;
	}
	while (front_used(tx, &id, &len)) {
		if (id != tx_acked % SLOTS)
			fail("transmit buffer %u came back before %u", id, tx_acked % SLOTS);
		tx_acked++;
	}
}

static void to_guest(void)
{
	struct frame f;
	uint32_t id, len;

	while (front_used(rx, &id, &len)) {
		const struct frame *at = front_ptr(&front, RX_AT + (uint64_t)id * SLOT_SIZE + HDR);

		if (id < SLOTS && at->type != htons(0x88b5)) { /* the host's own */
			offer_rx(id);
			continue;
		}
		if (id >= SLOTS || len != HDR + LEN || !whole(at))
			fail("a frame of %u bytes arrived damaged", len);
		if (at->seq < rx_next || at->seq >= rx_sent || (at->seq > rx_next && !killed))
			fail("frame %u arrived where %u was due (sent: %u)", at->seq, rx_next, rx_sent);
		killed = killed && at->seq == rx_next && rx_sent - at->seq > 1;
		rx_next = at->seq + 1;
		verified++;
		offer_rx(id);
		front_notify(rx, 1);
	}
	while (rx_sent - rx_next < WINDOW) {
		fill(&f, guest, host, rx_sent);
		if (send(wire, &f, sizeof(f), 0) < 0)
			break;
		rx_sent++;
	}
}

static void load(uint64_t us)
{
	uint64_t until = now_us() + us;

	do {
		struct pollfd p[] = { { .fd = wire, .events = POLLIN }, { .fd = rx->call, .events = POLLIN } };

		make_frames();
		from_guest();
		to_guest();
		poll(p, 2, 1);
	} while (now_us() < until);
}

/* Check that both directions work again: frames that were made after the kill arrive. */
static void must_flow(void)
{
	uint32_t made = tx_made, sent = rx_sent;
	uint64_t limit = now_us() + 5000000, give_up = now_us() + 200000;

	while ((int32_t)(tx_next - made) <= 0 || (int32_t)(rx_next - sent) <= 0) {
		load(500);
		/* Everything that was sent before the kill may have been in flight. */
		if (killed && now_us() > give_up && rx_sent - rx_next >= WINDOW) {
			rx_next = sent;
			give_up = limit;
		}
		if (now_us() > limit)
			fail("generation %u: frames do not flow (to the wire %u of %u, from it %u of %u)",
			     h.rc.generation, tx_next, made, rx_next, sent);
	}
}

static void attach(void)
{
	helper_attach(&h, FEATURES, BIT64(VHU_PF_REPLY_ACK));
	if (!rx) {
		rx = front_queue(&front, 0, 64, 0x10000);
		tx = front_queue(&front, 1, 64, 0x20000);
		for (unsigned s = 0; s < SLOTS; s++)
			offer_rx(s);
	}
	/* Pass all descriptors before the first ring starts, because that seals the back-end. */
	if (!front_queue_setup(rx, 0) || !front_queue_fds(rx) || !front_queue_setup(tx, 0) || !front_queue_fds(tx) ||
	    !front_queue_enable(rx, true) || !front_queue_enable(tx, true))
		fail("the queues of generation %u do not start", h.rc.generation);
}

uint64_t kill_netd(const char *exe, unsigned kills)
{
	make_tap();
	helper_prepare(&h, exe, ROLE_NETD, "net0", &front, 4 << 20);
	h.rc.net = (struct net_config){ .mtu = 1500, .queue_pairs = 1, .spoof_check = true, .vnet_hdr = true };
	memcpy(h.rc.net.mac, guest, ETH_ALEN);
	helper_add_fd(&h, tap, HFD_TAP0);
	helper_start(&h);
	attach();
	must_flow();
	for (unsigned i = 0; i < kills; i++) {
		load(rnd(8000));
		helper_kill(&h);
		from_guest();
		tx_floor = tx_acked;
		killed = true;
		helper_start_anew(&h);
		attach();
		must_flow();
	}
	helper_listen(&h);
	helper_kill(&h);
	from_guest();
	if (tx_next < tx_acked)
		fail("%u frames were answered, %u were sent", tx_acked, tx_next);
	return verified;
}
