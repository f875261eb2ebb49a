/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Only sealed files of a memory file system are accepted as guest memory, and an address is
 * translated only if its whole range lies in one region.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/inflight.h"
#include "common/shm.h"
#include "tests/lib/front.h"

#define PAGE 0x1000ull
#define SIZE (16 * PAGE)

static const struct shm_policy sealed_only;

static enum shm_error add(struct guest_mem *m, int fd, uint64_t gpa, uint64_t size, uint64_t uva, uint64_t offset)
{
	return shm_add(m, &sealed_only, fd, gpa, size, uva, offset);
}

static void what_is_made_is_sealed(void **state)
{
	bool sealed;
	int fd = shm_create(SIZE, &sealed);
	struct guest_mem m = { 0 };

	(void)state;
	assert_true(fd >= 0 && sealed);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(add(&m, fd, 0, SIZE, 0, 0), SHM_OK);
	shm_clear(&m);
	close(fd);
	assert_int_equal(shm_create(SIZE + 1, &sealed), -1);
	assert_int_equal(shm_create(0, &sealed), -1);
	assert_int_equal(shm_create(UINT64_MAX & ~0xfffull, &sealed), -1);
}

static void other_files_are_refused(void **state)
{
	struct guest_mem m = { 0 };
	int pipes[2], fds[6];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	fds[0] = pipes[0];
	fds[1] = open("/", O_RDONLY | O_DIRECTORY);
	fds[2] = open("/dev/zero", O_RDWR);
	fds[3] = open("/proc/self/exe", O_RDONLY);
	fds[4] = -1;
	fds[5] = fileno(tmpfile());
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		enum shm_error e = add(&m, fds[i], 0, PAGE, 0, 0);

		/* A file on tmpfs supports F_GET_SEALS, but its size can change. */
		assert_true(e == SHM_BAD_FD || (i >= 3 && e != SHM_OK));
		assert_int_equal(m.nregions, 0);
	}
	close(pipes[0]);
	close(pipes[1]);
	for (unsigned i = 1; i < 4; i++)
		close(fds[i]);
}

static void a_file_that_can_shrink_is_refused_or_sealed(void **state)
{
	struct shm_policy lax = { .allow_unsealed = true };
	struct guest_mem m = { 0 };
	int never = front_memfd(SIZE, false);
	int could = memfd_create("could", MFD_ALLOW_SEALING);
	int readonly;
	char path[64];

	(void)state;
	assert_int_equal(add(&m, never, 0, SIZE, 0, 0), SHM_UNSEALED);
	assert_int_equal(shm_add(&m, &lax, never, 0, SIZE, 0, 0), SHM_OK);
	shm_clear(&m);
	assert_int_equal(ftruncate(could, SIZE), 0);
	assert_int_equal(add(&m, could, 0, SIZE, 0, 0), SHM_OK);
	assert_int_equal(ftruncate(could, PAGE), -1);
	shm_clear(&m);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", could);
	readonly = open(path, O_RDONLY);
	assert_int_equal(add(&m, readonly, 0, SIZE, 0, 0), SHM_MAP_FAILED);
	close(readonly);
	close(could);
	close(never);
}

static void another_inode_is_refused(void **state)
{
	int ours = front_memfd(SIZE, true), other = front_memfd(SIZE, true);
	struct guest_mem m = { 0 };
	struct stat st;
	struct shm_policy p = { .same_inode = true };

	(void)state;
	assert_int_equal(fstat(ours, &st), 0);
	p.dev = st.st_dev;
	p.ino = st.st_ino;
	assert_int_equal(shm_add(&m, &p, other, 0, SIZE, 0, 0), SHM_OTHER_INODE);
	assert_int_equal(shm_add(&m, &p, ours, 0, SIZE, 0, 0), SHM_OK);
	shm_clear(&m);
	close(ours);
	close(other);
}

static void ranges_are_judged(void **state)
{
	static const struct {
		uint64_t gpa, size, uva, offset;
		enum shm_error want;
	} c[] = {
		{ 0x100000, SIZE + PAGE, 0x9000000, 0, SHM_PAST_END },
		{ 0x100000, PAGE, 0x9000000, SIZE, SHM_PAST_END },
		{ 0x100000, PAGE, 0x9000000, 0ull - PAGE, SHM_PAST_END },
		{ 0x100000, SIZE, 0x9000000, PAGE, SHM_PAST_END },
		{ 0ull - PAGE, 2 * PAGE, 0x9000000, 0, SHM_PAST_END },
		{ 0x100000, 2 * PAGE, 0ull - PAGE, 0, SHM_PAST_END },
		{ 0x100000, 0, 0x9000000, 0, SHM_MISALIGNED },
		/* Against the region [0x10000, 0x14000) at 0x5000000. */
		{ 0x13000, PAGE, 0x9000000, 0, SHM_OVERLAP },
		{ 0xf000, 2 * PAGE, 0x9000000, 0, SHM_OVERLAP },
		{ 0x0, SIZE + PAGE, 0x9000000, 0, SHM_OVERLAP },
		{ 0x100000, PAGE, 0x5003000, 0, SHM_OVERLAP },
		{ 0x14000, PAGE, 0x9000000, 0, SHM_OK },
		{ 0xf000, PAGE, 0x8000000, SIZE - PAGE, SHM_OK },
	};
	int fd = front_memfd(SIZE, true);
	struct guest_mem m = { 0 };

	(void)state;
	assert_int_equal(add(&m, fd, 0x10000, 4 * PAGE, 0x5000000, 0), SHM_OK);
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++)
		assert_int_equal(add(&m, fd, c[i].gpa, c[i].size, c[i].uva, c[i].offset), c[i].want);
	assert_int_equal(m.nregions, 3);
	for (unsigned i = 1; i < m.nregions; i++)
		assert_true(m.r[i - 1].gpa < m.r[i].gpa);
	shm_clear(&m);
	close(fd);
}

/* The parent's memory begins and ends with a page; a foreign front-end's need not (libblkio). */
static void alignment_is_asked_of_the_parents_memory_alone(void **state)
{
	static const uint64_t c[][3] = { { 0x100000, 100, 0 }, { 0x100001, PAGE, 0 }, { 0x100000, PAGE, 512 } };
	int fd = front_memfd(SIZE, true);
	struct shm_policy ours = { .same_inode = true };
	struct guest_mem m = { 0 };
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	ours.dev = st.st_dev;
	ours.ino = st.st_ino;
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		assert_int_equal(shm_add(&m, &ours, fd, c[i][0], c[i][1], 0, c[i][2]), SHM_MISALIGNED);
		assert_int_equal(add(&m, fd, c[i][0], c[i][1], 0x9000000, c[i][2]), SHM_OK);
		assert_int_equal(pwrite(fd, "xy", 2, (off_t)(c[i][2] + c[i][1] - 2)), 2);
		assert_memory_equal(shm_ptr(&m, c[i][0] + c[i][1] - 2, 2), "xy", 2);
		assert_null(shm_ptr(&m, c[i][0] + c[i][1] - 1, 2));
		shm_clear(&m);
	}
	assert_int_equal(add(&m, fd, 0x100000, PAGE, 0x9000000, SIZE - PAGE + 1), SHM_PAST_END);
	close(fd);
}

static void eight_regions_and_no_more(void **state)
{
	int fd = front_memfd(SIZE, true);
	struct guest_mem m = { 0 };

	(void)state;
	for (uint64_t i = 0; i < SHM_MAX_REGIONS; i++)
		assert_int_equal(add(&m, fd, i * SIZE, PAGE, i * SIZE, i * PAGE), SHM_OK);
	assert_int_equal(add(&m, fd, 100 * SIZE, PAGE, 100 * SIZE, 0), SHM_TOO_MANY);
	assert_int_equal(shm_remove(&m, SIZE, 2 * PAGE, SIZE), SHM_NO_SUCH);
	assert_int_equal(shm_remove(&m, SIZE, PAGE, 0), SHM_NO_SUCH);
	assert_int_equal(shm_remove(&m, SIZE, PAGE, SIZE), SHM_OK);
	assert_int_equal(shm_remove(&m, SIZE, PAGE, SIZE), SHM_NO_SUCH);
	assert_null(shm_ptr(&m, SIZE, 1));
	assert_non_null(shm_ptr(&m, 2 * SIZE, PAGE));
	assert_int_equal(add(&m, fd, 100 * SIZE, PAGE, 100 * SIZE, 0), SHM_OK);
	shm_clear(&m);
	assert_null(shm_ptr(&m, 0, 1));
	close(fd);
}

static void addresses_become_pointers_only_whole(void **state)
{
	const uint64_t g = 0x10000, u = 0x70000000;
	int fd = front_memfd(SIZE, true);
	struct guest_mem m = { 0 };
	uint8_t *base;
	void *p;

	(void)state;
	assert_int_equal(add(&m, fd, g, 2 * PAGE, u, PAGE), SHM_OK);
	assert_int_equal(add(&m, fd, g + 2 * PAGE, PAGE, u + 8 * PAGE, 0), SHM_OK);
	base = shm_ptr(&m, g, 1);
	assert_non_null(base);
	assert_int_equal(pwrite(fd, "x", 1, PAGE + 5), 1);
	assert_int_equal(base[5], 'x');
	assert_ptr_equal(shm_ptr(&m, g, 2 * PAGE), base);
	assert_ptr_equal(shm_ptr(&m, g + 2 * PAGE - 1, 1), base + 2 * PAGE - 1);
	assert_null(shm_ptr(&m, g, 2 * PAGE + 1));
	assert_null(shm_ptr(&m, g + 2 * PAGE - 1, 2));
	assert_null(shm_ptr(&m, g, 0));
	assert_null(shm_ptr(&m, g - 1, 1));
	assert_null(shm_ptr(&m, g + 3 * PAGE, 1));
	assert_null(shm_ptr(&m, g + 8, UINT64_MAX - 4));
	assert_null(shm_ptr(&m, UINT64_MAX, 1));
	assert_ptr_equal(shm_ptr_uva(&m, u + 8, 8), base + 8);
	assert_null(shm_ptr_uva(&m, u + 2 * PAGE - 4, 8));
	assert_null(shm_ptr_uva(&m, u - 1, 2));
	assert_null(shm_ptr_uva(&m, u, 0));
	assert_null(shm_ptr_uva(&m, u + 8, UINT64_MAX - 4));
	assert_int_equal(shm_span(&m, g + 2 * PAGE - 7, &p), 7);
	assert_int_equal(shm_span(&m, g + 3 * PAGE, &p), 0);
	assert_null(p);
	shm_clear(&m);
	close(fd);
}

static void mark_all(struct inflight_region *r)
{
	for (uint16_t i = 0; i < 8; i++)
		r->desc[i] = (struct inflight_desc){ .inflight = 1, .counter = 100u - i, .next = i };
}

/* The front-end shares the area: whatever it contains, heads stay in range and are returned once. */
static void a_lying_inflight_area_is_harmless(void **state)
{
	static struct inflight_queue q;
	struct inflight_area a = { 0 };
	struct inflight_region *r;
	uint64_t bytes;
	uint16_t head;
	int fd = inflight_create(1, 8, &bytes);

	(void)state;
	assert_true(fd >= 0);
	assert_false(inflight_map(&a, fd, 0, bytes, 64, 1024));
	assert_false(inflight_map(&a, fd, PAGE, bytes, 1, 8));
	assert_false(inflight_map(&a, fd, 0, bytes + PAGE, 1, 8));
	assert_false(inflight_map(&a, fd, 0, 32, 1, 8));
	assert_false(inflight_map(&a, fd, 0, bytes, 0, 8));
	assert_false(inflight_map(&a, fd, 8, 8 * PAGE, 1, 8));
	assert_true(inflight_map(&a, fd, 0, bytes, 1, 8));
	assert_int_equal(inflight_start(&q, &a, 1, 8, 0, 0 + 8), -1);
	assert_int_equal(inflight_start(&q, &a, 0, 16, 0, 0 + 8), -1);
	assert_int_equal(inflight_start(&q, &a, 0, 8, 0, 0 + 8), 0);

	/* Completed but not recorded: decided by the list of the batch, which may be wrong. */
	r = q.shared;
	mark_all(r);
	r->last_batch_head = 3;
	assert_int_equal(inflight_start(&q, &a, 0, 8, 2, 2 + 8), 7);
	for (int want = 7; want >= 0; want--) {
		if (want == 3)
			continue;
		assert_true(inflight_resubmit(&q, &head));
		assert_int_equal(head, want);
	}
	assert_false(inflight_resubmit(&q, &head));
	/* More unfinished requests than the ring has chains: records of an earlier ring. */
	assert_int_equal(inflight_start(&q, &a, 0, 8, 2, 8), 0);
	/* An index that is not the ring's: the same. */
	mark_all(r);
	r->used_idx = 12345;
	assert_int_equal(inflight_start(&q, &a, 0, 8, 2, 2 + 8), 0);
	assert_int_equal(r->desc[0].inflight, 0);
	/* A head behind the queue's, and far behind. */
	mark_all(r);
	r->desc[3].inflight = 0;
	r->desc[20].inflight = 1;
	r->last_batch_head = 20;
	r->used_idx = 0;
	assert_int_equal(inflight_start(&q, &a, 0, 8, 2, 2 + 8), 7);
	assert_int_equal(r->desc[20].inflight, 1);
	r->last_batch_head = 60000;
	assert_int_equal(inflight_start(&q, &a, 0, 8, 4, 4 + 8), 7);
	inflight_take(&q, 3);
	inflight_put(&q, 3);
	r->desc[3].next = 50000;
	inflight_published(&q, 8, 4);
	assert_int_equal(r->desc[3].inflight, 0);
	assert_int_equal(r->used_idx, 8);
	r->version = 2;
	assert_int_equal(inflight_start(&q, &a, 0, 8, 8, 8 + 8), -1);
	inflight_unmap(&a);
	close(fd);
}

/* True if core dumps omit the mapping at @at ("dd" in its VmFlags). */
static bool left_out_of_dumps(const void *at)
{
	char line[512];
	unsigned long start, end, from = 0;
	bool dd = false;
	FILE *f = fopen("/proc/self/smaps", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			from = start;
		else if (strncmp(line, "VmFlags:", 8) == 0 && from == (uintptr_t)at)
			dd = strstr(line, " dd") != NULL;
	}
	fclose(f);
	return dd;
}

static void stays_out_of_core_dumps(void **state)
{
	struct guest_mem m = { 0 };
	int fd = front_memfd(SIZE, true);

	(void)state;
	assert_int_equal(add(&m, fd, 0, SIZE, 0, 0), SHM_OK);
	assert_true(left_out_of_dumps(m.r[0].map));
	shm_clear(&m);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_made_is_sealed),
		cmocka_unit_test(other_files_are_refused),
		cmocka_unit_test(a_file_that_can_shrink_is_refused_or_sealed),
		cmocka_unit_test(another_inode_is_refused),
		cmocka_unit_test(ranges_are_judged),
		cmocka_unit_test(alignment_is_asked_of_the_parents_memory_alone),
		cmocka_unit_test(eight_regions_and_no_more),
		cmocka_unit_test(addresses_become_pointers_only_whole),
		cmocka_unit_test(a_lying_inflight_area_is_harmless),
		cmocka_unit_test(stays_out_of_core_dumps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
