/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the tests of netd's queues: netd's device code and the common loop run in a child
 * process; the test acts as front-end, driver and supervisor; a socket pair replaces each
 * tap.
 */
#ifndef TESTS_UNIT_NETD_RIG_H
#define TESTS_UNIT_NETD_RIG_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "netd/device.h"
#include "netd/tap.h"
// clang-format on
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netd/batch.h"
#include "netd/netd.h"
#include "tests/lib/front.h"

#define MEM	 (32u << 20)
#define BUFFERS	 0x100000u /* where frames and receive buffers lie */
#define HDR	 TAP_HDR_LEN
#define MODERN	 (BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_NET_F_MRG_RXBUF) | BIT64(VHU_F_PROTOCOL_FEATURES))
#define OFFLOADS (frame_offered(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6))
#define PROTOCOL                                                                                                 \
	(BIT64(VHU_PF_REPLY_ACK) | BIT64(VHU_PF_CONFIG) | BIT64(VHU_PF_CONFIGURE_MEM_SLOTS) | BIT64(VHU_PF_MQ) | \
	 BIT64(VHU_PF_LOG_SHMFD))

static const uint8_t mac[ETH_ALEN] = { 0x52, 0x54, 0, 1, 2, 3 };

/* One netd with the test as its front-end, its supervisor and the far side of its taps. */
struct rig {
	struct front f;
	pid_t pid;
	int ctl, tap[2];
	struct front_queue *rx, *tx;
};
static struct rig rig;
/* The functions that the child's loop calls; a test may wrap them. */
static const struct backend_ops *rig_ops = &netd_ops;
/* Where the child's warnings go; -1: its errors go to standard error. */
static int rig_log = -1;
/* The file of a capture, 200 or higher; -1: none. */
static int rig_capture = -1;
/* SOCK_STREAM: what stands in for the tap is passt. */
static int rig_tap_type = SOCK_SEQPACKET;
/* Whether the guest can go back to a checkpoint. */
static bool rig_checkpoint;
/* A descriptor of 200 or higher that the child takes for its first tap; -1: a socket. */
static int rig_other_tap = -1;
/* Whether the child sends many frames at once, if there is an io_uring here. */
static bool rig_batch;
/* RLIMIT_FSIZE of the child; NULL: as here. */
static const struct rlimit *rig_file_limit;

static inline struct net_config base_config(void)
{
	struct net_config c = { .mtu = 1500,
				.queue_pairs = 1,
				.offload = true,
				.spoof_check = true,
				.vnet_hdr = true,
				.tap_offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 };

	memcpy(c.mac, mac, ETH_ALEN);
	return c;
}

static inline NORETURN void child(const struct net_config *c, int front, int ctl, const int *tap)
{
	static struct backend be;
	static struct netd netd;
	struct backend_config bc = { .ops = rig_ops,
				     .device = &netd,
				     .device_name = "net0",
				     .max_queues = 2u * c->queue_pairs,
				     .log_pages = true,
				     .checkpoint = rig_checkpoint };

	log_to_fd(2, "net0", rig_log < 0 ? LOG_ERROR : LOG_WARN);
	if (rig_log >= 0 && dup2(rig_log, 2) < 0)
		_exit(89);
	if (dup2(front, HFD_FRONT) < 0 || dup2(ctl, HFD_CTL) < 0)
		_exit(90);
	for (int i = 0; i < c->queue_pairs; i++)
		if (dup2(tap[i], HFD_TAP0 + i) < 0)
			_exit(91);
	if (rig_other_tap >= 0 && dup2(rig_other_tap, HFD_TAP0) < 0)
		_exit(97);
	if (rig_capture >= 0 && dup2(rig_capture, HFD_CAPTURE) < 0)
		_exit(94);
	if (rig_file_limit && setrlimit(RLIMIT_FSIZE, rig_file_limit) != 0)
		_exit(95);
	/* The test's ends too: the child must see them close. */
	close_range(128, ~0u, 0);
	if ((c->rate_packets || c->rate_bytes) && rate_timer_open() != 0)
		_exit(92);
	if (rig_batch)
		(void)batch_open(c->queue_pairs);
	bc.features = netd_init(&netd, c);
	bc.tick_ms = c->ra.on ? c->ra.interval_ms : 0;
	if (backend_prepare(&be, &bc) != 0 || netd_watch(&netd, &be) != 0)
		_exit(93);
	if (c->capture_max && capture_begin(&netd.capture, "net0", c->capture_max) != 0)
		_exit(96);
	_exit(backend_run(&be));
}

/* Make a socket pair above the numbers of the child's table. */
static inline void pair(int type, int fd[2])
{
	int low[2];

	assert_int_equal(socketpair(AF_UNIX, type, 0, low), 0);
	for (int i = 0; i < 2; i++) {
		fd[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 128);
		close(low[i]);
	}
}

static inline void begin_with(const struct net_config *c, uint64_t features)
{
	int front[2], ctl[2], tap[2][2];
	int taps[2];

	memset(&rig, 0, sizeof(rig));
	pair(SOCK_STREAM, front);
	pair(SOCK_SEQPACKET, ctl);
	for (int i = 0; i < 2; i++) {
		pair(rig_tap_type, tap[i]);
		taps[i] = tap[i][1];
		rig.tap[i] = tap[i][0];
		assert_int_equal(fcntl(taps[i], F_SETFL, O_NONBLOCK), 0);
	}
	rig.pid = fork();
	assert_true(rig.pid >= 0);
	if (!rig.pid)
		child(c, front[1], ctl[1], taps);
	close(front[1]);
	close(ctl[1]);
	close(taps[0]);
	close(taps[1]);
	rig.f.sock = front[0];
	rig.ctl = ctl[0];
	assert_true(front_memory(&rig.f, MEM, 0, true));
	assert_true(front_negotiate(&rig.f, features, PROTOCOL));
	assert_true(front_send_memory(&rig.f));
	rig.rx = front_queue(&rig.f, 0, 256, 0);
	rig.tx = front_queue(&rig.f, 1, 256, 0x10000);
	assert_true(front_queue_start(rig.rx));
	assert_true(front_queue_start(rig.tx));
}

static inline void begin(uint64_t features)
{
	struct net_config c = base_config();

	begin_with(&c, features);
}

static inline void end(void)
{
	int status;

	close(rig.tap[0]);
	close(rig.tap[1]);
	front_close(&rig.f);
	assert_int_equal(waitpid(rig.pid, &status, 0), rig.pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(rig.ctl);
}

static inline struct stats stats(void)
{
	struct ctl_msg m = { .type = CTL_GET_STATS };

	assert_true(send(rig.ctl, &m, sizeof(m), 0) == (ssize_t)sizeof(m));
	do
		assert_true(recv(rig.ctl, &m, sizeof(m), 0) == (ssize_t)sizeof(m));
	while (m.type != CTL_STATS);
	return m.stats;
}

/* The next fault that the supervisor hears of; FAULT_NONE if there is none. */
static inline enum guest_fault next_fault(void)
{
	struct pollfd p = { .fd = rig.ctl, .events = POLLIN };
	struct ctl_msg m;

	if (poll(&p, 1, PATIENCE_MS) != 1)
		return FAULT_NONE;
	assert_true(recv(rig.ctl, &m, sizeof(m), 0) == (ssize_t)sizeof(m));
	return m.type == CTL_FAULT ? (enum guest_fault)m.value : FAULT_NONE;
}

static inline uint8_t *at(uint64_t gpa)
{
	return front_ptr(&rig.f, gpa);
}

/* A frame of the guest's with @tag behind its Ethernet header. */
static inline void put_frame(uint8_t *to, size_t len, uint32_t tag)
{
	memset(to, 0xff, ETH_ALEN);
	memcpy(to + ETH_ALEN, mac, ETH_ALEN);
	to[12] = 0x08;
	to[13] = 0;
	for (size_t i = ETH_HLEN; i < len; i++)
		to[i] = (uint8_t)(i * 7 + tag);
	if (len >= ETH_HLEN + sizeof(tag))
		memcpy(to + ETH_HLEN, &tag, sizeof(tag));
}

/* Offer one chain; kick; wait until it is used. False: it was not. */
static inline bool offer(struct front_queue *q, const struct front_buf *b, unsigned n)
{
	uint32_t id, len;

	front_offer(q, front_chain(q, b, n));
	front_kick(q);
	return front_wait_used(q, &id, &len, 2000);
}

/* Where the frame @i of many is, behind its header. */
static inline uint8_t *frame_at(unsigned i)
{
	return at(BUFFERS + i * 8192 + HDR);
}

/* Make the frame @i, of @len bytes, available with an empty header. The queue is not told yet. */
static inline void queue_frame(struct front_queue *q, unsigned i, size_t len)
{
	const struct front_buf b = { BUFFERS + i * 8192, (uint32_t)(HDR + len), false };

	memset(at(b.gpa), 0, HDR);
	q->avail->ring[q->avail_idx++ % q->size] = front_chain(q, &b, 1);
}

/* Tell the queue of all such frames at once. */
static inline void queue_told(struct front_queue *q)
{
	front_set_avail(q, q->avail_idx);
	front_kick(q);
}

/* Wait until no more frames go to the tap: two equal counts. Returns the count. */
static inline uint64_t wait_full(void)
{
	uint64_t before = 1, now = 0;

	for (; before != now || !now; usleep(20000)) {
		before = now;
		now = stats().frames_out;
	}
	return now;
}

/* Header and frame in one buffer at BUFFERS, sent. */
static inline bool send_frame(size_t hdr, size_t len)
{
	const struct front_buf b = { BUFFERS, (uint32_t)(hdr + len), false };

	return offer(rig.tx, &b, 1);
}

static inline ssize_t tap_got(int tap, void *buf, size_t size, int ms)
{
	struct pollfd p = { .fd = rig.tap[tap], .events = POLLIN };

	return poll(&p, 1, ms) == 1 ? recv(rig.tap[tap], buf, size, 0) : -1;
}

/* A frame from the host with its header: what the kernel would give. */
static inline void tap_send(int tap, const struct virtio_net_hdr *h, size_t len, uint32_t tag)
{
	static uint8_t buf[HDR + FRAME_MAX + 64];

	memset(buf, 0, HDR);
	memcpy(buf, h, sizeof(*h));
	put_frame(buf + HDR, len, tag);
	assert_true(send(rig.tap[tap], buf, HDR + len, 0) == (ssize_t)(HDR + len));
}

static const struct virtio_net_hdr plain;

static inline void expect_frame(const uint8_t *got, size_t len, uint32_t tag)
{
	static uint8_t want[FRAME_MAX];

	put_frame(want, len, tag);
	assert_memory_equal(got, want, len);
}

/* Check that a frame of @len bytes, sent behind a header of @header bytes, comes out of the first tap as it was. */
static inline void frame_passes(size_t header, size_t len, uint32_t tag)
{
	static uint8_t got[HDR + FRAME_MAX];

	memset(at(BUFFERS), 0, header);
	put_frame(at(BUFFERS + header), len, tag);
	assert_true(send_frame(header, len));
	assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + len);
	expect_frame(got + HDR, len, tag);
}

/* Begin with two queue pairs, of which only the first is started. */
static inline void begin_two_pairs(void)
{
	struct net_config c = base_config();

	c.queue_pairs = 2;
	begin_with(&c, MODERN | BIT64(VIRTIO_NET_F_MQ));
}

/* Check that after a fault queue @q is stopped, the other queue works, and a restart repairs @q. */
static inline void heals(struct front_queue *q)
{
	assert_int_equal(stats().faults, 1);
	assert_true(front_wait_err(q, PATIENCE_MS));
	assert_true(front_queue_stop(q) >= 0);
	q = front_queue(&rig.f, q->index, 256, q->gpa);
	assert_true(front_queue_start(q));
	frame_passes(HDR, 60, 77);
	assert_int_equal(stats().faults, 1);
}

#endif
