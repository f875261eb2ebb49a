/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The user gets the real reason why the guest ended, whatever else ends at the same time. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/supervise/end.h"
#include "parent/supervise/io.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/msg.h"
#include "parent/supervise/state.h"
#include "parent/supervise/stuck.h"

static struct host host;
static struct config config;
static struct supervisor s;
static uint8_t lines[LINES_SIZE];
static int spawner;

/* A disk and a vCPU process, which has reported why it ends, and has ended. */
static int bad_kernel(void **state)
{
	int sv[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv) < 0)
		return -1;
	spawner = sv[1];
	memset(&s, 0, sizeof(s));
	s.h = &host;
	s.c = &config;
	config.kernel = "/where it lies/words";
	s.status = -1;
	s.starts = 1;
	s.nroles = 2;
	s.err = (struct outbuf){ .buf = lines, .size = sizeof(lines) };
	for (unsigned i = 0; i < s.nroles; i++) {
		s.role[i].host = &host.role[i];
		s.role[i].ctl = -1;
		host.role[i].diag = host.role[i].spawner.sock = -1;
	}
	s.role[0].live = true;
	host.role[0].spawner.sock = sv[0];
	sup_guest_end(&s, GUEST_LOAD_FAILED, "words is not a kernel");
	return 0;
}

static int close_spawner(void **state)
{
	(void)state;
	close(spawner);
	close(host.role[0].spawner.sock);
	return 0;
}

static void fails_to_start(void)
{
	const struct spawn_msg m = { .type = SPAWN_FAILED, .value = EINTR };

	assert_int_equal(send(spawner, &m, sizeof(m), 0), sizeof(m));
	if (sup_role_spawner(&s, &s.role[0]))
		sup_role_ended(&s, &s.role[0]);
	assert_false(s.role[0].live);
}

/* The spawner reports "failed" for a helper that is killed before exec: that is not the reason of the end. */
static void one_that_is_ended_early_is_no_reason(void **state)
{
	(void)state;
	s.phase = PHASE_ENDING;
	fails_to_start();
	assert_int_equal(s.err.len, 0);
	assert_int_equal(sup_conclude(&s), EXIT_HOST);
	/* The role knows only the file name; the message shows the whole path. */
	assert_non_null(memmem(lines, s.err.len, ": /where it lies/words is not a kernel", 38));
}

static void one_that_cannot_be_started_is(void **state)
{
	(void)state;
	s.phase = PHASE_STARTING;
	fails_to_start();
	assert_non_null(memmem(lines, s.err.len, "cannot start its pro", 20));
	assert_null(memmem(lines, s.err.len, "ulimit", 6));
	assert_int_equal(s.status, EXIT_HOST);
}

/* An error caused by a resource limit names the limit. */
static void a_limit_is_named(void **state)
{
	const struct spawn_msg m = { .type = SPAWN_FAILED, .value = EAGAIN };

	(void)state;
	s.phase = PHASE_STARTING;
	assert_int_equal(send(spawner, &m, sizeof(m), 0), sizeof(m));
	if (sup_role_spawner(&s, &s.role[0]))
		sup_role_ended(&s, &s.role[0]);
	assert_non_null(memmem(lines, s.err.len, "(too many processes: see ulimit -u", 34));
	assert_non_null(strstr(spawn_limit_text(ENOMEM), "out of memory"));
}

/* Messages of a compromised vCPU process carry its name. */
static void what_a_running_guest_says_has_its_name(void **state)
{
	(void)state;
	s.phase = PHASE_DONE;
	s.role[0].live = false;
	s.guest_running = true;
	assert_int_equal(sup_conclude(&s), EXIT_HOST);
	assert_non_null(memmem(lines, s.err.len, ": vcpu: words is not a kernel", 29));
}

/* A blkd whose control channel stays open: it has passed its end to another process, or the disk hangs. */
static void an_operation_that_never_ends(enum guest_end why, int *status)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	s.role[0].ctl = sv[0];
	s.role[0].live = false;
	s.phase = PHASE_ENDING;
	s.have_end = true;
	s.end = why;
	sup_deadlines(&s);
	assert_int_equal(s.role[0].ctl, sv[0]);
	assert_in_range(sup_timeout_ms(&s, 0), 1, 5000);
	s.let_go_at = now_ms() - 1;
	sup_deadlines(&s);
	assert_int_equal(s.role[0].ctl, -1);
	*status = s.status;
	/* Output may still wait for the terminal; meanwhile the loop does not spin. */
	assert_true(sup_timeout_ms(&s, 0) < 0 || sup_timeout_ms(&s, 0) > 1000);
	close(sv[1]);
}

static void nothing_is_started_on_a_disk_that_hangs(void **state)
{
	int status;

	(void)state;
	an_operation_that_never_ends(GUEST_REBOOT, &status);
	assert_int_equal(status, EXIT_ROLE_DIED);
	assert_non_null(memmem(lines, s.err.len, "last I/O", 8));
}

static void a_guest_that_has_ended_does_not_wait_for_it(void **state)
{
	int status;

	(void)state;
	an_operation_that_never_ends(GUEST_POWEROFF, &status);
	assert_int_equal(status, -1);
	assert_int_equal(s.err.len, 0);
}

/* A blkd that dies right after its start was started all the same. */
static void who_was_ready_has_said_so(void **state)
{
	const struct spawn_msg ended = { .type = SPAWN_ENDED, .value = 1 << 8 };
	const struct ctl_msg ready = { .type = CTL_READY };
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	s.phase = PHASE_STARTING;
	s.role[0].ready = true;
	s.role[1].ctl = sv[0];
	s.role[1].live = true;
	host.role[1].role = ROLE_VCPU;
	/* The vCPU process was ready first, but its channel is read last. */
	assert_int_equal(send(sv[1], &ready, sizeof(ready), 0), sizeof(ready));
	assert_int_equal(send(spawner, &ended, sizeof(ended), 0), sizeof(ended));
	if (sup_role_spawner(&s, &s.role[0]))
		sup_role_ended(&s, &s.role[0]);
	assert_int_not_equal(s.phase, PHASE_STARTING);
	assert_null(memmem(lines, s.err.len, "before it was ready", 19));
	assert_int_not_equal(s.status, EXIT_HOST);
	close(sv[0]);
	close(sv[1]);
}

/* A host of 2015 lacks more layers than fit on a line. */
static void every_missing_layer_is_named(void **state)
{
	static const char *const names[] = {
#define X(sym, text) text,
		LAYERS(X)
#undef X
	};
	size_t before = s.err.len;

	(void)state;
	sup_lacks(&s, "vcpu", LAYER_BIT(LAYER_COUNT) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_non_null(memmem(lines + before, s.err.len - before, names[i], strlen(names[i])));
	assert_memory_equal(lines + before, "lguest-sep: vcpu: this host lacks: Landlock, ", 44);
}

static size_t count_lines(size_t from)
{
	size_t n = 0;

	for (size_t i = from; i < s.err.len; i++)
		n += lines[i] == '\n';
	return n;
}

/* Many processes on an old host: a line for each layer, not for each process. */
static void one_line_for_each_missing_layer(void **state)
{
	static const char some[] = "lguest-sep: this host lacks io_uring: blk0\n",
			  all[] = "lguest-sep: this host lacks Landlock: all 9 processes\n",
			  most[] = "mseal): blk0, blk1, blk2, blk3, blk4, blk5 and 2 more\n";
	size_t before = s.err.len;

	(void)state;
	s.nroles = 8;
	s.missing = LAYER_BIT(LAYER_LANDLOCK);
	for (unsigned i = 0; i < s.nroles; i++) {
		s.role[i].host = &host.role[i];
		host.role[i].foreign = -1;
		fmt_line(host.role[i].name, sizeof(host.role[i].name), "blk%u", i);
		s.role[i].missing = LAYER_BIT(LAYER_LANDLOCK) | LAYER_BIT(LAYER_MSEAL);
	}
	s.role[0].missing |= LAYER_BIT(LAYER_IO_URING);
	sup_sum_lacks(&s);
	assert_int_equal(count_lines(before), 3);
	assert_non_null(memmem(lines + before, s.err.len - before, all, strlen(all)));
	assert_non_null(memmem(lines + before, s.err.len - before, some, strlen(some)));
	assert_non_null(memmem(lines + before, s.err.len - before, most, strlen(most)));
}

/* A guest that ran, and printed the text of a panic @ago ms before it ended with @why. */
static int ends_after_text(enum guest_end why, uint64_t ago)
{
	static const char text[] = "[ 1.0] Kernel panic - not syncing: forged\n";

	s.phase = PHASE_DONE;
	s.role[0].live = false;
	s.guest_running = s.heard = true;
	s.have_end = false;
	sup_watch_panic(&s, &s.panic, (const uint8_t *)text, sizeof(text) - 1);
	sup_guest_end(&s, why, "");
	s.panic_at = s.ended_at - ago;
	return sup_conclude(&s);
}

static bool printed(const char *what)
{
	return memmem(lines, s.err.len, what, strlen(what)) != NULL;
}

static void a_panic_text_is_a_claim(void **state)
{
	(void)state;
	assert_int_equal(ends_after_text(GUEST_POWEROFF, 0), EXIT_POWEROFF);
	assert_true(printed("the guest printed: Kernel panic - not syncing: forged"));
	assert_int_equal(ends_after_text(GUEST_REBOOT, 9000), EXIT_GUEST_PANIC);
	assert_int_equal(ends_after_text(GUEST_REBOOT, 11000), -1);
	assert_int_equal(ends_after_text(GUEST_CRASH, 11000), EXIT_GUEST_PANIC);
	assert_int_equal(ends_after_text(GUEST_PANIC, 11000), EXIT_GUEST_PANIC);
	/* The text is quoted as the guest's, whatever the engine reported. */
	assert_true(printed("the guest's kernel panicked: reported through pvpanic\n"));
	assert_false(printed("panicked: forged"));
}

static void a_timeout_after_a_panic_text_is_a_timeout(void **state)
{
	(void)state;
	s.status = EXIT_TIMEOUT;
	assert_int_equal(ends_after_text(GUEST_REBOOT, 0), EXIT_TIMEOUT);
	assert_true(printed("the guest printed: "));
}

/* A disk's process that was killed 5 s ago and has not ended. */
static void a_process_that_cannot_end_is_named_and_left(void **state)
{
	(void)state;
	s.phase = PHASE_ENDING;
	s.have_end = false;
	s.status = EXIT_TIMEOUT;
	s.role[0].device = 0;
	s.role[1].device = -1;
	config.device[0].kind = DEV_BLK;
	config.disk[0].path = "image";
	host.role[0].spawner.children = -1;
	host.role[0].spawner.pid = 4711;
	s.role[0].killed_at = now_ms();
	sup_stuck_due(&s);
	assert_true(s.role[0].live);
	assert_in_range(sup_stuck_deadline(&s), now_ms() + 1, now_ms() + 5000);
	s.role[0].killed_at -= 5000;
	sup_stuck_due(&s);
	assert_false(s.role[0].live);
	assert_true(host.role[0].spawner.stuck);
	assert_true(printed("process 4711 (or its child) was killed but cannot end"));
	assert_true(printed("image stays locked until then"));
	assert_int_equal(s.status, EXIT_TIMEOUT);
	config.disk[0].path = NULL;
	host.role[0].spawner.pid = 0;
	host.role[0].spawner.stuck = false;
}

static int ends_without_text(enum guest_end why)
{
	s.phase = PHASE_DONE;
	s.role[0].live = s.have_end = false;
	sup_guest_end(&s, why, "");
	return sup_conclude(&s);
}

static void a_reset_is_never_0(void **state)
{
	(void)state;
	s.heard = config.no_reboot = true;
	assert_int_equal(ends_without_text(GUEST_REBOOT), EXIT_REBOOTS);
	config.no_reboot = false;
	assert_int_equal(ends_without_text(GUEST_REBOOT), -1);
	config.max_reboots_set = true;
	assert_int_equal(ends_without_text(GUEST_REBOOT), EXIT_REBOOTS);
	assert_true(printed("the guest wants to reboot again; --max-reboots=0 does not allow it"));
	config.max_reboots_set = false;
}

static void mute_starts_count_in_a_row(void **state)
{
	(void)state;
	s.starts = 7;
	assert_int_equal(ends_without_text(GUEST_REBOOT), -1);
	assert_int_equal(ends_without_text(GUEST_REBOOT), -1);
	s.heard = true;
	assert_int_equal(ends_without_text(GUEST_REBOOT), -1);
	s.heard = false;
	assert_int_equal(ends_without_text(GUEST_REBOOT), -1);
	assert_int_equal(ends_without_text(GUEST_REBOOT), -1);
	assert_int_equal(ends_without_text(GUEST_REBOOT), EXIT_GUEST_PANIC);
}

static void a_guest_asked_to_power_off(void **state)
{
	(void)state;
	s.phase = PHASE_RUNNING;
	s.monitor = -1;
	sup_power_button(&s, EXIT_SIGTERM, 90);
	assert_int_equal(s.status, -1);
	assert_true(s.button_until > now_ms() + 60000);
	assert_int_equal(ends_without_text(GUEST_POWEROFF), EXIT_POWEROFF);
	assert_int_equal(ends_without_text(GUEST_REBOOT), EXIT_SIGTERM);
	host.engine = ENGINE_LGUEST;
	assert_int_equal(ends_without_text(GUEST_POWEROFF), EXIT_SIGTERM);
	host.engine = 0;
	s.phase = PHASE_RUNNING;
	sup_power_button(&s, EXIT_SIGHUP, 5);
	assert_int_equal(s.status, EXIT_SIGTERM);
}

static void a_role_that_we_killed_is_said_to_be(void **state)
{
	char text[LOG_LINE_MAX];
	struct sup_role *r = &s.role[0];

	(void)state;
	r->end = (struct spawn_msg){ .type = SPAWN_ENDED, .value = SIGKILL };
	sup_end_text(r, text, sizeof(text));
	assert_non_null(strstr(text, "by a user or because the host is out of memory"));
	r->killed_at = 1;
	sup_end_text(r, text, sizeof(text));
	assert_string_equal(text, "killed by lguest-sep");
	r->end.value = SIGSEGV;
	sup_end_text(r, text, sizeof(text));
	assert_non_null(strstr(text, "killed by signal 11"));
}

/* A guest that reboots without end fills no log with its counters; the sums stand at the end. */
static void counters_are_printed_at_the_end_only(void **state)
{
	struct sup_role *r = &s.role[1];

	(void)state;
	config.stats = s.heard = true;
	strcpy(host.role[1].name, "vcpu");
	for (unsigned i = 1; i <= 2; i++) {
		r->stats = (struct stats){ .exits = 1000 * i };
		r->have_stats = true;
		assert_int_equal(ends_without_text(GUEST_REBOOT), -1);
		assert_int_equal(s.err.len, 0);
		sup_role_fresh(r);
	}
	r->stats.exits = 5;
	r->have_stats = true;
	assert_int_equal(ends_without_text(GUEST_POWEROFF), EXIT_POWEROFF);
	assert_true(printed("vcpu            3005  exits"));
	/* A reboot that is the end because nothing was ever printed. */
	s.err.len = s.err.head = 0;
	s.heard = false;
	s.mute_starts = 2;
	assert_int_equal(ends_without_text(GUEST_REBOOT), EXIT_GUEST_PANIC);
	assert_true(printed("vcpu            3005  exits"));
	config.stats = false;
}

/* QEMU aborts if it cannot make its threads: that is the host's limit, and is named. */
static void a_limit_that_ends_qemu_is_named(void **state)
{
	struct sup_role *r = &s.role[1];

	(void)state;
	s.phase = PHASE_DONE;
	for (unsigned i = 0; i < 2; i++) {
		s.have_end = false;
		s.status = -1;
		s.heard = i;
		host.engine = ENGINE_QEMU;
		r->end = (struct spawn_msg){ .type = SPAWN_ENDED, .value = SIGABRT };
		strcpy(r->said, "qemu_thread_create: Resource temporarily unavailable");
		r->said_at = 1;
		s.err.len = s.err.head = 0;
		assert_int_equal(sup_conclude(&s), i ? EXIT_ROLE_DIED : EXIT_HOST);
		assert_int_equal(printed("see ulimit -u"), !i);
	}
	host.engine = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_that_is_ended_early_is_no_reason, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(a_process_that_cannot_end_is_named_and_left, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(one_that_cannot_be_started_is, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(a_limit_is_named, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(what_a_running_guest_says_has_its_name, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(nothing_is_started_on_a_disk_that_hangs, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(a_guest_that_has_ended_does_not_wait_for_it, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(who_was_ready_has_said_so, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(every_missing_layer_is_named, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(one_line_for_each_missing_layer, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(a_panic_text_is_a_claim, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(a_timeout_after_a_panic_text_is_a_timeout, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(a_reset_is_never_0, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(mute_starts_count_in_a_row, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(a_guest_asked_to_power_off, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(a_role_that_we_killed_is_said_to_be, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(a_limit_that_ends_qemu_is_named, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(counters_are_printed_at_the_end_only, bad_kernel, close_spawner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
