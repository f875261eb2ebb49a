/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file of --result is valid JSON, whatever bytes names and claims contain. Processor time comes from the
 * spawners, and --cpu-timeout ends the guest once, however many processes have used the time.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/setup/result.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/msg.h"
#include "parent/supervise/ports.h"
#include "parent/supervise/result.h"
#include "parent/supervise/rounds.h"
#include "parent/supervise/usage.h"

static struct host host;
static struct config config;
static struct supervisor s;
static uint8_t lines[LINES_SIZE];
static char got[200000];

static int two_roles(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	memset(&config, 0, sizeof(config));
	memset(&host, 0, sizeof(host));
	s.h = &host;
	s.c = &config;
	host.engine = ENGINE_KVM;
	s.status = -1;
	s.starts = s.processors = 1;
	s.nroles = 2;
	s.phase = PHASE_RUNNING;
	s.err = (struct outbuf){ .buf = lines, .size = sizeof(lines) };
	for (unsigned i = 0; i < s.nroles; i++) {
		s.role[i].host = &host.role[i];
		s.role[i].ctl = -1;
		s.role[i].limit = (struct log_limit)LOG_LIMIT_INIT(40, 200);
		host.role[i].diag = host.role[i].spawner.sock = host.role[i].foreign = -1;
	}
	strcpy(host.role[0].name, "blk0");
	strcpy(host.role[1].name, "vcpu");
	config.kernel = "vmlinuz";
	config.result = "FILE";
	config.result_fd = memfd_create("result", 0);
	sup_ports_prepare(&s);
	/* As open_output_file() opens it. */
	s.result_fd = config.result_fd;
	return fcntl(config.result_fd, F_SETFL, O_APPEND);
}

static int closed(void **state)
{
	(void)state;
	close(config.result_fd);
	return 0;
}

/* The file, as it is now. */
static const char *file(void)
{
	ssize_t n = pread(config.result_fd, got, sizeof(got) - 1, 0);

	assert_true(n >= 0);
	got[n] = '\0';
	return got;
}

static bool has(const char *text)
{
	return strstr(file(), text) != NULL;
}

static void strings_of_any_bytes(void **state)
{
	(void)state;
	config.kernel = "a\"b\\c\n\x1b\xc3\xa4";
	s.have_end = true;
	s.end = GUEST_PANIC;
	strcpy(s.end_text, "\",\"end\":\"poweroff");
	s.panic.seen = true;
	strcpy(s.panic.text, "x\"}");
	sup_result_conclude(&s, EXIT_GUEST_PANIC);
	sup_result_write(&s, EXIT_GUEST_PANIC);
	assert_true(
		has("\"kernel\":\"a\\u0022b\\u005cc\\u000a\\u001b\\u00c3\\u00a4\",\"end\":\"panic\",\"status\":3,"));
	assert_true(has("\"text\":\"\\u0022,\\u0022end\\u0022:\\u0022poweroff\""));
	assert_true(has("\"panic\":\"x\\u0022}\""));
}

/* The second text is shorter: nothing of the first is left. */
static void the_file_is_replaced(void **state)
{
	static char name[5000];

	(void)state;
	memset(name, '\x80', sizeof(name) - 1);
	config.kernel = name;
	sup_result_write(&s, 1);
	config.kernel = "k";
	sup_result_conclude(&s, EXIT_HOST);
	sup_result_write(&s, 1);
	assert_int_equal(file()[0], '{');
	assert_string_equal(strstr(file(), "\"command\":null"), "\"command\":null}}\n");
}

static void as_long_as_it_can_be(void **state)
{
	static char name[5000];

	(void)state;
	memset(name, '\x80', sizeof(name) - 1);
	config.kernel = config.name = name;
	config.nports = MAX_PORTS;
	for (unsigned i = 0; i < MAX_PORTS; i++)
		memset(config.port[i].name, '\x80', PORT_NAME_MAX - 1);
	s.nroles = MAX_ROLES;
	for (unsigned i = 0; i < MAX_ROLES; i++) {
		s.role[i].host = &host.role[i];
		host.role[i].foreign = -1;
		memset(host.role[i].name, '\x80', sizeof(host.role[i].name) - 1);
		s.role[i].cpu_now_us = s.role[i].peak_rss_kib = s.role[i].faults = UINT64_MAX;
		s.role[i].end = (struct spawn_msg){ .type = SPAWN_ENDED,
						    .value = 31,
						    .call_known = 1,
						    .args = { UINT64_MAX, UINT64_MAX, UINT64_MAX } };
	}
	memset(s.message, '\x80', sizeof(s.message) - 1);
	memset(s.end_text, '\x80', sizeof(s.end_text) - 1);
	sup_result_write(&s, 1);
	/* Its end is there: it was not cut. */
	assert_string_equal(strstr(file(), "\"command\":null"), "\"command\":null}}\n");
	assert_true(strlen(file()) < 131072);
}

/* Messages of a role or the guest are not the reason of the end, nor are messages after the end. */
static void whose_message_it_is(void **state)
{
	(void)state;
	sup_line(&s, "the reason");
	s.quoting = true;
	sup_line(&s, "blk0: a role's words");
	s.quoting = false;
	sup_result_conclude(&s, EXIT_GUEST_PANIC);
	sup_line(&s, "bytes are lost");
	sup_result_write(&s, 3);
	assert_true(has("\"message\":\"the reason\""));
}

static struct spawn_msg used(enum spawn_type type, uint64_t ms)
{
	return (struct spawn_msg){ .type = type, .cpu_us = ms * 1000, .peak_rss_kib = ms };
}

static void time_of_all_processes_counts(void **state)
{
	struct spawn_msg m;

	(void)state;
	config.cpu_timeout_ms = 1000;
	m = used(SPAWN_ENDED, 400); /* a helper, which is started again */
	sup_usage(&s, &s.role[0], &m);
	m = used(SPAWN_USAGE, 300);
	sup_usage(&s, &s.role[0], &m);
	m = used(SPAWN_USAGE, 299);
	sup_usage(&s, &s.role[1], &m);
	assert_int_equal(s.status, -1);
	/* A report of a spawner replaces its earlier ones. */
	m = used(SPAWN_USAGE, 299);
	sup_usage(&s, &s.role[1], &m);
	assert_int_equal(s.status, -1);
	m = used(SPAWN_USAGE, 300);
	sup_usage(&s, &s.role[1], &m);
	assert_int_equal(s.status, EXIT_TIMEOUT);
	assert_true(s.cpu_timed_out);
	sup_result_conclude(&s, s.status);
	sup_result_write(&s, 5);
	assert_true(has("\"end\":\"cpu-timeout\""));
	assert_true(has("{\"name\":\"blk0\",\"cpu_ms\":700,\"peak_rss_kib\":400,"));
}

static void it_is_asked_for_in_time(void **state)
{
	const struct spawn_msg m = used(SPAWN_USAGE, 600);
	uint64_t now = now_ms();

	(void)state;
	assert_int_equal(sup_usage_deadline(&s), 0);
	config.cpu_timeout_ms = 1000;
	s.processors = 4;
	assert_true(sup_usage_deadline(&s) <= now);
	sup_usage_due(&s, now);
	assert_int_equal(sup_usage_deadline(&s), now + 250);
	sup_usage(&s, &s.role[1], &m);
	sup_usage_due(&s, now + 250);
	assert_int_equal(sup_usage_deadline(&s), now + 250 + 100);
	s.phase = PHASE_ENDING;
	assert_int_equal(sup_usage_deadline(&s), 0);
}

static void rounds_are_counted(void **state)
{
	(void)state;
	sup_result_write(&s, 0);
	assert_false(has("rounds"));
	config.run.on = config.run.rounds = true;
	config.resets = 1;
	sup_rounds_prepare(&s);
	sup_round_over(&s, RESET_ON_TIMEOUT);
	sup_rounds_turn(&s);
	sup_result_conclude(&s, EXIT_POWEROFF);
	sup_result_write(&s, EXIT_RUN_TIMEOUT);
	assert_true(has("\"rounds\":{\"done\":1,\"failed\":1,\"first_failed\":1,\"first_status\":124}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, two_roles, closed)
		T(strings_of_any_bytes),
		T(the_file_is_replaced),
		T(as_long_as_it_can_be),
		T(whose_message_it_is),
		T(time_of_all_processes_counts),
		T(it_is_asked_for_in_time),
#undef T
		cmocka_unit_test_setup_teardown(rounds_are_counted, two_roles, closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
