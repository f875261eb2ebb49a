/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netd's connection to passt: frames pass in both directions, complete and in order, however
 * the stream is split. The most that a compromised passt can do is to end the netd of its own
 * NIC, with status 1.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "netd/stream.h"
#include "tests/unit/netd_rig.h"

static struct stream st;
static int end_of[2];
static uint8_t frame[FRAME_MAX];

static void open_stream(void)
{
	memset(&st, 0, sizeof(st));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, end_of), 0);
}

static void close_stream(void)
{
	close(end_of[0]);
	close(end_of[1]);
}

static void send_bytes(const void *data, size_t n)
{
	assert_int_equal(send(end_of[1], data, n, 0), n);
}

static void send_length(uint32_t len)
{
	len = htobe32(len);
	send_bytes(&len, sizeof(len));
}

static void no_frame(int error)
{
	assert_int_equal(stream_read(&st, end_of[0], frame), -1);
	assert_int_equal(errno, error);
}

static void lengths_that_are_none(void **state)
{
	static const uint32_t bad[] = { 0,	     1,		 ETH_HLEN - 1, FRAME_MAX + 1,
					0x10000 * 2, 0x7fffffff, 0xfffffffc,   0xffffffff };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		open_stream();
		send_length(bad[i]);
		no_frame(EPROTO);
		no_frame(EPROTO);
		close_stream();
	}
	/* Behind a good frame, which is still delivered. */
	open_stream();
	send_length(ETH_HLEN);
	send_bytes(frame, ETH_HLEN);
	send_length(ETH_HLEN - 1);
	assert_int_equal(stream_read(&st, end_of[0], frame), ETH_HLEN);
	no_frame(EPROTO);
	close_stream();
}

static void a_stream_in_single_bytes(void **state)
{
	uint8_t bytes[2 * (STREAM_PREFIX + 60)];
	unsigned got = 0;

	(void)state;
	open_stream();
	no_frame(EAGAIN);
	memset(bytes, 0, sizeof(bytes));
	for (unsigned i = 0; i < 2; i++) {
		bytes[64 * i + 3] = 60;
		put_frame(bytes + 64 * i + STREAM_PREFIX, 60, i);
	}
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		send_bytes(bytes + i, 1);
		if ((i + 1) % 64) {
			no_frame(EINPROGRESS);
			continue;
		}
		assert_int_equal(stream_read(&st, end_of[0], frame), 60);
		expect_frame(frame, 60, got++);
	}
	assert_int_equal(got, 2);
	no_frame(EAGAIN);
	send_length(1000);
	send_bytes(frame, 500);
	no_frame(EINPROGRESS);
	no_frame(EAGAIN);
	close(end_of[1]);
	no_frame(EPIPE);
	close(end_of[0]);
}

static void *feed(void *arg)
{
	static uint8_t f[STREAM_PREFIX + FRAME_MAX];

	(void)arg;
	for (unsigned i = 0; i < 400; i++) {
		uint32_t len = i % 3 ? 60 + i * 150 : FRAME_MAX, n = htobe32(len);

		memcpy(f, &n, sizeof(n));
		put_frame(f + STREAM_PREFIX, len, i);
		for (size_t at = 0; at < STREAM_PREFIX + len;) {
			struct pollfd p = { .fd = end_of[1], .events = POLLOUT };
			ssize_t sent = send(end_of[1], f + at, MIN(STREAM_PREFIX + len - at, 1 + i * 997u), 0);

			if (sent < 0)
				poll(&p, 1, 1000);
			else
				at += (size_t)sent;
		}
	}
	return NULL;
}

static void large_frames_in_pieces(void **state)
{
	pthread_t t;
	unsigned got = 0;

	(void)state;
	open_stream();
	assert_int_equal(pthread_create(&t, NULL, feed, NULL), 0);
	while (got < 400) {
		struct pollfd p = { .fd = end_of[0], .events = POLLIN };
		ssize_t n = stream_read(&st, end_of[0], frame);

		if (n < 0) {
			assert_true(errno == EAGAIN || errno == EINPROGRESS);
			if (errno == EAGAIN)
				assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
			continue;
		}
		assert_int_equal(n, got % 3 ? 60 + got * 150 : FRAME_MAX);
		expect_frame(frame, (size_t)n, got++);
	}
	pthread_join(t, NULL);
	close_stream();
}

/* passt reads nothing for a while: a frame that was sent in part is completed before the next one begins. */
static void a_frame_sent_in_part(void **state)
{
	static uint8_t out[STREAM_PREFIX + FRAME_MAX], in[4 * sizeof(out)];
	struct iovec iov[2] = { { out, 1000 }, { out + 1000, sizeof(out) - 1000 } };
	size_t got = 0, want = 0;
	unsigned sent = 0;
	int small = 4096;

	(void)state;
	open_stream();
	assert_int_equal(setsockopt(end_of[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	for (; sent < 50; sent++) {
		put_frame(out + STREAM_PREFIX, FRAME_MAX, sent);
		if (stream_write(&st, end_of[0], iov, 2, FRAME_MAX) != 0)
			break;
		/* Later changes of the guest's memory have no effect. */
		want += sizeof(out);
		memset(out, 0xee, sizeof(out));
		if (!stream_flush(&st, end_of[0]))
			break;
	}
	assert_true(sent < 50);
	sent = 0;
	while (got < want) {
		ssize_t n = recv(end_of[1], in + got, sizeof(out) - got % sizeof(out), 0);

		if (n < 0) {
			stream_flush(&st, end_of[0]);
			continue;
		}
		got += (size_t)n;
		if (got % sizeof(out))
			continue;
		expect_frame(in + got - FRAME_MAX, FRAME_MAX, sent++);
		assert_true(got < sizeof(in));
	}
	assert_true(stream_flush(&st, end_of[0]));
	close_stream();
}

/* ---- netd's whole device ---- */

static void begin_user(void)
{
	struct net_config c = base_config();

	c.vnet_hdr = c.offload = false;
	c.user.on = true;
	rig_tap_type = SOCK_STREAM;
	begin_with(&c, MODERN);
}

/* Check that netd has ended because of an error of passt. */
static void has_ended(void)
{
	int status;

	assert_int_equal(waitpid(rig.pid, &status, 0), rig.pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	close(rig.tap[0]);
	close(rig.tap[1]);
	front_close(&rig.f);
	close(rig.ctl);
	rig_tap_type = SOCK_SEQPACKET;
}

static void put_ip(uint8_t *to, size_t len, uint32_t tag)
{
	put_frame(to, len, tag);
	memset(to + 14, 0, 40);
	to[14] = 0x45;
	to[23] = 17;
	to[30] = 1;
}

static void both_ways(void **state)
{
	static const size_t sizes[] = { 60, 1514, 1700, FRAME_MAX };
	static uint8_t got[STREAM_PREFIX + FRAME_MAX];
	const struct front_buf room = { BUFFERS + 0x20000, HDR + FRAME_MAX, true };
	uint32_t id, len;

	(void)state;
	begin_user();
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint32_t n = htobe32((uint32_t)sizes[i]);

		memset(at(BUFFERS), 0, HDR);
		put_ip(at(BUFFERS + HDR), sizes[i], i);
		assert_true(send_frame(HDR, sizes[i]));
		assert_int_equal(recv(rig.tap[0], got, STREAM_PREFIX + sizes[i], MSG_WAITALL),
				 STREAM_PREFIX + sizes[i]);
		assert_memory_equal(got, &n, sizeof(n));
		assert_memory_equal(got + STREAM_PREFIX, at(BUFFERS + HDR), sizes[i]);

		front_offer(rig.rx, front_chain(rig.rx, &room, 1));
		front_kick(rig.rx);
		memcpy(got, &n, sizeof(n));
		put_frame(got + STREAM_PREFIX, sizes[i], 100 + i);
		assert_int_equal(send(rig.tap[0], got, STREAM_PREFIX + sizes[i], 0), STREAM_PREFIX + sizes[i]);
		assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
		assert_int_equal(len, HDR + sizes[i]);
		expect_frame(at(BUFFERS + 0x20000 + HDR), sizes[i], 100 + i);
	}
	/* Frames for the host do not reach passt. */
	put_ip(at(BUFFERS + HDR), 60, 1);
	at(BUFFERS + HDR)[30] = 127;
	assert_true(send_frame(HDR, 60));
	assert_int_equal(stats().dropped_reach, 1);
	assert_int_equal(tap_got(0, got, sizeof(got), 0), -1);
	rig_tap_type = SOCK_SEQPACKET;
	end();
}

/* While passt sends nothing, the guest's frames still pass; while it reads nothing, netd sleeps. */
static void a_passt_that_says_and_reads_nothing(void **state)
{
	static uint8_t got[STREAM_PREFIX + 60000];
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct front_buf b = { BUFFERS, HDR + 60000, false };
	const uint32_t n = htobe32(60000);
	uint64_t before;
	uint32_t id, len;
	unsigned sent = 0;

	(void)state;
	begin_user();
	memset(at(BUFFERS), 0, HDR);
	put_ip(at(BUFFERS + HDR), 60000, 1);
	for (;; sent++) {
		front_offer(rig.tx, front_chain(rig.tx, &b, 1));
		front_kick(rig.tx);
		if (!front_wait_used(rig.tx, &id, &len, 300))
			break;
		assert_true(sent < 1000);
	}
	before = stats().wakeups;
	usleep(200000);
	assert_true(stats().wakeups - before < 10);
	/* passt reads again: every frame is complete, also the one that was sent in part. */
	assert_int_equal(setsockopt(rig.tap[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	for (unsigned i = 0; i <= sent; i++) {
		assert_int_equal(recv(rig.tap[0], got, sizeof(got), MSG_WAITALL), sizeof(got));
		assert_memory_equal(got, &n, sizeof(n));
		assert_memory_equal(got + STREAM_PREFIX, at(BUFFERS + HDR), 60000);
	}
	rig_tap_type = SOCK_SEQPACKET;
	end();
}

static void a_taken_passt_ends_its_netd(void **state)
{
	static const uint32_t bad[] = { 0, 13, 70000, 0xffffffff };

	(void)state;
	for (unsigned i = 0; i <= ARRAY_SIZE(bad); i++) {
		const struct front_buf room = { BUFFERS, 2000, true };
		uint32_t n = i < ARRAY_SIZE(bad) ? htobe32(bad[i]) : 0;

		rig_log = memfd_create("lines", MFD_CLOEXEC);
		begin_user();
		front_offer(rig.rx, front_chain(rig.rx, &room, 1));
		if (i < ARRAY_SIZE(bad))
			assert_int_equal(send(rig.tap[0], &n, sizeof(n), 0), sizeof(n));
		else
			shutdown(rig.tap[0], SHUT_RDWR);
		front_kick(rig.rx);
		has_ended();
		close(rig_log);
		rig_log = -1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_that_are_none),
		cmocka_unit_test(a_stream_in_single_bytes),
		cmocka_unit_test(large_frames_in_pieces),
		cmocka_unit_test(a_frame_sent_in_part),
		cmocka_unit_test(both_ways),
		cmocka_unit_test(a_passt_that_says_and_reads_nothing),
		cmocka_unit_test(a_taken_passt_ends_its_netd),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("netd: passt's stream", tests, NULL, NULL);
}
