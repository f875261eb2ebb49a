/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nmi, sysrq, checkpoint and reset in the supervisor: who may ask when, and who is answered what. A vCPU
 * process that lies to the supervisor changes none of this.
 */
#include "tests/unit/parent_steer_rig.h"

static void not_while_a_process_starts(void **state)
{
	(void)state;
	s.role[NET].ready = false;
	command(CONTROL_PAUSE, 0);
	answered(CONTROL_FAILED, "one of its processes is just being started again; try again");
	s.role[NET].ready = true;
	s.guest_running = false;
	command(CONTROL_PAUSE, 0);
	answered(CONTROL_FAILED, "it is still starting; try again");
	command(CONTROL_NMI, 0);
	answered(CONTROL_FAILED, "it is still starting; try again");
	s.have_end = true;
	command(CONTROL_SYSRQ, 'h');
	answered(CONTROL_FAILED, "it is just ending");
}

static void a_monitor_that_never_greets_ends_the_guest(void **state)
{
	(void)state;
	assert_int_equal(sup_steer_deadline(&s), 0);
	s.qmp_ready = s.guest_running = false;
	assert_int_equal(sup_steer_deadline(&s), 0);
	assert_int_equal(ctl_send(far[VCPU], &(struct ctl_msg){ .type = CTL_RUNNING }), 0);
	sup_role_ctl(&s, &s.role[VCPU]);
	assert_true(s.greet_by > now_ms() && s.greet_by <= now_ms() + GREET_MS);
	assert_int_equal(sup_steer_deadline(&s), s.greet_by);
	sup_steer_due(&s, s.greet_by - 1);
	assert_int_equal(s.status, -1);
	sup_steer_due(&s, s.greet_by);
	assert_int_equal(s.status, EXIT_HOST);
	assert_int_equal(sup_steer_deadline(&s), 0);
}

static void keys_are_judged(void **state)
{
	static const uint64_t bad[] = { 0,	    ' ', 0x0f, '\n', 0x7f, 'h' + 256, 'h' | 1ull << 32,
					UINT64_MAX, '@', '[',  '`',  '{',  '/',	      ':' };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		command(CONTROL_SYSRQ, bad[i]);
		answered(CONTROL_FAILED, "sysrq: a key is one letter or digit");
		assert_int_equal(hear(VCPU, CTL_SYSRQ).type, 0);
	}
	command(CONTROL_SYSRQ, 'h');
	answered(CONTROL_DONE, "");
	assert_int_equal(hear(VCPU, CTL_SYSRQ).value, 'h');
	command(CONTROL_NMI, 0);
	answered(CONTROL_DONE, "");
	assert_int_equal(hear(VCPU, CTL_NMI).type, CTL_NMI);
}

static void checkpoints_only_if_asked_for(void **state)
{
	(void)state;
	command(CONTROL_RESET, 0);
	answered(CONTROL_FAILED, "it was started without --checkpoint");
	config.checkpoint = true;
	command(CONTROL_CHECKPOINT, 0);
	answered(CONTROL_DONE, "");
	assert_int_equal(hear(VCPU, CTL_CHECKPOINT).type, CTL_CHECKPOINT);
	command(CONTROL_RESET, 0);
	answered(CONTROL_DONE, "");
	assert_int_equal(hear(VCPU, CTL_RESET).type, CTL_RESET);
	config.run.rounds = true;
	command(CONTROL_CHECKPOINT, 0);
	answered(CONTROL_FAILED, "it takes its only checkpoint itself (run --checkpoint-at)");
	command(CONTROL_RESET, 0);
	answered(CONTROL_DONE, "");
	config.checkpoint = false;
}

static void lguest_has_a_console_and_no_nmi(void **state)
{
	(void)state;
	start(ENGINE_LGUEST);
	command(CONTROL_NMI, 0);
	answered(CONTROL_FAILED, "a guest of the lguest engine has no non-maskable interrupt");
	command(CONTROL_SYSRQ, 'h');
	answered(CONTROL_DONE, "");
	assert_int_equal(s.in.len, 2);
	assert_memory_equal(in_bytes, "\x0fh", 2);
	s.in.len = CONSOLE_IN_SIZE - 1;
	command(CONTROL_SYSRQ, 'h');
	answered(CONTROL_FAILED, "it does not read its console: too much input waits there");
}

static void a_break_comes_before_its_key(void **state)
{
	(void)state;
	/* Not by QEMU's own wish. */
	monitor_says("{\"return\": {}, \"id\": \"break\"}\r\n");
	assert_int_equal(s.in.len, 0);
	command(CONTROL_SYSRQ, 'h');
	monitor_is_told(QMP_BREAK("con"));
	not_answered();
	assert_int_equal(s.in.len, 0);
	/* No input comes between. */
	assert_false(sup_control_events(&s) & POLLIN);
	command(CONTROL_SYSRQ, 'i');
	answered(CONTROL_FAILED, "another key is being sent; try again");
	monitor_says("{\"return\": {}, \"id\": \"break\"}\r\n");
	/* The key is input like any other, written when the port takes it. */
	assert_int_equal(s.in.len, 1);
	assert_int_equal(in_bytes[s.in.head], 'h');
	s.in.len = 0;
	answered(CONTROL_DONE, "");
	assert_true(sup_control_events(&s) & POLLIN);
	/* Twice is not confirmed. */
	monitor_says("{\"return\": {}, \"id\": \"break\"}\r\n");
	assert_int_equal(s.in.len, 0);
	/* Neither a refusal nor silence sends the key. */
	command(CONTROL_SYSRQ, 'h');
	monitor_says("{\"error\": {}, \"id\": \"break\"}\r\n");
	answered(CONTROL_FAILED, "QEMU refused to send a break on the serial port");
	command(CONTROL_SYSRQ, 'h');
	assert_true(sup_steer_deadline(&s) > 0);
	s.sysrq_until = 1;
	turn();
	answered(CONTROL_FAILED, "QEMU did not send a break on the serial port in time");
	monitor_says("{\"return\": {}, \"id\": \"break\"}\r\n");
	assert_int_equal(s.in.len, 0);
	/* Input that waits would come between the break and the key. */
	s.in.len = 1;
	command(CONTROL_SYSRQ, 'h');
	answered(CONTROL_FAILED, "it does not read its serial port: input waits there");
}

static void not_while_qemu_is_asked(void **state)
{
	(void)state;
	command(CONTROL_SYSRQ, 'h');
	command(CONTROL_PAUSE, 0);
	answered(CONTROL_FAILED, "a key of sysrq is being sent; try again");
	monitor_says("{\"return\": {}, \"id\": \"break\"}\r\n");
	answered(CONTROL_DONE, "");
	command(CONTROL_NMI, 0);
	command(CONTROL_PAUSE, 0);
	answered(CONTROL_FAILED, "a non-maskable interrupt is being sent; try again");
	monitor_says("{\"return\": {}, \"id\": \"nmi\"}\r\n");
	answered(CONTROL_DONE, "");
	monitor_is_told(QMP_BREAK("con") QMP_NMI);
	pause_it();
}

#define NMI_DONE    "{\"return\": {}, \"id\": \"nmi\"}\r\n"
#define NMI_REFUSED "{\"id\": \"nmi\", \"error\": {\"class\": \"GenericError\", \"desc\": \"not supported\"}}\r\n"

static void an_interrupt_is_done_when_qemu_says_so(void **state)
{
	(void)state;
	command(CONTROL_NMI, 0);
	monitor_is_told(QMP_NMI);
	not_answered();
	command(CONTROL_NMI, 0);
	answered(CONTROL_FAILED, "another interrupt is being sent; try again");
	monitor_says(NMI_DONE);
	answered(CONTROL_DONE, "");
	/* Nobody waits for a second result. */
	monitor_says(NMI_DONE);
	not_answered();
	command(CONTROL_NMI, 0);
	monitor_says(NMI_REFUSED);
	answered(CONTROL_FAILED, "QEMU refused to send a non-maskable interrupt");
	config.machine = MACHINE_RISCV64;
	command(CONTROL_NMI, 0);
	monitor_says(NMI_REFUSED);
	answered(CONTROL_FAILED, "QEMU's machine virt has no non-maskable interrupt");
	/* The earlier one of two limits counts. */
	command(CONTROL_NMI, 0);
	command(CONTROL_SYSRQ, 'h');
	s.sysrq_until = 2;
	s.nmi_until = 1;
	assert_int_equal(sup_steer_deadline(&s), 1);
	s.sysrq_until = UINT64_MAX;
	turn();
	answered(CONTROL_FAILED, "QEMU did not send a non-maskable interrupt in time");
	not_answered();
	assert_int_equal(sup_steer_deadline(&s), UINT64_MAX);
}

static void a_reboot_answers_who_waits(void **state)
{
	(void)state;
	command(CONTROL_SYSRQ, 'h');
	command(CONTROL_NMI, 0);
	not_answered();
	sup_clean(&s);
	/* Without memory it starts nothing. */
	s.mem = -1;
	assert_int_equal(sup_start(&s), -1);
	assert_int_equal(sup_steer_deadline(&s), 0);
	assert_true(sup_control_events(&s) & POLLIN);
	turn();
	answered(CONTROL_FAILED, "the guest is being started again");
	answered(CONTROL_FAILED, "the guest is being started again");
}

/* All of them run in one turn. */
static void each_client_has_its_answer(void **state)
{
	(void)state;
	command_of(1, CONTROL_PAUSE, 0);
	command_of(2, CONTROL_RESUME, 0);
	command_of(3, CONTROL_PAUSE, 0);
	turn();
	answered_to(2, CONTROL_DONE, "");
	answered_to(1, CONTROL_FAILED, "it was resumed or ended meanwhile");
	not_answered();
	monitor_is_told(QMP_STOP QMP_CONT QMP_STOP);
	monitor_says("{\"event\": \"STOP\"}\r\n");
	all_stop();
	answered_to(3, CONTROL_DONE, "");
	command(CONTROL_RESUME, 0);
	answered(CONTROL_DONE, "");
	/* The result of the first break comes together with the command for the second. */
	command_of(4, CONTROL_SYSRQ, 'h');
	turn();
	command_of(5, CONTROL_SYSRQ, 'i');
	sup_break_sent(&s, false);
	turn();
	answered_to(4, CONTROL_FAILED, "QEMU refused to send a break on the serial port");
	not_answered();
	sup_break_sent(&s, true);
	turn();
	answered_to(5, CONTROL_DONE, "");
}

static void parts_come_once_for_all_who_ask(void **state)
{
	struct ctl_msg m;

	(void)state;
	config.ndevices = config.ndisks = 1;
	config.disk[0].path = "/disk";
	config.limit.memory = 1u << 30;
	command_of(1, CONTROL_PARTS, 0);
	command_of(2, CONTROL_PARTS, 0);
	turn();
	m = hear(CONTROL, CTL_PART);
	assert_int_equal(m.count, 2);
	assert_int_equal(m.part.kind, PART_CONSOLE);
	m = hear(CONTROL, CTL_PART);
	assert_string_equal(m.part.where, "/disk");
	assert_int_equal(hear(CONTROL, CTL_PART).type, 0);
	/* Not again unless a client asks; a paused guest answers too. */
	s.hold = HOLD_DONE;
	turn();
	m = hear(CONTROL, CTL_STATE);
	assert_int_equal(m.state.phase, GUEST_PAUSED);
	assert_int_equal(m.state.memory_max, 1u << 30);
	command(CONTROL_PARTS, 0);
	assert_int_equal(hear(CONTROL, CTL_PART).type, CTL_PART);
	s.hold = HOLD_NONE;
}

static void says(unsigned i, struct ctl_msg m)
{
	assert_int_equal(ctl_send(far[i], &m), 0);
	sup_role_ctl(&s, &s.role[i]);
	turn();
}

/* The next message for clients, whatever it is, but no state. */
static struct ctl_msg next_for_clients(void)
{
	struct ctl_msg m;

	do
		assert_int_equal(ctl_recv(far[CONTROL], &m), 1);
	while (m.type == CTL_STATE);
	return m;
}

/* What resets took comes with the counters of the vCPU process, and from no other role; it does not end the list. */
static void a_client_learns_what_resets_took(void **state)
{
	struct ctl_msg m;

	(void)state;
	command(CONTROL_STATS, 0);
	says(NET, (struct ctl_msg){ .type = CTL_RESETS, .resets = { .reset_cpu_us = 1, .reset_span_us = 2 } });
	says(VCPU, (struct ctl_msg){ .type = CTL_RESETS,
				     .resets = { .reset_cpu_us = 56, .reset_span_us = 78, .reset_p99_us = 90 } });
	for (unsigned i = BLK; i < ROLES; i++)
		if (i != CONTROL)
			says(i, (struct ctl_msg){ .type = CTL_STATS });
	for (unsigned i = 0; i < 2; i++) {
		m = next_for_clients();
		assert_int_equal(m.type, CTL_ROLE_STATS);
		assert_int_equal(m.queue, i);
	}
	m = next_for_clients();
	assert_int_equal(m.type, CTL_ROLE_RESETS);
	assert_int_equal(m.resets.reset_cpu_us, 56);
	assert_int_equal(m.resets.reset_span_us, 78);
	assert_int_equal(m.resets.reset_p99_us, 90);
	assert_true(m.queue + 1 < m.count);
	m = next_for_clients();
	assert_int_equal(m.type, CTL_ROLE_STATS);
	assert_int_equal(m.queue + 1, m.count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_monitor_that_never_greets_ends_the_guest, qemu, done),
		cmocka_unit_test_setup_teardown(not_while_a_process_starts, kvm, done),
		cmocka_unit_test_setup_teardown(keys_are_judged, kvm, done),
		cmocka_unit_test_setup_teardown(checkpoints_only_if_asked_for, kvm, done),
		cmocka_unit_test_setup_teardown(lguest_has_a_console_and_no_nmi, kvm, done),
		cmocka_unit_test_setup_teardown(a_break_comes_before_its_key, qemu, done),
		cmocka_unit_test_setup_teardown(each_client_has_its_answer, qemu, done),
		cmocka_unit_test_setup_teardown(not_while_qemu_is_asked, qemu, done),
		cmocka_unit_test_setup_teardown(a_reboot_answers_who_waits, qemu, done),
		cmocka_unit_test_setup_teardown(parts_come_once_for_all_who_ask, kvm, done),
		cmocka_unit_test_setup_teardown(a_client_learns_what_resets_took, kvm, done),
		cmocka_unit_test_setup_teardown(an_interrupt_is_done_when_qemu_says_so, qemu, done),
	};

	return cmocka_run_group_tests_name("parent_steer", tests, NULL, NULL);
}
