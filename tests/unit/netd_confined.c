/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The confined netd, with its filters on and a real tap in a network namespace of the test:
 * it moves frames, works with a driver that restarts with other features, and accepts a
 * front-end by path.
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "netd/run.h"
#include "netd/tap.h"
// clang-format on
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netd/netd.h"
#include "tests/lib/front.h"
#include "tests/lib/sanitized.h"

#define BUFFERS 0x100000u
#define LEN	100u
#define MODERN	(BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_NET_F_MRG_RXBUF) | BIT64(VHU_F_PROTOCOL_FEATURES))

static const uint8_t guest[ETH_ALEN] = { 0x52, 0x54, 0, 1, 2, 3 };

static struct {
	struct front f;
	struct front_queue *rx, *tx;
	pid_t pid;
	int ctl, wire; /* the host's side of the tap, all frames */
	uint32_t offloads;
} t;

/* Of the test's own process: a container may have put one on. */
static int inherited_filters;

static void count_filters(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "Seccomp_filters:", 16) == 0)
			inherited_filters = (int)strtol(line + 16, NULL, 10);
	if (f)
		fclose(f);
}

static bool have_namespace(void)
{
	return (geteuid() == 0 ? unshare(CLONE_NEWNET) : unshare(CLONE_NEWUSER | CLONE_NEWNET)) == 0 &&
	       access("/dev/net/tun", R_OK | W_OK) == 0;
}

/* The tap at HFD_TAP0 of this process, up; the far side at t.wire. False: not on this host. */
static bool make_tap(void)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	char name[IFNAMSIZ] = "lgtest0";
	struct ifreq r = { 0 };
	bool hdr;

	if (tap_open(name, 1) != 0 || tap_prepare(HFD_TAP0, &hdr) != 0 || !hdr)
		return false;
	t.offloads = tap_probe(HFD_TAP0);
	t.wire = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	memcpy(r.ifr_name, name, IFNAMSIZ);
	r.ifr_flags = IFF_UP | IFF_NOARP;
	if (t.wire < 0 || ioctl(t.wire, SIOCSIFFLAGS, &r) != 0 || ioctl(t.wire, SIOCGIFINDEX, &r) != 0)
		return false;
	to.sll_ifindex = r.ifr_ifindex;
	return bind(t.wire, (struct sockaddr *)&to, sizeof(to)) == 0;
}

static NORETURN void child(bool own_front, int front, int ctl)
{
	static struct role_config rc = { .type = CTL_CONFIG, .role = ROLE_NETD, .name = "net0", .log_level = LOG_WARN };
	struct stat st;

	rc.own_front = own_front;
	rc.net = (struct net_config){ .mtu = 1500,
				      .queue_pairs = 1,
				      .offload = true,
				      .spoof_check = true,
				      .vnet_hdr = true,
				      .tap_offloads = t.offloads };
	memcpy(rc.net.mac, guest, ETH_ALEN);
	if (fstat(t.f.memfd, &st) != 0)
		_exit(90);
	rc.mem_dev = st.st_dev;
	rc.mem_ino = st.st_ino;
	if (dup2(front, own_front ? HFD_FRONT : HFD_LISTEN) < 0 || dup2(ctl, HFD_CTL) < 0)
		_exit(91);
	close(own_front ? HFD_LISTEN : HFD_FRONT);
	for (int fd = HFD_EPOLL; fd < 1024; fd++)
		if (fd != HFD_TAP0)
			close(fd);
	log_to_fd(2, "net0", LOG_WARN);
	_exit(netd_run(&rc, true));
}

static void begin(bool own_front)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a);
	int front[2], ctl[2];
	struct ctl_msg m;

	memset(&t.f, 0, sizeof(t.f));
	assert_true(front_memory(&t.f, 16 << 20, 0, true));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl), 0);
	if (own_front) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, front), 0);
	} else {
		front[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		front[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(front[1], (struct sockaddr *)&a, sizeof(sa_family_t)), 0);
		assert_int_equal(listen(front[1], 1), 0);
		assert_int_equal(getsockname(front[1], (struct sockaddr *)&a, &len), 0);
	}
	/* Move it above the numbers of the table, which the child fills. */
	front[1] = fcntl(front[1], F_DUPFD_CLOEXEC, 200);
	ctl[1] = fcntl(ctl[1], F_DUPFD_CLOEXEC, 200);
	t.pid = fork();
	assert_true(t.pid >= 0);
	if (!t.pid)
		child(own_front, front[1], ctl[1]);
	close(front[1]);
	close(ctl[1]);
	t.ctl = ctl[0];
	t.f.sock = front[0];
	/* Confined before any front-end is heard. */
	assert_int_equal(recv(t.ctl, &m, sizeof(m), 0), sizeof(m));
	assert_int_equal(m.type, CTL_READY);
	if (!own_front)
		assert_int_equal(connect(front[0], (struct sockaddr *)&a, len), 0);
}

static void start(uint64_t features)
{
	t.rx = front_queue(&t.f, 0, 64, 0);
	t.tx = front_queue(&t.f, 1, 64, 0x10000);
	t.rx->event_idx = t.tx->event_idx = features & BIT64(VIRTIO_RING_F_EVENT_IDX);
	/* Pass all descriptors before the first ring starts, because that seals the back-end. */
	assert_true(front_queue_setup(t.rx, 0) && front_queue_fds(t.rx));
	assert_true(front_queue_setup(t.tx, 0) && front_queue_fds(t.tx));
	assert_true(front_queue_enable(t.rx, true));
	assert_true(front_queue_enable(t.tx, true));
}

static void negotiate(uint64_t features)
{
	assert_true(front_negotiate(&t.f, features, BIT64(VHU_PF_REPLY_ACK) | BIT64(VHU_PF_CONFIGURE_MEM_SLOTS)));
	assert_true(front_send_memory(&t.f));
	start(features);
}

static void end(void)
{
	int status;

	front_close(&t.f);
	close(t.ctl);
	assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The next frame on the wire whose type is ours. */
static bool wire_got(uint8_t *buf, int ms)
{
	struct pollfd p = { .fd = t.wire, .events = POLLIN };

	while (poll(&p, 1, ms) == 1)
		if (recv(t.wire, buf, 2048, 0) == LEN && buf[12] == 0x88 && buf[13] == 0xb5)
			return true;
	return false;
}

static void fill(uint8_t *p, uint8_t tag, const uint8_t *from)
{
	static const uint8_t nobody[ETH_ALEN] = { 2, 0, 0, 0, 0, 9 };

	memset(p, tag, LEN);
	memcpy(p, nobody, ETH_ALEN);
	memcpy(p + ETH_ALEN, from, ETH_ALEN);
	p[12] = 0x88; /* local experiments */
	p[13] = 0xb5;
}

/* One frame each way. */
static void frames_pass(uint8_t tag)
{
	static const uint8_t host[ETH_ALEN] = { 2, 0, 0, 0, 0, 1 };
	struct front_buf b = { BUFFERS, TAP_HDR_LEN + LEN, false };
	uint8_t want[LEN], got[2048];
	uint32_t id, len;
	bool found = false;

	memset(front_ptr(&t.f, BUFFERS), 0, TAP_HDR_LEN);
	fill(want, tag, guest);
	memcpy(front_ptr(&t.f, BUFFERS + TAP_HDR_LEN), want, LEN);
	front_offer(t.tx, front_chain(t.tx, &b, 1));
	front_kick(t.tx);
	assert_true(front_wait_used(t.tx, &id, &len, PATIENCE_MS));
	assert_true(wire_got(got, PATIENCE_MS));
	assert_memory_equal(got, want, LEN);

	for (unsigned i = 0; i < 60; i++) {
		b = (struct front_buf){ BUFFERS + 4096 + i * 2048, 2048, true };
		front_offer(t.rx, front_chain(t.rx, &b, 1));
	}
	front_kick(t.rx);
	fill(want, tag, host);
	assert_int_equal(send(t.wire, want, LEN, 0), LEN);
	/* Skip frames of the host's network stack (router solicitations). */
	while (!found && front_wait_used(t.rx, &id, &len, PATIENCE_MS)) {
		uint8_t *p = front_ptr(&t.f, BUFFERS + 4096 + id * 2048ul + TAP_HDR_LEN);

		found = len == TAP_HDR_LEN + LEN && memcmp(p, want, LEN) == 0;
	}
	assert_true(found);
}

/* @filters that it put on itself: two once sealed. Hosts before 5.10 do not say how many. */
static void it_is_confined(int filters)
{
	char path[64], line[256];
	int seccomp = -1, nnp = -1, count = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)t.pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "Seccomp:", 8) == 0)
			seccomp = (int)strtol(line + 8, NULL, 10);
		if (strncmp(line, "Seccomp_filters:", 16) == 0)
			count = (int)strtol(line + 16, NULL, 10) - inherited_filters;
		if (strncmp(line, "NoNewPrivs:", 11) == 0)
			nnp = (int)strtol(line + 11, NULL, 10);
	}
	fclose(f);
	assert_int_equal(seccomp, 2);
	assert_int_equal(nnp, 1);
	if (count >= 0)
		assert_int_equal(count, filters);
}

static void sealed_it_moves_frames(void **state)
{
	(void)state;
	begin(true);
	negotiate(MODERN | BIT64(VIRTIO_RING_F_EVENT_IDX) | frame_offered(t.offloads));
	it_is_confined(2);
	frames_pass(1);
	end();
}

static void sealed_it_takes_another_drivers_features(void **state)
{
	uint64_t with = MODERN | frame_offered(t.offloads);

	(void)state;
	begin(true);
	negotiate(with);
	assert_int_equal(t.f.features, with);
	frames_pass(1);
	for (unsigned round = 0; round < 4; round++) {
		uint64_t features = round % 2 ? with : MODERN;

		assert_true(front_queue_stop(t.rx) >= 0);
		assert_true(front_queue_stop(t.tx) >= 0);
		assert_int_equal(front_ack_u64(&t.f, VHU_SET_FEATURES, features), 0);
		t.rx = front_queue(&t.f, 0, 64, 0);
		t.tx = front_queue(&t.f, 1, 64, 0x10000);
		assert_true(front_queue_setup(t.rx, 0) && front_queue_enable(t.rx, true));
		assert_true(front_queue_setup(t.tx, 0) && front_queue_enable(t.tx, true));
		frames_pass((uint8_t)(round + 2));
	}
	end();
}

static void a_front_end_may_come_by_path(void **state)
{
	(void)state;
	begin(false);
	negotiate(MODERN);
	it_is_confined(1);
	frames_pass(1);
	end();
}

static void offloads_are_what_the_kernel_confirms(void **state)
{
	(void)state;
	assert_true(t.offloads & TUN_F_CSUM);
	assert_int_equal(tap_set_offload(HFD_TAP0, t.offloads), 0);
	assert_int_equal(tap_set_offload(HFD_TAP0, 0x80000000u), -1);
	assert_int_equal(tap_set_offload(HFD_TAP0, 0), 0);
	assert_int_equal(tap_mtu(HFD_TAP0), 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offloads_are_what_the_kernel_confirms),
		cmocka_unit_test(sealed_it_moves_frames),
		cmocka_unit_test(sealed_it_takes_another_drivers_features),
		cmocka_unit_test(a_front_end_may_come_by_path),
	};

	/* A sanitizer makes system calls that netd's filter forbids. */
	if (SANITIZED) {
		puts("1..1\nok 1 - netd_confined # SKIP filters are tested without sanitizers");
		return 0;
	}
	count_filters();
	if (!have_namespace() || !make_tap()) {
		puts("1..1\nok 1 - netd_confined # SKIP no tap in a network namespace on this host");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
