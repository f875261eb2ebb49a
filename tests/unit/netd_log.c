/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netd's log of written pages: under random frames from the tap no page of guest memory changes without its bit: not
 * that of a header, of data in merged buffers, of a frame that netd drops after it was read, or of a ring.
 */
#include "tests/unit/netd_rig.h"

#include "tests/lib/dice.h"
#include "tests/lib/oracle.h"

#define ROUNDS 20
#define CHAINS 300

static struct oracle oracle;

/* Offer receive buffers; most are cut at random places, so that headers and data have pages of their own. */
static void give(uint32_t least)
{
	uint64_t gpa = BUFFERS;

	rig.rx->next_desc = 0;
	memset(at(BUFFERS), 0xa5, MEM - BUFFERS);
	for (unsigned i = 0; i < CHAINS; i++) {
		struct front_buf b[3];
		unsigned n = 1 + dice(3);

		for (unsigned k = 0; k < n; k++) {
			b[k] = (struct front_buf){ gpa, k + 1 == n ? least + dice(3000) : 1 + dice(20), true };
			gpa += b[k].len + dice(9000);
		}
		front_offer(rig.rx, front_chain(rig.rx, b, n));
	}
}

static void random_frames(size_t most, uint32_t least)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct stats now, before = stats();
		unsigned n = 1 + dice(40), bad = 0;

		assert_true(front_queue_stop(rig.rx) >= 0);
		oracle_queue(&rig.f, 0, 0);
		give(least);
		oracle_remember(&oracle);
		assert_true(oracle_start(rig.rx));
		for (unsigned i = 0; i < n; i++) {
			/* Segments that no driver can have negotiated: such a frame is read and dropped. */
			struct virtio_net_hdr h = { .gso_type = dice(4) ? 0 : VIRTIO_NET_HDR_GSO_UDP };

			bad += h.gso_type != 0;
			tap_send(0, &h, 60 + dice((uint32_t)most - 60), i);
		}
		for (unsigned i = 0; i < PATIENCE_MS; i++, usleep(1000)) {
			now = stats();
			if (now.frames_in - before.frames_in + now.dropped_bad - before.dropped_bad == n)
				break;
		}
		assert_int_equal(now.dropped_bad - before.dropped_bad, bad);
		assert_true(front_queue_stop(rig.rx) >= 0);
		if (oracle_missed(&oracle) != ORACLE_ALL_LOGGED)
			fail_msg("round %u: the page at 0x%llx was changed and not logged", round,
				 (unsigned long long)oracle_missed(&oracle));
	}
}

static void play(uint64_t features, size_t most, uint32_t least)
{
	begin(features);
	assert_true(oracle_begin(&oracle, &rig.f));
	random_frames(most, least);
	end();
	oracle_end(&oracle);
}

static void frames_in_merged_buffers_are_logged(void **state)
{
	(void)state;
	dice_seed = 1;
	play(MODERN | OFFLOADS, 9000, 60);
}

static void small_frames_that_are_copied_are_logged(void **state)
{
	(void)state;
	dice_seed = 2;
	play(MODERN, 1000, 60);
}

static void frames_in_one_buffer_are_logged(void **state)
{
	(void)state;
	dice_seed = 3;
	play(MODERN & ~BIT64(VIRTIO_NET_F_MRG_RXBUF), 1514, 1600);
}

static void the_event_index_is_logged(void **state)
{
	(void)state;
	dice_seed = 4;
	play(MODERN | BIT64(VIRTIO_RING_F_EVENT_IDX), 1514, 60);
}

static void a_used_transmit_ring_is_logged(void **state)
{
	const struct front_buf b = { BUFFERS, HDR + 60, false };

	(void)state;
	begin(MODERN | BIT64(VIRTIO_RING_F_EVENT_IDX));
	assert_true(oracle_begin(&oracle, &rig.f));
	assert_true(front_queue_stop(rig.tx) >= 0);
	oracle_queue(&rig.f, 1, 0x10000);
	memset(at(BUFFERS), 0, HDR);
	put_frame(at(BUFFERS + HDR), 60, 1);
	for (unsigned i = 0; i < 200; i++)
		front_offer(rig.tx, front_chain(rig.tx, &b, 1));
	oracle_remember(&oracle);
	assert_true(oracle_start(rig.tx));
	for (unsigned i = 0; i < PATIENCE_MS && stats().frames_out < 200; i++)
		usleep(1000);
	assert_true(front_queue_stop(rig.tx) >= 0);
	assert_true(oracle_missed(&oracle) == ORACLE_ALL_LOGGED);
	/* Its index, its elements, its event index; netd writes nothing into what it sends. */
	assert_int_equal(oracle_bits(&oracle), 3);
	end();
	oracle_end(&oracle);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(frames_in_merged_buffers_are_logged), T(small_frames_that_are_copied_are_logged),
		T(frames_in_one_buffer_are_logged),	T(the_event_index_is_logged),
		T(a_used_transmit_ring_is_logged),
	};

	return cmocka_run_group_tests_name("netd's log of written pages", tests, NULL, NULL);
}
