/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that a guest can ask of a NIC: frames in both directions over a tap of the
 * test, a driver that restarts with other offloads, a rate limit, a capture. Part of tests/needed/work.
 */
#include <arpa/inet.h>
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
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/needed/work.h"

static const uint8_t guest_mac[ETH_ALEN] = { 0x52, 0x54, 0, 1, 2, 3 };
static unsigned offloads;
static int wire;

static void make_tap(void)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, .ifr_name = "needed0" };
	int size = sizeof(struct virtio_net_hdr_v1);

	if ((geteuid() == 0 ? unshare(CLONE_NEWNET) : unshare(CLONE_NEWUSER | CLONE_NEWNET)) < 0 ||
	    access("/dev/net/tun", R_OK | W_OK) != 0) {
		fputs("work: no tap here\n", stderr);
		exit(77);
	}
	tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	MUST(tap >= 0 && ioctl(tap, TUNSETIFF, &r) == 0 && ioctl(tap, TUNSETVNETHDRSZ, &size) == 0);
	offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	MUST(ioctl(tap, TUNSETOFFLOAD, (unsigned long)offloads) == 0);
	wire = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	r.ifr_flags = IFF_UP | IFF_NOARP;
	MUST(wire >= 0 && ioctl(wire, SIOCSIFFLAGS, &r) == 0 && ioctl(wire, SIOCGIFINDEX, &r) == 0);
	to.sll_ifindex = r.ifr_ifindex;
	MUST(bind(wire, (struct sockaddr *)&to, sizeof(to)) == 0);
}

static void fill(uint8_t *frame, const uint8_t *from)
{
	memset(frame, 0, 100);
	memset(frame, 0xff, ETH_ALEN);
	memcpy(frame + ETH_ALEN, from, ETH_ALEN);
	frame[12] = 0x88;
	frame[13] = 0xb5;
}

static bool on_the_wire(void)
{
	struct pollfd p = { .fd = wire, .events = POLLIN };
	uint8_t buf[65536];

	while (poll(&p, 1, WAIT_MS) == 1)
		if (recv(wire, buf, sizeof(buf), 0) >= 100 && buf[12] == 0x88 && buf[13] == 0xb5)
			return true;
	return false;
}

/* Send one frame in @pieces buffers, after the header. */
static void transmit(struct front_queue *tx, unsigned pieces)
{
	struct front_buf b[8];
	uint32_t id, len;
	uint32_t total = pieces > 1 ? 6000 : 100;

	memset(front_ptr(&f, HDR), 0, 64);
	fill(front_ptr(&f, DATA), guest_mac);
	b[0] = (struct front_buf){ HDR, sizeof(struct virtio_net_hdr_v1), false };
	for (unsigned i = 0; i < pieces; i++)
		b[1 + i] = (struct front_buf){ DATA + i * (total / pieces), total / pieces, false };
	front_offer(tx, front_chain(tx, b, 1 + pieces));
	front_kick(tx);
	MUST(front_wait_used(tx, &id, &len, WAIT_MS));
	MUST(on_the_wire());
}

/* Offer many frames at once, which netd sends with one call if it has an io_uring. */
static void transmit_many(struct front_queue *tx)
{
	struct front_buf b = { DATA - sizeof(struct virtio_net_hdr_v1), sizeof(struct virtio_net_hdr_v1) + 100, false };
	uint32_t id, len;

	memset(front_ptr(&f, b.gpa), 0, sizeof(struct virtio_net_hdr_v1));
	fill(front_ptr(&f, DATA), guest_mac);
	for (unsigned i = 0; i < 16; i++)
		tx->avail->ring[tx->avail_idx++ % tx->size] = front_chain(tx, &b, 1);
	front_set_avail(tx, tx->avail_idx);
	front_kick(tx);
	for (unsigned i = 0; i < 16; i++) {
		MUST(front_wait_used(tx, &id, &len, WAIT_MS));
		MUST(on_the_wire());
	}
}

/* Skip frames that the host's network stack sends on a new link. */
static void receive(struct front_queue *rx)
{
	struct front_buf b = { DATA + 0x40000, 4096, true };
	uint8_t frame[100], *got = front_ptr(&f, b.gpa + sizeof(struct virtio_net_hdr_v1));
	bool offered = false, came = false;
	uint32_t id, len;

	fill(frame, (const uint8_t *)"\x02\x99\x99\x99\x99\x99");
	for (unsigned i = 0; i < 20 && !came; i++) {
		if (!offered) {
			memset(got, 0, 100);
			front_offer(rx, front_chain(rx, &b, 1));
			front_kick(rx);
		}
		MUST(send(wire, frame, sizeof(frame), 0) == sizeof(frame));
		offered = !front_wait_used(rx, &id, &len, WAIT_MS / 20);
		came = !offered && got[12] == 0x88 && got[13] == 0xb5;
	}
	MUST(came);
}

static void nic(const char *program, uint64_t rate)
{
	uint64_t features = BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_NET_F_MRG_RXBUF) | BIT64(VHU_F_PROTOCOL_FEATURES);
	struct front_queue *rx, *tx;

	memset(&rc, 0, sizeof(rc));
	rc.role = ROLE_NETD;
	rc.own_front = true;
	memcpy(rc.name, "net0", 5);
	rc.net = (struct net_config){ .mtu = 9000,
				      .queue_pairs = 1,
				      .offload = true,
				      .spoof_check = true,
				      .vnet_hdr = true,
				      .tap_offloads = offloads,
				      .rate_packets = rate,
				      .capture_max = rate ? 1 << 20 : 0 };
	memcpy(rc.net.mac, guest_mac, ETH_ALEN);
	begin(program, features);
	rx = ring(0);
	tx = ring(1);
	MUST(front_queue_enable(rx, true) && front_queue_enable(tx, true));
	transmit(tx, 1);
	transmit(tx, 4);
	if (!rate)
		transmit_many(tx);
	receive(rx);
	for (unsigned i = 0; rate && i < rate; i++)
		transmit(tx, 1);
	if (rate) {
		struct stat st;

		end();
		MUST(fstat(capture, &st) == 0 && st.st_size > 100);
		return;
	}
	/* The guest loads another driver, which negotiates other offloads. */
	MUST(front_queue_stop(rx) >= 0 && front_queue_stop(tx) >= 0);
	MUST(front_ack_u64(&f, VHU_SET_FEATURES,
			   features | BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(VIRTIO_NET_F_GUEST_TSO4)) == 0);
	rx = front_queue(&f, 0, 64, 0x10000);
	tx = front_queue(&f, 1, 64, 0x20000);
	MUST(front_queue_setup(rx, 0) && front_queue_setup(tx, 0));
	MUST(front_queue_enable(rx, true) && front_queue_enable(tx, true));
	front_kick(rx);
	front_kick(tx);
	transmit(tx, 1);
	break_ring(tx);
	end();
}

int netd(const char *program)
{
	make_tap();
	capture = memfd_create("capture", MFD_CLOEXEC);
	MUST(capture >= 0 && fcntl(capture, F_SETFL, O_APPEND) == 0);
	nic(program, 0);
	nic(program, 5);
	return 0;
}
