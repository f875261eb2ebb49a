/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Promise: a helper that was taken over cannot harm the vCPU process by what it answers, by silence, or by descriptors. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "common/log.h"
#include "vcpu/front.h"

#define BIT64(n) (1ull << (n))

enum lie {
	HONEST,
	NO_ANSWER,
	HANG_UP,
	SIZE_ZERO,
	SIZE_MORE,
	SIZE_LESS,
	SIZE_HUGE,
	OTHER_REQUEST,
	NO_REPLY_FLAG,
	OTHER_VERSION,
	HALF_A_HEADER,
	HALF_A_PAYLOAD,
	WITH_DESCRIPTORS,
	NOISE,
	LIES,
};

/* The helper: answers as a good one does, but lies at request @lie_at (its @lie_skip-th one). */
static struct helper {
	int sock;
	enum lie lie;
	uint32_t lie_at;
	unsigned skip;
	uint64_t features, queues, nack;
	uint32_t config_size, config_off, base_index, base_num;
	bool override_config, override_base, no_ack;
	uint64_t resumes_as; /* at the lie: a successor takes over, and says so with this number; 0: no */
	bool awaiting_resume, again;
	/* what it saw */
	uint64_t got_features;
	unsigned kicks, tables, starts, stops, enables;
	int mem_fds;
} h;

static struct guest_mem mem;
static struct front f;
static int kick[4], call[4], err;
static pthread_t thread;

static bool reply_of(struct vhu_msg *m)
{
	switch (m->request) {
	case VHU_GET_FEATURES:
		m->u64 = h.features;
		break;
	case VHU_GET_PROTOCOL_FEATURES:
		m->u64 = BIT64(VHU_PF_MQ) | BIT64(VHU_PF_CONFIG) | BIT64(VHU_PF_INFLIGHT_SHMFD) |
			 (h.no_ack ? 0 : BIT64(VHU_PF_REPLY_ACK));
		break;
	case VHU_GET_QUEUE_NUM:
		m->u64 = h.queues;
		break;
	case VHU_GET_CONFIG:
		if (h.override_config) {
			m->config.size = h.config_size;
			m->config.offset = h.config_off;
		}
		memset(m->config.data, 0x11, m->size - offsetof(struct vhu_config, data));
		return true;
	case VHU_GET_VRING_BASE:
		h.stops++;
		if (h.override_base)
			m->state = (struct vhu_vring_state){ h.base_index, h.base_num };
		return true;
	default:
		if (!(m->flags & VHU_NEED_REPLY))
			return false;
		m->u64 = m->request == h.nack;
		break;
	}
	m->size = sizeof(m->u64);
	return true;
}

static void note(const struct vhu_msg *m)
{
	h.got_features = m->request == VHU_SET_FEATURES ? m->u64 : h.got_features;
	h.kicks += m->request == VHU_SET_VRING_KICK;
	h.tables += m->request == VHU_SET_MEM_TABLE;
	h.starts += m->request == VHU_SET_VRING_ADDR;
	h.enables += m->request == VHU_SET_VRING_ENABLE;
	if (m->request == VHU_SET_MEM_TABLE)
		h.mem_fds = (int)m->nfds;
}

static void send_bytes(const void *p, size_t n)
{
	(void)!send(h.sock, p, n, MSG_NOSIGNAL);
}

static void answer(struct vhu_msg *m, enum lie lie)
{
	static const uint8_t noise[600] = { 0xff, 0xee, 1, 2, 3, 4, 5 };

	m->flags = VHU_VERSION | VHU_REPLY;
	m->nfds = 0;
	switch (lie) {
	case SIZE_ZERO:
		m->size = 0;
		break;
	case SIZE_MORE:
		m->size += 8;
		break;
	case SIZE_LESS:
		m->size -= 4;
		break;
	case SIZE_HUGE:
		m->size = 0xffffffff;
		send_bytes(m, VHU_HDR_SIZE);
		return;
	case OTHER_REQUEST:
		m->request ^= 1;
		break;
	case NO_REPLY_FLAG:
		m->flags = VHU_VERSION;
		break;
	case OTHER_VERSION:
		m->flags = 2 | VHU_REPLY;
		break;
	case HALF_A_HEADER:
		send_bytes(m, 5);
		return;
	case HALF_A_PAYLOAD:
		send_bytes(m, VHU_HDR_SIZE);
		send_bytes(m->bytes, m->size / 2);
		return;
	case WITH_DESCRIPTORS:
		m->fds[0] = h.sock;
		m->fds[1] = 0;
		m->nfds = 2;
		break;
	case NOISE:
		send_bytes(noise, sizeof(noise));
		return;
	default:
		break;
	}
	vhu_send(h.sock, m);
}

/* The helper's successor, on the same connection. */
static void take_over(void)
{
	struct vhu_msg m = { .request = VHU_RESUME, .flags = VHU_VERSION | VHU_REPLY,
			     .size = sizeof(m.u64), .u64 = h.resumes_as };

	h.got_features = 0;
	h.kicks = h.tables = h.starts = h.enables = 0;
	h.awaiting_resume = true;
	vhu_send(h.sock, &m);
}

static void *serve(void *arg)
{
	static struct vhu_rx rx;

	(void)arg;
	while (vhu_recv(h.sock, &rx, true) == VHU_OK) {
		struct vhu_msg m = rx.msg;
		bool lie_now = m.request == h.lie_at && h.lie != HONEST && (h.again || h.skip-- == 0);
		bool due;

		if (h.awaiting_resume) {
			/* as backend_msg.c: what is not meant for the successor is dropped */
			h.awaiting_resume = m.request != VHU_RESUME || m.u64 != h.resumes_as;
			vhu_rx_reset(&rx);
			continue;
		}
		note(&m);
		vhu_rx_reset(&rx);
		m.nfds = 0;
		due = reply_of(&m);
		if (lie_now && h.lie == HANG_UP)
			break;
		if (lie_now && h.lie == NO_ANSWER) {
			if (h.resumes_as)
				take_over();
			continue;
		}
		if (due)
			answer(&m, lie_now ? h.lie : HONEST);
	}
	vhu_rx_reset(&rx);
	close(h.sock);
	return NULL;
}

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int once(void **state)
{
	struct shm_policy p = { .same_inode = false };
	bool sealed;
	int fd = shm_create(1 << 20, &sealed);

	(void)state;
	log_to_fd(open("/dev/null", O_WRONLY), "test", LOG_ERROR);
	if (fd < 0 || dup2(fd, VFD_MEM) != VFD_MEM || front_prepare() < 0)
		return -1;
	close(fd);
	for (unsigned i = 0; i < 4; i++) {
		kick[i] = eventfd(0, 0);
		call[i] = eventfd(0, 0);
	}
	err = eventfd(0, 0);
	return shm_add(&mem, &p, VFD_MEM, 0, 1 << 20, 0, 0) == SHM_OK ? 0 : -1;
}

static int fresh(void **state)
{
	(void)state;
	h = (struct helper){
		.features = BIT64(VIRTIO_F_VERSION_1) | BIT64(VHU_F_PROTOCOL_FEATURES) |
			    BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VIRTIO_BLK_F_MQ),
		.queues = 2,
		.nack = UINT64_MAX,
	};
	return 0;
}

static int attach(void)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	h.sock = sv[1];
	f = (struct front){ .name = "blk0", .sock = sv[0], .kind = DEV_BLK, .nqueues = 2, .err = err,
			    .timeout_ms = 200 };
	memcpy(f.kick, kick, sizeof(kick));
	memcpy(f.call, call, sizeof(call));
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	return front_attach(&f, &mem);
}

static void detach(void)
{
	close(f.sock);
	pthread_join(thread, NULL);
}

static void honest(void **state)
{
	const struct front_ring r = { 128, 0x1000, 0x2000, 0x3000 };
	uint8_t wce = 1;

	(void)state;
	assert_int_equal(attach(), 0);
	assert_int_equal(f.nqueues, 2);
	assert_int_equal(f.config_len, 60);
	assert_int_equal(f.config[7], 0x11);
	assert_int_equal(h.kicks, 2);
	assert_int_equal(h.tables, 1);
	assert_int_equal(h.mem_fds, 1);
	assert_true(front_features(&f, ~0ull));
	/* never what the back-end did not offer, and always the bit that protocol features hang on */
	assert_int_equal(h.got_features & ~h.features, 0);
	assert_true(h.got_features & BIT64(VHU_F_PROTOCOL_FEATURES));
	assert_true(front_start(&f, 0, &r) && front_enable(&f, 0, true));
	assert_false(front_start(&f, 0, &r));
	assert_false(front_start(&f, 2, &r));
	assert_false(front_start(&f, 4000, &r));
	assert_true(front_set_config(&f, 32, &wce, 1));
	assert_int_equal(f.config[32], 1);
	assert_false(front_set_config(&f, 60, &wce, 1));
	assert_false(front_set_config(&f, 0xffffffff, &wce, 1));
	front_stop_all(&f);
	assert_false(f.dead);
	assert_int_equal(h.stops, 1);
	assert_int_equal(h.kicks, 2); /* our own helpers keep their eventfds */
	detach();
}

static void foreign_gets_them_at_every_start(void **state)
{
	const struct front_ring r = { 128, 0x1000, 0x2000, 0x3000 };

	(void)state;
	assert_int_equal(attach(), 0);
	f.foreign = true;
	h.kicks = 0;
	for (unsigned i = 1; i <= 3; i++) {
		assert_true(front_start(&f, 0, &r) && front_enable(&f, 0, true));
		assert_int_equal(h.kicks, i);
		front_stop(&f, 0);
	}
	detach();
}

/* The requests of an attachment, each answered with each lie. */
static void lies_while_attaching(void **state)
{
	static const uint32_t requests[] = { VHU_GET_FEATURES, VHU_GET_PROTOCOL_FEATURES,
					     VHU_GET_QUEUE_NUM, VHU_SET_OWNER, VHU_GET_CONFIG,
					     VHU_SET_MEM_TABLE, VHU_SET_VRING_KICK,
					     VHU_SET_VRING_CALL, VHU_SET_VRING_ERR };
	unsigned before = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		for (enum lie lie = NO_ANSWER; lie < LIES; lie++) {
			uint64_t start = now_ms();

			fresh(state);
			h.lie = lie;
			h.lie_at = requests[i];
			if (lie == WITH_DESCRIPTORS) {
				/* descriptors that nobody asked for are never installed; the answer is good */
				assert_int_equal(attach(), 0);
			} else {
				assert_int_equal(attach(), -1);
				assert_true(f.dead);
				assert_non_null(strstr(f.error, vhu_request_name(requests[i])));
			}
			assert_true(now_ms() - start < 3000);
			/* a dead connection is not spoken to any more */
			if (f.dead)
				assert_false(front_features(&f, 0));
			detach();
			if (!before)
				before = open_fds();
			assert_int_equal(open_fds(), before);
		}
	}
}

static void lies_while_running(void **state)
{
	static const uint32_t requests[] = { VHU_SET_FEATURES, VHU_SET_VRING_NUM,
					     VHU_SET_VRING_BASE, VHU_SET_VRING_ADDR,
					     VHU_SET_VRING_ENABLE, VHU_GET_VRING_BASE };
	const struct front_ring r = { 128, 0x1000, 0x2000, 0x3000 };

	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		for (enum lie lie = NO_ANSWER; lie < LIES; lie++) {
			bool ok;

			fresh(state);
			h.lie_at = requests[i];
			assert_int_equal(attach(), 0);
			h.lie = lie;
			ok = front_features(&f, h.features) && front_start(&f, 0, &r) &&
			     front_enable(&f, 0, true);
			assert_int_equal(ok, requests[i] == VHU_GET_VRING_BASE ||
						     lie == WITH_DESCRIPTORS);
			front_stop_all(&f);
			assert_int_equal(f.dead, lie != WITH_DESCRIPTORS);
			detach();
		}
	}
}

static void refusals(void **state)
{
	static const uint32_t requests[] = { VHU_SET_PROTOCOL_FEATURES, VHU_SET_OWNER,
					     VHU_SET_MEM_TABLE, VHU_SET_VRING_KICK };

	for (unsigned i = 1; i < ARRAY_SIZE(requests); i++) {
		fresh(state);
		h.nack = requests[i];
		assert_int_equal(attach(), -1);
		assert_false(f.dead);
		assert_non_null(strstr(f.error, "refuses"));
		detach();
	}
	fresh(state);
	h.nack = VHU_SET_FEATURES;
	assert_int_equal(attach(), 0);
	assert_false(front_features(&f, 0));
	detach();
}

static void numbers_that_lie(void **state)
{
	static const struct {
		uint32_t off, size;
	} config[] = { { 0, 61 }, { 0, 0 }, { 0, 0xffffffff }, { 1, 60 }, { 0xffffffff, 60 } };
	static const struct {
		uint32_t index, num;
	} base[] = { { 1, 0 }, { 0xffffffff, 0 }, { 0, 65536 }, { 0, 0xffffffff } };
	const struct front_ring r = { 128, 0x1000, 0x2000, 0x3000 };

	for (unsigned i = 0; i < ARRAY_SIZE(config); i++) {
		fresh(state);
		h.override_config = true;
		h.config_off = config[i].off;
		h.config_size = config[i].size;
		assert_int_equal(attach(), -1);
		assert_true(f.dead);
		detach();
	}
	for (unsigned i = 0; i < ARRAY_SIZE(base); i++) {
		fresh(state);
		h.override_base = true;
		h.base_index = base[i].index;
		h.base_num = base[i].num;
		assert_int_equal(attach(), 0);
		assert_true(front_start(&f, 0, &r));
		front_stop_all(&f);
		assert_true(f.dead);
		detach();
	}
}

/* More queues than were asked for, features that nobody knows: bounded, masked. */
static void boasts(void **state)
{
	(void)state;
	h.queues = UINT64_MAX;
	h.features = ~0ull;
	assert_int_equal(attach(), 0);
	assert_int_equal(f.nqueues, 2);
	assert_false(f.features & BIT64(VIRTIO_F_RING_PACKED));
	assert_false(f.features & BIT64(VIRTIO_F_ACCESS_PLATFORM));
	assert_false(f.features & BIT64(VHU_F_PROTOCOL_FEATURES));
	assert_false(f.features >> 33);
	detach();
	fresh(NULL);
	h.queues = 0;
	assert_int_equal(attach(), 0);
	assert_int_equal(f.nqueues, 1);
	detach();
	fresh(NULL);
	h.features &= ~BIT64(VIRTIO_F_VERSION_1);
	assert_int_equal(attach(), -1);
	assert_non_null(strstr(f.error, "virtio 1.x"));
	detach();
}

/* A back-end without acknowledgements works as well. */
static void without_acknowledgements(void **state)
{
	const struct front_ring r = { 128, 0x1000, 0x2000, 0x3000 };

	(void)state;
	h.no_ack = true;
	assert_int_equal(attach(), 0);
	assert_true(front_features(&f, h.features) && front_start(&f, 0, &r) &&
		    front_enable(&f, 0, true));
	front_stop_all(&f);
	assert_false(f.dead);
	detach();
	assert_int_equal(h.enables, 1);
}

/* After the replay: what the predecessor was told, no more and no less. */
static void told_anew(void)
{
	/* the helper has seen all of it when it has answered one more question */
	assert_true(front_set_config(&f, 32, "", 1));
	assert_int_equal(h.tables, 1);
	assert_int_equal(h.kicks, 2);
	assert_int_equal(h.starts, 1);
	assert_int_equal(h.enables, 1);
	assert_true(h.got_features & BIT64(VIRTIO_BLK_F_FLUSH));
	assert_false(f.dead);
}

static void started_again_while_idle(void **state)
{
	const struct front_ring r = { 128, 0x1000, 0x2000, 0x3000 };

	(void)state;
	assert_int_equal(attach(), 0);
	assert_true(front_event(&f)); /* nothing there: no harm */
	assert_true(front_features(&f, BIT64(VIRTIO_BLK_F_FLUSH)) && front_start(&f, 1, &r) &&
		    front_enable(&f, 1, true));
	assert_true(front_event(&f));
	for (h.resumes_as = 1; h.resumes_as < 4; h.resumes_as++) {
		take_over();
		assert_true(front_event(&f));
		told_anew();
	}
	detach();
}

/* At each request of a start the helper dies instead of answering, and its successor goes on. */
static void started_again_while_asked(void **state)
{
	static const uint32_t requests[] = { VHU_SET_FEATURES, VHU_SET_VRING_NUM,
					     VHU_SET_VRING_BASE, VHU_SET_VRING_ADDR,
					     VHU_SET_VRING_ENABLE };
	const struct front_ring r = { 128, 0x1000, 0x2000, 0x3000 };

	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		fresh(state);
		assert_int_equal(attach(), 0);
		h.lie = NO_ANSWER;
		h.resumes_as = 7;
		h.lie_at = requests[i];
		assert_true(front_features(&f, BIT64(VIRTIO_BLK_F_FLUSH)) && front_start(&f, 0, &r) &&
			    front_enable(&f, 0, true));
		assert_true(front_set_config(&f, 32, "", 1));
		assert_true(h.starts >= 1 && h.enables >= 1 && h.tables == 1);
		assert_false(f.dead);
		front_stop_all(&f);
		assert_false(f.dead);
		detach();
	}
}

static void unasked_words_end_it(void **state)
{
	static const struct {
		uint32_t request, flags, size;
	} words[] = { { VHU_GET_FEATURES, VHU_VERSION | VHU_REPLY, 8 },
		      { VHU_RESUME, VHU_VERSION, 8 },
		      { VHU_RESUME, VHU_VERSION | VHU_REPLY, 0 },
		      { VHU_RESUME, VHU_VERSION | VHU_REPLY, 16 },
		      { VHU_RESUME, 2 | VHU_REPLY, 8 },
		      { VHU_RESUME, VHU_VERSION | VHU_REPLY, 0xffffffff } };

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		fresh(state);
		assert_int_equal(attach(), 0);
		send_bytes(&words[i], sizeof(words[i]));
		send_bytes((uint8_t[16]){ 1 }, words[i].size > 16 ? 16 : words[i].size);
		assert_false(front_event(&f));
		assert_true(f.dead);
		detach();
	}
	/* a foreign back-end has no successors */
	fresh(state);
	assert_int_equal(attach(), 0);
	f.foreign = true;
	h.resumes_as = 1;
	take_over();
	assert_false(front_event(&f));
	detach();
	/* one that always has a successor is given up */
	fresh(state);
	assert_int_equal(attach(), 0);
	h.lie = NO_ANSWER;
	h.lie_at = VHU_SET_FEATURES;
	h.resumes_as = 1;
	h.skip = 0;
	h.again = true;
	assert_false(front_features(&f, 0));
	assert_true(f.dead);
	detach();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(honest, fresh),
		cmocka_unit_test_setup(foreign_gets_them_at_every_start, fresh),
		cmocka_unit_test_setup(lies_while_attaching, fresh),
		cmocka_unit_test_setup(lies_while_running, fresh),
		cmocka_unit_test_setup(refusals, fresh),
		cmocka_unit_test_setup(numbers_that_lie, fresh),
		cmocka_unit_test_setup(boasts, fresh),
		cmocka_unit_test_setup(without_acknowledgements, fresh),
		cmocka_unit_test_setup(started_again_while_idle, fresh),
		cmocka_unit_test_setup(started_again_while_asked, fresh),
		cmocka_unit_test_setup(unasked_words_end_it, fresh),
	};

	return cmocka_run_group_tests(tests, once, NULL);
}
