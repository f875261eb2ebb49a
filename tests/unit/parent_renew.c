/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: with --reset=fresh the supervisor ends every helper, tells the vCPU process when no process and no I/O of them is
 * left, and starts others with fresh memory for their requests. A helper that does not end is killed, one that cannot
 * be ended or started ends the guest in time, and a vCPU process that asks at another time is killed.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/fdpass.h"
#include "common/inflight.h"
#include "common/shm.h"
#include "common/snapmap.h"
#include "parent/setup/disk.h"
#include "parent/supervise/disks.h"
#include "parent/supervise/renew.h"
#include "parent/supervise/restart.h"
#include "tests/unit/parent_steer_rig.h"

static int helper_end[2]; /* Of the connections with the vCPU process */

static int begin(void **state)
{
	kvm(state);
	config.checkpoint = config.fresh = true;
	config.max_restarts = 2;
	config.ndevices = 2;
	config.mem_bytes = 1 << 20;
	config.device[0].kind = DEV_BLK;
	config.device[1].kind = DEV_NET;
	host.mem_sealed = true;
	host.rules = -1;
	host.disk[0].config.queues = host.net[0].config.queue_pairs = 1;
	host.disk[0].delta = host.disk[0].map = host.disk[0].levels = host.disk[0].listener = -1;
	host.disk[0].lower = host.disk[0].upper = host.disk[0].low_map = -1;
	host.net[0].listener = host.net[0].capture = host.save = -1;
	s.mem = memfd_create("memory", 0);
	host.disk[0].fd = s.mem;
	for (unsigned i = BLK; i <= NET; i++) {
		s.role[i].inflight = -1;
		helper_end[i] = s.role[i].front = memfd_create("front", 0);
	}
	s.role[BLK].inflight = memfd_create("requests", 0);
	return s.mem < 0 || s.role[BLK].inflight < 0 ? -1 : 0;
}

static int over(void **state)
{
	close(s.mem);
	close(s.role[BLK].inflight);
	close(helper_end[0]);
	close(helper_end[1]);
	return done(state);
}

static void vcpu_asks(enum ctl_type what)
{
	assert_int_equal(ctl_send(far[VCPU], &(struct ctl_msg){ .type = what }), 0);
	sup_role_ctl(&s, &s.role[VCPU]);
	sup_renew_turn(&s);
}

static bool is_gone(void)
{
	sup_renew_turn(&s);
	return hear(VCPU, CTL_HELPERS_GONE).type == CTL_HELPERS_GONE;
}

/* The process of @i has ended with @status; its control channel stays open. */
static bool ends_by(unsigned i, int status)
{
	const struct spawn_msg m = { .type = SPAWN_ENDED, .value = (uint32_t)status };

	assert_int_equal(send(spawner[i], &m, sizeof(m), 0), sizeof(m));
	return sup_role_spawner(&s, &s.role[i]);
}

static bool ends(unsigned i)
{
	return ends_by(i, 0);
}

static void closes(unsigned i)
{
	close(far[i]);
	far[i] = -1;
	sup_role_ctl(&s, &s.role[i]);
	assert_int_equal(s.role[i].ctl, -1);
}

static bool is_killed(unsigned i)
{
	return asked(i, NULL) == SPAWN_KILL;
}

/* Read all lines of the supervisor. */
static bool printed(const char *text)
{
	char all[LINES_SIZE + 1];

	memcpy(all, lines, s.err.len);
	all[s.err.len] = '\0';
	return strstr(all, text) != NULL;
}

static void end_both(void)
{
	vcpu_asks(CTL_END_HELPERS);
	for (unsigned i = BLK; i <= NET; i++) {
		assert_int_equal(hear(i, CTL_STOP).type, CTL_STOP);
		assert_true(ends(i) && sup_renew_ends(&s, &s.role[i]));
		assert_false(is_gone());
		closes(i);
	}
	assert_true(is_gone());
}

static void others_take_their_places(void **state)
{
	uint64_t bytes = inflight_queue_bytes(INFLIGHT_MAX_SIZE);

	(void)state;
	end_both();
	assert_false(is_gone());
	assert_int_equal(asked(BLK, NULL) + asked(NET, NULL) + asked(CONTROL, NULL), 0);
	vcpu_asks(CTL_START_HELPERS);
	for (unsigned i = BLK; i <= NET; i++) {
		assert_int_equal(asked(i, NULL), SPAWN_START);
		assert_int_equal(s.role[i].generation, 1);
		assert_true(s.role[i].live && !s.role[i].ready);
	}
	assert_int_equal(asked(CONTROL, NULL), 0);
	/* What the last process had begun is not known to the next one. */
	assert_true(lseek(s.role[BLK].inflight, 0, SEEK_END) >= (off_t)bytes);
	assert_int_equal(s.renew, RENEW_STARTING);
	s.role[BLK].ready = s.role[NET].ready = true;
	sup_renew_turn(&s);
	assert_int_equal(s.renew, RENEW_NONE);
	/* The restarts of --max-restarts are other ones. */
	assert_int_equal(s.restarts, 0);
	assert_int_equal(sup_renew_deadline(&s, 5), 5);
}

static void keep(void)
{
	assert_int_equal(ctl_send(far[VCPU], &(struct ctl_msg){ .type = CTL_END_HELPERS, .value = 1 }), 0);
	sup_role_ctl(&s, &s.role[VCPU]);
	for (unsigned i = BLK; i <= NET; i++) {
		assert_true(ends(i));
		closes(i);
	}
	assert_true(is_gone());
	vcpu_asks(CTL_START_HELPERS);
}

/* Descriptors that the spawner of the disk was sent last: @number of each, and what it is. */
static struct role_config told;
static ino_t given(unsigned number)
{
	static struct spawn_msg m;
	static int fd[SPAWN_MAX_FDS];
	static unsigned n;
	struct stat st = { 0 };

	if (number == HFD_CTL) {
		n = SPAWN_MAX_FDS;
		assert_true(fdpass_recv(spawner[BLK], &m, sizeof(m), fd, &n) > 0);
		assert_int_equal(m.type, SPAWN_START);
	}
	for (unsigned i = 0; i < n; i++) {
		if (m.number[i] != number)
			continue;
		assert_int_equal(fstat(fd[i], &st), 0);
		if (number == HFD_CTL)
			assert_int_equal(recv(fd[i], &told, sizeof(told), MSG_DONTWAIT), sizeof(told));
		return st.st_ino;
	}
	return 0;
}

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void begin_snapshot(void)
{
	struct disk_host *d = &host.disk[0];

	d->config.snapshot = true;
	d->config.capacity = 1 << 20;
	d->delta = memfd_create("delta", 0);
	d->upper = memfd_create("delta", 0);
	d->lower = dup(d->delta);
	d->map = shm_create_to_freeze("snapshot", snapmap_map(1 << 20));
}

/* The next process of the disk has ended as well. */
static void again(void)
{
	far[BLK] = far[NET] = -1;
	for (unsigned i = BLK; i <= NET; i++) {
		s.role[i].ready = true;
		s.role[i].begins = false;
	}
	sup_renew_turn(&s);
	assert_int_equal(s.renew, RENEW_NONE);
}

static void a_snapshot_is_kept_once_and_nobody_can_change_it(void **state)
{
	struct disk_host *d = &host.disk[0];
	ino_t map, upper;

	(void)state;
	begin_snapshot();
	map = inode(d->map);
	upper = inode(d->upper);
	keep();
	assert_int_equal(inode(d->low_map), map);
	assert_true(fcntl(d->low_map, F_GET_SEALS) & F_SEAL_WRITE);
	assert_int_not_equal(inode(d->map), map);
	assert_true(given(HFD_CTL) != 0);
	assert_true(told.blk.lower && told.blk.begins && !told.blk.saved);
	assert_int_equal(given(HFD_DELTA), upper);
	assert_int_equal(given(HFD_LOWER), inode(d->lower));
	assert_int_equal(given(HFD_LOWMAP), map);
	assert_int_equal(given(HFD_SNAPMAP), inode(d->map));
	assert_int_equal(given(HFD_SAVE), 0);
	/* If it ends by itself before it is ready, its successor begins, too; later ones find what it has written. */
	assert_true(s.role[BLK].begins);
	again();
	map = inode(d->map);
	assert_int_equal(sup_start_again(&s, &s.role[BLK]), 0);
	assert_true(given(HFD_CTL) != 0);
	assert_true(told.blk.lower && !told.blk.begins);
	assert_int_equal(given(HFD_SNAPMAP), map);
	/* A reset makes the map new, and only that. */
	assert_int_equal(sup_disks_renew(&s, false), 0);
	assert_int_not_equal(inode(d->map), map);
	assert_true(fcntl(d->low_map, F_GET_SEALS) & F_SEAL_WRITE);
	assert_int_equal(sup_disks_renew(&s, true), -1);
	assert_true(printed("role0: --reset=fresh keeps what a snapshot or share has only once"));
	disk_close(d);
	host.disk[0].fd = -1;
}

static void a_map_that_somebody_could_change_ends_the_guest(void **state)
{
	struct disk_host *d = &host.disk[0];
	void *m;

	(void)state;
	begin_snapshot();
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, d->map, 0);
	keep();
	assert_true(printed("role0: cannot protect what it keeps for resets: Device or resource busy"));
	assert_int_equal(s.status, EXIT_ROLE_DIED);
	assert_int_equal(asked(BLK, NULL), 0);
	munmap(m, 4096);
	close(d->delta);
	close(d->upper);
	close(d->lower);
	close(d->map);
}

static void the_end_of_others_is_a_failure_as_ever(void **state)
{
	(void)state;
	assert_false(sup_renew_ends(&s, &s.role[BLK]));
	end_both();
	assert_false(sup_renew_ends(&s, &s.role[CONTROL]) || sup_renew_ends(&s, &s.role[VCPU]));
	vcpu_asks(CTL_START_HELPERS);
	assert_false(sup_renew_ends(&s, &s.role[BLK]));
}

static void a_crash_before_a_reset_or_in_it_counts_for_max_restarts(void **state)
{
	(void)state;
	/* The first one has crashed, and its restart is due, when the guest asks for the reset. */
	assert_true(ends_by(NET, SIGSEGV));
	assert_true(sup_restart_later(&s, &s.role[NET], false));
	closes(NET);
	vcpu_asks(CTL_END_HELPERS);
	assert_int_equal(s.role[NET].restart_at, 0);
	assert_true(printed(
		"role1: its process killed by signal 11 (Segmentation fault); it is started again (1 of 2 in a minute)"));
	/* The second one crashes instead of ending. */
	assert_true(ends_by(BLK, SIGSYS) && sup_renew_ends(&s, &s.role[BLK]));
	assert_true(printed("it is started again (2 of 2 in a minute)"));
	closes(BLK);
	assert_true(is_gone());
	assert_int_equal(s.restarts, 2);
	vcpu_asks(CTL_START_HELPERS);
	again();
	vcpu_asks(CTL_END_HELPERS);
	assert_true(ends_by(BLK, 1 << 8) && sup_renew_ends(&s, &s.role[BLK]));
	assert_true(printed(", after 2 restarts within a minute (--max-restarts=2); ending the guest"));
	assert_int_equal(s.status, EXIT_RESTARTS);
}

static void without_restarts_a_crash_in_a_reset_ends_the_guest(void **state)
{
	(void)state;
	config.max_restarts = 0;
	vcpu_asks(CTL_END_HELPERS);
	assert_true(ends_by(BLK, SIGSYS));
	assert_false(sup_renew_ends(&s, &s.role[BLK]));
	/* We killed this one. */
	s.role[NET].killed_at = 1;
	assert_true(ends_by(NET, SIGKILL) && sup_renew_ends(&s, &s.role[NET]));
	assert_int_equal(s.restarts, 0);
}

static void a_helper_that_does_not_end_is_killed(void **state)
{
	(void)state;
	/* This one would be started again anyway. */
	s.role[NET].live = false;
	s.role[NET].restart_at = 1;
	closes(NET);
	vcpu_asks(CTL_END_HELPERS);
	assert_int_equal(s.role[NET].restart_at, 0);
	assert_false(is_killed(BLK) || is_gone());
	assert_int_equal(sup_renew_deadline(&s, 0), s.renew_kill_at);
	s.renew_kill_at = 1;
	sup_renew_turn(&s);
	assert_true(is_killed(BLK));
	sup_renew_turn(&s);
	assert_false(is_killed(BLK));
	assert_int_equal(sup_renew_deadline(&s, 0), s.renew_until);
	assert_true(ends(BLK));
	closes(BLK);
	assert_true(is_gone());
}

static void a_helper_that_is_not_ready_is_killed_at_once(void **state)
{
	(void)state;
	s.role[BLK].ready = false;
	vcpu_asks(CTL_END_HELPERS);
	assert_true(is_killed(BLK));
	assert_false(is_killed(NET));
}

static void ends_with(const char *line)
{
	sup_renew_turn(&s);
	assert_true(printed(line));
	assert_int_equal(s.status, EXIT_ROLE_DIED);
	assert_true(is_killed(VCPU));
}

static void io_that_never_completes_ends_the_guest(void **state)
{
	(void)state;
	vcpu_asks(CTL_END_HELPERS);
	assert_true(ends(BLK) && ends(NET));
	closes(NET);
	s.renew_until = 1;
	ends_with("role0: its last I/O did not complete within 20 s, for a reset; ending the guest");
}

static void a_helper_that_does_not_start_ends_the_guest(void **state)
{
	(void)state;
	end_both();
	vcpu_asks(CTL_START_HELPERS);
	s.role[BLK].ready = true;
	sup_renew_turn(&s);
	assert_int_equal(s.status, -1);
	s.renew_until = 1;
	ends_with("role1: no other process took its place within 20 s, for a reset; ending the guest");
}

static void a_vcpu_process_that_does_not_go_on_ends_the_guest(void **state)
{
	(void)state;
	end_both();
	s.renew_until = 1;
	ends_with("role3: it did not go on within 20 s, for a reset; ending the guest");
}

static void a_vcpu_process_that_asks_at_another_time_is_killed(void **state)
{
	static const enum ctl_type asks[][3] = {
		{ CTL_START_HELPERS },
		{ CTL_END_HELPERS, CTL_END_HELPERS },
		{ CTL_END_HELPERS, CTL_START_HELPERS },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(asks); i++) {
		s.renew = RENEW_NONE;
		for (unsigned j = 0; asks[i][j]; j++) {
			assert_false(is_killed(VCPU));
			vcpu_asks(asks[i][j]);
		}
		assert_true(is_killed(VCPU));
	}
	s.renew = RENEW_NONE;
	config.fresh = false;
	vcpu_asks(CTL_END_HELPERS);
	assert_true(is_killed(VCPU));
	assert_int_equal(s.renew, RENEW_NONE);
	/* Another role has no say. */
	config.fresh = true;
	assert_int_equal(ctl_send(far[BLK], &(struct ctl_msg){ .type = CTL_END_HELPERS }), 0);
	sup_role_ctl(&s, &s.role[BLK]);
	assert_int_equal(s.renew, RENEW_NONE);
}

static void a_pause_does_not_count(void **state)
{
	(void)state;
	vcpu_asks(CTL_END_HELPERS);
	s.hold = HOLD_ROLES;
	s.renew_kill_at = s.renew_until = 1;
	sup_renew_turn(&s);
	assert_false(is_killed(BLK) || is_killed(VCPU));
	assert_true(s.renew_until > 1 && s.renew_kill_at > 1);
	assert_int_equal(s.status, -1);
}

static void the_end_of_the_guest_needs_no_helpers(void **state)
{
	(void)state;
	end_both();
	s.phase = PHASE_ENDING;
	vcpu_asks(CTL_START_HELPERS);
	assert_int_equal(asked(BLK, NULL), 0);
	assert_int_equal(sup_renew_deadline(&s, 0), 0);
	assert_false(sup_renew_ends(&s, &s.role[BLK]));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, over)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(others_take_their_places),
		TEST(a_snapshot_is_kept_once_and_nobody_can_change_it),
		TEST(a_map_that_somebody_could_change_ends_the_guest),
		TEST(the_end_of_others_is_a_failure_as_ever),
		TEST(a_crash_before_a_reset_or_in_it_counts_for_max_restarts),
		TEST(without_restarts_a_crash_in_a_reset_ends_the_guest),
		TEST(a_helper_that_does_not_end_is_killed),
		TEST(a_helper_that_is_not_ready_is_killed_at_once),
		TEST(io_that_never_completes_ends_the_guest),
		TEST(a_helper_that_does_not_start_ends_the_guest),
		TEST(a_vcpu_process_that_does_not_go_on_ends_the_guest),
		TEST(a_vcpu_process_that_asks_at_another_time_is_killed),
		TEST(a_pause_does_not_count),
		TEST(the_end_of_the_guest_needs_no_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
