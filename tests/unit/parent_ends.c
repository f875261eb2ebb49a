/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Promise: why the guest ended is what the user is told, whatever else ends at the same time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/supervise.h"

static struct host host;
static struct config config;
static struct supervisor s;
static uint8_t lines[LINES_SIZE];
static int spawner;

/* A disk and a vCPU process; the latter has said why it ends, and has ended. */
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
	sup_role_spawner(&s, &s.role[0]);
	assert_false(s.role[0].live);
}

/* A helper that is ended before it was executed says "failed": that is no reason of its own. */
static void one_that_is_ended_early_is_no_reason(void **state)
{
	(void)state;
	s.phase = PHASE_ENDING;
	fails_to_start();
	assert_int_equal(s.err.len, 0);
	assert_int_equal(sup_conclude(&s), EXIT_HOST);
	assert_non_null(memmem(lines, s.err.len, "words is not a kernel", 21));
}

static void one_that_cannot_be_started_is(void **state)
{
	(void)state;
	s.phase = PHASE_STARTING;
	fails_to_start();
	assert_non_null(memmem(lines, s.err.len, "cannot be started", 17));
	assert_int_equal(s.status, EXIT_HOST);
}

/* A taken vCPU process cannot speak in the launcher's own name. */
static void what_a_running_guest_says_has_its_name(void **state)
{
	(void)state;
	s.phase = PHASE_DONE;
	s.role[0].live = false;
	s.ran = true;
	assert_int_equal(sup_conclude(&s), EXIT_HOST);
	assert_non_null(memmem(lines, s.err.len, ": vcpu: words is not a kernel", 29));
}

/* A disk's process whose control channel does not end: it has given its own end away, or the disk hangs. */
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
	assert_in_range(sup_timeout_ms(&s), 1, 5000);
	s.let_go_at = now_ms() - 1;
	sup_deadlines(&s);
	assert_int_equal(s.role[0].ctl, -1);
	*status = s.status;
	/* Output may still wait for the terminal: nothing spins until then. */
	assert_true(sup_timeout_ms(&s) < 0 || sup_timeout_ms(&s) > 1000);
	close(sv[1]);
}

static void nothing_is_started_on_a_disk_that_hangs(void **state)
{
	int status;

	(void)state;
	an_operation_that_never_ends(GUEST_REBOOT, &status);
	assert_int_equal(status, EXIT_ROLE_DIED);
	assert_non_null(memmem(lines, s.err.len, "last operation", 14));
}

static void a_guest_that_has_ended_does_not_wait_for_it(void **state)
{
	int status;

	(void)state;
	an_operation_that_never_ends(GUEST_POWEROFF, &status);
	assert_int_equal(status, -1);
	assert_int_equal(s.err.len, 0);
}

/* A disk's process that ends at once when the guest runs is not one that could not be started. */
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
	/* The vCPU process said that it was ready first; its channel is looked at last. */
	assert_int_equal(send(sv[1], &ready, sizeof(ready), 0), sizeof(ready));
	assert_int_equal(send(spawner, &ended, sizeof(ended), 0), sizeof(ended));
	sup_role_spawner(&s, &s.role[0]);
	assert_int_not_equal(s.phase, PHASE_STARTING);
	assert_null(memmem(lines, s.err.len, "before it was ready", 19));
	assert_int_not_equal(s.status, EXIT_HOST);
	close(sv[0]);
	close(sv[1]);
}

/* A host of 2015 lacks more layers than a line has room for. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_that_is_ended_early_is_no_reason, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(one_that_cannot_be_started_is, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(what_a_running_guest_says_has_its_name, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(nothing_is_started_on_a_disk_that_hangs, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(a_guest_that_has_ended_does_not_wait_for_it, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(who_was_ready_has_said_so, bad_kernel, close_spawner),
		cmocka_unit_test_setup_teardown(every_missing_layer_is_named, bad_kernel, close_spawner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
