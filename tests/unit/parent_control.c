/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor's side of the control plane: it obeys only controld, sends it the guest's
 * state, and outlives it. Each user can have one guest of a name; generated names never clash.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/control_name.h"
#include "parent/control/guest.h"
#include "parent/setup/control.h"
#include "parent/supervise/control.h"
#include "parent/supervise/control_io.h"
#include "parent/supervise/end.h"
#include "parent/supervise/msg.h"
#include "parent/supervise/restart.h"
#include "tests/lib/unique.h"

enum { BLK, CONTROL, VCPU, ROLES };

static struct host host;
static struct config config;
static struct supervisor s;
static uint8_t lines[LINES_SIZE], in_bytes[CONSOLE_IN_SIZE], control_bytes[CONTROL_OUT_SIZE];
static int far[ROLES], console; /* the roles' ends */

/* A guest with a disk runs. */
static int running(void **state)
{
	static const enum role kind[ROLES] = { ROLE_BLKD, ROLE_CONTROLD, ROLE_VCPU };
	int sv[2];

	(void)state;
	memset(&s, 0, sizeof(s));
	memset(&host, 0, sizeof(host));
	memset(&config, 0, sizeof(config));
	s.h = &host;
	s.c = &config;
	config.kernel = "/boot/vmlinuz";
	config.ndevices = config.ndisks = 1;
	config.max_restarts = 5;
	config.stop_timeout_s = 90;
	s.status = host.control = host.tell_ready = s.monitor = -1;
	s.starts = 1;
	s.nroles = ROLES;
	s.phase = PHASE_RUNNING;
	s.guest_running = true;
	s.err = (struct outbuf){ .buf = lines, .size = sizeof(lines) };
	s.in = (struct outbuf){ .buf = in_bytes, .size = sizeof(in_bytes) };
	s.control_out = (struct outbuf){ .buf = control_bytes, .size = sizeof(control_bytes) };
	for (unsigned i = 0; i < ROLES; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv) < 0)
			return -1;
		s.role[i].host = &host.role[i];
		s.role[i].ctl = sv[0];
		far[i] = sv[1];
		s.role[i].live = s.role[i].ready = true;
		s.role[i].device = i == BLK ? 0 : -1;
		host.role[i].role = kind[i];
		host.role[i].diag = host.role[i].foreign = host.role[i].spawner.sock = -1;
		snprintf(host.role[i].name, sizeof(host.role[i].name), "role%u", i);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) < 0)
		return -1;
	s.control_console = sv[0];
	console = sv[1];
	return 0;
}

static int done(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROLES; i++) {
		close(far[i]);
		if (s.role[i].ctl >= 0)
			close(s.role[i].ctl);
	}
	sup_control_close(&s);
	close(console);
	return 0;
}

/* The role @i sends @m; the supervisor acts on it. */
static void say(unsigned i, struct ctl_msg m)
{
	assert_int_equal(ctl_send(far[i], &m), 0);
	sup_role_ctl(&s, &s.role[i]);
	sup_control_turn(&s);
}

static void command(enum control_command c, uint64_t detail)
{
	say(CONTROL, (struct ctl_msg){ .type = CTL_COMMAND, .value = c, .detail = detail, .queue = 77 });
}

/* Returns the next message of that type for role @i, or one of type 0 if there is none. */
static struct ctl_msg hear(unsigned i, enum ctl_type type)
{
	struct ctl_msg m;

	while (ctl_recv(far[i], &m) == 1)
		if (m.type == (uint32_t)type)
			return m;
	return (struct ctl_msg){ 0 };
}

static bool said(const char *text)
{
	return memmem(lines, sizeof(lines), text, strlen(text)) != NULL;
}

static void no_other_role_commands(void **state)
{
	static const unsigned other[] = { BLK, VCPU };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(other); i++)
		for (unsigned c = CONTROL_NONE + 1; c < CONTROL_COUNT; c++)
			say(other[i], (struct ctl_msg){ .type = CTL_COMMAND, .value = c });
	assert_int_equal(s.status, -1);
	assert_int_equal(s.stop_status, 0);
	assert_int_equal(s.stats_until, 0);
	assert_int_equal(hear(VCPU, CTL_POWER_BUTTON).type, 0);
	assert_int_equal(hear(CONTROL, CTL_ANSWER).type, 0);
}

static void controld_ends_no_guest_but_by_command(void **state)
{
	(void)state;
	say(CONTROL, (struct ctl_msg){ .type = CTL_GUEST_END, .value = GUEST_POWEROFF });
	say(CONTROL, (struct ctl_msg){ .type = CTL_RUNNING });
	assert_false(s.have_end);
	assert_int_equal(s.phase, PHASE_RUNNING);
}

static void stop_asks_the_guest_once(void **state)
{
	(void)state;
	command(CONTROL_STOP, 7);
	assert_int_equal(hear(VCPU, CTL_POWER_BUTTON).type, CTL_POWER_BUTTON);
	assert_int_equal(hear(CONTROL, CTL_ANSWER).queue, 77);
	assert_int_equal(s.stop_status, EXIT_SIGTERM);
	assert_true(s.button_until <= now_ms() + 7000);
	/* Unlike a second signal, a second stop does not end the guest at once. */
	command(CONTROL_STOP, 0);
	assert_int_equal(s.status, -1);
	assert_false(s.hurried);
	assert_int_equal(hear(VCPU, CTL_POWER_BUTTON).type, 0);
	/* It can shorten the time, and nothing lengthens it. */
	command(CONTROL_STOP, 3);
	assert_true(s.button_until <= now_ms() + 3000);
	command(CONTROL_STOP, 1000);
	assert_true(s.button_until <= now_ms() + 3000);
	s.button_until = 1;
	sup_deadlines(&s);
	assert_true(said("(lguest-sep stop --timeout)"));
}

static void stop_ends_a_command(void **state)
{
	(void)state;
	config.run.on = true;
	command(CONTROL_STOP, 0);
	assert_int_equal(s.status, EXIT_SIGTERM);
}

static void kill_ends_at_once(void **state)
{
	(void)state;
	command(CONTROL_KILL, 0);
	assert_int_equal(s.status, EXIT_KILL);
	assert_true(s.hurried);
}

static void what_is_no_command_of_ours_fails(void **state)
{
	struct ctl_msg m;

	(void)state;
	/* controld answers these itself. */
	command(CONTROL_ATTACH, 0);
	m = hear(CONTROL, CTL_ANSWER);
	assert_int_equal(m.value, CONTROL_FAILED);
	assert_int_equal(m.queue, 77);
	assert_int_equal(s.status, -1);
}

static void more_commands_than_there_is_room_for(void **state)
{
	const struct ctl_msg m = { .type = CTL_COMMAND, .value = CONTROL_STATS };

	(void)state;
	for (unsigned i = 0; i < 4 * MAX_COMMANDS; i++) {
		assert_int_equal(ctl_send(far[CONTROL], &m), 0);
		sup_role_ctl(&s, &s.role[CONTROL]);
		assert_true(s.ncommands <= MAX_COMMANDS);
	}
	sup_control_turn(&s);
	assert_int_equal(s.ncommands, 0);
}

static void the_state_is_sent_when_it_changes(void **state)
{
	struct ctl_msg m;

	(void)state;
	memcpy(host.name, "web", 4);
	s.began = now_ms();
	sup_control_turn(&s);
	m = hear(CONTROL, CTL_STATE);
	assert_int_equal(m.type, CTL_STATE);
	assert_string_equal(m.state.name, "web");
	assert_string_equal(m.state.kernel, "vmlinuz");
	assert_int_equal(m.state.phase, GUEST_RUNNING);
	assert_int_equal(m.state.disks, 1);
	/* Controld itself is no helper of the guest. */
	s.restarts = 3;
	s.control_restarts = 1;
	sup_control_turn(&s);
	assert_int_equal(hear(CONTROL, CTL_STATE).state.restarts, 2);
	for (unsigned i = 0; i < 100; i++)
		sup_control_turn(&s);
	assert_int_equal(hear(CONTROL, CTL_STATE).type, 0);
	s.stop_status = 143;
	sup_control_turn(&s);
	assert_int_equal(hear(CONTROL, CTL_STATE).state.phase, GUEST_STOPPING);
}

static void the_state_is_sent_before_the_line_of_detach(void **state)
{
	char line[16] = "", told[64] = "";
	struct ctl_msg m;
	int tell[2], service[2];

	(void)state;
	memcpy(host.name, "web", 4);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, service), 0);
	host.notify = service[1];
	config.mem_bytes = 64u << 20;
	s.guest_running = false;
	assert_int_equal(pipe(tell), 0);
	host.tell_ready = tell[1];
	m = (struct ctl_msg){ .type = CTL_RUNNING };
	assert_int_equal(ctl_send(far[VCPU], &m), 0);
	sup_role_ctl(&s, &s.role[VCPU]);
	/* With QEMU the guest runs only once its monitor was told to. */
	s.monitor = tell[0];
	sup_tell_ready(&s);
	sup_control_turn(&s);
	assert_int_equal(hear(CONTROL, CTL_STATE).state.phase, GUEST_STARTING);
	assert_int_equal(host.tell_ready, tell[1]);
	assert_int_equal(read(service[0], told, sizeof(told)), -1);
	s.qmp_ready = true;
	sup_tell_ready(&s);
	sup_tell_ready(&s);
	assert_true(read(service[0], told, sizeof(told) - 1) > 0);
	assert_string_equal(told, "READY=1\nSTATUS=The guest runs");
	assert_int_equal(read(service[0], told, sizeof(told)), -1);
	assert_int_equal(host.tell_ready, -1);
	assert_int_equal(read(tell[0], line, sizeof(line)), 4);
	assert_string_equal(line, "web\n");
	m = hear(CONTROL, CTL_STATE);
	assert_int_equal(m.type, CTL_STATE);
	assert_int_equal(m.state.phase, GUEST_RUNNING);
	assert_int_equal(m.state.mem_bytes, 64u << 20);
	close(tell[0]);
	close(service[0]);
	close(service[1]);
	s.monitor = host.notify = -1;
	config.mem_bytes = 0;
}

static void counters_come_from_all_roles(void **state)
{
	struct ctl_msg m;

	(void)state;
	command(CONTROL_STATS, 0);
	assert_int_equal(hear(BLK, CTL_GET_STATS).type, CTL_GET_STATS);
	assert_int_equal(hear(VCPU, CTL_GET_STATS).type, CTL_GET_STATS);
	say(BLK, (struct ctl_msg){ .type = CTL_STATS, .stats.requests = 12 });
	assert_int_equal(hear(CONTROL, CTL_ROLE_STATS).type, 0);
	assert_true(sup_control_deadline(&s, 0) > 0);
	say(VCPU, (struct ctl_msg){ .type = CTL_STATS, .stats.exits = 34 });
	m = hear(CONTROL, CTL_ROLE_STATS);
	assert_int_equal(m.count, 2);
	assert_int_equal(m.role_stats.counted, 1);
	assert_int_equal(m.role_stats.stats.requests, 12);
	m = hear(CONTROL, CTL_ROLE_STATS);
	assert_int_equal(m.queue, 1);
	assert_int_equal(m.role_stats.stats.exits, 34);
}

static void a_silent_role_is_not_waited_for_without_end(void **state)
{
	struct ctl_msg m;

	(void)state;
	command(CONTROL_STATS, 0);
	s.stats_until = 1;
	sup_control_turn(&s);
	m = hear(CONTROL, CTL_ROLE_STATS);
	assert_int_equal(m.count, 2);
	assert_int_equal(m.role_stats.counted, 0);
	assert_int_equal(s.stats_until, 0);
}

static void the_guest_outlives_controld(void **state)
{
	(void)state;
	s.role[CONTROL].live = false;
	sup_role_ended(&s, &s.role[CONTROL]);
	assert_true(s.role[CONTROL].restart_at > 0);
	assert_int_equal(s.control_console, -1);
	/* No more restarts. */
	config.max_restarts = 0;
	sup_role_ended(&s, &s.role[CONTROL]);
	assert_true(said("is not started again"));
	assert_int_equal(s.status, -1);
	assert_int_equal(s.phase, PHASE_RUNNING);
	assert_null(s.blamed);
	/* The same in the middle of a reboot. */
	s.starts = 2;
	s.phase = PHASE_STARTING;
	sup_role_ended(&s, &s.role[CONTROL]);
	assert_true(s.role[CONTROL].ready);
	assert_null(s.blamed);
}

static void controld_outlives_a_reboot(void **state)
{
	(void)state;
	sup_begin_ending(&s);
	assert_int_equal(hear(BLK, CTL_STOP).type, CTL_STOP);
	assert_int_equal(hear(CONTROL, CTL_STOP).type, 0);
	s.role[BLK].live = s.role[VCPU].live = false;
	assert_true(sup_all_ended(&s));
}

static void a_stalled_controld_loses_output(void **state)
{
	static uint8_t much[CONTROL_OUT_SIZE];

	(void)state;
	assert_int_equal(sup_control_room(&s), CONTROL_OUT_SIZE);
	sup_control_console(&s, much, sizeof(much));
	/* At first the guest's output waits. */
	assert_int_equal(sup_control_room(&s), 0);
	sup_control_stall_due(&s);
	assert_false(s.control_stalled);
	assert_true(sup_control_deadline(&s, 0) > 0);
	s.control_taken = 1;
	sup_control_stall_due(&s);
	assert_true(s.control_stalled);
	assert_true(sup_control_room(&s) > sizeof(much));
	/* Until it reads again. */
	sup_control_ready(&s, POLLOUT);
	assert_false(s.control_stalled);
}

static void typed_input_waits_for_room(void **state)
{
	static uint8_t much[2 * CONSOLE_IN_SIZE];
	ssize_t sent = write(console, much, sizeof(much));

	(void)state;
	assert_true(sent > CONSOLE_IN_SIZE);
	for (unsigned i = 0; i < 100 && sup_control_events(&s) & POLLIN; i++)
		sup_control_ready(&s, POLLIN);
	assert_int_equal(s.in.len, CONSOLE_IN_SIZE);
	assert_false(sup_control_events(&s) & POLLIN);
}

static void the_end_is_told(void **state)
{
	int sv[2];

	(void)state;
	/* A controld that ends after it has read all, as the real one does. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	close(s.role[CONTROL].ctl);
	s.role[CONTROL].ctl = sv[0];
	assert_int_equal(shutdown(sv[1], SHUT_WR), 0);
	sup_control_over(&s, 42);
	close(far[CONTROL]);
	far[CONTROL] = sv[1];
	assert_int_equal(hear(CONTROL, CTL_OVER).value, 42);
	assert_true(s.over);
	/* After the end of the guest, controld is not started again. */
	s.phase = PHASE_DONE;
	sup_role_ended(&s, &s.role[CONTROL]);
	assert_int_equal(s.role[CONTROL].restart_at, 0);
}

/* ---- names ---- */

static void a_name_is_one_guests(void **state)
{
	static struct host a, b;
	static char kernel[48], made[GUEST_NAME_MAX + 1];
	static struct config c = { .control = true, .kernel = kernel };
	struct guest *list = calloc(MAX_GUESTS, sizeof(*list));
	const char *name = unique_name();
	bool found = false;

	(void)state;
	snprintf(kernel, sizeof(kernel), "/x/%s é", name);
	a.c = b.c = &c;
	a.control = b.control = -1;
	c.name = name;
	assert_int_equal(control_open(&a), 0);
	assert_int_equal(control_open(&b), -1);
	assert_true(b.name_taken);
	for (int i = 0, n = guest_list(list, false); i < n; i++)
		found |= !strcmp(list[i].name, name) && list[i].uid == getuid();
	assert_true(found);
	free(list);
	close(a.control);
	b.name_taken = false;
	assert_int_equal(control_open(&b), 0);
	close(b.control);
	/* Generated names contain the kernel's file name, in the characters of a name; the first free one is used. */
	c.name = NULL;
	assert_int_equal(control_open(&a), 0);
	snprintf(made, sizeof(made), "%s___-%d", name, (int)getpid());
	assert_string_equal(a.name, made);
	assert_true(control_name_ok(a.name));
	assert_int_equal(control_open(&b), 0);
	snprintf(made, sizeof(made), "%s___-%d-1", name, (int)getpid());
	assert_string_equal(b.name, made);
	close(a.control);
	close(b.control);
}

static void addresses_are_judged(void **state)
{
	static const char *const bad[] = {
		"",
		"@lguest-sep/",
		"@lguest-sep/0",
		"@lguest-sep/0/",
		"@lguest-sep//web",
		"@lguest-sep/-1/w",
		"@lguest-sep/0/a b",
		"@lguest-sep/0/a/b",
		"lguest-sep/0/web",
		"@lguest-sep/x/web",
		"@lguest-sep/4294967295/web",
		"@lguest-sep/0/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"@lguest-sep/00000000000000000000000/web",
	};
	char name[GUEST_NAME_MAX + 1];
	struct sockaddr_un a;
	uid_t uid;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(control_parse(bad[i], &uid, name));
	assert_true(control_parse("@lguest-sep/1000/web-1.x_2", &uid, name));
	assert_int_equal(uid, 1000);
	assert_string_equal(name, "web-1.x_2");
	assert_int_equal(control_address(&a, 1000, name), offsetof(struct sockaddr_un, sun_path) + 1 + 25);
}

#define T(f) cmocka_unit_test_setup_teardown(f, running, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_other_role_commands),
		T(controld_ends_no_guest_but_by_command),
		T(stop_asks_the_guest_once),
		T(stop_ends_a_command),
		T(kill_ends_at_once),
		T(what_is_no_command_of_ours_fails),
		T(more_commands_than_there_is_room_for),
		T(the_state_is_sent_when_it_changes),
		T(the_state_is_sent_before_the_line_of_detach),
		T(counters_come_from_all_roles),
		T(a_silent_role_is_not_waited_for_without_end),
		T(the_guest_outlives_controld),
		T(controld_outlives_a_reboot),
		T(a_stalled_controld_loses_output),
		T(typed_input_waits_for_room),
		T(the_end_is_told),
		cmocka_unit_test(a_name_is_one_guests),
		cmocka_unit_test(addresses_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
