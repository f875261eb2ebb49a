/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A compromised helper cannot harm the vCPU process by wrong answers, by silence, or by descriptors. */
#include "tests/unit/vcpu_front_rig.h"

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

/* A foreign back-end that no guest has used has no rings to stop, and Debian 12's virtiofsd dies of the request. */
static void only_used_rings_are_stopped(void **state)
{
	(void)state;
	assert_int_equal(attach(), 0);
	f.foreign = true;
	assert_int_equal(front_attach(&f, &mem), 0);
	assert_int_equal(h.stops, 0);
	f.used_before = true;
	assert_int_equal(front_attach(&f, &mem), 0);
	assert_int_equal(h.stops, f.nqueues);
	detach();
}

/*
 * Attaches to a helper that tells @lie at @request. On a busy machine the honest answers before it can
 * take longer than a liar is waited for: then again, with more time.
 */
static void attach_to_liar(enum lie lie, uint32_t request)
{
	for (liar_ms = LIAR_MS; liar_ms < 2 * HONEST_MS; liar_ms *= 2) {
		uint64_t start = now_ms();

		fresh(NULL);
		h.lie = lie;
		h.lie_at = request;
		assert_int_equal(attach(), -1);
		assert_true(now_ms() - start < 10ull * liar_ms + HONEST_MS);
		if (strstr(f.error, vhu_request_name(request)))
			break;
		detach();
	}
	liar_ms = LIAR_MS;
}

/* The requests of an attachment, each answered with each lie. */
/*
 * True if the error names @request. A helper that hangs up may be noticed when one of the requests is sent that do not
 * wait for the reply to this one.
 */
static bool blamed(uint32_t request, enum lie lie)
{
	static const uint32_t last[] = { VHU_GET_PROTOCOL_FEATURES, VHU_SET_OWNER, VHU_SET_VRING_KICK };
	static const uint32_t between[] = { VHU_SET_VRING_CALL, VHU_SET_VRING_ERR };

	if (strstr(f.error, vhu_request_name(request)))
		return true;
	for (unsigned i = 0; lie == HANG_UP && i < ARRAY_SIZE(last); i++) {
		if (!sent_before(request, last[i]))
			continue;
		if (strstr(f.error, vhu_request_name(last[i])))
			return true;
		for (unsigned k = 0; k < ARRAY_SIZE(between); k++)
			if (sent_before(between[k], last[i]) && strstr(f.error, vhu_request_name(between[k])))
				return true;
	}
	return false;
}

static void lies_while_attaching(void **state)
{
	static const uint32_t requests[] = {
		VHU_GET_FEATURES,  VHU_GET_PROTOCOL_FEATURES, VHU_GET_QUEUE_NUM,  VHU_SET_OWNER,    VHU_GET_CONFIG,
		VHU_SET_MEM_TABLE, VHU_SET_VRING_KICK,	      VHU_SET_VRING_CALL, VHU_SET_VRING_ERR
	};
	unsigned before = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		for (enum lie lie = NO_ANSWER; lie < LIES; lie++) {
			if (lie == WITH_DESCRIPTORS) {
				fresh(state);
				h.lie = lie;
				h.lie_at = requests[i];
				/* descriptors that nobody asked for are never installed; the answer is good */
				assert_int_equal(attach(), 0);
			} else {
				attach_to_liar(lie, requests[i]);
				assert_true(f.dead);
				assert_true(blamed(requests[i], lie));
			}
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
	static const uint32_t requests[] = { VHU_SET_FEATURES,	 VHU_SET_VRING_NUM,    VHU_SET_VRING_BASE,
					     VHU_SET_VRING_ADDR, VHU_SET_VRING_ENABLE, VHU_GET_VRING_BASE };
	const struct front_ring r = { 128, 0x1000, 0x2000, 0x3000 };

	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		for (enum lie lie = NO_ANSWER; lie < LIES; lie++) {
			bool ok;

			fresh(state);
			h.lie_at = requests[i];
			assert_int_equal(attach(), 0);
			h.lie = lie;
			if (lie != WITH_DESCRIPTORS && requests[i] != VHU_GET_VRING_BASE)
				f.timeout_ms = LIAR_MS;
			ok = front_features(&f, h.features) && front_start(&f, 0, &r) && front_enable(&f, 0, true);
			/* Silence alone may be the host's: see vcpu_front_late.c. */
			assert_int_equal(ok, requests[i] == VHU_GET_VRING_BASE || lie == WITH_DESCRIPTORS ||
						     lie == NO_ANSWER);
			if (lie != WITH_DESCRIPTORS)
				f.timeout_ms = LIAR_MS;
			front_stop_all(&f);
			assert_int_equal(f.dead, lie != WITH_DESCRIPTORS && lie != NO_ANSWER);
			assert_int_equal(f.overdue, lie == NO_ANSWER ? requests[i] : 0);
			detach();
		}
	}
}

static void refusals(void **state)
{
	static const uint32_t requests[] = { VHU_SET_PROTOCOL_FEATURES, VHU_SET_OWNER, VHU_SET_MEM_TABLE,
					     VHU_SET_VRING_KICK };

	for (unsigned i = 1; i < ARRAY_SIZE(requests); i++) {
		fresh(state);
		h.nack = requests[i];
		assert_int_equal(attach(), -1);
		assert_false(f.dead);
		assert_non_null(strstr(f.error, "refused"));
		detach();
	}
	fresh(state);
	h.nack = VHU_SET_FEATURES;
	assert_int_equal(attach(), 0);
	assert_false(front_features(&f, 0));
	detach();
}

/* What can be sent at once is: the helper replies to nothing of it before it has all. */
static void one_wake_up_for_many(void **state)
{
	static const uint32_t last[] = { VHU_GET_PROTOCOL_FEATURES, VHU_SET_OWNER, VHU_SET_VRING_KICK };

	for (unsigned i = 0; i < ARRAY_SIZE(last); i++) {
		fresh(state);
		h.holds_back = last[i];
		assert_int_equal(attach(), 0);
		assert_int_equal(h.kicks, 2);
		detach();
	}
	fresh(state);
	h.holds_back = VHU_SET_VRING_KICK;
	h.nack = VHU_SET_VRING_ERR;
	assert_int_equal(attach(), -1);
	assert_non_null(strstr(f.error, "refused SET_VRING_ERR"));
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
	/* a NIC's queues are pairs: an odd one is not used */
	for (h.queues = 0; h.queues < 6; h.queues++) {
		const unsigned pairs[] = { 1, 1, 1, 1, 2, 2 };

		assert_int_equal(attach_as(DEV_NET, 4), 0);
		assert_int_equal(f.nqueues, 2 * pairs[h.queues]);
		detach();
	}
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
	assert_true(front_features(&f, h.features) && front_start(&f, 0, &r) && front_enable(&f, 0, true));
	front_stop_all(&f);
	assert_false(f.dead);
	detach();
	assert_int_equal(h.enables, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(honest, fresh),
		cmocka_unit_test_setup(foreign_gets_them_at_every_start, fresh),
		cmocka_unit_test_setup(only_used_rings_are_stopped, fresh),
		cmocka_unit_test_setup(lies_while_attaching, fresh),
		cmocka_unit_test_setup(lies_while_running, fresh),
		cmocka_unit_test_setup(refusals, fresh),
		cmocka_unit_test_setup(one_wake_up_for_many, fresh),
		cmocka_unit_test_setup(numbers_that_lie, fresh),
		cmocka_unit_test_setup(boasts, fresh),
		cmocka_unit_test_setup(without_acknowledgements, fresh),
	};

	return cmocka_run_group_tests(tests, once, NULL);
}
