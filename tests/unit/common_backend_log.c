/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of written pages, from a front-end that lies about it: a back-end writes nothing outside the log's size, and
 * ends the connection rather than go on without a log that the front-end relies on.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/vring.h"
#include "tests/lib/oracle.h"
#include "tests/unit/common_backend_rig.h"

#define LOG_ALL	 BIT64(VHOST_F_LOG_ALL)
#define BYTES	 ((GPA + MEM) / 4096 / 8)
#define MORE_GPA (GPA + 16ull * MEM)

static struct oracle oracle;

static void begin(uint64_t features)
{
	begin_with(&(struct echo_options){ .log_pages = true }, features, NULL);
}

/* The back-end has ended the connection, with status 1. */
static void is_ended(void)
{
	assert_true(front_closed(&f, PATIENCE_MS));
	assert_int_equal(front_close(&f), 1);
}

static void start(void)
{
	assert_true(front_queue_start(front_queue(&f, 0, 8, GPA)));
}

static void the_page_is_logged_at_once(void **state)
{
	const uint64_t page = ANSWER / 4096;

	(void)state;
	begin(ALL);
	assert_true(oracle_begin(&oracle, &f));
	start();
	for (unsigned i = 0; i < 100; i++) {
		oracle_remember(&oracle);
		alive(&f.q[0]);
		/* Before the chain is used: whoever saw that may take the log. */
		assert_true(oracle.bits[page / 8] & 1u << page % 8);
		assert_int_equal(oracle_bits(&oracle), 1);
	}
	assert_int_equal(front_close(&f), 0);
	oracle_end(&oracle);
}

/* QEMU makes the log longer while rings run. The second one is used from the reply on. */
static void a_second_log_replaces_the_first(void **state)
{
	struct oracle second = { 0 };

	(void)state;
	begin(ALL);
	assert_true(oracle_begin(&oracle, &f));
	start();
	alive(&f.q[0]);
	assert_true(oracle_begin(&second, &f));
	oracle_remember(&oracle);
	for (unsigned i = 0; i < 100; i++)
		alive(&f.q[0]);
	assert_int_equal(oracle_bits(&oracle), 0);
	assert_int_equal(oracle_bits(&second), 1);
	assert_int_equal(front_close(&f), 0);
	oracle_end(&oracle);
	oracle_end(&second);
}

/* A log that begins in the middle of its file, at any byte. */
static void a_log_may_have_an_offset(void **state)
{
	int fd = front_memfd(BYTES + 12345, true);
	uint8_t *bits = mmap(NULL, BYTES + 12345, PROT_READ, MAP_SHARED, fd, 0);
	const uint64_t page = ANSWER / 4096;

	(void)state;
	begin(ALL);
	assert_true(oracle_set_base(&f, fd, BYTES, 12345));
	start();
	alive(&f.q[0]);
	assert_true(bits[12345 + page / 8] & 1u << page % 8);
	assert_int_equal(front_close(&f), 0);
	munmap(bits, BYTES + 12345);
	close(fd);
}

static void it_is_not_offered_unless_asked_for(void **state)
{
	struct vhu_log l = { .mmap_size = BYTES };
	struct vhu_vring_addr a = { .flags = 1 };
	int fd = front_memfd(BYTES, true), event = eventfd(0, 0);

	(void)state;
	begin_with(&(struct echo_options){ 0 }, ALL, NULL);
	assert_false(f.features & LOG_ALL);
	assert_false(f.protocol_features & BIT64(VHU_PF_LOG_SHMFD));
	assert_int_not_equal(front_ack_u64(&f, VHU_SET_FEATURES, f.features | LOG_ALL), 0);
	assert_int_not_equal(front_ack(&f, VHU_SET_LOG_BASE, &l, sizeof(l), &fd, 1), 0);
	assert_int_not_equal(front_ack(&f, VHU_SET_LOG_FD, NULL, 0, &event, 1), 0);
	assert_int_not_equal(front_ack(&f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
	start();
	alive(&f.q[0]);
	assert_int_equal(front_close(&f), 0);
	close(fd);
	close(event);
}

/* Without LOG_SHMFD the front-end does not rely on the log: the message is refused, and that is all. */
static void a_log_without_the_feature_is_refused(void **state)
{
	struct vhu_log l = { .mmap_size = BYTES };
	int fd = front_memfd(BYTES, true);
	uint64_t no_log;

	(void)state;
	begin(ALL);
	no_log = f.protocol_features & ~BIT64(VHU_PF_LOG_SHMFD);
	assert_int_equal(front_ack_u64(&f, VHU_SET_PROTOCOL_FEATURES, no_log), 0);
	assert_int_not_equal(front_ack(&f, VHU_SET_LOG_BASE, &l, sizeof(l), &fd, 1), 0);
	start();
	alive(&f.q[0]);
	assert_int_equal(front_close(&f), 0);
	close(fd);
}

static void send_log(int fd, unsigned nfds, uint64_t bytes, uint64_t offset)
{
	const struct vhu_log l = { .mmap_size = bytes, .mmap_offset = offset };
	const int fds[2] = { fd, fd };

	begin(ALL);
	start();
	alive(&f.q[0]);
	assert_true(front_send(&f, VHU_SET_LOG_BASE, 0, &l, sizeof(l), fds, nfds));
	is_ended();
	close(fd);
}

static void a_log_that_is_no_log_ends_the_connection(void **state)
{
	(void)state;
	send_log(front_memfd(BYTES, true), 0, BYTES, 0);
	send_log(front_memfd(BYTES, true), 2, BYTES, 0);
	send_log(front_memfd(BYTES, true), 1, 0, 0);
	send_log(front_memfd(BYTES, true), 1, BYTES, 1);
	send_log(front_memfd(BYTES, true), 1, BYTES, UINT64_MAX - 4095);
	send_log(front_memfd(BYTES, true), 1, UINT64_MAX, 0);
	send_log(front_memfd(BYTES, true), 1, BYTES + 1, 0);
	send_log(front_memfd(BYTES, false), 1, BYTES, 0);
	send_log(open("/dev/null", O_RDWR | O_CLOEXEC), 1, BYTES, 0);
	send_log(eventfd(0, EFD_CLOEXEC), 1, BYTES, 0);
	/* Guest memory is longer. */
	send_log(front_memfd(BYTES, true), 1, BYTES - 1, 0);
	send_log(front_memfd(4096, true), 1, 1, 0);
}

static void a_log_cannot_be_truncated_afterwards(void **state)
{
	/* Not sealed yet, but it can be. */
	int fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	begin(ALL);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	assert_true(oracle_set_base(&f, fd, BYTES, 0));
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	start();
	alive(&f.q[0]);
	assert_int_equal(front_close(&f), 0);
	close(fd);
}

/* A short log is good while nothing is to be logged in it, and ends the connection when something is. */
static void asking_for_more_than_the_log_has_ends_the_connection(void **state)
{
	struct vhu_vring_addr a = { .flags = 1 };
	uint64_t with;
	int fd = front_memfd(4096, true);

	(void)state;
	begin(~LOG_ALL);
	assert_true(oracle_set_base(&f, fd, 64, 0));
	start();
	alive(&f.q[0]);
	with = f.features | LOG_ALL;
	assert_true(front_send(&f, VHU_SET_FEATURES, 0, &with, sizeof(with), NULL, 0));
	is_ended();

	begin(~LOG_ALL);
	assert_true(oracle_set_base(&f, fd, 64, 0));
	start();
	alive(&f.q[0]);
	a.desc = (uintptr_t)f.q[0].desc;
	a.avail = (uintptr_t)f.q[0].avail;
	a.used = (uintptr_t)f.q[0].used;
	/* The last byte of the used ring is in the first page without a bit. */
	a.log = 64 * 8 * 4096 - (4 + 8 * 8 + 1);
	assert_true(front_send(&f, VHU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0));
	is_ended();
	close(fd);
}

/* The addresses come first, the size afterwards: what does not fit is a fault of the queue when it runs. */
static void a_used_ring_that_outgrows_the_log_is_a_fault(void **state)
{
	struct vhu_vring_addr a = { .flags = 1, .log = (BYTES * 8 - 1) * 4096 + 4085 };
	int fd = front_memfd(0xa000, true);
	const uint8_t *bits = mmap(NULL, 0xa000, PROT_READ, MAP_SHARED, fd, 0);
	struct front_queue *q;

	(void)state;
	/* The log ends at the end of its page: a write after it would be seen in the file. */
	assert_int_equal(BYTES % 4096, 32);
	begin(ALL);
	assert_true(oracle_set_base(&f, fd, BYTES, 0));
	q = front_queue(&f, 0, 8, GPA);
	a.desc = (uintptr_t)q->desc;
	a.avail = (uintptr_t)q->avail;
	a.used = (uintptr_t)q->used;
	assert_int_equal(front_ack(&f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
	assert_int_equal(front_ack_state(&f, VHU_SET_VRING_NUM, 0, 8), 0);
	assert_true(front_queue_fds(q) && front_queue_enable(q, true));
	for (uint16_t i = 0; i < 2; i++) {
		const struct front_buf b[] = { { DATA, 4, false }, { ANSWER, 4, true } };

		front_offer(q, front_chain(q, b, 2));
	}
	front_kick(q);
	assert_true(front_wait_err(q, PATIENCE_MS));
	for (unsigned i = BYTES; i < 0xa000; i++)
		assert_int_equal(bits[i], 0);
	/* Set up again with a log for all of it, it works. */
	assert_true(front_queue_stop(q) >= 0);
	start();
	alive(&f.q[0]);
	assert_int_equal(front_close(&f), 0);
	close(fd);
}

static void a_running_ring_is_not_moved_by_its_log(void **state)
{
	struct vhu_vring_addr a = { .flags = 1 };

	(void)state;
	begin(ALL);
	assert_true(oracle_begin(&oracle, &f));
	start();
	a.desc = (uintptr_t)f.q[0].desc;
	a.avail = (uintptr_t)f.q[0].avail;
	a.used = (uintptr_t)f.q[0].used + 4096;
	a.log = GPA;
	assert_int_not_equal(front_ack(&f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
	a.used -= 4096;
	a.desc += 16;
	assert_int_not_equal(front_ack(&f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
	a.desc -= 16;
	a.flags = 3;
	assert_int_not_equal(front_ack(&f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
	a.flags = 1;
	assert_int_equal(front_ack(&f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
	alive(&f.q[0]);
	assert_int_equal(front_close(&f), 0);
	oracle_end(&oracle);
}

/* The specification has the front-end send a longer log before more memory. */
static void memory_beyond_the_log_is_refused(void **state)
{
	int fd = front_memfd(MEM, true);
	struct vhu_mem_reg r = { .region = { .gpa = MORE_GPA, .size = MEM, .uva = 0x1000 } };

	(void)state;
	begin(ALL);
	assert_true(oracle_begin(&oracle, &f));
	start();
	alive(&f.q[0]);
	assert_int_not_equal(front_ack(&f, VHU_ADD_MEM_REG, &r, sizeof(r), &fd, 1), 0);
	alive(&f.q[0]);
	/* The same without VHOST_F_LOG_ALL is nothing that the log is for. */
	assert_int_equal(front_ack_u64(&f, VHU_SET_FEATURES, f.features & ~LOG_ALL), 0);
	assert_int_equal(front_ack(&f, VHU_ADD_MEM_REG, &r, sizeof(r), &fd, 1), 0);
	alive(&f.q[0]);
	assert_int_equal(front_close(&f), 0);
	oracle_end(&oracle);
	close(fd);
}

static void the_same_for_a_whole_table(void **state)
{
	int fds[2] = { 0, front_memfd(MEM, true) };
	struct vhu_mem_table t = { .nregions = 2 };

	(void)state;
	begin(ALL);
	assert_true(oracle_begin(&oracle, &f));
	start();
	fds[0] = f.memfd;
	t.regions[0] = (struct vhu_mem_region){ .gpa = GPA, .size = MEM, .uva = (uintptr_t)f.mem };
	t.regions[1] = (struct vhu_mem_region){ .gpa = MORE_GPA, .size = MEM, .uva = 0x1000 };
	assert_int_not_equal(front_ack(&f, VHU_SET_MEM_TABLE, &t, 8 + 2 * sizeof(t.regions[0]), fds, 2), 0);
	alive(&f.q[0]);
	assert_int_equal(front_close(&f), 0);
	oracle_end(&oracle);
	close(fds[1]);
}

static void the_log_eventfd_is_taken_and_closed(void **state)
{
	int event = eventfd(0, EFD_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int two[2] = { event, event };
	struct echo_config before, after;

	(void)state;
	begin(ALL);
	assert_true(front_get_config(&f, 0, sizeof(before), &before));
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(front_ack(&f, VHU_SET_LOG_FD, NULL, 0, &event, 1), 0);
	assert_int_not_equal(front_ack(&f, VHU_SET_LOG_FD, NULL, 0, &null, 1), 0);
	assert_int_not_equal(front_ack(&f, VHU_SET_LOG_FD, NULL, 0, NULL, 0), 0);
	assert_int_not_equal(front_ack(&f, VHU_SET_LOG_FD, NULL, 0, two, 2), 0);
	assert_true(front_get_config(&f, 0, sizeof(after), &after));
	assert_int_equal(before.open_fds, after.open_fds);
	assert_int_equal(front_close(&f), 0);
	close(event);
	close(null);
}

/* Pages of the back-end's address space. */
static unsigned long mapped_pages(void)
{
	char path[64];
	unsigned long n = 0;
	FILE *statm;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)f.pid);
	statm = fopen(path, "re");
	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%lu", &n), 1);
	(void)fclose(statm);
	return n;
}

/* A thousand logs: none stays mapped, no descriptor open. */
static void logs_do_not_pile_up(void **state)
{
	struct echo_config before, after;
	int fd = front_memfd(BYTES, true);
	unsigned long pages;

	(void)state;
	begin(ALL);
	assert_true(oracle_set_base(&f, fd, BYTES, 0));
	start();
	assert_true(front_get_config(&f, 0, sizeof(before), &before));
	pages = mapped_pages();
	for (unsigned i = 0; i < 1000; i++)
		assert_true(oracle_set_base(&f, fd, BYTES, 0));
	assert_true(front_get_config(&f, 0, sizeof(after), &after));
	assert_int_equal(before.open_fds, after.open_fds);
	assert_int_equal(mapped_pages(), pages);
	alive(&f.q[0]);
	assert_int_equal(front_close(&f), 0);
	close(fd);
}

/* ---- the bitmap itself ---- */

static void bits_are_set_inside_the_log_only(void **state)
{
	uint8_t room[8 + 4 + 8];
	struct dirty_log l = { .bits = room + 8, .bytes = 4 };

	(void)state;
	for (uint64_t from = 0; from < 34; from++) {
		for (uint64_t to = from; to < 36; to++) {
			uint64_t got = 0, want = ((BIT64(to - from + 1) - 1) << from) & UINT32_MAX;
			bool fits = to < 32;

			memset(room, 0, sizeof(room));
			/* From the last byte of the first page to the first byte of the last one. */
			assert_int_equal(dirty_mark(&l, from * 4096 + (from < to ? 4095 : 7),
						    from < to ? (to - from - 1) * 4096 + 2 : 1),
					 fits);
			for (unsigned i = 0; i < 4; i++)
				got |= (uint64_t)room[8 + i] << 8 * i;
			assert_true(got == (fits ? want : 0));
			for (unsigned i = 0; i < 8; i++)
				assert_true(!room[i] && !room[12 + i]);
		}
	}
	assert_true(dirty_mark(&l, UINT64_MAX, 0));
	assert_false(dirty_mark(&l, UINT64_MAX, 1));
	assert_false(dirty_mark(&l, UINT64_MAX, UINT64_MAX));
	assert_false(dirty_mark(&l, 4096, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_logged_at_once),
		cmocka_unit_test(a_second_log_replaces_the_first),
		cmocka_unit_test(a_log_may_have_an_offset),
		cmocka_unit_test(it_is_not_offered_unless_asked_for),
		cmocka_unit_test(a_log_without_the_feature_is_refused),
		cmocka_unit_test(a_log_that_is_no_log_ends_the_connection),
		cmocka_unit_test(a_log_cannot_be_truncated_afterwards),
		cmocka_unit_test(asking_for_more_than_the_log_has_ends_the_connection),
		cmocka_unit_test(a_used_ring_that_outgrows_the_log_is_a_fault),
		cmocka_unit_test(a_running_ring_is_not_moved_by_its_log),
		cmocka_unit_test(memory_beyond_the_log_is_refused),
		cmocka_unit_test(the_same_for_a_whole_table),
		cmocka_unit_test(the_log_eventfd_is_taken_and_closed),
		cmocka_unit_test(logs_do_not_pile_up),
		cmocka_unit_test(bits_are_set_inside_the_log_only),
	};

	return cmocka_run_group_tests_name("the log of written pages", tests, NULL, NULL);
}
