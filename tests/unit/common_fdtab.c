/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The descriptor tables: no number is given twice, each array begins at a
 * multiple of its length, which is a power of two, and everything lies inside
 * the table. A start of a role fits into one packet to its spawner.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/fdtab.h"
#include "common/spawn_proto.h"
#include "common/util.h"

struct range {
	const char *name;
	unsigned first, count;
};

#define R(n, c)          \
	{                \
#n, n, c \
	}

static const struct range helper[] = {
	R(HFD_NULL_IN, 1),
	R(HFD_NULL_OUT, 1),
	R(HFD_DIAG, 1),
	R(HFD_CTL, 1),
	R(HFD_FRONT, 1),
	R(HFD_LISTEN, 1),
	R(HFD_DISK, 1),
	R(HFD_DELTA, 1),
	R(HFD_EPOLL, 1),
	R(HFD_RING, 1),
	R(HFD_RINGEV, 1),
	R(HFD_TIMER, 1),
	R(HFD_INFLIGHT, 1),
	R(HFD_LOG, 1),
	R(HFD_SNAPMAP, 1),
	R(HFD_SNAPMAP2, 1),
	R(HFD_KICK0, MAX_QUEUES),
	R(HFD_CALL0, MAX_QUEUES),
	R(HFD_ERR0, MAX_QUEUES),
	R(HFD_TAP0, MAX_QUEUES),
	R(HFD_SCRATCH0, MAX_QUEUES),
	R(HFD_CAPTURE, 1),
	R(HFD_NETLINK, 1),
};

static const struct range vcpu[] = {
	R(VFD_CON_IN, 1),
	R(VFD_CON_OUT, 1),
	R(VFD_DIAG, 1),
	R(VFD_CTL, 1),
	R(VFD_MEM, 1),
	R(VFD_KERNEL, 1),
	R(VFD_FIRMWARE, 1),
	R(VFD_INITRD, 1),
	R(VFD_ENGINE, 1),
	R(VFD_MONITOR, 1),
	R(VFD_SERIAL, 1),
	R(VFD_EPOLL, 1),
	R(VFD_VM, 1),
	R(VFD_WAIT, 1),
	R(VFD_WAKE, 1),
	R(VFD_REPLY, 1),
	R(VFD_RANDOM, 1),
	R(VFD_BASELINE, 1),
	R(VFD_SHMEM, 1),
	R(VFD_SAVE, 1),
	R(VFD_EXIT, 1),
	R(VFD_FRONT0, MAX_DEVICES),
	R(VFD_VCPU0, MAX_VCPUS),
	R(VFD_SCRATCH0, 16),
	R(VFD_OWNKICK0, MAX_OWN_KICKS),
	R(VFD_QERR0, MAX_DEVICES),
	R(VFD_LOG0, MAX_DEVICES),
	R(VFD_PORT0, MAX_DEVICES),
	R(VFD_QKICK0, MAX_DEVICES *MAX_QUEUES),
	R(VFD_QCALL0, MAX_DEVICES *MAX_QUEUES),
};

static void check(const struct range *r, unsigned n, unsigned limit)
{
	unsigned char used[VFD_LIMIT] = { 0 };

	for (unsigned i = 0; i < n; i++) {
		if (!is_power_of_two(r[i].count) || r[i].first % r[i].count || r[i].first + r[i].count > limit)
			fail_msg("%s: %u numbers from %u", r[i].name, r[i].count, r[i].first);
		for (unsigned fd = r[i].first; fd < r[i].first + r[i].count; fd++)
			if (used[fd]++)
				fail_msg("%s: %u is given twice", r[i].name, fd);
	}
}

static void tables_can_be_compared_with_one_mask(void **state)
{
	(void)state;
	check(helper, ARRAY_SIZE(helper), HFD_LIMIT);
	check(vcpu, ARRAY_SIZE(vcpu), VFD_LIMIT);
	/* Two neighbours that one comparison covers. */
	assert_int_equal(HFD_DISK % 2, 0);
	assert_int_equal(HFD_DELTA, HFD_DISK + 1);
	assert_int_equal(HFD_SNAPMAP % 2, 0);
	assert_int_equal(HFD_SNAPMAP2, HFD_SNAPMAP + 1);
}

static void there_is_room_for_what_a_guest_may_have(void **state)
{
	(void)state;
	/* Every port has two ends and two queues; the console's queues, its control queues, and rng's. */
	assert_true(2 * MAX_PORTS <= MAX_DEVICES);
	assert_true(2 * (MAX_PORTS + 1) + 2 + 1 <= MAX_OWN_KICKS);
	/* What the vCPU process may get at its start: single ones, sockets, logs, ports. */
	assert_true(VFD_SAVE + 1 + 3 * MAX_DEVICES <= SPAWN_MAX_FDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_can_be_compared_with_one_mask),
		cmocka_unit_test(there_is_room_for_what_a_guest_may_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
