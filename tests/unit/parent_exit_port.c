/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report through the exit port can only choose between status 0 and 9. The first byte counts; an earlier panic and an
 * end from outside take precedence; without --exit-port a report is an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/supervise/end.h"
#include "parent/supervise/exit_port.h"
#include "parent/supervise/msg.h"

static struct host host;
static struct config config;
static struct supervisor s;
static uint8_t lines[LINES_SIZE];
static int guest, vcpu_ctl;

/* A running guest with a vCPU process, under QEMU and with an exit port that takes bytes. */
static int running(void **state)
{
	int port[2], ctl[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, port) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ctl) < 0)
		return -1;
	memset(&s, 0, sizeof(s));
	memset(&host, 0, sizeof(host));
	memset(&config, 0, sizeof(config));
	s.h = &host;
	s.c = &config;
	host.engine = ENGINE_QEMU;
	config.kernel = "kernel";
	config.exit_port.kind = EXIT_PORT_BYTE;
	s.status = -1;
	s.starts = 1;
	s.nroles = 1;
	s.guest_running = true;
	s.phase = PHASE_RUNNING;
	s.role[0].host = &host.role[0];
	s.role[0].device = -1;
	s.role[0].live = true;
	s.role[0].ctl = ctl[0];
	s.role[0].limit = (struct log_limit)LOG_LIMIT_INIT(40, 200);
	host.role[0].diag = host.role[0].spawner.sock = -1;
	s.err = (struct outbuf){ .buf = lines, .size = sizeof(lines) };
	s.exit_port = port[0];
	guest = port[1];
	vcpu_ctl = ctl[1];
	return 0;
}

static int ended(void **state)
{
	(void)state;
	sup_close_exit_port(&s);
	close(guest);
	close(vcpu_ctl);
	if (s.role[0].ctl >= 0)
		close(s.role[0].ctl);
	return 0;
}

static bool said(const char *text)
{
	return memmem(lines, s.err.len, text, strlen(text)) != NULL;
}

static void writes(const void *bytes, size_t n)
{
	assert_int_equal(write(guest, bytes, n), n);
	sup_read_exit_port(&s);
}

static void zero_is_success_and_else_is_nine(void **state)
{
	(void)state;
	writes("", 1);
	assert_int_equal(sup_conclude(&s), EXIT_POWEROFF);
	for (unsigned byte = 1; byte < 256; byte++) {
		const uint8_t b = (uint8_t)byte;

		s.have_end = false;
		s.reported_at = 0;
		s.err.len = 0;
		writes(&b, 1);
		assert_int_equal(sup_reported_number(&s), byte);
		assert_int_equal(sup_conclude(&s), EXIT_REPORTED);
	}
	assert_true(said("the guest reported 255 through its exit port"));
	config.exit_port.success = 255;
	assert_int_equal(sup_conclude(&s), EXIT_POWEROFF);
}

/* QEMU's monitor sends @event. A supervisor that waits for the exit port then ends by SIGALRM. */
static char commands[256]; /* The answer to @event. */

static void monitor_says(const char *event)
{
	int mon[2];
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, mon), 0);
	s.monitor = mon[0];
	assert_int_equal(write(mon[1], event, strlen(event)), strlen(event));
	alarm(10);
	sup_monitor(&s);
	alarm(0);
	n = recv(mon[1], commands, sizeof(commands) - 1, MSG_DONTWAIT);
	commands[MAX(n, 0)] = '\0';
	close(mon[0]);
	close(mon[1]);
	s.monitor = -1;
}

/* QEMU emits no event before qmp_capabilities: a guest that ran earlier could end without one. */
static void the_guest_runs_when_events_are_enabled(void **state)
{
	const char *enabled, *runs;

	(void)state;
	monitor_says("{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n");
	enabled = strstr(commands, "\"qmp_capabilities\"");
	runs = strstr(commands, "\"cont\"");
	assert_non_null(enabled);
	assert_non_null(runs);
	assert_true(enabled < runs);
}

static void an_end_without_a_report_waits_for_none(void **state)
{
	(void)state;
	monitor_says("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n");
	assert_true(s.have_end && s.end == GUEST_REBOOT);
	assert_int_equal(s.reported_at, 0);
	/* Nor does the supervisor wait if poll(2) reported a byte that has been read since. */
	alarm(10);
	sup_read_exit_port(&s);
	alarm(0);
	assert_true(s.exit_port >= 0);
}

static void a_report_counts_before_the_panic_that_follows(void **state)
{
	(void)state;
	assert_int_equal(write(guest, "\2", 1), 1);
	monitor_says("{\"event\": \"GUEST_PANICKED\", \"data\": {\"action\": \"run\"}}\r\n");
	assert_true(s.have_end && s.end == GUEST_REPORTED);
	assert_int_equal(sup_conclude(&s), EXIT_REPORTED);
}

static void the_first_byte_counts(void **state)
{
	static uint8_t flood[4096];

	(void)state;
	memset(flood, 0, sizeof(flood));
	flood[0] = 7;
	writes(flood, sizeof(flood));
	for (unsigned i = 0; i < 15; i++)
		sup_read_exit_port(&s);
	assert_int_equal(sup_reported_number(&s), 7);
	assert_int_equal(sup_conclude(&s), EXIT_REPORTED);
	/* Even a guest that prints all the time is ended. */
	s.reported_at = now_ms() - 3000;
	s.last_output = now_ms();
	assert_true(sup_reported_deadline(&s) < now_ms());
	assert_true(sup_timeout_ms(&s, 0) == 0);
}

static void a_reset_after_it_changes_nothing(void **state)
{
	(void)state;
	writes("\1", 1);
	sup_guest_end(&s, GUEST_REBOOT, "");
	assert_false(sup_reboots(&s));
	sup_guest_end(&s, GUEST_PANIC, "");
	assert_int_equal(sup_conclude(&s), EXIT_REPORTED);
}

/* Panic and report come through different channels, and may be read in any order. */
static void a_reset_read_before_it_was_after_it(void **state)
{
	(void)state;
	sup_guest_end(&s, GUEST_REBOOT, "");
	writes("\1", 1);
	assert_int_equal(sup_conclude(&s), EXIT_REPORTED);
}

static void a_panic_before_it_is_one(void **state)
{
	(void)state;
	sup_guest_end(&s, GUEST_PANIC, "");
	writes("", 1);
	assert_int_equal(sup_conclude(&s), EXIT_GUEST_PANIC);
}

static void an_end_from_outside_is_one(void **state)
{
	(void)state;
	writes("", 1);
	s.status = EXIT_TIMEOUT;
	assert_int_equal(sup_conclude(&s), EXIT_TIMEOUT);
}

/* QEMU exited with @status. Returns our exit status, or 100 if it reported nothing. */
static int test_device(int status, enum exit_port kind, unsigned success)
{
	s.have_end = false;
	s.reported_at = 0;
	s.err.len = 0;
	config.machine = MACHINE_RISCV64;
	config.exit_port.kind = kind;
	config.exit_port.success = success;
	s.role[0].end.type = SPAWN_ENDED;
	s.role[0].end.value = (uint32_t)status << 8;
	sup_take_exit_status(&s);
	return s.have_end ? sup_conclude(&s) : 100;
}

static void riscvs_test_device(void **state)
{
	(void)state;
	/* Its monitor never answered: it did not run the guest. */
	assert_int_equal(test_device(0, EXIT_PORT_SIFIVE_TEST, 0), 100);
	assert_int_equal(test_device(0, EXIT_PORT_NONE, 0), 100);
	s.qmp_ready = true;
	assert_int_equal(test_device(0, EXIT_PORT_NONE, 0), EXIT_POWEROFF);
	assert_int_equal(test_device(7, EXIT_PORT_NONE, 0), EXIT_GUEST_PANIC);
	assert_true(said("wrote the code 7 to its test device"));
	assert_int_equal(test_device(0, EXIT_PORT_SIFIVE_TEST, 0), EXIT_POWEROFF);
	assert_int_equal(test_device(1, EXIT_PORT_SIFIVE_TEST, 0), EXIT_REPORTED);
	assert_true(said("the guest reported 1 through its exit port"));
	assert_int_equal(test_device(255, EXIT_PORT_SIFIVE_TEST, 255), EXIT_POWEROFF);
	assert_int_equal(test_device(0, EXIT_PORT_SIFIVE_TEST, 255), EXIT_REPORTED);
	/* A QEMU that prints why it cannot start, or that we have killed, reports nothing. */
	s.role[0].said_at = 1;
	assert_int_equal(test_device(0, EXIT_PORT_SIFIVE_TEST, 0), 100);
	assert_int_equal(test_device(1, EXIT_PORT_SIFIVE_TEST, 1), 100);
	assert_int_equal(test_device(1, EXIT_PORT_NONE, 0), 100);
	s.role[0].said_at = 0;
	s.role[0].killed_at = 1;
	assert_int_equal(test_device(0, EXIT_PORT_NONE, 0), 100);
	s.role[0].killed_at = 0;
	/* A signal from outside ended it. */
	monitor_says("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": \"host-signal\"}}\r\n");
	assert_int_equal(test_device(0, EXIT_PORT_SIFIVE_TEST, 0), 100);
	s.qemu_ended_itself = false;
	/* Other machines have no such device. */
	assert_int_equal(test_device(0, EXIT_PORT_NONE, 0), EXIT_POWEROFF);
	s.have_end = false;
	config.machine = MACHINE_AARCH64;
	sup_take_exit_status(&s);
	assert_false(s.have_end);
}

/* A reset also ends QEMU with status 0. */
static void a_reset_is_no_result_of_the_test_device(void **state)
{
	(void)state;
	config.machine = MACHINE_RISCV64;
	config.exit_port.kind = EXIT_PORT_SIFIVE_TEST;
	s.qmp_ready = true;
	sup_guest_end(&s, GUEST_REBOOT, "");
	s.role[0].end.type = SPAWN_ENDED;
	s.role[0].end.value = 0;
	sup_take_exit_status(&s);
	assert_int_equal(s.reported_at, 0);
	assert_int_equal(s.end, GUEST_REBOOT);
}

/* A compromised vCPU process reports twice, or without --exit-port. */
static void a_role_reports(uint32_t value, uint64_t detail)
{
	const struct ctl_msg m = { .type = CTL_GUEST_END, .value = value, .detail = detail };

	assert_int_equal(ctl_send(vcpu_ctl, &m), 0);
	sup_role_ctl(&s, &s.role[0]);
}

static void a_report_of_a_role(void **state)
{
	(void)state;
	host.engine = ENGINE_KVM;
	a_role_reports(GUEST_REPORTED, 3);
	a_role_reports(GUEST_REPORTED, 0);
	a_role_reports(GUEST_POWEROFF, 0);
	assert_int_equal(sup_reported_number(&s), 3);
	assert_int_equal(sup_conclude(&s), EXIT_REPORTED);
}

static void no_report_without_a_port(void **state)
{
	(void)state;
	host.engine = ENGINE_KVM;
	config.exit_port.kind = EXIT_PORT_NONE;
	s.starts = 2;
	a_role_reports(GUEST_REPORTED, 0);
	assert_int_equal(sup_conclude(&s), EXIT_ROLE_DIED);
	assert_true(said("vcpu: sent the number of an exit port"));
}

static void more_than_a_byte_is_no_message(void **state)
{
	(void)state;
	a_role_reports(GUEST_REPORTED, 256);
	assert_false(s.have_end);
	assert_int_equal(s.role[0].ctl, -1);
}

/* ---- isa-debug-exit: QEMU's exit status is the report ---- */

static void qemu_ends_with(unsigned status)
{
	config.exit_port = (struct exit_port_option){ .kind = EXIT_PORT_ISA_DEBUG_EXIT, .success = 1 };
	s.role[0].live = false;
	s.role[0].end = (struct spawn_msg){ .type = SPAWN_ENDED, .value = status << 8 };
	sup_role_ended(&s, &s.role[0]);
}

static void qemus_status_is_the_number(void **state)
{
	(void)state;
	qemu_ends_with(35);
	assert_int_equal(sup_reported_number(&s), 35);
	assert_int_equal(sup_conclude(&s), EXIT_REPORTED);
	config.exit_port.success = 35;
	assert_int_equal(sup_conclude(&s), EXIT_POWEROFF);
}

/* Later versions of QEMU power off with that status. */
static void also_where_it_powered_off(void **state)
{
	(void)state;
	sup_guest_end(&s, GUEST_POWEROFF, "");
	qemu_ends_with(1);
	assert_int_equal(sup_conclude(&s), EXIT_POWEROFF);
	assert_int_equal(s.end, GUEST_REPORTED);
}

static void a_qemu_that_failed_is_no_success(void **state)
{
	(void)state;
	s.role[0].said_at = now_ms();
	memcpy(s.role[0].said, "qemu: no memory", 16);
	qemu_ends_with(1);
	assert_false(s.have_end);
	assert_int_equal(sup_conclude(&s), EXIT_HOST);
	assert_true(said("qemu: no memory"));
}

static void an_even_status_or_a_kill_is_no_report(void **state)
{
	(void)state;
	qemu_ends_with(2);
	assert_false(s.have_end);
	s.phase = PHASE_RUNNING;
	s.role[0].killed_at = 1;
	qemu_ends_with(1);
	assert_false(s.have_end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, running, ended)
		T(zero_is_success_and_else_is_nine),
		T(the_guest_runs_when_events_are_enabled),
		T(riscvs_test_device),
		T(a_reset_is_no_result_of_the_test_device),
		T(an_end_without_a_report_waits_for_none),
		T(a_report_counts_before_the_panic_that_follows),
		T(the_first_byte_counts),
		T(a_reset_after_it_changes_nothing),
		T(a_reset_read_before_it_was_after_it),
		T(a_panic_before_it_is_one),
		T(an_end_from_outside_is_one),
		T(a_report_of_a_role),
		T(no_report_without_a_port),
		T(more_than_a_byte_is_no_message),
		T(qemus_status_is_the_number),
		T(also_where_it_powered_off),
		T(a_qemu_that_failed_is_no_success),
		T(an_even_status_or_a_kill_is_no_report),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
