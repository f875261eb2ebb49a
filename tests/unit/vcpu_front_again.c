/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The front-end sends its whole state to a restarted helper, which may send nothing else unasked. */
#include "tests/unit/vcpu_front_rig.h"

/* After the replay, the successor has exactly the state of its predecessor. */
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
	static const uint32_t requests[] = { VHU_SET_FEATURES, VHU_SET_VRING_NUM, VHU_SET_VRING_BASE,
					     VHU_SET_VRING_ADDR, VHU_SET_VRING_ENABLE };
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

/* The helper dies when the driver has changed its write cache; the successor is told. */
static void a_change_of_the_configuration_is_not_lost(void **state)
{
	(void)state;
	assert_int_equal(attach(), 0);
	h.lie = NO_ANSWER;
	h.resumes_as = 7;
	h.lie_at = VHU_SET_CONFIG;
	assert_true(front_set_config(&f, 32, "\5", 1));
	/* A request that is answered: the successor has read what came before it. */
	assert_true(front_features(&f, BIT64(VIRTIO_BLK_F_FLUSH)));
	assert_int_equal(h.configs, 1);
	assert_int_equal(h.config, 5);
	assert_int_equal(f.config[32], 5);
	/* One that is refused changes nothing. */
	h.nack = VHU_SET_CONFIG;
	assert_false(front_set_config(&f, 32, "\6", 1));
	assert_int_equal(f.config[32], 5);
	detach();
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
		cmocka_unit_test_setup(started_again_while_idle, fresh),
		cmocka_unit_test_setup(started_again_while_asked, fresh),
		cmocka_unit_test_setup(a_change_of_the_configuration_is_not_lost, fresh),
		cmocka_unit_test_setup(unasked_words_end_it, fresh),
	};

	return cmocka_run_group_tests(tests, once, NULL);
}
