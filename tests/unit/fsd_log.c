/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fsd's log of written pages: no page of guest memory changes without its bit, whatever the request is. */
#include "tests/unit/fsd_rig.h"

#include "tests/lib/oracle.h"

#define SIZE 200000u

static struct oracle oracle;

/* The replies' pages in this queue's memory after a request; the rest is the test's own. */
static void all_logged(void)
{
	uint64_t end = OUT_AT + w.got;

	for (uint64_t page = OUT_AT / 4096; page * 4096 < end; page++)
		if (!(oracle.bits[page / 8] & 1u << page % 8))
			fail_msg("the page at 0x%llx is not logged", (unsigned long long)page * 4096);
	/* Up to three of the used ring. */
	assert_true(oracle_bits(&oracle) <= 3 + (end - OUT_AT + 4095) / 4096 + SIZE / 4096 + 1);
}

static void replies_are_logged(void **state)
{
	static char text[SIZE + 1];
	int64_t node, fh, dir;

	(void)state;
	memset(text, 'x', SIZE);
	begin();
	put_file("large", text);
	assert_true(oracle_begin(&oracle, &w.f));
	oracle_remember(&oracle);
	assert_int_equal(init(), 0);
	all_logged();
	node = look(1, "large");
	fh = open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY);
	assert_true(fh > 0);
	oracle_remember(&oracle);
	assert_int_equal(read_node(FUSE_READ, (uint64_t)node, (uint64_t)fh, 0, SIZE), 0);
	assert_int_equal(reply_len(), SIZE);
	all_logged();
	/* An error is a reply too. */
	oracle_remember(&oracle);
	assert_int_equal(look(1, "none"), 0);
	all_logged();
	dir = open_node(FUSE_OPENDIR, 1, O_RDONLY);
	oracle_remember(&oracle);
	assert_int_equal(read_node(FUSE_READDIR, 1, (uint64_t)dir, 0, 4096), 0);
	assert_true(reply_len() > 0);
	all_logged();
	oracle_end(&oracle);
}

static void rings_and_replies_of_many_requests_are_logged(void **state)
{
	struct fuse_in_header h = { .len = sizeof(h) + 5, .opcode = FUSE_LOOKUP, .unique = 5, .nodeid = 1 };
	struct front_queue *q = &w.f.q[1];

	(void)state;
	begin();
	assert_true(oracle_begin(&oracle, &w.f));
	assert_int_equal(init(), 0);
	assert_true(front_queue_stop(q) >= 0);
	oracle_queue(&w.f, 1, 0x20000);
	memcpy(front_ptr(&w.f, IN_AT), &h, sizeof(h));
	memcpy(front_ptr(&w.f, IN_AT + sizeof(h)), "file", 5);
	for (unsigned i = 0; i < 300; i++) {
		const struct front_buf b[2] = { { IN_AT, h.len, false }, { OUT_AT + i * 0x1801, 160, true } };

		memset(front_ptr(&w.f, b[1].gpa), 0xee, 160);
		front_offer(q, front_chain(q, b, 2));
	}
	oracle_remember(&oracle);
	assert_true(oracle_start(q));
	for (unsigned i = 0; i < PATIENCE_MS && stats().requests < 301; i++)
		usleep(1000);
	assert_true(front_queue_stop(q) >= 0);
	assert_true(oracle_missed(&oracle) == ORACLE_ALL_LOGGED);
	assert_true(oracle_bits(&oracle) >= 300 && oracle_bits(&oracle) <= 3 + 2 * 300);
	oracle_end(&oracle);
}

int main(void)
{
	const struct CMUnitTest tests[] = { T(replies_are_logged), T(rings_and_replies_of_many_requests_are_logged) };

	return cmocka_run_group_tests_name("fsd's log of written pages", tests, NULL, NULL);
}
