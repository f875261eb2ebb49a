/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * work blkd|netd PROGRAM: starts PROGRAM as the supervisor does, with our own
 * front-end, and has it do everything that a guest can ask of it, confined to
 * its tight filter. Status 0: all was done. tests/needed/run takes a line out of
 * the filter and expects another status. Runs as a test alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/shm.h"
#include "common/snapmap.h"
#include "tests/lib/front.h"

#define BIT(n)	(UINT64_C(1) << (n))
#define MEM	(8u << 20)
#define DISK	(1u << 20)
#define HDR	0x80000u
#define STATUS	0x90000u
#define DATA	0x100000u
#define WAIT_MS 3000

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "work: line %d: %s\n", __LINE__, #x);                      \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static struct front f;
static int ctl, image, delta, map, tap = -1, wire;
static struct role_config rc;

/* ---- starting and ending ---- */

static int above(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 200);
}

static void become(const char *program, int front, int channel)
{
	int disk = above(image), changes = above(delta), clusters = above(map), t = tap >= 0 ? above(tap) : -1;

	front = above(front);
	channel = above(channel);
	for (int fd = 3; fd < 200; fd++)
		close(fd);
	dup2(front, HFD_FRONT);
	dup2(channel, HFD_CTL);
	if (rc.role == ROLE_BLKD)
		dup2(disk, HFD_DISK);
	if (rc.role == ROLE_BLKD && rc.blk.snapshot) {
		dup2(changes, HFD_DELTA);
		dup2(clusters, HFD_SNAPMAP);
	}
	if (rc.role == ROLE_NETD)
		dup2(t, HFD_TAP0);
	execl(program, program, "--supervised", NULL);
	_exit(127);
}

static void begin(const char *program, uint64_t features)
{
	int front[2], channel[2];
	struct ctl_msg m;
	struct stat st;

	memset(&f, 0, sizeof(f));
	MUST(front_memory(&f, MEM, 0, true));
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, front) == 0);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) == 0);
	f.sock = front[0];
	ctl = channel[0];
	f.pid = fork();
	if (f.pid == 0)
		become(program, front[1], channel[1]);
	close(front[1]);
	close(channel[1]);
	MUST(fstat(f.memfd, &st) == 0);
	rc.type = CTL_CONFIG;
	rc.own_front = true;
	rc.log_level = LOG_WARN;
	rc.mem_dev = st.st_dev;
	rc.mem_ino = st.st_ino;
	MUST(write(ctl, &rc, sizeof(rc)) == sizeof(rc));
	do {
		MUST(recv(ctl, &m, sizeof(m), 0) == sizeof(m));
		if (m.type == CTL_LOG)
			fprintf(stderr, "work: it says: %.200s\n", m.text);
	} while (m.type == CTL_LOG);
	MUST(m.type == CTL_READY);
	MUST(front_negotiate(&f, features, BIT(VHU_PF_REPLY_ACK) | BIT(VHU_PF_CONFIGURE_MEM_SLOTS) | BIT(VHU_PF_CONFIG)));
	MUST(front_send_memory(&f));
}

/* Counters are asked for and come; the end is an orderly one. */
static void end(void)
{
	struct ctl_msg m = { .type = CTL_GET_STATS };
	struct pollfd p = { .fd = ctl, .events = POLLIN };
	bool got = false;

	MUST(send(ctl, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m));
	while (!got && poll(&p, 1, WAIT_MS) > 0 && recv(ctl, &m, sizeof(m), 0) == sizeof(m))
		got = m.type == CTL_STATS;
	MUST(got);
	close(f.sock);
	f.sock = -1;
	MUST(front_close(&f) == 0);
	close(ctl);
}

static struct front_queue *ring(unsigned q)
{
	struct front_queue *r = front_queue(&f, q, 64, 0x10000u * (q + 1));

	MUST(front_queue_setup(r, 0) && front_queue_fds(r));
	return r;
}

/* ---- blkd ---- */

static uint8_t request(struct front_queue *q, uint32_t type, uint64_t sector, uint32_t len, bool in)
{
	struct virtio_blk_outhdr *h = front_ptr(&f, HDR);
	uint8_t *status = front_ptr(&f, STATUS);
	struct front_buf b[3] = { { HDR, sizeof(*h), false }, { DATA, len, in }, { STATUS, 1, true } };
	uint32_t id, got;

	*h = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*status = 0xff;
	if (!len)
		b[1] = b[2];
	front_offer(q, front_chain(q, b, len ? 3 : 2));
	front_kick(q);
	if (!front_wait_used(q, &id, &got, WAIT_MS))
		return 0xfe;
	return *status;
}

static void all_requests(struct front_queue *q, bool discard)
{
	struct virtio_blk_discard_write_zeroes *range = front_ptr(&f, DATA);
	uint8_t *data = front_ptr(&f, DATA);

	memset(data, 0x5a, 8192);
	MUST(request(q, VIRTIO_BLK_T_OUT, 8, 8192, false) == VIRTIO_BLK_S_OK);
	memset(data, 0, 8192);
	MUST(request(q, VIRTIO_BLK_T_IN, 8, 8192, true) == VIRTIO_BLK_S_OK);
	MUST(data[0] == 0x5a && data[8191] == 0x5a);
	MUST(request(q, VIRTIO_BLK_T_FLUSH, 0, 0, false) == VIRTIO_BLK_S_OK);
	if (!discard)
		return;
	*range = (struct virtio_blk_discard_write_zeroes){ .sector = 16, .num_sectors = 8 };
	MUST(request(q, VIRTIO_BLK_T_DISCARD, 0, sizeof(*range), false) == VIRTIO_BLK_S_OK);
	*range = (struct virtio_blk_discard_write_zeroes){ .sector = 32, .num_sectors = 8 };
	MUST(request(q, VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(*range), false) == VIRTIO_BLK_S_OK);
}

/* A chain that points nowhere stops the queue, and the front-end hears of it. */
static void break_ring(struct front_queue *q)
{
	struct ctl_msg m;
	struct pollfd p = { .fd = ctl, .events = POLLIN };

	front_offer(q, 999);
	front_kick(q);
	MUST(front_wait_err(q, WAIT_MS));
	do
		MUST(poll(&p, 1, WAIT_MS) == 1 && recv(ctl, &m, sizeof(m), 0) == sizeof(m));
	while (m.type != CTL_FAULT);
}

static void disk(const char *program, enum blk_io io, bool snapshot, uint64_t rate)
{
	uint64_t features = ~0ull & ~(1ull << VIRTIO_F_RING_RESET);
	struct front_queue *q;
	uint8_t config[8];

	memset(&rc, 0, sizeof(rc));
	rc.role = ROLE_BLKD;
	memcpy(rc.name, "blk0", 5);
	rc.blk = (struct blk_config){ .capacity = DISK, .queues = 1, .io = (uint8_t)io, .discard = true,
				      .snapshot = snapshot, .rate_ops = rate };
	begin(program, features);
	q = ring(0);
	MUST(front_queue_enable(q, true));
	MUST(front_get_config(&f, 0, sizeof(config), config));
	all_requests(q, true);
	for (unsigned i = 0; rate && i < rate / 4; i++)
		MUST(request(q, VIRTIO_BLK_T_IN, 0, 512, true) == VIRTIO_BLK_S_OK);
	if (!rate)
		break_ring(q);
	end();
}

static int blkd(const char *program)
{
	bool sealed;
	char name[2][32] = { "/var/tmp/needed.XXXXXX", "/var/tmp/needed.XXXXXX" };

	image = mkstemp(name[0]);
	delta = mkstemp(name[1]);
	unlink(name[0]);
	unlink(name[1]);
	map = shm_create((snapmap_bytes(DISK) + 4095) & ~4095ull, &sealed);
	MUST(map >= 0 && image >= 0 && delta >= 0 && !ftruncate(image, DISK) && !ftruncate(delta, DISK));
	disk(program, BLK_IO_URING, false, 0);
	disk(program, BLK_IO_SYNC, false, 0);
	disk(program, BLK_IO_SYNC, true, 0);
	disk(program, BLK_IO_AUTO, false, 40);
	return 0;
}

/* ---- netd ---- */

static const uint8_t guest_mac[ETH_ALEN] = { 0x52, 0x54, 0, 1, 2, 3 };
static unsigned offloads;

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

/* One frame of @pieces parts, header in front. */
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

/* What the host's network code says of itself on a new link may come first. */
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
	uint64_t features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
			    BIT(VHU_F_PROTOCOL_FEATURES);
	struct front_queue *rx, *tx;

	memset(&rc, 0, sizeof(rc));
	rc.role = ROLE_NETD;
	memcpy(rc.name, "net0", 5);
	rc.net = (struct net_config){ .mtu = 9000, .queue_pairs = 1, .offload = true, .spoof_check = true,
				      .vnet_hdr = true, .tap_offloads = offloads,
				      .rate_packets = rate };
	memcpy(rc.net.mac, guest_mac, ETH_ALEN);
	begin(program, features);
	rx = ring(0);
	tx = ring(1);
	MUST(front_queue_enable(rx, true) && front_queue_enable(tx, true));
	transmit(tx, 1);
	transmit(tx, 4);
	receive(rx);
	for (unsigned i = 0; rate && i < rate; i++)
		transmit(tx, 1);
	if (rate) {
		end();
		return;
	}
	/* The guest's next driver takes other offloads. */
	MUST(front_queue_stop(rx) >= 0 && front_queue_stop(tx) >= 0);
	MUST(front_ack_u64(&f, VHU_SET_FEATURES, features | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4)) == 0);
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

static int netd(const char *program)
{
	make_tap();
	nic(program, 0);
	nic(program, 5);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "blkd"))
		return blkd(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "netd"))
		return netd(argv[2]);
	fputs("usage: work blkd|netd PROGRAM\n", stderr);
	return 2;
}
