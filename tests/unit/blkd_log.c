/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blkd's log of written pages: under random requests no page of guest memory changes without its bit, whether the data
 * comes from the page cache, the io_uring or a snapshot; and no bit is set that the front-end did not ask for.
 */
#include <linux/vhost_types.h>

#include "tests/lib/dice.h"
#include "tests/lib/oracle.h"
#include "tests/unit/blkd_rig.h"

#define ROUNDS	 30
#define CHAINS	 24
#define MAX_DATA 4
/* Each status byte and each answer has pages of its own. */
#define STATUS_AT(i) (0x200000u + (i)*0x1000u)
#define DATA_AT(i)   (0x300000u + (i)*0x20000u)

static struct oracle oracle;

/* Offer a random request in slot @i: most are reads, into one to four buffers that begin anywhere. */
static void random_request(unsigned i)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN,
					  VIRTIO_BLK_T_IN,
					  VIRTIO_BLK_T_IN,
					  VIRTIO_BLK_T_IN,
					  VIRTIO_BLK_T_GET_ID,
					  VIRTIO_BLK_T_OUT,
					  99 };
	uint32_t type = types[dice(ARRAY_SIZE(types))], left, n = 1;
	struct front_buf b[2 + MAX_DATA] = { { HDR + 16 * i, 16, false } };
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	uint64_t gpa = DATA_AT(i) + (w.cfg.direct ? dice(8) * 512 : dice(8192));

	left = type == VIRTIO_BLK_T_GET_ID ? 20 : SECTOR_SIZE * (1 + dice(100));
	/* Some lie beyond the end of the disk: then only the status is written. */
	header(i, type, dice(SECTORS + 100));
	while (left && n <= MAX_DATA) {
		uint32_t part = n == MAX_DATA || left < 1024 ? left : SECTOR_SIZE * (1 + dice(left / SECTOR_SIZE));

		b[n++] = (struct front_buf){ gpa, part, in };
		memset(front_ptr(&w.f, gpa), 0xa5, part);
		gpa += part + (w.cfg.direct ? 512 : dice(6000));
		left -= part;
	}
	b[n++] = (struct front_buf){ STATUS_AT(i) + dice(4096), 1, true };
	*(uint8_t *)front_ptr(&w.f, b[n - 1].gpa) = 0xa5;
	front_offer(w.q, front_chain(w.q, b, n));
}

static void random_load(void)
{
	uint32_t id, len;

	assert_true(oracle_begin(&oracle, &w.f));
	for (unsigned round = 0; round < ROUNDS; round++) {
		w.q->next_desc = 0;
		oracle_queue(&w.f, 0, RING_AT(0));
		for (unsigned i = 0; i < CHAINS; i++)
			random_request(i);
		oracle_remember(&oracle);
		assert_true(oracle_start(w.q));
		for (unsigned i = 0; i < CHAINS; i++)
			assert_true(front_wait_used(w.q, &id, &len, PATIENCE_MS));
		assert_true(front_queue_stop(w.q) >= 0);
		if (oracle_missed(&oracle) != ORACLE_ALL_LOGGED)
			fail_msg("round %u: the page at 0x%llx was changed and not logged", round,
				 (unsigned long long)oracle_missed(&oracle));
		/* Used ring, statuses and data: not many more bits than pages. */
		assert_true(oracle_bits(&oracle) <= 3 + CHAINS * (1 + 13 + 2 * MAX_DATA));
	}
	oracle_end(&oracle);
}

static void reads_from_the_page_cache_are_logged(void **state)
{
	(void)state;
	dice_seed = 1;
	begin();
	assert_true(front_queue_stop(w.q) >= 0);
	random_load();
}

static void reads_by_direct_io_are_logged(void **state)
{
	(void)state;
	dice_seed = 2;
	w.cfg.direct = true;
	begin();
	assert_true(front_queue_stop(w.q) >= 0);
	random_load();
}

static void reads_from_a_snapshot_are_logged(void **state)
{
	(void)state;
	dice_seed = 3;
	w.cfg.snapshot = true;
	begin();
	assert_true(front_queue_stop(w.q) >= 0);
	random_load();
}

static void a_failed_read_is_logged(void **state)
{
	(void)state;
	begin();
	assert_true(oracle_begin(&oracle, &w.f));
	assert_true(oracle_ring(w.q, true));
	/* The image is shorter than it was: the read ends in the middle. */
	assert_int_equal(ftruncate(w.image, DISK / 2), 0);
	oracle_remember(&oracle);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, SECTORS / 2 - 8, DATA, 8192), VIRTIO_BLK_S_IOERR);
	assert_true(front_queue_stop(w.q) >= 0);
	/* The test itself has written the header. */
	oracle.before[HDR / 4096 * 4096] = *(uint8_t *)front_ptr(&w.f, HDR / 4096 * 4096);
	memcpy(oracle.before + HDR, front_ptr(&w.f, HDR), 16);
	assert_true(oracle_missed(&oracle) == ORACLE_ALL_LOGGED);
	assert_int_equal(oracle.bits[DATA / 4096 / 8] >> (DATA / 4096 % 8) & 3, 3);
	oracle_end(&oracle);
}

/* The log is used from SET_FEATURES and SET_VRING_ADDR on, each for its part, until they take it back. */
static void only_what_was_asked_for_is_logged(void **state)
{
	uint64_t without, with;

	(void)state;
	begin();
	assert_true(oracle_begin(&oracle, &w.f));
	with = w.f.features | BIT64(VHOST_F_LOG_ALL);
	without = with & ~BIT64(VHOST_F_LOG_ALL);
	oracle_remember(&oracle);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, DATA, 4096), VIRTIO_BLK_S_OK);
	/* Data and status. */
	assert_int_equal(oracle_bits(&oracle), 2);
	assert_int_equal(front_ack_u64(&w.f, VHU_SET_FEATURES, without), 0);
	assert_true(oracle_ring(w.q, true));
	oracle_remember(&oracle);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, DATA, 4096), VIRTIO_BLK_S_OK);
	/* The used ring of 128 entries, whose bit may come after the entry. */
	for (unsigned i = 0; i < PATIENCE_MS && !oracle_bits(&oracle); i++)
		usleep(1000);
	assert_int_equal(oracle_bits(&oracle), 1);
	assert_true(oracle_ring(w.q, false));
	oracle_remember(&oracle);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, DATA, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(oracle_bits(&oracle), 0);
	assert_int_equal(front_ack_u64(&w.f, VHU_SET_FEATURES, with), 0);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, DATA, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(oracle_bits(&oracle), 2);
	/* No other feature may change while a ring runs. */
	assert_int_not_equal(front_ack_u64(&w.f, VHU_SET_FEATURES, with & ~(1ull << VIRTIO_RING_F_EVENT_IDX)), 0);
	oracle_end(&oracle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(reads_from_the_page_cache_are_logged), T(reads_by_direct_io_are_logged),
		T(reads_from_a_snapshot_are_logged),	 T(a_failed_read_is_logged),
		T(only_what_was_asked_for_is_logged),
	};

	return RUN_ON_BOTH(tests);
}
