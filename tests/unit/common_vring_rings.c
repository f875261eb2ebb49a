/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chains are taken and returned in order, whatever the indexes contain; calls and kicks are
 * neither lost nor unnecessary.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/iov.h"
#include "tests/unit/common_vring_rig.h"

#define W VRING_DESC_F_WRITE

static void available_index_is_bounded(void **state)
{
	static const struct {
		uint16_t last, idx;
		bool ok;
	} c[] = { { 0, SIZE, true },  { 0, SIZE + 1, false }, { 0, 65535, false },    { 5, 4, false },
		  { 65530, 2, true }, { 65530, 3, false },    { 65535, 65534, false } };
	struct world *w = *state;
	struct iovec iov[SIZE];
	struct vq_chain got;

	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		start(w, false, true);
		w->vq.last_avail = w->vq.avail_seen = c[i].last;
		world_put(w, DESC, 0, (struct vring_desc){ DATA, 16, 0, 0 });
		memset(w->vq.avail->ring, 0, 2 * SIZE);
		w->vq.avail->idx = c[i].idx;
		assert_int_equal(vq_pop(&w->vq, iov, SIZE, &got), c[i].ok ? VQ_POP_CHAIN : VQ_POP_FAULT);
		if (!c[i].ok)
			assert_int_equal(w->last, FAULT_AVAIL_IDX);
	}
}

static void no_more_in_flight_than_the_queue_holds(void **state)
{
	struct world *w = *state;
	struct iovec iov[SIZE];
	struct vq_chain got;

	world_put(w, DESC, 0, (struct vring_desc){ DATA, 16, 0, 0 });
	for (unsigned i = 0; i < SIZE; i++) {
		world_offer(w, 0);
		assert_int_equal(vq_pop(&w->vq, iov, SIZE, &got), VQ_POP_CHAIN);
	}
	world_offer(w, 0);
	assert_int_equal(vq_pop(&w->vq, iov, SIZE, &got), VQ_POP_FAULT);
	assert_int_equal(w->last, FAULT_USED_FULL);
}

static void used_entries_are_published_at_once(void **state)
{
	struct world *w = *state;
	struct iovec iov[SIZE];
	struct vq_chain got;

	w->vq.used->idx = 65534;
	start(w, false, true);
	for (uint16_t i = 0; i < 4; i++) {
		world_put(w, DESC, i, (struct vring_desc){ DATA, 16, W, 0 });
		world_offer(w, i);
		assert_int_equal(vq_pop(&w->vq, iov, SIZE, &got), VQ_POP_CHAIN);
	}
	vq_unpop(&w->vq, 1);
	for (uint16_t i = 0; i < 3; i++)
		vq_push(&w->vq, i, 100u + i);
	vq_push(&w->vq, 3, 0); /* nothing is in flight */
	assert_int_equal(w->vq.used->idx, 65534);
	assert_true(vq_publish(&w->vq));
	assert_false(vq_publish(&w->vq));
	assert_int_equal(w->vq.used->idx, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(w->vq.used->ring[(65534 + i) % SIZE].id, i);
		assert_int_equal(w->vq.used->ring[(65534 + i) % SIZE].len, 100 + i);
	}
	/* The one that was given back comes again. */
	assert_int_equal(vq_pop(&w->vq, iov, SIZE, &got), VQ_POP_CHAIN);
	assert_int_equal(got.head, 3);
	/* Completions after a fault or a stop change nothing. */
	guest_fault(&w->vq, FAULT_BAD_LAYOUT, 0);
	vq_push(&w->vq, 3, 0);
	assert_false(vq_publish(&w->vq));
	vq_stop(&w->vq);
	vq_push(&w->vq, 3, 0);
	assert_false(vq_publish(&w->vq));
	assert_false(vq_wants_call(&w->vq));
}

static bool push_one(struct world *w)
{
	struct iovec iov[SIZE];
	struct vq_chain got;

	world_put(w, DESC, 0, (struct vring_desc){ DATA, 16, 0, 0 });
	world_offer(w, 0);
	assert_int_equal(vq_pop(&w->vq, iov, SIZE, &got), VQ_POP_CHAIN);
	vq_push(&w->vq, 0, 0);
	assert_true(vq_publish(&w->vq));
	return vq_wants_call(&w->vq);
}

static void calls_are_made_when_wanted(void **state)
{
	struct world *w = *state;
	uint16_t *used_event = &w->vq.avail->ring[SIZE];

	assert_true(push_one(w));
	w->vq.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	assert_false(push_one(w));
	w->vq.used->idx = w->vq.avail->idx = 0;
	start(w, true, true);
	*used_event = 100;
	assert_true(push_one(w)); /* the first one is not known to be unwanted */
	assert_false(push_one(w));
	*used_event = w->vq.next_used;
	assert_true(push_one(w));
	*used_event = (uint16_t)(w->vq.next_used - 30000); /* far away */
	assert_false(push_one(w));
	assert_int_equal(w->vq.n_calls, 3);
	assert_int_equal(w->vq.n_calls_suppressed, 3);
}

static void kicks_are_asked_for_without_a_gap(void **state)
{
	struct world *w = *state;
	uint16_t *avail_event = (uint16_t *)&w->vq.used->ring[SIZE];
	struct iovec iov[SIZE];
	struct vq_chain got;

	vq_disable_kicks(&w->vq);
	assert_int_equal(w->vq.used->flags, VRING_USED_F_NO_NOTIFY);
	assert_false(vq_enable_kicks(&w->vq));
	assert_int_equal(w->vq.used->flags, 0);
	world_offer(w, 0);
	assert_true(vq_enable_kicks(&w->vq));

	start(w, true, true);
	w->vq.avail->idx = 0;
	for (unsigned i = 0; i < 3; i++)
		push_one(w);
	vq_disable_kicks(&w->vq);
	/* The event that was asked for did not come: no chain that may come now is it. */
	assert_int_equal(*avail_event, (uint16_t)(w->vq.avail_seen - 1));
	assert_false(vring_need_event(*avail_event, (uint16_t)(w->vq.avail_seen + SIZE), w->vq.avail_seen));
	assert_false(vq_enable_kicks(&w->vq));
	assert_int_equal(*avail_event, 3);
	/* One that was passed stays where it is. */
	world_offer(w, 0);
	vq_disable_kicks(&w->vq);
	assert_int_equal(*avail_event, 3);
	w->vq.avail->idx--;
	assert_false(vq_enable_kicks(&w->vq));
	world_offer(w, 0);
	world_offer(w, 0);
	assert_true(vq_has_news(&w->vq));
	assert_true(vq_enable_kicks(&w->vq));
	/* A chain that was seen but not taken does not count as new. */
	assert_int_equal(vq_pop(&w->vq, iov, SIZE, &got), VQ_POP_CHAIN);
	assert_false(vq_enable_kicks(&w->vq));
	assert_int_equal(*avail_event, 5);
}

/* The fields that ask for kicks are logged where they are, apart from the index and the entries. */
static void asking_for_kicks_is_logged(void **state)
{
	struct world *w = *state;
	uint8_t bits = 0;
	const struct dirty_log log = { .bits = &bits, .bytes = 1 };

	/* The flags are in page 0, the rest in page 1. */
	w->vq.used_log = &log;
	w->vq.used_gpa = DIRTY_PAGE - sizeof(uint16_t);
	vq_disable_kicks(&w->vq);
	assert_int_equal(bits, 1);
	bits = 0;
	assert_false(vq_enable_kicks(&w->vq));
	assert_int_equal(bits, 1);

	/* The event index is in page 1, the rest in page 0. */
	start(w, true, true);
	w->vq.used_log = &log;
	w->vq.used_gpa = DIRTY_PAGE - offsetof(struct vring_used, ring[SIZE]);
	bits = 0;
	vq_disable_kicks(&w->vq);
	assert_int_equal(bits, 2);
	bits = 0;
	assert_false(vq_enable_kicks(&w->vq));
	assert_int_equal(bits, 2);
}

/* ---- lists ---- */

static void lists_are_copied_within_their_lengths(void **state)
{
	char a[4], b[3], flat[16] = { 0 };
	struct iovec iov[] = { { a, 4 }, { b, 3 } }, part[2];

	(void)state;
	assert_int_equal(iov_from_buf(iov, 2, 1, "abcdefghij", 10), 6);
	assert_memory_equal(a + 1, "abc", 3);
	assert_memory_equal(b, "def", 3);
	assert_int_equal(iov_to_buf(iov, 2, 2, flat, 3), 3);
	assert_string_equal(flat, "bcd");
	assert_int_equal(iov_to_buf(iov, 2, 7, flat, 3), 0);
	assert_int_equal(iov_to_buf(iov, 2, SIZE_MAX, flat, 3), 0);
	assert_int_equal(iov_slice(iov, 2, 3, 3, part, 2), 2);
	assert_ptr_equal(part[0].iov_base, a + 3);
	assert_int_equal(part[1].iov_len, 2);
	assert_int_equal(iov_slice(iov, 2, 3, 5, part, 2), -1);
	assert_int_equal(iov_slice(iov, 2, 3, 3, part, 1), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(available_index_is_bounded),
		T(no_more_in_flight_than_the_queue_holds),
		T(used_entries_are_published_at_once),
		T(calls_are_made_when_wanted),
		T(kicks_are_asked_for_without_a_gap),
		T(asking_for_kicks_is_logged),
		T(lists_are_copied_within_their_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
