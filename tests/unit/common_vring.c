/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * No content of a ring makes the walker read or write outside guest memory and its own
 * list, take too many steps, or use a value that it did not check.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/chains.h"
#include "tests/unit/common_vring_rig.h"

#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT

/* ---- the walk: descriptors in, verdict out ---- */

struct walk_case {
	const char *name;
	struct vring_desc d[SIZE], t[SIZE + 1]; /* direct; indirect at TABLE */
	uint16_t head;
	enum guest_fault want;
	uint16_t nout, nin;
	uint32_t out_len, in_len;
	uint64_t detail; /* Of no_descriptor_is_read_twice() only */
};

static const struct walk_case cases[] = {
	{ "one readable", .d = { { DATA, 16, 0, 0 } }, .nout = 1, .out_len = 16 },
	{ "readable then writable", .d = { { DATA, 16, N, 1 }, { DATA, 512, N | W, 2 }, { DATA, 1, W, 0 } }, .nout = 1,
	  .nin = 2, .out_len = 16, .in_len = 513 },
	{ "head at the end", .head = SIZE - 1, .d = { [SIZE - 1] = { DATA, 1, 0, 0 } }, .nout = 1, .out_len = 1 },
	{ "exactly size", .d = EIGHT_LINKED(DATA, 1), .nout = SIZE, .out_len = SIZE },
	{ "head out of the table", .head = SIZE, .want = FAULT_HEAD_RANGE },
	{ "head 65535", .head = 65535, .want = FAULT_HEAD_RANGE },
	{ "next out of the table", .d = { { DATA, 1, N, SIZE } }, .want = FAULT_NEXT_RANGE },
	{ "next 65535", .d = { { DATA, 1, N, 65535 } }, .want = FAULT_NEXT_RANGE },
	{ "loop of one", .d = { { DATA, 1, N, 0 } }, .want = FAULT_CHAIN_LONG },
	{ "loop of two", .d = { { DATA, 1, N, 1 }, { DATA, 1, N, 0 } }, .want = FAULT_CHAIN_LONG },
	{ "zero alone", .d = { { DATA, 0, 0, 0 } }, .want = FAULT_ZERO_LEN },
	{ "zero first", .d = { { DATA, 0, N, 1 }, { DATA, 1, 0, 0 } }, .want = FAULT_ZERO_LEN },
	{ "zero last", .d = { { DATA, 1, N, 1 }, { DATA, 0, W, 0 } }, .want = FAULT_ZERO_LEN },
	{ "zeroes in a ring", .d = { { DATA, 0, N, 0 } }, .want = FAULT_ZERO_LEN },
	{ "address and length wrap", .d = { { UINT64_MAX - 1, 16, 0, 0 } }, .want = FAULT_ADDR_RANGE },
	{ "last byte", .d = { { C_GPA + C_LEN - 1, 1, 0, 0 } }, .nout = 1, .out_len = 1 },
	{ "last byte, one too long", .d = { { C_GPA + C_LEN - 1, 2, 0, 0 } }, .want = FAULT_ADDR_RANGE },
	{ "first byte behind", .d = { { C_GPA + C_LEN, 1, 0, 0 } }, .want = FAULT_ADDR_RANGE },
	{ "in the hole", .d = { { B_GPA + B_LEN, 1, W, 0 } }, .want = FAULT_ADDR_RANGE },
	{ "over the edge of the hole", .d = { { B_GPA + B_LEN - 1, 2, W, 0 } }, .want = FAULT_ADDR_RANGE },
	{ "below everything", .d = { { 0, 1, 0, 0 } }, .want = FAULT_ADDR_RANGE },
	{ "length near 2^32", .d = { { DATA, UINT32_MAX, 0, 0 } }, .want = FAULT_ADDR_RANGE },
	{ "total over 2^32", .d = { { DATA, 4096, N, 1 }, { DATA, UINT32_MAX, 0, 0 } }, .want = FAULT_TOTAL_LEN },
	{ "across adjacent regions", .d = { { B_GPA - 8, 16, 0, 0 } }, .nout = 2, .out_len = 16 },
	{ "over the ring itself", .d = { { DESC, 4096, W, 0 } }, .nin = 1, .in_len = 4096 },
	{ "readable after writable", .d = { { DATA, 1, N | W, 1 }, { DATA, 1, 0, 0 } }, .want = FAULT_WRITE_ORDER },
	{ "indirect", .d = { { TABLE, 32, I, 0 } }, .t = { { DATA, 16, N, 1 }, { DATA, 8, W, 0 } }, .nout = 1, .nin = 1,
	  .out_len = 16, .in_len = 8 },
	{ "direct, then indirect", .d = { { DATA, 1, N, 1 }, { TABLE, 16, I, 0 } }, .t = { { DATA, 8, W, 0 } },
	  .nout = 1, .nin = 1, .out_len = 1, .in_len = 8 },
	{ "indirect of exactly size", .d = { { TABLE, 16 * SIZE, I, 0 } }, .t = EIGHT_LINKED(DATA, 1), .nout = SIZE,
	  .out_len = SIZE },
	{ "direct and indirect together too long", .d = { { DATA, 1, N, 1 }, { TABLE, 16 * SIZE, I, 0 } },
	  .t = EIGHT_LINKED(DATA, 1), .want = FAULT_CHAIN_LONG },
	{ "loop in an indirect table", .d = { { TABLE, 32, I, 0 } }, .t = { { DATA, 1, N, 1 }, { DATA, 1, N, 0 } },
	  .want = FAULT_CHAIN_LONG },
	{ "next out of an indirect table", .d = { { TABLE, 32, I, 0 } },
	  .t = { { DATA, 1, N, 2 }, { 0 }, { DATA, 1, 0, 0 } }, .want = FAULT_NEXT_RANGE },
	{ "nested", .d = { { TABLE, 16, I, 0 } }, .t = { { TABLE, 16, I, 0 } }, .want = FAULT_INDIRECT_NESTED },
	{ "indirect with next", .d = { { TABLE, 16, I | N, 1 }, { DATA, 1, 0, 0 } }, .t = { { DATA, 1, 0, 0 } },
	  .want = FAULT_INDIRECT_NEXT },
	{ "indirect length 15", .d = { { TABLE, 15, I, 0 } }, .want = FAULT_INDIRECT_LEN },
	{ "indirect length 17", .d = { { TABLE, 17, I, 0 } }, .t = { { DATA, 1, 0, 0 } }, .want = FAULT_INDIRECT_LEN },
	{ "indirect length 0", .d = { { TABLE, 0, I, 0 } }, .want = FAULT_INDIRECT_LEN },
	{ "indirect longer than the queue", .d = { { TABLE, 16 * (SIZE + 1), I, 0 } }, .t = { { DATA, 1, 0, 0 } },
	  .want = FAULT_INDIRECT_LEN },
	{ "indirect longer than 65536", .d = { { TABLE, 16 * 65537, I, 0 } }, .want = FAULT_INDIRECT_LEN },
	{ "indirect table across regions", .d = { { B_GPA - 16, 32, I, 0 } }, .want = FAULT_INDIRECT_ADDR },
	{ "indirect table outside", .d = { { B_GPA + B_LEN, 16, I, 0 } }, .want = FAULT_INDIRECT_ADDR },
	{ "indirect table wraps", .d = { { UINT64_MAX - 7, 16, I, 0 } }, .want = FAULT_INDIRECT_ADDR },
	{ "fault in an indirect table", .d = { { TABLE, 16, I, 0 } }, .t = { { DATA, 0, 0, 0 } },
	  .want = FAULT_ZERO_LEN },
};

static void load_case(struct world *w, const struct walk_case *c)
{
	for (unsigned i = 0; i < SIZE; i++)
		world_put(w, DESC, i, c->d[i]);
	for (unsigned i = 0; i < SIZE + 1; i++)
		world_put(w, TABLE, i, c->t[i]);
}

/* Whatever earlier calls have left on the stack, a walk does not depend on it. */
static __attribute__((noinline)) void fill_stack(void)
{
	volatile uint8_t left[2048];

	for (unsigned i = 0; i < sizeof(left); i++)
		left[i] = 0xff;
}

static void every_chain_is_judged(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct walk_case *c = &cases[i];
		struct iovec iov[SIZE + 1];
		struct vq_chain got;
		uint64_t detail;

		print_message("# %s\n", c->name);
		load_case(w, c);
		iov[SIZE].iov_len = 0xdead;
		fill_stack();
		assert_int_equal(vq_walk(&w->vq, c->head, iov, SIZE, &got, &detail), c->want);
		assert_int_equal(iov[SIZE].iov_len, 0xdead);
		if (c->want != FAULT_NONE)
			continue;
		assert_int_equal(got.nout, c->nout);
		assert_int_equal(got.nin, c->nin);
		assert_int_equal(got.out_len, c->out_len);
		assert_int_equal(got.in_len, c->in_len);
		assert_int_equal(got.head, c->head);
	}
}

/* The detail of the fault is the entry that would be read again, not the number of those that were read. */
static void no_descriptor_is_read_twice(void **state)
{
	static const struct walk_case loops[] = {
		{ "one", .d = { { DATA, 1, N, 0 } }, .detail = 0 },
		{ "two", .head = 3, .d = { [3] = { DATA, 1, N, 4 }, [4] = { DATA, 1, N, 3 } }, .detail = 3 },
		{ "two after one", .d = { { DATA, 1, N, 5 }, [5] = { DATA, 1, N, 6 }, { DATA, 1, N, 5 } },
		  .detail = 5 },
	};
	struct world *w = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(loops); i++) {
		struct iovec iov[SIZE];
		struct vq_chain got;
		uint64_t detail;

		load_case(w, &loops[i]);
		assert_int_equal(vq_walk(&w->vq, loops[i].head, iov, SIZE, &got, &detail), FAULT_CHAIN_LONG);
		assert_int_equal(detail, loops[i].detail);
	}
}

/* Each invalid chain causes one fault and stops the queue; a restart repairs it. */
static void a_fault_stops_the_queue_once(void **state)
{
	struct world *w = *state;
	struct iovec iov[SIZE];
	struct vq_chain got;
	unsigned faults = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		load_case(w, &cases[i]);
		w->vq.avail->idx = 0;
		start(w, false, true);
		world_offer(w, cases[i].head);
		if (cases[i].want == FAULT_NONE) {
			assert_int_equal(vq_pop(&w->vq, iov, SIZE, &got), VQ_POP_CHAIN);
			continue;
		}
		assert_int_equal(vq_pop(&w->vq, iov, SIZE, &got), VQ_POP_FAULT);
		assert_int_equal(w->faults, ++faults);
		assert_int_equal(w->last, cases[i].want);
		assert_int_equal(vq_pop(&w->vq, iov, SIZE, &got), VQ_POP_EMPTY);
		guest_fault(&w->vq, FAULT_BAD_FRAME, 0);
		assert_int_equal(w->faults, faults);
		assert_false(vq_enable_kicks(&w->vq));
	}
	assert_int_equal(w->vq.n_faults, faults);
}

static void indirect_needs_its_feature(void **state)
{
	struct world *w = *state;
	struct iovec iov[SIZE];
	struct vq_chain got;
	uint64_t detail;

	start(w, false, false);
	world_put(w, DESC, 0, (struct vring_desc){ TABLE, 16, I, 0 });
	world_put(w, TABLE, 0, (struct vring_desc){ DATA, 16, 0, 0 });
	assert_int_equal(vq_walk(&w->vq, 0, iov, SIZE, &got, &detail), FAULT_INDIRECT_OFF);
}

static void pieces_never_pass_the_list(void **state)
{
	struct world *w = *state;
	struct iovec iov[3] = { [2] = { .iov_len = 0xdead } };
	struct vq_chain got;
	uint64_t detail;

	world_put(w, DESC, 0, (struct vring_desc){ B_GPA - 8, 16, N, 1 });
	world_put(w, DESC, 1, (struct vring_desc){ DATA, 16, 0, 0 });
	assert_int_equal(vq_walk(&w->vq, 0, iov, 2, &got, &detail), FAULT_IOV_FULL);
	assert_int_equal(iov[2].iov_len, 0xdead);
	assert_ptr_equal(iov[0].iov_base, w->room[0] + A_LEN - 8);
	assert_ptr_equal(iov[1].iov_base, w->room[1]);
	assert_int_equal(iov[0].iov_len + iov[1].iov_len, 16);
}

/* ---- start ---- */

static void geometry_is_judged_part_by_part(void **state)
{
	static const struct {
		uint16_t size;
		uint64_t desc, avail, used;
		enum vq_start_error want;
	} c[] = {
		{ SIZE, DESC, AVAIL, USED, VQ_START_OK },
		{ 0, DESC, AVAIL, USED, VQ_START_SIZE },
		{ 3, DESC, AVAIL, USED, VQ_START_SIZE },
		{ 2048, DESC, AVAIL, USED, VQ_START_SIZE },
		{ 32768, DESC, AVAIL, USED, VQ_START_SIZE },
		{ 65535, DESC, AVAIL, USED, VQ_START_SIZE },
		{ SIZE, DESC + 8, AVAIL, USED, VQ_START_DESC },
		{ SIZE, C_GPA + C_LEN - 16 * SIZE, AVAIL, USED, VQ_START_OK },
		{ SIZE, C_GPA + C_LEN - 16 * SIZE + 16, AVAIL, USED, VQ_START_DESC },
		{ SIZE, B_GPA - 16, AVAIL, USED, VQ_START_DESC },
		{ SIZE, 0, AVAIL, USED, VQ_START_DESC },
		{ SIZE, UINT64_MAX - 15, AVAIL, USED, VQ_START_DESC },
		{ SIZE, DESC, AVAIL + 1, USED, VQ_START_AVAIL },
		{ SIZE, DESC, C_GPA + C_LEN - 6 - 2 * SIZE, USED, VQ_START_OK },
		{ SIZE, DESC, C_GPA + C_LEN - 4 - 2 * SIZE, USED, VQ_START_AVAIL },
		{ SIZE, DESC, B_GPA + B_LEN, USED, VQ_START_AVAIL },
		{ SIZE, DESC, AVAIL, USED + 2, VQ_START_USED },
		{ SIZE, DESC, AVAIL, C_GPA + C_LEN - 8 - 8 * SIZE, VQ_START_OK },
		{ SIZE, DESC, AVAIL, C_GPA + C_LEN - 4 - 8 * SIZE, VQ_START_USED },
		{ SIZE, DESC, AVAIL, C_GPA + C_LEN, VQ_START_USED },
	};
	struct world *w = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		for (int uva = 0; uva < 2; uva++) {
			unsigned sh = uva ? 8 : 0;
			struct vq_setup s = { .size = c[i].size, .addresses_are_uva = uva };
			const uint64_t at[] = { c[i].desc, c[i].avail, c[i].used };
			uint64_t *to[] = { &s.desc, &s.avail, &s.used };

			/* An address of the front-end's: region base moved, offset kept. */
			for (unsigned p = 0; p < 3; p++) {
				const struct shm_region *r = &w->mem.r[at[p] >= C_GPA ? 2 : at[p] >= B_GPA ? 1 : 0];

				*to[p] = sh && at[p] >= A_GPA ? r->uva + (at[p] - r->gpa) : at[p];
			}
			assert_int_equal(vq_start(&w->vq, &w->mem, &s), c[i].want);
			assert_int_equal(w->vq.running, c[i].want == VQ_START_OK);
		}
	}
}

/* ---- a second thread rewrites everything while the walk runs ---- */

/* An int: under gcc 12's -fsanitize=bool a volatile bool is read before the loop alone. */
static volatile int flipping;

static void *flipper(void *arg)
{
	/* Mostly valid values, so that walks read much before they end. */
	static const uint64_t addr[] = { DATA, B_GPA - 8, 0,	    UINT64_MAX, TABLE, C_GPA + C_LEN - 1,
					 DATA, DATA + 64, DATA + 8, TABLE };
	static const uint32_t len[] = { 16, 0, 1, UINT32_MAX, 32, 16 * SIZE, 1, 2, 16, 32 };
	struct world *w = arg;
	uint64_t x = 88172645463325252ull;

	while (flipping) {
		volatile struct vring_desc *d;

		/* xorshift: quick, so that a flip falls between any two reads. */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		d = (volatile struct vring_desc *)(w->room[0] + ((x & 8 ? DESC : TABLE) - A_GPA)) + (x >> 4) % SIZE;
		switch (x & 7) {
		case 0:
			d->addr = addr[(x >> 8) % ARRAY_SIZE(addr)];
			break;
		case 1:
			d->flags = (uint16_t)((x >> 8) % 8);
			break;
		case 2:
			d->next = (uint16_t)((x >> 8) % (SIZE + 1));
			break;
		default:
			d->len = len[(x >> 8) % ARRAY_SIZE(len)];
			break;
		}
	}
	return NULL;
}

static bool inside(const struct world *w, const struct iovec *v)
{
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *base = w->room[i], *p = v->iov_base;

		if (p >= base && p < base + w->mem.r[i].size)
			return range_ok((uint64_t)(p - base), v->iov_len, w->mem.r[i].size);
	}
	return false;
}

static void what_is_used_is_what_was_checked(void **state)
{
	struct world *w = *state;
	unsigned good = 0, bad = 0;
	uint64_t until;
	pthread_t t;

	flipping = 1;
	assert_int_equal(pthread_create(&t, NULL, flipper, w), 0);
	/* Long enough for the two to run side by side on a busy machine. */
	until = now_ms() + 2500;
	for (unsigned i = 0; now_ms() < until || (good < 3000 && now_ms() < until + 60000); i++) {
		struct iovec iov[SIZE + 4];
		struct vq_chain got;
		uint64_t detail, sum = 0;

		if (vq_walk(&w->vq, (uint16_t)(i % SIZE), iov, SIZE + 4, &got, &detail) != FAULT_NONE) {
			bad++;
			continue;
		}
		good++;
		assert_in_range(got.nout + got.nin, 1, SIZE + 4);
		for (unsigned k = 0; k < (unsigned)(got.nout + got.nin); k++) {
			assert_true(iov[k].iov_len > 0);
			assert_true(inside(w, &iov[k]));
			sum += iov[k].iov_len;
		}
		assert_int_equal(sum, (uint64_t)got.out_len + got.in_len);
	}
	flipping = 0;
	pthread_join(t, NULL);
	assert_true(good > 100);
	assert_true(bad > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_chain_is_judged),	T(a_fault_stops_the_queue_once),    T(indirect_needs_its_feature),
		T(pieces_never_pass_the_list),	T(geometry_is_judged_part_by_part), T(what_is_used_is_what_was_checked),
		T(no_descriptor_is_read_twice),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
