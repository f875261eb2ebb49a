/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pause and resume in the supervisor: a pause is complete when all spawners say so, ends with whatever
 * ends the guest, and costs the guest none of its time limits.
 */
#include <signal.h>

#include "tests/unit/parent_steer_rig.h"

static void a_pause_and_its_end(void **state)
{
	struct ctl_msg m;

	(void)state;
	command(CONTROL_RESUME, 0);
	answered(CONTROL_FAILED, "it is not paused");
	command(CONTROL_PAUSE, 0);
	/* The state comes before the answer. */
	not_answered();
	all_stop();
	assert_int_equal(ctl_recv(far[CONTROL], &m), 1);
	assert_int_equal(m.type, CTL_STATE);
	assert_int_equal(m.state.phase, GUEST_PAUSED);
	answered(CONTROL_DONE, "");
	command(CONTROL_PAUSE, 0);
	answered(CONTROL_FAILED, "it is paused already");
	command(CONTROL_NMI, 0);
	answered(CONTROL_FAILED, "it is paused; resume it first");
	command(CONTROL_SYSRQ, 'h');
	answered(CONTROL_FAILED, "it is paused; resume it first");
	/* Roles that cannot answer are not asked. */
	command(CONTROL_STATS, 0);
	assert_int_equal(hear(BLK, CTL_GET_STATS).type, 0);
	assert_int_equal(hear(CONTROL, CTL_ROLE_STATS).count, 3);
	command(CONTROL_RESUME, 0);
	answered(CONTROL_DONE, "");
	all_run();
	pause_it();
}

static void qemu_stops_its_guest_first(void **state)
{
	(void)state;
	/* It cannot start a pause of its own accord. */
	monitor_says("{\"event\": \"STOP\"}\r\n");
	assert_int_equal(s.hold, HOLD_NONE);
	command(CONTROL_PAUSE, 0);
	monitor_is_told(QMP_STOP);
	assert_int_equal(asked(VCPU, NULL), 0);
	monitor_says("{\"event\": \"STOP\"}\r\n");
	all_stop();
	answered(CONTROL_DONE, "");
	command(CONTROL_RESUME, 0);
	answered(CONTROL_DONE, "");
	all_run();
	monitor_is_told(QMP_CONT);
	/* One that does not answer is stopped anyway. */
	command(CONTROL_PAUSE, 0);
	assert_true(sup_hold_deadline(&s) > 0);
	s.hold_until = 1;
	turn();
	all_stop();
	answered(CONTROL_DONE, "");
}

static void a_process_that_does_not_stop(void **state)
{
	uint32_t number = 0;

	(void)state;
	command(CONTROL_PAUSE, 0);
	assert_int_equal(asked(VCPU, &number), SPAWN_PAUSE);
	stopped(VCPU, number);
	stopped(NET, number);
	assert_true(sup_hold_deadline(&s) > 0);
	s.hold_until = 1;
	turn();
	answered(CONTROL_FAILED,
		 "the process of role0 does not stop, because a disk or file system does not answer it; not paused");
	assert_int_equal(asked(VCPU, NULL), SPAWN_RESUME);
	assert_int_equal(s.hold, HOLD_NONE);
	/* One that ends instead is not waited for. */
	command(CONTROL_PAUSE, 0);
	(void)asked(VCPU, &number);
	stopped(VCPU, number);
	stopped(NET, number);
	s.role[BLK].live = false;
	turn();
	answered(CONTROL_DONE, "");
}

static void a_spawner_that_cannot_be_asked(void **state)
{
	(void)state;
	close(spawner[NET]);
	spawner[NET] = -1;
	command(CONTROL_PAUSE, 0);
	/* At once: there is nothing to wait for. */
	answered(CONTROL_FAILED,
		 "the process of role1 cannot be stopped, because its spawner takes no messages; not paused");
	assert_int_equal(s.hold, HOLD_NONE);
	assert_int_equal(asked(VCPU, NULL), SPAWN_RESUME);
	/* It was never stopped, so that it need not be killed. */
	assert_int_equal(s.role[NET].killed_at, 0);
	assert_false(s.role[NET].hold_unsent);
	/* If it has ended, the pause needs nothing of it. */
	s.role[NET].live = false;
	command(CONTROL_PAUSE, 0);
	assert_int_equal(s.hold, HOLD_ROLES);
}

static void time_limits_stop(void **state)
{
	uint64_t now = now_ms();

	(void)state;
	config.timeout_ms = 600000;
	config.cpu_timeout_ms = 1000;
	s.usage_at = UINT64_MAX; /* Nothing is due. */
	pause_it();
	s.usage_at = 1;
	s.began = now - 3600000;
	turn();
	assert_int_equal(s.status, -1);
	assert_int_equal(asked(VCPU, NULL), 0); /* not even for its processor time */
	/* 3,500 of 3,600 seconds were a pause. */
	s.held_at = now - 3500000;
	command(CONTROL_RESUME, 0);
	assert_int_equal(s.status, -1);
	s.began -= 600000;
	turn();
	assert_int_equal(s.status, EXIT_TIMEOUT);
}

static void what_was_measured_goes_on(void **state)
{
	(void)state;
	s.first_output = 1000;
	s.last_output = 2000;
	s.panic_at = 3000;
	pause_it();
	s.held_at = now_ms() - 50000;
	command(CONTROL_RESUME, 0);
	assert_in_range(s.first_output, 51000, 200000);
	assert_in_range(s.last_output, 52000, 200000);
	assert_in_range(s.panic_at, 53000, 200000);
	assert_int_equal(s.reported_at, 0);
}

static void stop_resumes_at_once(void **state)
{
	(void)state;
	config.stop_timeout_s = 90;
	pause_it();
	command(CONTROL_STOP, 0);
	all_run();
	assert_int_equal(s.stop_status, EXIT_SIGTERM);
	assert_int_equal(hear(VCPU, CTL_POWER_BUTTON).type, CTL_POWER_BUTTON);
	answered(CONTROL_DONE, "");
	command(CONTROL_PAUSE, 0);
	answered(CONTROL_FAILED, "it was asked to power off, and cannot be paused any more");
}

static void kill_ends_a_paused_guest(void **state)
{
	(void)state;
	pause_it();
	command(CONTROL_KILL, 0);
	assert_int_equal(asked(VCPU, NULL), SPAWN_KILL);
	assert_int_equal(s.status, EXIT_KILL);
	s.role[VCPU].live = false;
	sup_role_ended(&s, &s.role[VCPU]);
	/* The disk can finish its I/O. */
	assert_int_equal(asked(BLK, NULL), SPAWN_RESUME);
	assert_int_equal(hear(BLK, CTL_STOP).type, CTL_STOP);
	assert_int_equal(s.hold, HOLD_NONE);
}

static void the_end_answers_who_waits(void **state)
{
	(void)state;
	command(CONTROL_PAUSE, 0);
	s.role[VCPU].live = false;
	sup_role_ended(&s, &s.role[VCPU]);
	turn();
	answered(CONTROL_FAILED, "it was resumed or ended meanwhile");
	command(CONTROL_PAUSE, 0);
	answered(CONTROL_FAILED, "it is just ending");
}

static void a_helper_that_dies_waits_for_the_resume(void **state)
{
	(void)state;
	pause_it();
	s.role[BLK].live = false;
	close(s.role[BLK].ctl);
	s.role[BLK].ctl = -1;
	sup_role_ended(&s, &s.role[BLK]);
	assert_true(s.role[BLK].restart_at > 0);
	turn();
	assert_int_equal(s.restarts, 0);
	assert_int_equal(sup_restart_deadline(&s), 0);
	s.hold = HOLD_NONE;
	assert_true(sup_restart_deadline(&s) > 0);
}

/* QEMU would not use the successor, and the guest's requests would wait for ever. */
static void with_qemu_it_ends_the_guest(void **state)
{
	(void)state;
	pause_it();
	s.role[BLK].live = false;
	close(s.role[BLK].ctl);
	s.role[BLK].ctl = -1;
	sup_role_ended(&s, &s.role[BLK]);
	assert_int_equal(s.role[BLK].restart_at, 0);
	assert_true(s.blame_at > 0);
	s.blame_at = 1; /* The vCPU process has not ended meanwhile. */
	sup_deadlines(&s);
	assert_int_equal(s.status, EXIT_ROLE_DIED);
}

/* The process of the disk is killed after it has said in @said, which ends with 9, what its front-end does. */
static void disk_dies(const uint32_t *said)
{
	struct ctl_msg m = { .type = CTL_FRONT };

	for (; *said != 9; said++) {
		m.value = *said;
		assert_int_equal(ctl_send(far[BLK], &m), 0);
		sup_role_ctl(&s, &s.role[BLK]);
	}
	s.role[BLK].live = false;
	s.role[BLK].end = (struct spawn_msg){ .type = SPAWN_ENDED, .value = SIGKILL };
	sup_role_ended(&s, &s.role[BLK]);
}

static void with_qemu_a_disk_without_a_user_ends_the_guest(void **state)
{
	(void)state;
	disk_dies((uint32_t[]){ FRONT_SILENT, FRONT_IDLE, FRONT_RUNS, FRONT_IDLE, 9 });
	assert_int_equal(s.role[BLK].restart_at, 0);
	assert_string_equal(sup_restart_text(&s, s.blamed), "; QEMU would not use another one now");
	s.blame_at = 1;
	sup_deadlines(&s);
	assert_int_equal(s.status, EXIT_ROLE_DIED);
}

static void other_disks_are_started_again(void **state)
{
	(void)state;
	disk_dies((uint32_t[]){ 9 }); /* not connected */
	assert_true(s.role[BLK].restart_at > 0);
	s.role[BLK].restart_at = 0;
	disk_dies((uint32_t[]){ FRONT_SILENT, FRONT_IDLE, FRONT_RUNS, 9 });
	assert_true(s.role[BLK].restart_at > 0);
	s.role[BLK].restart_at = 0;
	s.qmp_ready = false; /* QEMU sets up its devices. */
	disk_dies((uint32_t[]){ FRONT_SILENT, 9 });
	assert_true(s.role[BLK].restart_at > 0);
	s.role[BLK].restart_at = 0;
	s.qmp_ready = true;
	config.disk[0].bus = BUS_IDE; /* NBD */
	disk_dies((uint32_t[]){ FRONT_SILENT, 9 });
	assert_true(s.role[BLK].restart_at > 0);
	assert_null(s.blamed);
	/* What the predecessor said is forgotten: QEMU is not connected to the successor yet. */
	config.disk[0].bus = BUS_VIRTIO;
	sup_role_fresh(&s.role[BLK]);
	disk_dies((uint32_t[]){ 9 });
	assert_null(s.blamed);
}

static void our_own_front_end_is_there(void **state)
{
	(void)state;
	disk_dies((uint32_t[]){ FRONT_SILENT, 9 });
	assert_true(s.role[BLK].restart_at > 0);
}

/* With QEMU a disk serves again once QEMU has connected to it. */
static void when_it_serves_again(void **state)
{
	const struct ctl_msg ready = { .type = CTL_READY }, runs = { .type = CTL_FRONT, .value = FRONT_RUNS };

	(void)state;
	for (unsigned i = BLK; i <= NET; i++) {
		s.role[i].ready = false;
		s.role[i].generation = 1;
		s.role[i].down_since = now_ms();
		assert_int_equal(ctl_send(far[i], &ready), 0);
		sup_role_ctl(&s, &s.role[i]);
	}
	assert_int_equal(s.role[NET].down_since, 0);
	assert_true(s.role[BLK].down_since > 0);
	assert_int_equal(ctl_send(far[BLK], &runs), 0);
	sup_role_ctl(&s, &s.role[BLK]);
	assert_int_equal(s.role[BLK].down_since, 0);
}

static void blk_says(enum ctl_type type, uint32_t value)
{
	struct ctl_msg m = { .type = type, .value = value };

	assert_int_equal(ctl_send(far[BLK], &m), 0);
	sup_role_ctl(&s, &s.role[BLK]);
}

/* A successor of the disk is ready, and its time for QEMU is over. */
static void qemu_is_late(void)
{
	s.role[BLK].ready = false;
	s.role[BLK].generation = 1;
	s.role[BLK].down_since = now_ms();
	blk_says(CTL_READY, 0);
	assert_true(sup_restart_deadline(&s) > now_ms());
	sup_deadlines(&s);
	assert_int_equal(s.status, -1);
	s.role[BLK].front_by = 1;
}

static void qemu_may_not_forget_a_disk(void **state)
{
	(void)state;
	qemu_is_late();
	blk_says(CTL_FRONT, FRONT_SILENT); /* connected */
	assert_int_equal(sup_restart_deadline(&s), 1);
	sup_deadlines(&s);
	assert_int_equal(s.status, EXIT_ROLE_DIED);
}

static void qemu_that_speaks_has_time(void **state)
{
	(void)state;
	qemu_is_late();
	blk_says(CTL_FRONT, FRONT_SILENT);
	blk_says(CTL_FRONT, FRONT_IDLE); /* The guest does not use the disk. */
	assert_int_equal(sup_restart_deadline(&s), 0);
	sup_deadlines(&s);
	assert_int_equal(s.status, -1);
	/* A paused QEMU cannot speak. */
	qemu_is_late();
	s.hold = HOLD_DONE;
	sup_deadlines(&s);
	assert_true(s.role[BLK].front_by > now_ms());
	assert_int_equal(s.status, -1);
	/* Nor one that sets up its devices. */
	s.hold = HOLD_NONE;
	s.qmp_ready = false;
	qemu_is_late();
	sup_deadlines(&s);
	assert_true(s.role[BLK].front_by > now_ms());
	assert_int_equal(s.status, -1);
}

/* The disk's process has ended by itself, and its successor waits for the end of QEMU: nobody waits for QEMU's words. */
static void qemu_owes_nothing_to_a_process_that_ended(void **state)
{
	(void)state;
	qemu_is_late();
	s.role[BLK].live = false;
	s.role[BLK].end = (struct spawn_msg){ .type = SPAWN_ENDED };
	sup_role_ended(&s, &s.role[BLK]);
	assert_true(s.role[BLK].restart_at > now_ms());
	sup_deadlines(&s);
	assert_int_equal(s.status, -1);
}

static void nobody_is_left_to_resume_it(void **state)
{
	(void)state;
	pause_it();
	config.max_restarts = 0;
	s.role[CONTROL].live = false;
	sup_role_ended(&s, &s.role[CONTROL]);
	all_run();
	assert_int_equal(s.status, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_pause_and_its_end, kvm, done),
		cmocka_unit_test_setup_teardown(qemu_stops_its_guest_first, qemu, done),
		cmocka_unit_test_setup_teardown(a_process_that_does_not_stop, kvm, done),
		cmocka_unit_test_setup_teardown(a_spawner_that_cannot_be_asked, kvm, done),
		cmocka_unit_test_setup_teardown(time_limits_stop, kvm, done),
		cmocka_unit_test_setup_teardown(what_was_measured_goes_on, kvm, done),
		cmocka_unit_test_setup_teardown(stop_resumes_at_once, kvm, done),
		cmocka_unit_test_setup_teardown(kill_ends_a_paused_guest, kvm, done),
		cmocka_unit_test_setup_teardown(the_end_answers_who_waits, kvm, done),
		cmocka_unit_test_setup_teardown(a_helper_that_dies_waits_for_the_resume, kvm, done),
		cmocka_unit_test_setup_teardown(with_qemu_it_ends_the_guest, qemu, done),
		cmocka_unit_test_setup_teardown(with_qemu_a_disk_without_a_user_ends_the_guest, qemu, done),
		cmocka_unit_test_setup_teardown(other_disks_are_started_again, qemu, done),
		cmocka_unit_test_setup_teardown(our_own_front_end_is_there, kvm, done),
		cmocka_unit_test_setup_teardown(when_it_serves_again, qemu, done),
		cmocka_unit_test_setup_teardown(qemu_may_not_forget_a_disk, qemu, done),
		cmocka_unit_test_setup_teardown(qemu_that_speaks_has_time, qemu, done),
		cmocka_unit_test_setup_teardown(qemu_owes_nothing_to_a_process_that_ended, qemu, done),
		cmocka_unit_test_setup_teardown(nobody_is_left_to_resume_it, kvm, done),
	};

	return cmocka_run_group_tests_name("parent_hold", tests, NULL, NULL);
}
