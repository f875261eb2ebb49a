/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: with rounds (run --checkpoint-at) no byte of one round counts for another, neither output nor a part of a report;
 * a round is judged when all of its output is written, and only then the guest goes on; the status is that of the first
 * round that failed; and a vCPU process that reports rounds that do not run is killed.
 */
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "parent/supervise/ports.h"
#include "parent/supervise/rounds.h"
#include "parent/supervise/run_result.h"
#include "tests/unit/parent_steer_rig.h"

static int port[MAX_PORTS]; /* The guest's ends */

static int rounds(void **state)
{
	kvm(state);
	config.run.on = config.run.rounds = config.checkpoint = true;
	config.nports = RUN_PORTS;
	config.resets = 2;
	config.verbose = true;
	sup_ports_prepare(&s);
	sup_rounds_prepare(&s);
	return sup_ports_start(&s, port);
}

static int rounds_done(void **state)
{
	sup_ports_clean(&s);
	for (unsigned i = 0; i < RUN_PORTS; i++)
		close(port[i]);
	return done(state);
}

static void sends(unsigned i, const void *bytes, size_t n)
{
	assert_int_equal(write(port[i], bytes, n), n);
}

static void reports(uint32_t value, uint64_t out_bytes)
{
	const struct run_result r = { .magic = RUN_MAGIC, .end = RUN_EXITED, .value = value, .out_bytes = out_bytes };

	sends(RUN_RESULT, &r, sizeof(r));
}

static void ends(uint32_t why)
{
	assert_int_equal(ctl_send(far[VCPU], &(struct ctl_msg){ .type = CTL_ROUND, .value = why }), 0);
	sup_role_ctl(&s, &s.role[VCPU]);
}

static bool goes_on(void)
{
	sup_rounds_turn(&s);
	return hear(VCPU, CTL_NEXT_ROUND).type == CTL_NEXT_ROUND;
}

static bool acknowledged(void)
{
	char taken = 0;

	return recv(port[RUN_RESULT], &taken, 1, MSG_DONTWAIT) == 1 && taken == RUN_TAKEN;
}

/* A round with a report of this status. */
static void whole_round(uint32_t value)
{
	reports(value, 0);
	ends(RESET_ON_POWEROFF);
	assert_true(goes_on());
	assert_true(acknowledged());
}

static bool printed(const char *text)
{
	return memmem(lines, s.err.len, text, strlen(text)) != NULL;
}

static void each_round_is_judged_by_its_own_output(void **state)
{
	(void)state;
	sends(RUN_STDOUT, "abc", 3);
	reports(0, 3);
	assert_false(goes_on());
	ends(RESET_ON_POWEROFF);
	assert_true(goes_on());
	assert_true(acknowledged());
	assert_true(printed("round 1: status 0, as the guest reports"));
	assert_null(sup_run_result(&s));
	/* The same again counts; the bytes of the round before do not. */
	sends(RUN_STDOUT, "abc", 3);
	reports(0, 3);
	ends(RESET_ON_POWEROFF);
	assert_true(goes_on());
	assert_true(acknowledged());
	assert_true(printed("round 2: status 0"));
	sends(RUN_STDOUT, "abc", 3);
	reports(0, 9);
	ends(RESET_ON_POWEROFF);
	assert_true(goes_on());
	assert_false(acknowledged());
	assert_true(printed(
		"round 3: status 125, because the guest powered off before all of the command's output had arrived"));
	assert_int_equal(sup_rounds_status(&s, EXIT_POWEROFF), EXIT_RUN_FAILED);
}

static void halves_of_two_rounds_are_no_report(void **state)
{
	struct run_result r = { .magic = RUN_MAGIC, .end = RUN_EXITED };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		sends(RUN_RESULT, &r, sizeof(r) / 2);
		ends(RESET_ON_POWEROFF);
		assert_true(goes_on());
		assert_false(acknowledged());
	}
	assert_int_equal(sup_rounds_status(&s, EXIT_POWEROFF), EXIT_RUN_FAILED);
	assert_true(printed("run: 3 of 3 rounds failed; the first of them was round 1, with status 125"));
}

static void a_report_of_the_round_before_is_gone(void **state)
{
	(void)state;
	whole_round(0);
	ends(RESET_ON_POWEROFF);
	assert_true(goes_on());
	assert_true(
		printed("round 2: status 125, because the guest powered off and did not report how the command ended"));
}

static void output_is_written_before_the_guest_goes_on(void **state)
{
	int out[2];

	(void)state;
	assert_int_equal(pipe(out), 0);
	host.term.out = out[1];
	sends(RUN_STDOUT, "abc", 3);
	reports(0, 3);
	ends(RESET_ON_POWEROFF);
	for (unsigned i = 0; i < 3; i++)
		assert_false(goes_on());
	sup_port_write(&s, RUN_STDOUT);
	assert_true(goes_on());
	close(out[0]);
	close(out[1]);
	host.term.out = -1;
}

/* A vCPU process that writes without end keeps the supervisor for a bounded time. */
static void reading_has_an_end(void **state)
{
	static const uint8_t much[3 << 20];
	int size = 4 << 20, left = 0;

	(void)state;
	if (setsockopt(port[RUN_RESULT], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0) {
		print_message("skipped: needs root\n");
		skip();
	}
	sends(RUN_RESULT, much, sizeof(much));
	ends(RESET_ON_POWEROFF);
	assert_false(goes_on());
	assert_int_equal(ioctl(port[RUN_RESULT], TIOCOUTQ, &left), 0);
	assert_true(left > 0);
	for (unsigned i = 0; i < 10 && !goes_on(); i++)
		assert_true(i < 9);
}

static void only_a_power_off_ends_a_command(void **state)
{
	static const struct {
		uint32_t why;
		int status;
		const char *text;
	} cases[] = {
		{ RESET_ON_REBOOT, EXIT_RUN_FAILED, "the guest ended before the command did: reboot" },
		{ RESET_ON_PANIC, EXIT_RUN_FAILED, "the guest ended before the command did: panic" },
		{ RESET_ON_CRASH, EXIT_RUN_FAILED, "the guest ended before the command did: crash" },
		{ RESET_ON_EXIT_PORT, EXIT_RUN_FAILED, "the guest ended before the command did: exit-port" },
		{ RESET_ON_TIMEOUT, EXIT_RUN_TIMEOUT, "it took longer than --reset-on=timeout allows" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		rounds_done(state);
		rounds(state);
		/* Whatever it reports. */
		reports(0, 0);
		ends(cases[i].why);
		assert_true(goes_on());
		assert_true(printed(cases[i].text));
		whole_round(9);
		whole_round(0);
		assert_int_equal(sup_rounds_status(&s, EXIT_POWEROFF), cases[i].status);
		assert_true(printed("run: 2 of 3 rounds failed; the first of them was round 1"));
	}
}

/* Our init asks for a reset instead of powering off. */
static void a_reset_on_request_ends_a_command_that_was_reported(void **state)
{
	(void)state;
	reports(0, 3);
	sends(RUN_STDOUT, "abc", 3);
	ends(RESET_ONS);
	assert_true(goes_on());
	assert_true(printed("round 1: status 0, as the guest reports"));
	reports(0, 3);
	ends(RESET_ONS);
	assert_true(goes_on());
	assert_true(printed("round 2: status 125, because the guest powered off before all of the command's output"));
	ends(RESET_ONS);
	assert_true(goes_on());
	assert_true(printed("round 3: status 125, because the guest was taken back before the command had ended"));
}

static void the_status_is_that_of_the_first_failure(void **state)
{
	(void)state;
	whole_round(0);
	whole_round(7);
	assert_false(sup_rounds_done(&s));
	whole_round(8);
	assert_true(sup_rounds_done(&s));
	assert_int_equal(sup_rounds_status(&s, EXIT_POWEROFF), 7);
	/* The last report is kept for --result. */
	assert_int_equal(sup_run_result(&s)->value, 8);
	/* A signal is no result of a round. */
	assert_int_equal(sup_rounds_status(&s, EXIT_SIGTERM), EXIT_SIGTERM);
}

static void missing_rounds_are_a_failure(void **state)
{
	(void)state;
	/* The guest has taken no checkpoint, and powers off with a good report. */
	reports(0, 0);
	sup_port_ready(&s, RUN_RESULT, POLLIN);
	assert_int_equal(sup_rounds_status(&s, EXIT_POWEROFF), EXIT_RUN_FAILED);
	assert_true(printed("run: the guest ended in round 1 of 3"));
	rounds_done(state);
	rounds(state);
	whole_round(0);
	whole_round(0);
	assert_int_equal(sup_rounds_status(&s, EXIT_TIMEOUT), EXIT_RUN_TIMEOUT);
	assert_int_equal(sup_rounds_status(&s, EXIT_GUEST_PANIC), EXIT_RUN_FAILED);
	whole_round(0);
	assert_int_equal(sup_rounds_status(&s, EXIT_POWEROFF), 0);
}

static void rounds_that_do_not_run(void **state)
{
	(void)state;
	/* Before the first one was judged. */
	ends(RESET_ON_POWEROFF);
	assert_int_equal(s.role[VCPU].killed_at, 0);
	ends(RESET_ON_POWEROFF);
	assert_true(s.role[VCPU].killed_at != 0);
	/* After the last one. */
	rounds_done(state);
	rounds(state);
	for (unsigned i = 0; i < 3; i++)
		whole_round(0);
	assert_int_equal(s.role[VCPU].killed_at, 0);
	ends(RESET_ON_POWEROFF);
	assert_true(s.role[VCPU].killed_at != 0);
	assert_false(goes_on());
	/* Of a guest that has none. */
	rounds_done(state);
	rounds(state);
	config.run.rounds = false;
	ends(RESET_ONS);
	assert_true(s.role[VCPU].killed_at != 0);
	/* By another role. */
	rounds_done(state);
	rounds(state);
	assert_int_equal(ctl_send(far[NET], &(struct ctl_msg){ .type = CTL_ROUND }), 0);
	sup_role_ctl(&s, &s.role[NET]);
	assert_false(goes_on());
}

static void the_end_is_no_round(void **state)
{
	(void)state;
	ends(RESET_ON_POWEROFF);
	s.status = EXIT_TIMEOUT;
	assert_false(goes_on());
	s.status = -1;
	s.have_end = true;
	assert_false(goes_on());
	s.have_end = false;
	assert_true(goes_on());
}

/* What the guest gets in one round would be missing in the next. */
static void there_is_no_input(void **state)
{
	(void)state;
	host.term.in = 0;
	assert_int_equal(sup_run_stdin(&s), -1);
	assert_false(sup_run_signal(&s, 2));
	host.term.in = -1;
}

static void lines_have_a_limit(void **state)
{
	unsigned n = 0;

	(void)state;
	config.resets = 99;
	config.verbose = false;
	for (unsigned i = 0; i < 100; i++)
		whole_round(1);
	for (const uint8_t *l = lines; (l = memmem(l, s.err.len - (size_t)(l - lines), ": status 1", 10)); l++)
		n++;
	assert_int_equal(n, 10);
	assert_int_equal(sup_rounds_status(&s, EXIT_POWEROFF), 1);
	assert_true(printed("run: 100 of 100 rounds failed"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_round_is_judged_by_its_own_output, rounds, rounds_done),
		cmocka_unit_test_setup_teardown(halves_of_two_rounds_are_no_report, rounds, rounds_done),
		cmocka_unit_test_setup_teardown(a_report_of_the_round_before_is_gone, rounds, rounds_done),
		cmocka_unit_test_setup_teardown(output_is_written_before_the_guest_goes_on, rounds, rounds_done),
		cmocka_unit_test_setup_teardown(reading_has_an_end, rounds, rounds_done),
		cmocka_unit_test_setup_teardown(only_a_power_off_ends_a_command, rounds, rounds_done),
		cmocka_unit_test_setup_teardown(a_reset_on_request_ends_a_command_that_was_reported, rounds,
						rounds_done),
		cmocka_unit_test_setup_teardown(the_status_is_that_of_the_first_failure, rounds, rounds_done),
		cmocka_unit_test_setup_teardown(missing_rounds_are_a_failure, rounds, rounds_done),
		cmocka_unit_test_setup_teardown(rounds_that_do_not_run, rounds, rounds_done),
		cmocka_unit_test_setup_teardown(the_end_is_no_round, rounds, rounds_done),
		cmocka_unit_test_setup_teardown(there_is_no_input, rounds, rounds_done),
		cmocka_unit_test_setup_teardown(lines_have_a_limit, rounds, rounds_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
