/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vhost-user message is received whole or not at all, in whatever pieces it arrives, with
 * exactly its descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/vhost_user.h"
#include "tests/lib/front.h"

struct wire {
	struct front f; /* the sending end */
	int in;
	struct vhu_rx rx;
};

static struct wire w;

static int setup(void **state)
{
	int pair[2];

	(void)state;
	memset(&w, 0, sizeof(w));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	w.f.sock = pair[0];
	w.in = pair[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vhu_rx_reset(&w.rx);
	close(w.in);
	return front_close(&w.f);
}

static unsigned open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void whole_in_any_pieces(void **state)
{
	const uint32_t header[] = { VHU_SET_FEATURES, VHU_VERSION, 8 };
	const uint64_t v = 0x1122334455667788;
	uint8_t bytes[20];

	(void)state;
	memcpy(bytes, header, 12);
	memcpy(bytes + 12, &v, 8);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(vhu_recv(w.in, &w.rx, true), VHU_AGAIN);
		assert_true(front_raw(&w.f, bytes + i, 1, NULL, 0));
	}
	assert_int_equal(vhu_recv(w.in, &w.rx, true), VHU_OK);
	assert_int_equal(w.rx.msg.u64, v);
	assert_true(vhu_shape_ok(&w.rx.msg));
	vhu_rx_reset(&w.rx);
	/* Two at once are two. */
	assert_true(front_raw(&w.f, bytes, 20, NULL, 0));
	assert_true(front_raw(&w.f, bytes, 20, NULL, 0));
	assert_int_equal(vhu_recv(w.in, &w.rx, true), VHU_OK);
	vhu_rx_reset(&w.rx);
	assert_int_equal(vhu_recv(w.in, &w.rx, true), VHU_OK);
	vhu_rx_reset(&w.rx);
	assert_int_equal(vhu_recv(w.in, &w.rx, true), VHU_AGAIN);
	assert_true(front_raw(&w.f, bytes, 7, NULL, 0));
	close(w.f.sock);
	assert_int_equal(vhu_recv(w.in, &w.rx, true), VHU_CLOSED);
	w.f.sock = -1;
}

/* If the peer closes without having read our answer (ECONNRESET), that is an ordinary end. */
static void a_reset_is_an_end(void **state)
{
	(void)state;
	assert_int_equal(write(w.in, "unread", 6), 6);
	close(w.f.sock);
	w.f.sock = -1;
	assert_int_equal(vhu_recv(w.in, &w.rx, true), VHU_CLOSED);
}

static void bad_headers_end_it(void **state)
{
	static const uint32_t bad[][3] = {
		{ VHU_GET_FEATURES, 0, 0 },
		{ VHU_GET_FEATURES, 2, 0 },
		{ VHU_GET_FEATURES, 3, 0 },
		{ VHU_SET_FEATURES, VHU_VERSION, 513 },
		{ VHU_SET_FEATURES, VHU_VERSION, UINT32_MAX },
		{ VHU_SET_FEATURES, VHU_VERSION, UINT32_MAX - 11 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(front_raw(&w.f, bad[i], 12, NULL, 0));
		assert_int_equal(vhu_recv(w.in, &w.rx, true), VHU_BAD);
		vhu_rx_reset(&w.rx);
	}
}

static void descriptors_are_counted_and_closed(void **state)
{
	static const unsigned counts[] = { 0, 1, 8, 9, 64, 253 };
	unsigned before = open_fds();
	int fds[253];

	(void)state;
	for (unsigned i = 0; i < 253; i++)
		fds[i] = w.in;
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned n = counts[i];

		assert_true(front_send(&w.f, VHU_SET_OWNER, 0, NULL, 0, fds, n));
		assert_int_equal(vhu_recv(w.in, &w.rx, true), VHU_OK);
		assert_int_equal(w.rx.msg.nfds, MIN(n, (unsigned)VHU_MAX_FDS));
		assert_int_equal(w.rx.fds_truncated, n > VHU_MAX_FDS);
		assert_int_equal(open_fds(), before + w.rx.msg.nfds);
		for (unsigned k = 0; k < w.rx.msg.nfds; k++)
			assert_true(fcntl(w.rx.msg.fds[k], F_GETFD) & FD_CLOEXEC);
		vhu_rx_reset(&w.rx);
		assert_int_equal(open_fds(), before);
		/* Once sealed, descriptors are not even received. */
		assert_true(front_send(&w.f, VHU_SET_OWNER, 0, NULL, 0, fds, n));
		assert_int_equal(vhu_recv(w.in, &w.rx, false), VHU_OK);
		assert_int_equal(w.rx.fds_truncated, n > 0);
		assert_int_equal(open_fds(), before);
		vhu_rx_reset(&w.rx);
	}
}

/* Descriptors with each byte of one message: the limit is the message's, not the call's. */
static void descriptors_in_every_byte(void **state)
{
	const uint32_t header[] = { VHU_SET_FEATURES, VHU_VERSION, 8 };
	unsigned before = open_fds();
	uint8_t bytes[20] = { 0 };
	int fds[4];

	(void)state;
	memcpy(bytes, header, 12);
	for (unsigned i = 0; i < 4; i++)
		fds[i] = w.in;
	for (unsigned i = 0; i < 20; i++)
		assert_true(front_raw(&w.f, bytes + i, 1, fds, 4));
	assert_int_equal(vhu_recv(w.in, &w.rx, true), VHU_OK);
	assert_int_equal(w.rx.msg.nfds, VHU_MAX_FDS);
	assert_true(w.rx.fds_truncated);
	assert_int_equal(open_fds(), before + VHU_MAX_FDS);
	vhu_rx_reset(&w.rx);
	assert_int_equal(open_fds(), before);
}

static void what_is_sent_arrives(void **state)
{
	struct vhu_msg m = { .request = VHU_GET_CONFIG, .flags = VHU_VERSION, .size = 12 + 256 };

	(void)state;
	memset(m.bytes, 0x5a, sizeof(m.bytes));
	m.fds[0] = m.fds[1] = w.in;
	m.nfds = 2;
	assert_int_equal(vhu_send(w.f.sock, &m), VHU_OK);
	assert_int_equal(vhu_recv(w.in, &w.rx, true), VHU_OK);
	assert_int_equal(w.rx.msg.nfds, 2);
	assert_int_equal(w.rx.msg.size, m.size);
	assert_memory_equal(w.rx.msg.bytes, m.bytes, m.size);
	vhu_rx_reset(&w.rx);
	m.size = sizeof(m.bytes) + 1;
	assert_int_equal(vhu_send(w.f.sock, &m), VHU_BAD);
	m.size = 8;
	m.nfds = VHU_MAX_FDS + 1;
	assert_int_equal(vhu_send(w.f.sock, &m), VHU_BAD);
	/* Sending does not wait for a peer that does not read, and raises no SIGPIPE if the peer has closed. */
	m.nfds = 0;
	m.size = sizeof(m.bytes);
	for (unsigned i = 0; i < 100000; i++)
		if (vhu_send(w.f.sock, &m) != VHU_OK)
			break;
	assert_int_equal(vhu_send(w.f.sock, &m), VHU_AGAIN);
	close(w.in);
	assert_int_equal(vhu_send(w.f.sock, &m), VHU_CLOSED);
	w.in = -1;
}

/* Which sizes and descriptor counts each request may have. */
static void shapes(void **state)
{
	static const struct {
		uint32_t request, size, nfds;
	} good[] = {
		{ VHU_GET_FEATURES, 0, 0 },	{ VHU_SET_FEATURES, 8, 0 },	{ VHU_SET_OWNER, 0, 0 },
		{ VHU_SET_VRING_NUM, 8, 0 },	{ VHU_SET_VRING_ADDR, 40, 0 },	{ VHU_SET_VRING_BASE, 8, 0 },
		{ VHU_GET_VRING_BASE, 8, 0 },	{ VHU_SET_VRING_KICK, 8, 1 },	{ VHU_SET_VRING_CALL, 8, 1 },
		{ VHU_SET_VRING_ERR, 8, 1 },	{ VHU_SET_VRING_ENABLE, 8, 0 }, { VHU_ADD_MEM_REG, 40, 1 },
		{ VHU_REM_MEM_REG, 40, 0 },	{ VHU_SET_STATUS, 8, 0 },	{ VHU_SET_INFLIGHT_FD, 20, 1 },
		{ VHU_SET_INFLIGHT_FD, 24, 1 }, { VHU_GET_INFLIGHT_FD, 20, 0 }, { VHU_RESET_DEVICE, 0, 0 },
		{ VHU_SET_MEM_TABLE, 8, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		struct vhu_msg m = {
			.request = good[i].request, .flags = VHU_VERSION, .size = good[i].size, .nfds = good[i].nfds
		};

		assert_true(vhu_shape_ok(&m));
		assert_string_not_equal(vhu_request_name(m.request), "?");
		m.flags |= VHU_REPLY;
		assert_false(vhu_shape_ok(&m));
		m.flags = VHU_VERSION;
		for (m.size = 0; m.size <= 512; m.size++) {
			bool inflight = m.request == VHU_SET_INFLIGHT_FD || m.request == VHU_GET_INFLIGHT_FD;

			assert_int_equal(vhu_shape_ok(&m),
					 inflight ? m.size >= 20 && m.size <= 24 : m.size == good[i].size);
		}
		m.size = good[i].size;
		for (m.nfds = 0; m.nfds <= VHU_MAX_FDS; m.nfds++)
			assert_int_equal(vhu_shape_ok(&m),
					 m.nfds == good[i].nfds || (m.request == VHU_REM_MEM_REG && m.nfds == 1));
	}
	for (uint32_t r = 0; r < 100; r++) {
		struct vhu_msg m = { .request = r == 99 ? UINT32_MAX : r, .flags = VHU_VERSION };

		if (!strcmp(vhu_request_name(m.request), "?"))
			for (; m.size <= 512; m.size += 4)
				assert_false(vhu_shape_ok(&m));
	}
}

static void a_memory_table_has_one_descriptor_a_region(void **state)
{
	struct vhu_msg m = { .request = VHU_SET_MEM_TABLE, .flags = VHU_VERSION };

	(void)state;
	for (unsigned n = 0; n <= 10; n++) {
		m.mem.nregions = n;
		m.size = 8 + 32 * n;
		m.nfds = n;
		assert_int_equal(vhu_shape_ok(&m), n <= SHM_MAX_REGIONS);
		m.nfds = n + 1;
		assert_false(vhu_shape_ok(&m));
		m.nfds = n;
		m.size += 32;
		assert_false(vhu_shape_ok(&m));
	}
	m.mem.nregions = UINT32_MAX;
	m.size = 8;
	m.nfds = 0;
	assert_false(vhu_shape_ok(&m));
}

static void a_ring_descriptor_is_there_unless_said_otherwise(void **state)
{
	struct vhu_msg m = { .request = VHU_SET_VRING_CALL, .flags = VHU_VERSION, .size = 8 };

	(void)state;
	m.u64 = 3 | VHU_VRING_NOFD;
	assert_true(vhu_shape_ok(&m));
	m.nfds = 1;
	assert_false(vhu_shape_ok(&m));
	m.u64 = 3;
	assert_true(vhu_shape_ok(&m));
	m.u64 = 3 | 1u << 9;
	assert_false(vhu_shape_ok(&m));
	m.u64 = UINT64_MAX & ~(uint64_t)VHU_VRING_NOFD;
	assert_false(vhu_shape_ok(&m));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(whole_in_any_pieces),
		T(a_reset_is_an_end),
		T(bad_headers_end_it),
		T(descriptors_are_counted_and_closed),
		T(descriptors_in_every_byte),
		T(what_is_sent_arrives),
		T(shapes),
		T(a_memory_table_has_one_descriptor_a_region),
		T(a_ring_descriptor_is_there_unless_said_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
